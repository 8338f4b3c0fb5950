//! The record of a request, for the journal and the counters.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Exchange;
use crate::cache::status::Forward;
use crate::cache::time::FreshnessLeft;
use crate::http::target::without_fragment;
use crate::sys::journal::{self, AccessLine};
use crate::worker::client::Client;
use crate::worker::pages::WrittenPage;
use crate::worker::state::Worker;

/// A head of more bytes than this is a long one.
const LONG: usize = 8 << 10;

/// The outcome of a request, as its access line says; README.md has the list.
#[derive(Debug, strum::IntoStaticStr, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[strum(serialize_all = "kebab-case")]
pub(super) enum RequestOutcome {
    /// The client left before there was an answer.
    Abandoned,
    /// The proxy answered for itself.
    OwnPage,
    /// It was refused.
    Refused,
    /// PURGE was done, whether anything was stored or not.
    Purge,
    /// A connection to the origin server was passed on unseen.
    Tunnel,
    /// A fresh response answered that is stored or being received.
    Hit,
    /// A stored response answered though it was stale.
    Stale,
    /// The origin server said that what is stored holds.
    Revalidated,
    /// Another request's fetch answered.
    Collapsed,
    /// It was fetched; nothing was stored.
    Miss,
    /// It was fetched; what is stored no longer held, or wasn't accepted.
    Expired,
    /// Only what a stored part lacked was fetched.
    Partial,
    /// The cache had no part in this GET or HEAD, which was passed on: `fwd=bypass`.
    Bypass,
    /// The cache has no part in requests with this method: `fwd=method`.
    Pass,
    /// The origin server failed.
    Error,
    /// The content ended early.
    CutOff,
}

impl RequestOutcome {
    fn token(self) -> &'static str {
        self.into()
    }

    /// The outcome of an answer from the store with this much freshness left.
    pub(super) fn of_stored(left: FreshnessLeft) -> RequestOutcome {
        match left.is_fresh() {
            true => RequestOutcome::Hit,
            false => RequestOutcome::Stale,
        }
    }

    /// The outcome of a response from the origin server, asked for this reason.
    pub(super) fn of_forwarded(why: Forward) -> RequestOutcome {
        match why {
            Forward::Stale | Forward::Request => RequestOutcome::Expired,
            Forward::Partial => RequestOutcome::Partial,
            Forward::UriMiss | Forward::VaryMiss => RequestOutcome::Miss,
            Forward::Bypass => RequestOutcome::Bypass,
            Forward::Method => RequestOutcome::Pass,
        }
    }

    /// True when the content came from the store or the memory tier.
    fn is_hit(self) -> bool {
        matches!(
            self,
            RequestOutcome::Hit | RequestOutcome::Stale | RequestOutcome::Revalidated
        )
    }
}

/// All that is known of a request when it has been answered.
#[derive(Debug)]
pub(super) struct RequestRecord {
    /// When it began.
    pub(super) since: Instant,
    /// The status sent; 0 when the client left before there was one.
    pub(super) status: u16,
    pub(super) outcome: RequestOutcome,
    /// Bytes of content sent.
    pub(super) bytes: u64,
}

impl RequestRecord {
    /// The record of a request that begins now.
    pub(super) fn begin() -> RequestRecord {
        RequestRecord {
            since: Instant::now(),
            status: 0,
            outcome: RequestOutcome::Abandoned,
            bytes: 0,
        }
    }
}

impl RequestRecord {
    /// Notes that a page of the proxy's own answered.
    pub(super) fn answered_by(&mut self, page: WrittenPage) {
        self.status = page.status;
        self.bytes = page.bytes;
    }
}

impl Exchange<'_> {
    /// Counts the request, and writes its line.
    pub(super) fn record(&mut self) {
        let record = &mut self.record;
        if record.status == 0 {
            record.outcome = RequestOutcome::Abandoned;
        }
        self.worker.count(record.outcome.is_hit(), record.bytes);
        if !self.settings.access_log {
            return;
        }
        let uri = without_fragment(&self.head.target);
        // A line that waits to be written keeps no long head for its target's sake.
        let uri = match self.head.fields.text().len() > LONG {
            true => Bytes::copy_from_slice(&uri),
            false => uri,
        };
        journal::access(AccessLine {
            client: self.client.address(),
            method: Bytes::copy_from_slice(self.head.method.as_bytes()),
            uri,
            status: record.status,
            outcome: record.outcome.token(),
            bytes: record.bytes,
            duration: record.since.elapsed(),
        });
    }
}

/// Counts and logs a request whose head could not be read.
pub(in crate::worker) fn log_refused(worker: &Rc<Worker>, client: &Client, page: WrittenPage) {
    worker.count(false, page.bytes);
    if worker.settings().access_log {
        journal::access(AccessLine {
            client: client.address(),
            method: Bytes::from_static(b"-"),
            uri: Bytes::from_static(b"-"),
            status: page.status,
            outcome: RequestOutcome::Refused.token(),
            bytes: page.bytes,
            duration: Duration::ZERO,
        });
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantNames;

    use super::*;

    #[test]
    fn outcomes_say_the_same_as_cache_status() {
        let table = [
            (Forward::UriMiss, "miss"),
            (Forward::VaryMiss, "miss"),
            (Forward::Stale, "expired"),
            (Forward::Request, "expired"),
            (Forward::Partial, "partial"),
            (Forward::Bypass, "bypass"),
            (Forward::Method, "pass"),
        ];
        for (why, expected) in table {
            assert_eq!(RequestOutcome::of_forwarded(why).token(), expected);
        }
    }

    #[test]
    fn the_readme_has_every_outcome() {
        let readme = include_str!("../../../README.md");
        for outcome in RequestOutcome::VARIANTS {
            let row = format!("\n| `{outcome}` | ");
            assert!(readme.contains(&row), "no row for {outcome}");
        }
    }
}
