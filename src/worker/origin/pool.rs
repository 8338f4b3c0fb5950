//! Connections to origin servers kept for the next request (RFC 9112 §9.3): a bounded stack for each
//! origin, the youngest used first. One that the origin has closed, or on which it sent something
//! unasked, is dropped when found.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::guard::{Destination, Requester};
use super::transport::Transport;

/// The most idle connections kept to one origin.
const MOST_FOR_ONE: usize = 64;
/// The most idle connections kept in all.
const MOST: usize = 1024;

struct Idle {
    transport: Transport,
    destination: Destination,
    since: Instant,
}

/// The idle connections, by the origin (`scheme://host:port`).
#[derive(Default)]
pub(crate) struct ConnectionPool {
    idle: RefCell<HashMap<Box<str>, Vec<Idle>>>,
}

impl ConnectionPool {
    /// An idle connection to `origin`, if a usable one is there and this client may have it.
    pub(crate) fn take(
        &self,
        origin: &str,
        requester: Requester,
        own_destinations: &[SocketAddr],
    ) -> Option<(Transport, Destination)> {
        let mut all = self.idle.borrow_mut();
        let stack = all.get_mut(origin)?;
        while let Some(idle) = stack.pop() {
            if !idle.destination.may_be_reached(requester, own_destinations) {
                stack.push(idle);
                return None;
            }
            if idle.transport.is_quiet() {
                return Some((idle.transport, idle.destination));
            }
        }
        None
    }

    /// Keeps a connection whose response was read to its end.
    pub(crate) fn put(&self, origin: &str, transport: Transport, destination: Destination) {
        let mut all = self.idle.borrow_mut();
        if all.values().map(Vec::len).sum::<usize>() >= MOST {
            return;
        }
        let idle = Idle {
            transport,
            destination,
            since: Instant::now(),
        };
        // The name is copied for an origin's first connection alone.
        match all.get_mut(origin) {
            Some(stack) if stack.len() < MOST_FOR_ONE => stack.push(idle),
            Some(_) => {}
            None => drop(all.insert(origin.into(), vec![idle])),
        }
    }

    /// Closes connections that have been idle for `limit`, or were closed by their origin.
    pub(crate) fn sweep(&self, limit: Duration) {
        let now = Instant::now();
        self.idle.borrow_mut().retain(|_, stack| {
            stack.retain(|idle| now - idle.since < limit && idle.transport.is_quiet());
            !stack.is_empty()
        });
    }
}
