//! The messages to the evictor's thread, and what is requested of it beside them.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use crate::ipc::{MaintainerChannel, Object};
use crate::store::sieve::{BLOCK, SieveEntry};

pub(in crate::supervisor) enum EvictorMessage {
    Published(Vec<Object>),
    Removed(Vec<Object>),
    /// This worker sees to the files from now on.
    Appointed(MaintainerChannel),
    Stop,
}

impl EvictorMessage {
    pub(super) fn objects(&self) -> usize {
        match self {
            EvictorMessage::Published(objects) | EvictorMessage::Removed(objects) => objects.len(),
            EvictorMessage::Appointed(_) | EvictorMessage::Stop => 0,
        }
    }
}

/// Requests that are never lost, however full the queue of messages is.
#[derive(Debug, Default)]
pub(super) struct EvictorRequests {
    /// Read the store again: messages were lost, or who would have sent them.
    pub scan: AtomicBool,
    pub min_free: AtomicU64,
    /// The size limit as configured, 0 while it isn't known: what is in shared memory may be anything.
    pub size: AtomicU64,
    /// Another worker is to see to the files.
    pub wanted: AtomicBool,
    /// No answer is waited for any more.
    pub stopping: AtomicBool,
    /// The objects in the messages that wait.
    pub queued: AtomicUsize,
}

/// An object as it stands in the queue.
pub(super) fn entry(object: &Object) -> SieveEntry {
    SieveEntry {
        hash: object.hash,
        variant: object.variant,
        // Nothing takes less: so the limit bounds what a worker can make this queue hold.
        size: object.size.max(BLOCK),
    }
}
