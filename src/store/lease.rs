//! The lease on a key: one of the hosts that share a store fetches it for all of them (RFC 9111 §4, collapsed
//! forwarding).

use std::time::Duration;

use tokio::sync::oneshot::Receiver;

/// The outcome of asking for the lease on a key.
#[derive(Debug)]
pub enum Lease {
    /// Nobody can tell: each for itself.
    None,
    /// This host fetches it. To be renewed meanwhile, and released when nothing came of it for others.
    Ours,
    /// Another host has just fetched it: it is to be looked up again.
    Fetched,
    /// Another host fetches it.
    Theirs {
        /// Receives what is said of it.
        news: Receiver<LeaseNews>,
        /// The time that its lease lasts, unless it is renewed.
        left: Duration,
    },
}

/// News of a key that another host fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseNews {
    /// Something else is stored under it.
    Changed,
    /// The host that fetched it has nothing for others.
    Free,
}
