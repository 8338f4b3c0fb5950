//! Parking: a client that has nothing to say waits in epoll, until it sends something, goes, or has been idle for
//! too long.
//!
//! It is taken out of epoll before it is sent: its connection lives on in the worker, and epoll would go on
//! reporting it here. Bytes are never read, so the kernel keeps them for the worker.

use std::time::{Duration, Instant};

use super::clients::{Client, ClientPlace, Clients};
use super::stop::LifePhase;
use super::token::{ClientId, Token};
use crate::sys::clients;
use crate::sys::epoll::{Interest, Poll, Ready};

/// The time between two searches for overdue clients.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The next step of a client that is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextStep {
    /// It is in epoll.
    Wait,
    /// It is to be sent to a worker.
    Queue,
    /// It has been closed.
    Close,
}

/// The next step of a client that has come, or come back.
fn next_step(client: &Client, phase: LifePhase) -> NextStep {
    match phase {
        LifePhase::Running if client.read.is_empty() => NextStep::Wait,
        // Those that come back last are handed over with the others.
        LifePhase::Running | LifePhase::HandingOver { .. } => NextStep::Queue,
        // In the foreground all ends, and an idle client with it.
        LifePhase::Draining { .. } | LifePhase::Over | LifePhase::Aborted => NextStep::Close,
    }
}

/// Looks after the clients that wait.
#[derive(Debug)]
pub(super) struct Parking {
    next_sweep: Instant,
}

impl Parking {
    pub(super) fn new(now: Instant) -> Parking {
        Parking {
            next_sweep: now + SWEEP_EVERY,
        }
    }

    /// Has a client that is ours wait, if it doesn't go on to a worker at once.
    pub(super) fn park(
        &self,
        id: ClientId,
        clients: &mut Clients,
        poll: &Poll,
        phase: LifePhase,
        now: Instant,
    ) -> NextStep {
        let Some(client) = clients.find(id) else {
            return NextStep::Close;
        };
        let token = Token::Client(id).number();
        let mut step = next_step(client, phase);
        if step == NextStep::Wait {
            match poll.add(&client.fd, token, Interest::FirstBytes) {
                Ok(()) if client.place == ClientPlace::New => {}
                Ok(()) => clients.place(id, ClientPlace::Parked, now),
                Err(error) => {
                    log::warn!("a client can't be parked and is closed: {error}");
                    step = NextStep::Close;
                }
            }
        }
        if step == NextStep::Close {
            clients.remove(id);
        }
        step
    }

    /// The next step of a waiting client that has sent something, or has gone.
    pub(super) fn woken(
        &self,
        id: ClientId,
        event: Ready,
        clients: &mut Clients,
        poll: &Poll,
    ) -> NextStep {
        if !self.unpark(id, clients, poll) {
            return NextStep::Close;
        }
        let has_ended = |client: &Client| event.finished && !clients::has_bytes(&client.fd);
        if event.broken || clients.find(id).is_none_or(has_ended) {
            clients.remove(id);
            return NextStep::Close;
        }
        NextStep::Queue
    }

    /// Takes a client out of epoll. False when it isn't there: an event that was already on its way.
    pub(super) fn unpark(&self, id: ClientId, clients: &mut Clients, poll: &Poll) -> bool {
        let Some(client) = clients.find(id).filter(|client| client.place.is_waiting()) else {
            return false;
        };
        if let Err(error) = poll.remove(&client.fd) {
            log::error!("a client can't be taken out of epoll and is closed: {error}");
            clients.remove(id);
            return false;
        }
        true
    }

    /// Closes the clients that have waited longer than `limit`, when it is time to look for them.
    pub(super) fn sweep(
        &mut self,
        clients: &mut Clients,
        poll: &Poll,
        limit: Duration,
        now: Instant,
    ) {
        if self.next_sweep > now {
            return;
        }
        self.next_sweep = now + SWEEP_EVERY;
        for id in clients.overdue(limit, now) {
            self.unpark(id, clients, poll);
            clients.remove(id);
        }
    }

    /// The time of the next sweep, if there is anyone to look at.
    pub(super) fn next_sweep(&self, clients: &Clients) -> Option<Instant> {
        (clients.len() > 0).then_some(self.next_sweep)
    }
}
