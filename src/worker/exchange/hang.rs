//! An origin server that hangs while a request waits for it, or for another's fetch: then what is stored answers, where that
//! may be (RFC 9111 §4.2.4), and the fetch goes on behind it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Exchange;
use super::fallback::Fallback;
use crate::http::target::Uri;
use crate::worker::state::Worker;
use crate::worker::waiting_list::Fetch;

/// The time between two looks at what all workers know.
const LOOK: Duration = Duration::from_millis(100);

/// What is seen of the fetches that a request waits for.
pub(super) enum Sign {
    /// Something has come from the origin server.
    Heard,
    /// Nothing has for too long.
    Hung,
    /// Nothing has yet.
    Silent,
}

/// A request's patience with its origin server.
pub(super) struct HangWatch<'a> {
    worker: &'a Worker,
    uri: &'a Uri,
    /// When it began, and the time that it waits where it doesn't ask itself; `None` where nothing may answer instead.
    wait: Option<(Instant, Duration)>,
}

impl<'a> HangWatch<'a> {
    /// Resolves when it hangs, by what is seen of the request's own fetch.
    pub(super) async fn own(&self, fetch: &Fetch) {
        let sign = || match (fetch.course.is_heard(), fetch.is_hung()) {
            (true, _) => Sign::Heard,
            (false, true) => Sign::Hung,
            // Another host asks: nothing is known of how it fares.
            (false, false) if fetch.is_elsewhere() && self.is_due() => Sign::Hung,
            (false, false) => Sign::Silent,
        };
        self.until(sign).await;
    }

    /// Resolves when it hangs, by what is seen of fetches of others.
    pub(super) async fn others(&self, is_heard: impl Fn() -> bool) {
        let sign = || match (is_heard(), self.is_due()) {
            (true, _) => Sign::Heard,
            (false, true) => Sign::Hung,
            (false, false) => Sign::Silent,
        };
        self.until(sign).await;
    }

    fn is_due(&self) -> bool {
        (self.wait).is_some_and(|(begun, limit)| begun.elapsed() >= limit)
    }

    async fn until(&self, sign: impl Fn() -> Sign) {
        if self.wait.is_none() {
            return std::future::pending().await;
        }
        loop {
            match sign() {
                Sign::Hung => return,
                Sign::Silent if self.worker.is_hung(self.uri) => return,
                Sign::Silent | Sign::Heard => sleep(LOOK).await,
            }
        }
    }
}

impl<'a> Exchange<'a> {
    /// The patience of this request, if something stored may answer instead.
    pub(super) fn hang_watch<'u>(&self, uri: &'u Uri, fallback: Option<&Fallback>) -> HangWatch<'u>
    where
        'a: 'u,
    {
        let limit = self.settings.times.origin_hang;
        let may_answer = fallback.is_some_and(Fallback::answers_for_hung);
        HangWatch {
            worker: self.worker,
            uri,
            wait: may_answer.then_some((self.record.since, limit)),
        }
    }
}
