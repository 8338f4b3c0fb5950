//! A connection to an origin server between two requests, and its fitness for the next one.

use std::time::Duration;

use tokio::time::Instant;

use super::guard::Destination;
use super::transport::Transport;

/// A connection between two requests.
pub(super) struct IdleConnection {
    transport: Transport,
    pub(super) destination: Destination,
    since: Instant,
}

impl IdleConnection {
    pub(super) fn new(transport: Transport, destination: Destination) -> IdleConnection {
        IdleConnection {
            transport,
            destination,
            since: Instant::now(),
        }
    }

    /// The connection, unless it is over or something unasked waits on it.
    pub(super) fn usable(self) -> Option<(Transport, Destination)> {
        let IdleConnection {
            transport,
            destination,
            ..
        } = self;
        transport.is_quiet().then_some((transport, destination))
    }

    /// True unless it has been idle for `limit`, is over, or has something unasked on it.
    pub(super) fn is_worth_keeping(&self, limit: Duration) -> bool {
        self.since.elapsed() < limit && self.transport.is_quiet()
    }
}
