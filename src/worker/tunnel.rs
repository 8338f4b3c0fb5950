//! Tunnels (RFC 9110 §9.3.6): CONNECT to an allowed port, and what a 101 leads to. Bytes pass both
//! ways unseen; an end of one direction ends only that direction; long silence ends both.

use std::cell::Cell;
use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::client::Client;
use super::exchange::After;
use super::fetch::FetchError;
use super::origin::reach;
use super::pages;
use super::state::Worker;
use crate::config::Settings;
use crate::http::head::Version;
use crate::http::target::Authority;
use crate::sys::splice::Relay;
use crate::sys::stream::Stream;

/// A CONNECT request being answered.
pub struct Tunnel<'a> {
    /// The worker.
    pub worker: &'a Rc<Worker>,
    /// The settings the request began with.
    pub settings: &'a Settings,
    /// The client.
    pub client: &'a mut Client,
    /// The version of its request.
    pub version: Version,
}

impl Tunnel<'_> {
    /// Connects and passes bytes until both directions have ended. The status answered, and the
    /// bytes that went to the client.
    pub async fn connect(self, authority: &Authority, local_allowed: bool) -> (After, u16, u64) {
        if !self.settings.connect_ports.contains(authority.port()) {
            let why = format!(
                "CONNECT to port {} is not allowed here: its operator can allow it with \"connect_ports\" in the configuration",
                authority.port()
            );
            return self.refuse(403, &why);
        }
        let reached = reach(
            &self.worker.resolver,
            authority.host(),
            authority.port(),
            local_allowed,
            self.settings.times.connect,
        );
        let origin = match reached.await {
            Ok((origin, _)) => origin,
            Err(error) => {
                let trouble = FetchError::Connect(error);
                return self.refuse(trouble.status(), &trouble.to_string());
            }
        };
        let Tunnel {
            settings, client, ..
        } = self;
        client
            .out
            .extend_from_slice(b"HTTP/1.1 200 Connection established\r\n\r\n");
        let bytes = join(client, &origin, settings.times.tunnel_idle).await;
        (After::Over, 200, bytes)
    }

    fn refuse(self, status: u16, why: &str) -> (After, u16, u64) {
        pages::refusal(&mut self.client.out, self.version, status, why, false, true);
        (After::Linger, status, 0)
    }
}

/// Writes what is gathered for the client and what it already sent, then passes bytes both ways.
/// How many went to the client.
pub async fn join(client: &mut Client, origin: &Stream, limit: Duration) -> u64 {
    let early = std::mem::take(&mut client.buffer);
    let sent = origin.write_all(&mut [IoSlice::new(&early)], limit).await;
    if client.flush(limit).await.is_err() || sent.is_err() {
        return 0;
    }
    let (Ok(up), Ok(down)) = (Relay::new(), Relay::new()) else {
        log::warn!("no tunnel: out of file descriptors; raise LimitNOFILE");
        return 0;
    };
    let active = Cell::new(Instant::now());
    let bytes = Cell::new(0);
    let both = async {
        tokio::join!(
            one_way(&up, &client.stream, origin, &active, None),
            one_way(&down, origin, &client.stream, &active, Some(&bytes)),
        )
    };
    tokio::select! {
        _ = both => {}
        () = silence(&active, limit) => {}
    }
    bytes.get()
}

/// Passes one direction until it ends, then tells the other side so.
async fn one_way(
    relay: &Relay,
    from: &Stream,
    to: &Stream,
    active: &Cell<Instant>,
    count: Option<&Cell<u64>>,
) {
    while let Ok(moved @ 1..) = relay.step(from, to).await {
        active.set(Instant::now());
        if let Some(count) = count {
            count.set(count.get() + moved as u64);
        }
    }
    let _ = to.shut_write();
}

/// Resolves when nothing has moved for `limit`.
async fn silence(active: &Cell<Instant>, limit: Duration) {
    loop {
        let until = active.get() + limit;
        if Instant::now() >= until {
            return;
        }
        sleep_until(until).await;
    }
}
