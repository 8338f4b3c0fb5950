//! Connections to origin servers pinned to one client's connection: what was authenticated on them is the connection
//! itself (RFC 4559 §6), so that any other client's request would count as that user's. They end with the client's
//! connection, or when the origin server ends them, or when long idle; never do they go to the pool.

use std::cell::RefCell;
use std::time::Duration;

use super::guard::Destination;
use super::idle::IdleConnection;
use super::transport::Transport;

/// The most origin servers that one client has a pinned connection to.
const MOST_FOR_CLIENT: usize = 4;

/// The pinned connections of one client's connection, while they are idle, by the origin: the latest last.
#[derive(Default)]
pub(crate) struct PinnedConnections {
    idle: RefCell<Vec<(Box<str>, IdleConnection)>>,
}

impl PinnedConnections {
    pub(crate) fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty()
    }

    /// True when one to `origin` is idle: whatever its client asks of that counts as the user's.
    pub(crate) fn has(&self, origin: &str) -> bool {
        let idle = self.idle.borrow();
        idle.iter().any(|(of, _)| **of == *origin)
    }

    /// The one to `origin`, if it is usable; else it ends.
    pub(crate) fn take(&self, origin: &str) -> Option<(Transport, Destination)> {
        let mut idle = self.idle.borrow_mut();
        let at = idle.iter().position(|(of, _)| **of == *origin)?;
        idle.remove(at).1.usable()
    }

    /// Keeps one, in place of another to the same origin, or of that which has been idle the longest.
    pub(super) fn put(&self, origin: &str, connection: IdleConnection) {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|(of, _)| **of != *origin);
        if idle.len() == MOST_FOR_CLIENT {
            idle.remove(0);
        }
        idle.push((origin.into(), connection));
    }

    /// Closes those that have been idle for `limit`, or were closed by their origin.
    pub(super) fn sweep(&self, limit: Duration) {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|(_, connection)| connection.is_worth_keeping(limit));
    }

    /// Closes all of them.
    pub(crate) fn clear(&self) {
        self.idle.borrow_mut().clear();
    }
}
