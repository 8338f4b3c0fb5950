//! CONNECT (RFC 9110 §9.3.6): a connection to an allowed port, then bytes both ways, unseen.

use super::access_log::RequestOutcome;
use super::{After, Exchange};
use crate::http::target::Authority;
use crate::worker::gone::{Progress, Watched};
use crate::worker::origin::course::Course;
use crate::worker::origin::{Wanted, reach};
use crate::worker::tunnel;
use crate::worker::waiting_list::FetchError;

impl Exchange<'_> {
    /// Connects and passes bytes until both directions have ended.
    pub(super) async fn tunnel(&mut self, authority: &Authority) -> After {
        if self.flush().await.is_err() {
            return After::Over;
        }
        // The client's next bytes aren't a request.
        self.keep = false;
        let (host, port) = (authority.host(), authority.port());
        if !self.settings.connect_ports.contains(port) {
            let why = format!(
                "CONNECT to port {port} is not allowed here: its operator can allow it with \"connect_ports\" in the configuration"
            );
            return self.refuse(403, &why);
        }
        let (times, requester) = (self.settings.times, self.client.requester());
        let wanted = Wanted {
            host,
            port,
            requester,
            own_destinations: &self.settings.own_destinations,
            limit: times.connect,
            origin: "",
            hung: &self.worker.hung,
            course: &Course::default(),
        };
        let watched = Watched {
            stream: &self.client.stream,
            buffer: &mut self.client.buffer,
            upload: &mut None,
            response: Progress::Awaited(self.head.version),
        };
        let reached = tokio::select! {
            biased;
            reached = reach(&self.worker.resolver, &self.worker.guard, &wanted) => reached,
            _ = watched.gone() => return After::Over,
        };
        let origin = match reached {
            Ok((origin, _)) => origin,
            Err(error) => {
                let error = FetchError::Connect(error);
                return self.fail(error.status(), &error.to_string());
            }
        };
        let established = b"HTTP/1.1 200 Connection established\r\n\r\n";
        self.client.out.extend_from_slice(established);
        self.record.status = 200;
        self.record.outcome = RequestOutcome::Tunnel;
        self.record.bytes = tunnel::join(self.client, &origin, times.tunnel_idle).await;
        After::Over
    }
}
