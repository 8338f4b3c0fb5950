//! The messages to the evictor's thread, and what is requested of it beside them.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use crate::ipc::Object;

pub(in crate::supervisor) enum EvictorMessage {
    Published(Vec<Object>),
    Removed(Vec<Object>),
    Stop,
}

impl EvictorMessage {
    pub(super) fn objects(&self) -> usize {
        match self {
            EvictorMessage::Published(objects) | EvictorMessage::Removed(objects) => objects.len(),
            EvictorMessage::Stop => 0,
        }
    }
}

/// Requests that are never lost, however full the queue of messages is.
#[derive(Debug, Default)]
pub(super) struct EvictorRequests {
    /// Read the store again: messages were lost, or who would have sent them.
    pub scan: AtomicBool,
    pub min_free: AtomicU64,
    /// The objects in the messages that wait.
    pub queued: AtomicUsize,
}
