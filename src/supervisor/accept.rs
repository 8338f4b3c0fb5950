//! Accepting clients, and when not to: no fds left, or as many clients as there may be. Clients that aren't accepted wait in the kernel's queue.
//! Those of whom there are too many of one kind are closed at once, as `connection_limits` says.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::claims::Origins;
use super::connection_limits::{ConnectionLimits, Counted, NOT_ALLOWED};
use super::listen;
use super::start::Listen;
use super::token::Token;
use crate::config::Settings;
use crate::ipc::Peer;
use crate::sys::clients::{self, AcceptFailure};
use crate::sys::connection;
use crate::sys::epoll::{Interest, Poll};
use crate::sys::limits;
use crate::sys::rate::OncePerMinute;

/// The most clients that one listener brings in before others have their turn.
const ACCEPTS_A_TURN: usize = 64;
/// The time for which nobody is accepted when fds have run out.
const PAUSE: Duration = Duration::from_millis(200);
/// Fds that aren't clients': listeners, channels, files; and those of clients that aren't allowed.
const SPARE_FDS: u64 = 128 + NOT_ALLOWED as u64;

/// The reason why no client is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    /// Fds have run out; until this time.
    Exhausted(Instant),
    Full,
    Stopping,
}

/// The number of clients, here and in workers, beside the number that there may be. Those that aren't allowed
/// count in neither.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occupancy {
    pub clients: usize,
    /// As configured; the limit on open files may allow less.
    pub max_clients: usize,
}

/// A client that has come in.
#[derive(Debug)]
pub(super) struct Accepted {
    pub fd: OwnedFd,
    pub peer: Peer,
    pub counted: Counted,
}

#[derive(Debug)]
pub(super) struct Listeners {
    listeners: Vec<OwnedFd>,
    closed: Option<Closed>,
    /// It may come and go many times a second that nobody is accepted.
    warnings: OncePerMinute,
    /// The most clients that the limit on open files allows: each needs an fd here while it waits.
    most_fds: usize,
}

impl Listeners {
    pub(super) fn new(listeners: Vec<OwnedFd>) -> Listeners {
        let fds = limits::raise_open_files().unwrap_or_else(|error| {
            log::warn!("the limit on open files can't be raised: {error}");
            1024
        });
        let fds = fds.saturating_sub(SPARE_FDS);
        Listeners {
            listeners,
            closed: None,
            warnings: OncePerMinute::default(),
            most_fds: usize::try_from(fds).unwrap_or(usize::MAX).max(1),
        }
    }

    /// The ends at which their clients are connected here.
    pub(super) fn origins(&self) -> Origins {
        let ends = self.listeners.iter();
        Origins::new(
            ends.filter_map(|it| connection::local_end(it).ok())
                .collect(),
        )
    }

    pub(super) fn watch(&self, poll: &Poll) -> io::Result<()> {
        for (listener, index) in self.listeners.iter().zip(0..) {
            poll.add(listener, Token::Listener(index).number(), Interest::Read)?;
        }
        Ok(())
    }

    fn unwatch(&self, poll: &Poll) {
        for listener in &self.listeners {
            if let Err(error) = poll.remove(listener) {
                log::error!("a listening socket can't be taken out of epoll: {error}");
            }
        }
    }

    pub(super) fn announce(&self, listen: &Listen) {
        listen::announce(&self.listeners, listen);
    }

    /// Takes the clients that have connected to this listener, as far as they may come in.
    pub(super) fn accept(
        &mut self,
        index: u32,
        occupancy: Occupancy,
        limits: &mut ConnectionLimits,
        settings: &Settings,
        poll: &Poll,
        now: Instant,
    ) -> Vec<Accepted> {
        let mut accepted = Vec::new();
        let not_allowed = limits.not_allowed();
        for _ in 0..ACCEPTS_A_TURN {
            let clients = occupancy.clients + not_allowed + accepted.len() - limits.not_allowed();
            if self.closed.is_none() && clients >= self.most(occupancy) {
                self.close_when_full(clients, poll, now);
            }
            let listener = self.listeners.get(index as usize);
            let Some(listener) = listener.filter(|_| self.closed.is_none()) else {
                break;
            };
            match clients::accept(listener) {
                Ok((fd, address)) => {
                    let peer = address.map_or(Peer::Unix, Peer::tcp);
                    if let Some(counted) = limits.admit(peer, settings, now) {
                        accepted.push(Accepted { fd, peer, counted });
                    }
                }
                Err(error) => match AcceptFailure::of(&error) {
                    AcceptFailure::Nobody => break,
                    AcceptFailure::This => {}
                    AcceptFailure::Exhausted | AcceptFailure::Listener => {
                        self.pause(&error, poll, now);
                    }
                },
            }
        }
        accepted
    }

    fn most(&self, occupancy: Occupancy) -> usize {
        occupancy.max_clients.min(self.most_fds)
    }

    fn close_when_full(&mut self, clients: usize, poll: &Poll, now: Instant) {
        if self.warnings.is_due(now) {
            log::warn!(
                "there are {clients} clients, as many as max_clients or the limit on open files allow; \
                 new ones wait"
            );
        }
        self.close(Closed::Full, poll);
    }

    fn pause(&mut self, error: &io::Error, poll: &Poll, now: Instant) {
        if self.warnings.is_due(now) {
            log::error!(
                "no client can be accepted for a moment: {error}; \
                 raise LimitNOFILE= of cacheproxy.service or lower max_clients"
            );
        }
        self.close(Closed::Exhausted(now + PAUSE), poll);
    }

    fn close(&mut self, why: Closed, poll: &Poll) {
        if self.closed.is_none() {
            self.unwatch(poll);
        }
        self.closed = Some(why);
    }

    pub(super) fn close_for_good(&mut self, poll: &Poll) {
        self.close(Closed::Stopping, poll);
    }

    /// Accepts again when the reason not to is gone.
    pub(super) fn reopen(&mut self, occupancy: Occupancy, poll: &Poll, now: Instant) {
        let may_reopen = match self.closed {
            Some(Closed::Exhausted(until)) => until <= now,
            // Some room, so as not to open and close for every client.
            Some(Closed::Full) => {
                let most = self.most(occupancy);
                occupancy.clients < most - most / 100
            }
            Some(Closed::Stopping) | None => false,
        };
        if !may_reopen {
            return;
        }
        match self.watch(poll) {
            Ok(()) => self.closed = None,
            Err(error) => {
                log::error!("listening sockets can't be polled: {error}");
                self.unwatch(poll);
                self.closed = Some(Closed::Exhausted(now + PAUSE));
            }
        }
    }

    pub(super) fn next_try(&self) -> Option<Instant> {
        match self.closed? {
            Closed::Exhausted(until) => Some(until),
            Closed::Full | Closed::Stopping => None,
        }
    }
}
