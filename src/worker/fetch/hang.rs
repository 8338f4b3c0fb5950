//! The origin server of a fetch that hangs: no connection, or no byte of a head, within `origin_hang`. The fetch goes on, as
//! its server may only be slow; what hangs is remembered until something answers, and not where it answers others meanwhile.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::request::FetchRequest;
use super::round_trip::Reply;
use crate::http::target::Uri;
use crate::worker::origin::connect::ReachError;
use crate::worker::state::Worker;
use crate::worker::waiting_list::{Fetch, FetchError};

/// What is known of a request when it goes out, for the case that nothing comes back.
pub(super) struct SilenceWatch {
    uri: Uri,
    begun: Instant,
    limit: Duration,
    /// It has content, which the origin server may want to read to the end.
    has_content: bool,
    /// Something was stored for it, so that its origin server isn't known to be slow.
    is_known: bool,
}

impl SilenceWatch {
    pub(super) fn of(request: &FetchRequest) -> SilenceWatch {
        SilenceWatch {
            uri: request.uri.clone(),
            begun: Instant::now(),
            limit: request.settings.times.origin_hang,
            has_content: request.content.is_some(),
            is_known: request.found().is_some(),
        }
    }

    /// Goes on beside the request, and remembers what hangs.
    pub(super) async fn run(&self, worker: &Worker, fetch: &Fetch) -> Infallible {
        sleep(self.limit).await;
        if !self.has_content && !fetch.course.is_heard() {
            self.note(worker, fetch);
            fetch.hangs();
        }
        pending().await
    }

    fn note(&self, worker: &Worker, fetch: &Fetch) {
        let silence = self.begun.elapsed();
        worker.hung.note_unconnected(&fetch.course, silence);
        // Its client may only wait for its share of look-ups.
        let is_queued =
            fetch.course.is_unresolved() && !worker.resolver.is_looking_up(self.uri.host());
        if !self.is_known || is_queued {
            return;
        }
        worker.hung.note_uri(&self.uri);
        let server = worker.origin_server(&self.uri);
        let was_known = worker.hung.has(&server);
        (worker.hung).note_silent(&server, &fetch.course, silence);
        if !was_known && worker.hung.has(&server) {
            let (origin, limit) = (server.origin, self.limit);
            log::info!(
                "{origin} hangs, as nothing came from it for {limit:?}: what is stored answers where it may"
            );
        }
        // Other hosts have nothing to wait for.
        fetch.announce_lease(None);
    }

    /// Takes what came of it. That something answered is known since its first byte.
    pub(super) fn ends(&self, worker: &Worker, fetch: &Fetch, reply: &Result<Reply, FetchError>) {
        let origin = self.uri.origin();
        match reply {
            // A machine that is off is found out by its neighbours in about that time, each time anew.
            Err(FetchError::Connect(ReachError::Unreachable { .. })) if self.is_slow() => {
                let took = self.begun.elapsed();
                (worker.hung).note_unreachable(origin, &fetch.course, took);
            }
            Err(why) if !fetch.is_hung() && !is_of_time(why) => {
                worker.hung.fails(origin, &fetch.course);
            }
            Ok(_) | Err(_) => {}
        }
    }
}

impl SilenceWatch {
    /// True when one who waits for it waits about as long as for one that hangs.
    fn is_slow(&self) -> bool {
        self.is_known && self.begun.elapsed() > self.limit / 2
    }
}

/// True for a failure that says nothing of the origin server but that it took its time.
fn is_of_time(why: &FetchError) -> bool {
    match why {
        FetchError::TimedOut { .. } | FetchError::ClientContent => true,
        FetchError::Connect(why) => matches!(
            why,
            ReachError::TimedOut { .. }
                | ReachError::NoAnswer { .. }
                | ReachError::Busy { .. }
                | ReachError::NotAllowed { .. }
        ),
        FetchError::Closed(_)
        | FetchError::Io { .. }
        | FetchError::Head { .. }
        | FetchError::Framing { .. }
        | FetchError::Content { .. }
        | FetchError::NotModified(_)
        | FetchError::Switched(_) => false,
    }
}
