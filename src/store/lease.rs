//! Who of the hosts that share a store fetches a key, for all of them (RFC 9111 §4, collapsed forwarding).

use std::time::Duration;

use tokio::sync::oneshot::Receiver;

/// What came of asking for the lease on a key.
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
        /// What will be said of it.
        news: Receiver<LeaseNews>,
        /// How long its lease lasts, unless it is renewed.
        left: Duration,
    },
}

/// What is said of a key that another host fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseNews {
    /// What is stored under it has changed.
    Changed,
    /// The host that fetched it has nothing for others.
    Free,
}
