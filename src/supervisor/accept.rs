//! The sockets that clients connect to, and when not to accept: no fds left, or as many clients as
//! there may be. Clients that aren't accepted wait in the kernel's queue.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::clients::{Client, Place};
use super::event_loop::Supervisor;
use super::start::{Listen, ListenAddr};
use super::token::Token;
use crate::ipc::Peer;
use crate::sys::activation;
use crate::sys::clients::{self, AcceptFailure};
use crate::sys::epoll::{Interest, Poll};
use crate::sys::exit::Failure;

/// How many clients one listener may bring in before others have their turn.
const ACCEPTS_A_TURN: usize = 64;
/// How long nobody is accepted when fds have run out.
const PAUSE: Duration = Duration::from_millis(200);

/// How often the journal is told that nobody is accepted.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Why no client is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    /// Fds have run out; until this time.
    Exhausted(Instant),
    /// There are as many clients as there may be.
    Full,
    /// The supervisor stops.
    Stopping,
}

/// The listeners.
#[derive(Debug)]
pub(super) struct Listeners {
    listeners: Vec<OwnedFd>,
    closed: Option<Closed>,
    last_said: Option<Instant>,
}

impl Listeners {
    /// Takes or binds the sockets.
    pub(super) fn open(listen: &Listen) -> Result<Listeners, Failure> {
        let listeners = match listen {
            Listen::Inherited => inherited()?,
            Listen::Bind(addresses) => bound(addresses)?,
        };
        Ok(Listeners {
            listeners,
            closed: None,
            last_said: None,
        })
    }

    /// Waits for clients.
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

    /// Says on stderr where clients are accepted, for a person who started this by hand.
    pub(super) fn announce(&self, listen: &Listen) {
        let Listen::Bind(addresses) = listen else {
            return;
        };
        for (listener, asked) in self.listeners.iter().zip(addresses) {
            match (clients::local_address(listener), asked) {
                (Ok(Some(address)), _) => eprintln!("cacheproxy: listening on http://{address}"),
                (_, ListenAddr::Unix(path)) => {
                    eprintln!("cacheproxy: listening on {}", path.display());
                }
                (_, ListenAddr::Tcp(address)) => {
                    eprintln!("cacheproxy: listening on http://{address}");
                }
            }
        }
    }

    /// Whether to say that nobody is accepted: it may come and go many times a second.
    fn may_say(&mut self, now: Instant) -> bool {
        let is_due = self
            .last_said
            .is_none_or(|last| now.saturating_duration_since(last) >= SAY_EVERY);
        if is_due {
            self.last_said = Some(now);
        }
        is_due
    }

    /// When accepting may go on.
    pub(super) fn next_try(&self) -> Option<Instant> {
        match self.closed {
            Some(Closed::Exhausted(until)) => Some(until),
            Some(Closed::Full | Closed::Stopping) | None => None,
        }
    }
}

fn inherited() -> Result<Vec<OwnedFd>, Failure> {
    let sockets = activation::sockets()
        .map_err(|error| Failure::unavailable(format!("can't take systemd's sockets: {error}")))?;
    let mut listeners = Vec::new();
    for (name, fd) in sockets {
        if name == "worker" {
            continue;
        }
        clients::adopt_listener(&fd).map_err(|error| {
            Failure::unavailable(format!("the socket {name:?} from systemd: {error}"))
        })?;
        listeners.push(fd);
    }
    if listeners.is_empty() {
        return Err(Failure::unavailable(
            "systemd passed no socket for clients: start cacheproxy.socket, \
             or use `cacheproxy run` to try it without systemd",
        ));
    }
    Ok(listeners)
}

fn bound(addresses: &[ListenAddr]) -> Result<Vec<OwnedFd>, Failure> {
    addresses
        .iter()
        .map(|address| match address {
            ListenAddr::Tcp(address) => clients::listen_tcp(*address)
                .map_err(|error| cannot_listen(&address.to_string(), &error)),
            ListenAddr::Unix(path) => clients::listen_unix(path)
                .map_err(|error| cannot_listen(&path.display().to_string(), &error)),
        })
        .collect()
}

fn cannot_listen(address: &str, error: &io::Error) -> Failure {
    let kind = error.kind();
    if kind == io::ErrorKind::AddrInUse {
        return Failure::unavailable(format!(
            "can't listen on {address}: another program does already; choose another with --listen"
        ));
    }
    if kind == io::ErrorKind::PermissionDenied {
        return Failure::no_permission(format!(
            "can't listen on {address}: {error}; ports below 1024 are for root"
        ));
    }
    Failure::unavailable(format!("can't listen on {address}: {error}"))
}

impl Supervisor {
    /// Somebody has connected.
    pub(super) fn listener_ready(&mut self, index: u32, now: Instant) {
        for _ in 0..ACCEPTS_A_TURN {
            if self.listeners.closed.is_some() || self.close_when_full(now) {
                return;
            }
            let Some(listener) = self.listeners.listeners.get(index as usize) else {
                return;
            };
            match clients::accept(listener) {
                Ok((fd, address)) => self.accepted(fd, address, now),
                Err(error) => match AcceptFailure::of(&error) {
                    AcceptFailure::Nobody => return,
                    AcceptFailure::This => {}
                    AcceptFailure::Exhausted | AcceptFailure::Listener => {
                        return self.pause(&error, now);
                    }
                },
            }
        }
    }

    fn accepted(&mut self, fd: OwnedFd, address: Option<SocketAddr>, now: Instant) {
        let peer = address.map_or(Peer::Unix, |address| {
            Peer::Ip(SocketAddr::new(address.ip().to_canonical(), address.port()))
        });
        let tick = self.tick(now);
        let id = self.clients.insert(Client::new(fd, peer, Place::New, tick));
        self.park(id, now);
    }

    fn close_when_full(&mut self, now: Instant) -> bool {
        let clients = self.total_clients();
        let full = clients >= self.most_clients();
        if full {
            if self.listeners.may_say(now) {
                log::warn!(
                    "there are {clients} clients, as many as max_clients or the limit on open files allow; \
                     new ones wait"
                );
            }
            self.close_doors(Closed::Full);
        }
        full
    }

    fn pause(&mut self, error: &io::Error, now: Instant) {
        if self.listeners.may_say(now) {
            log::error!(
                "no client can be accepted for a moment: {error}; \
                 raise LimitNOFILE= of cacheproxy.service or lower max_clients"
            );
        }
        self.close_doors(Closed::Exhausted(now + PAUSE));
    }

    fn close_doors(&mut self, why: Closed) {
        if self.listeners.closed.is_none() {
            self.listeners.unwatch(&self.poll);
        }
        self.listeners.closed = Some(why);
    }

    /// Accepts no one any more.
    pub(super) fn close_doors_for_good(&mut self) {
        self.close_doors(Closed::Stopping);
    }

    /// Accepts again when the reason not to is gone.
    pub(super) fn reopen_doors(&mut self, now: Instant) {
        let reopen = match self.listeners.closed {
            Some(Closed::Exhausted(until)) => until <= now,
            // Some room, so as not to open and close for every client.
            Some(Closed::Full) => {
                let most = self.most_clients();
                self.total_clients() < most - most / 100
            }
            Some(Closed::Stopping) | None => false,
        };
        if !reopen {
            return;
        }
        match self.listeners.watch(&self.poll) {
            Ok(()) => self.listeners.closed = None,
            Err(error) => {
                log::error!("listening sockets can't be polled: {error}");
                self.listeners.unwatch(&self.poll);
                self.listeners.closed = Some(Closed::Exhausted(now + PAUSE));
            }
        }
    }
}
