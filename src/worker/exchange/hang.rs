//! An origin server that hangs while a request waits for it, or for another's fetch: then what is stored answers, where that
//! may be (RFC 9111 §4.2.4), and the fetch goes on behind it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Exchange;
use super::fallback::Fallback;
use crate::http::target::Uri;
use crate::worker::state::Worker;
use crate::worker::waiting_list::{Fetch, Listed};

/// The time between two looks at what all workers know.
const LOOK: Duration = Duration::from_millis(100);

/// What is seen of the fetches that a request waits for.
enum Sign {
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
    /// `None` where nothing may answer instead.
    patience: Option<Patience<'a>>,
}

/// The time that a request waits where it doesn't ask itself, and what answers then.
struct Patience<'a> {
    fallback: &'a Fallback,
    begun: Instant,
    limit: Duration,
}

impl Patience<'_> {
    fn is_over(&self) -> bool {
        self.begun.elapsed() >= self.limit
    }
}

impl<'a> HangWatch<'a> {
    /// Resolves when it hangs, by what is seen of the request's own fetch.
    pub(super) async fn own(&self, fetch: &Fetch) -> &'a Fallback {
        let sign = |patience: &Patience<'_>| match (fetch.course.is_heard(), fetch.is_hung()) {
            (true, _) => Sign::Heard,
            (false, true) => Sign::Hung,
            // Another host asks: nothing is known of how it fares.
            (false, false) if fetch.is_elsewhere() && patience.is_over() => Sign::Hung,
            (false, false) => Sign::Silent,
        };
        self.until(sign).await
    }

    /// Resolves when it hangs, by what is seen of fetches of others.
    pub(super) async fn others(&self, listed: &Listed) -> &'a Fallback {
        let sign = |patience: &Patience<'_>| {
            // One that is asked once more has as long again.
            let asks_long = || (listed.asked()).is_none_or(|at| at.elapsed() >= patience.limit);
            match (listed.are_heard(), patience.is_over() && asks_long()) {
                (true, _) => Sign::Heard,
                (false, true) => Sign::Hung,
                (false, false) => Sign::Silent,
            }
        };
        self.until(sign).await
    }

    async fn until(&self, sign: impl Fn(&Patience<'_>) -> Sign) -> &'a Fallback {
        let Some(patience) = &self.patience else {
            return std::future::pending().await;
        };
        let origin = self.uri.origin();
        loop {
            match sign(patience) {
                Sign::Hung => return patience.fallback,
                Sign::Silent if self.worker.hung.has_origin(origin) => return patience.fallback,
                Sign::Silent | Sign::Heard => sleep(LOOK).await,
            }
        }
    }
}

impl<'a> Exchange<'a> {
    /// The patience of this request, if something stored may answer instead.
    pub(super) fn hang_watch<'u>(
        &self,
        uri: &'u Uri,
        fallback: Option<&'u Fallback>,
    ) -> HangWatch<'u>
    where
        'a: 'u,
    {
        let (begun, limit) = (self.record.since, self.settings.times.origin_hang);
        let fallback = fallback.filter(|fallback| fallback.answers_for_hung());
        HangWatch {
            worker: self.worker,
            uri,
            patience: fallback.map(|fallback| Patience {
                fallback,
                begun,
                limit,
            }),
        }
    }
}
