//! The messages to the evictor's thread, and what is requested of it beside them.

use std::sync::atomic::{AtomicBool, AtomicU64};

use crate::ipc::Object;

pub(in crate::supervisor) enum EvictorMessage {
    Published(Vec<Object>),
    Removed(Vec<Object>),
    Stop,
}

/// Requests that are never lost, however full the queue of messages is.
#[derive(Debug, Default)]
pub(super) struct EvictorRequests {
    /// Read the store again: messages were lost, or who would have sent them.
    pub scan: AtomicBool,
    /// Do so soon: much was removed.
    pub soon: AtomicBool,
    pub min_free: AtomicU64,
}
