//! Parking: a client that has nothing to say waits in epoll, until it sends something, goes, or has been idle for
//! too long.
//!
//! It is taken out of epoll before it is sent: its connection lives on in the worker, and epoll would go on
//! reporting it here. Bytes are never read, so the kernel keeps them for the worker.

use std::time::{Duration, Instant};

use super::clients::{Client, ClientPlace, Clients};
use super::stop::LifePhase;
use super::token::{ClientId, Token};
use crate::config::Times;
use crate::sys::clients;
use crate::sys::epoll::{Interest, Poll, Ready};

const SWEEP_EVERY: Duration = Duration::from_secs(1);

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

    /// Has a client that has come, or come back, wait. True when it goes to a worker at once instead.
    pub(super) fn park(
        &self,
        id: ClientId,
        clients: &mut Clients,
        poll: &Poll,
        phase: LifePhase,
        now: Instant,
    ) -> bool {
        let Some(client) = clients.find(id) else {
            return false;
        };
        match phase {
            LifePhase::Running if client.read.is_empty() => {
                match poll.add(&client.fd, Token::Client(id).number(), Interest::FirstBytes) {
                    Ok(()) if client.place == ClientPlace::New => {}
                    Ok(()) => clients.place(id, ClientPlace::Parked, now),
                    Err(error) => {
                        log::warn!("a client can't be parked and is closed: {error}");
                        clients.remove(id);
                    }
                }
                false
            }
            // Those that come back last are handed over with the others.
            LifePhase::Running | LifePhase::HandingOver(_) => true,
            // In the foreground all ends, and an idle client with it.
            LifePhase::Draining(_) | LifePhase::Over | LifePhase::Aborted => {
                clients.remove(id);
                false
            }
        }
    }

    /// Takes a client that has sent something, or has gone, out of epoll. True when it goes to a worker.
    pub(super) fn woken(
        &self,
        id: ClientId,
        event: Ready,
        clients: &mut Clients,
        poll: &Poll,
    ) -> bool {
        if !self.unpark(id, clients, poll) {
            return false;
        }
        let has_ended = |client: &Client| event.finished && !clients::has_bytes(&client.fd);
        let is_gone = event.broken || clients.find(id).is_none_or(has_ended);
        if is_gone {
            clients.remove(id);
        }
        !is_gone
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

    /// Closes the clients that have waited longer than they may, when it is time to look for them.
    pub(super) fn sweep(
        &mut self,
        clients: &mut Clients,
        poll: &Poll,
        times: &Times,
        now: Instant,
    ) {
        if self.next_sweep > now {
            return;
        }
        self.next_sweep = now + SWEEP_EVERY;
        for id in clients.overdue(times, now) {
            self.unpark(id, clients, poll);
            clients.remove(id);
        }
    }

    /// The time of the next sweep, if there is anyone to look at.
    pub(super) fn next_sweep(&self, clients: &Clients) -> Option<Instant> {
        (clients.len() > 0).then_some(self.next_sweep)
    }
}
