//! What the journal and the counters hear of a request.

use std::rc::Rc;

use bytes::Bytes;
use tokio::time::Instant;

use super::Exchange;
use crate::sys::journal::{self, AccessLine};
use crate::worker::client::Client;
use crate::worker::state::Worker;

/// What is known of a request when it has been answered.
#[derive(Debug)]
pub struct RequestRecord {
    since: Instant,
    /// The status sent; 0 when the client left before there was one.
    pub status: u16,
    /// What the cache did.
    pub outcome: &'static str,
    /// Bytes of content sent.
    pub bytes: u64,
    /// Whether the store or the memory tier answered.
    pub hit: bool,
}

impl RequestRecord {
    /// Nothing yet.
    pub fn new(since: Instant) -> RequestRecord {
        RequestRecord {
            since,
            status: 0,
            outcome: "none",
            bytes: 0,
            hit: false,
        }
    }
}

impl Exchange<'_> {
    /// Counts the request, and writes its line.
    pub(super) fn log(&self) {
        let record = &self.record;
        self.worker.count(record.hit, record.bytes);
        if !self.settings.access_log {
            return;
        }
        journal::access(AccessLine {
            client: self.client.address(),
            method: Bytes::copy_from_slice(self.head.method.as_bytes()),
            uri: self.head.target.clone(),
            status: record.status,
            outcome: record.outcome,
            bytes: record.bytes,
            duration: record.since.elapsed(),
        });
    }
}

/// The line of a request whose head could not be read.
pub fn log_refused(worker: &Rc<Worker>, client: &Client, status: u16) {
    worker.count(false, 0);
    if worker.settings().access_log {
        journal::access(AccessLine {
            client: client.address(),
            method: Bytes::from_static(b"-"),
            uri: Bytes::from_static(b"-"),
            status,
            outcome: "refused",
            bytes: 0,
            duration: std::time::Duration::ZERO,
        });
    }
}
