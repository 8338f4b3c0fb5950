//! The messages to the evictor's thread, and what is requested of it beside them.

use std::sync::atomic::{AtomicBool, AtomicU64};

use crate::ipc::MaintainerChannel;

pub(super) enum EvictorMessage {
    /// This worker sees to the files from now on.
    Appointed(MaintainerChannel),
    Stop,
}

/// Requests that are never lost, however full the queue of messages is.
#[derive(Debug, Default)]
pub(super) struct EvictorRequests {
    pub min_free: AtomicU64,
    /// The size limit as configured, 0 while it isn't known: what is in shared memory may be anything.
    pub size: AtomicU64,
    /// Another worker is to see to the files.
    pub wanted: AtomicBool,
    /// A worker has ended, perhaps amid something.
    pub ended: AtomicBool,
    /// No answer is waited for any more.
    pub stopping: AtomicBool,
}
