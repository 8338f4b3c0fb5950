//! Connections to origin servers kept for the next request (RFC 9112 §9.3): a bounded stack for each
//! origin, the youngest used first. One that the origin has closed, or on which it sent something
//! unasked, is dropped when found.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Weak;
use std::time::Duration;

use super::guard::{Destination, Requester};
use super::idle::IdleConnection;
use super::pinned::PinnedConnections;
use super::transport::Transport;

/// The most idle connections kept to one origin.
const MOST_FOR_ONE: usize = 64;
/// The most idle connections kept in all.
const MOST: usize = 1024;

/// The idle connections, by the origin (`scheme://host:port`); and the clients that have some of their own.
#[derive(Default)]
pub(crate) struct ConnectionPool {
    idle: RefCell<HashMap<Box<str>, Vec<IdleConnection>>>,
    pinned: RefCell<Vec<Weak<PinnedConnections>>>,
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
            if let Some(usable) = idle.usable() {
                return Some(usable);
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
        let idle = IdleConnection::new(transport, destination);
        // The name is copied for an origin's first connection alone.
        match all.get_mut(origin) {
            Some(stack) if stack.len() < MOST_FOR_ONE => stack.push(idle),
            Some(_) => {}
            None => drop(all.insert(origin.into(), vec![idle])),
        }
    }

    /// Keeps such a connection for one client alone, if that is still there.
    pub(crate) fn pin(
        &self,
        client: &Weak<PinnedConnections>,
        origin: &str,
        transport: Transport,
        destination: Destination,
    ) {
        let Some(connections) = client.upgrade() else {
            return;
        };
        let mut pinned = self.pinned.borrow_mut();
        if !pinned.iter().any(|other| other.ptr_eq(client)) {
            pinned.retain(|other| other.strong_count() > 0);
            pinned.push(client.clone());
        }
        connections.put(origin, IdleConnection::new(transport, destination));
    }

    /// Closes connections that have been idle for `limit`, or were closed by their origin.
    pub(crate) fn sweep(&self, limit: Duration) {
        self.idle.borrow_mut().retain(|_, stack| {
            stack.retain(|idle| idle.is_worth_keeping(limit));
            !stack.is_empty()
        });
        self.pinned.borrow_mut().retain(|client| {
            client.upgrade().is_some_and(|connections| {
                connections.sweep(limit);
                !connections.is_empty()
            })
        });
    }
}
