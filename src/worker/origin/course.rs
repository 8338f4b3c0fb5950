//! The course of one request to an origin server until its first byte comes: the addresses that were tried, the one that it
//! is connected to. Should nothing come, this says what hangs.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

/// How far one address has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Untried,
    Connecting,
    /// There was no connection to be had, after this time.
    Failed(Duration),
    Connected,
}

/// The addresses that were tried for a request, none before its server's name is resolved; and what was heard.
#[derive(Debug, Default)]
pub(crate) struct Course {
    steps: RefCell<Vec<(SocketAddr, Step)>>,
    heard: Cell<bool>,
    begun: Cell<Option<Instant>>,
}

impl Course {
    /// Begins anew, with the next request.
    pub(crate) fn asks(&self) {
        self.steps.borrow_mut().clear();
        self.heard.set(false);
        self.begun.set(Some(Instant::now()));
    }

    /// When the request began.
    pub(crate) fn begun(&self) -> Option<Instant> {
        self.begun.get()
    }

    /// Begins anew with these addresses.
    pub(super) fn begins(&self, addresses: impl Iterator<Item = SocketAddr>) {
        *self.steps.borrow_mut() = addresses.map(|it| (it, Step::Untried)).collect();
    }

    pub(crate) fn takes(&self, address: SocketAddr, step: Step) {
        let mut steps = self.steps.borrow_mut();
        match steps.iter_mut().find(|(it, _)| *it == address) {
            Some((_, at)) => *at = step,
            None => steps.push((address, step)),
        }
    }

    pub(super) fn steps(&self) -> Vec<(SocketAddr, Step)> {
        self.steps.borrow().clone()
    }

    /// True when no address is known yet.
    pub(crate) fn is_unresolved(&self) -> bool {
        self.steps.borrow().is_empty()
    }

    /// Notes that a byte of the response has come.
    pub(crate) fn hears(&self) {
        self.heard.set(true);
    }

    pub(crate) fn is_heard(&self) -> bool {
        self.heard.get()
    }
}
