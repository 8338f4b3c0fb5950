//! What the supervisor tells of itself: readiness, a line for `systemctl status`, the watchdog, and the
//! answer to `cacheproxy status`.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::event_loop::Supervisor;
use super::link::{Link, Stage};
use super::roster::State;
use crate::sys::notify;

/// The status line is renewed so often at most.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// A supervisor is ready after this time even if no worker is: clients can connect and wait.
const READY_AFTER: Duration = Duration::from_secs(5);

/// What systemd has been told.
#[derive(Debug)]
pub(super) struct Notices {
    heard: bool,
    ready_by: Option<Instant>,
    line: String,
    next_line: Instant,
    watchdog: Option<Watchdog>,
}

#[derive(Debug)]
struct Watchdog {
    every: Duration,
    next: Instant,
}

impl Notices {
    /// Nothing has been said yet.
    pub(super) fn new(now: Instant) -> Notices {
        Notices {
            heard: notify::is_heard(),
            ready_by: Some(now + READY_AFTER),
            line: String::new(),
            next_line: now,
            watchdog: notify::watchdog().map(|limit| Watchdog {
                every: limit / 3,
                next: now,
            }),
        }
    }

    /// When there is something to say.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let watchdog = self.watchdog.as_ref().map(|watchdog| watchdog.next);
        let line = self.heard.then_some(self.next_line);
        [self.ready_by, line, watchdog].into_iter().flatten().min()
    }
}

/// The numbers of the status line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Numbers {
    workers: usize,
    clients: usize,
    parked: usize,
    requests: u64,
    hits: u64,
}

impl Numbers {
    fn line(self) -> String {
        let Numbers {
            workers,
            clients,
            parked,
            requests,
            hits,
        } = self;
        format!(
            "{workers} workers, {clients} clients ({parked} parked), {requests} requests, {hits} hits"
        )
    }
}

impl Supervisor {
    /// Tells systemd what is due.
    pub(super) fn tell_systemd(&mut self, now: Instant) {
        let ready = self.roster.ready() > 0;
        if self.notices.ready_by.is_some_and(|by| ready || by <= now) {
            self.notices.ready_by = None;
            notify::ready();
        }
        if let Some(watchdog) = &mut self.notices.watchdog {
            if watchdog.next <= now {
                watchdog.next = now + watchdog.every;
                notify::alive();
            }
        }
        if self.notices.heard && self.notices.next_line <= now {
            self.notices.next_line = now + STATUS_EVERY;
            let line = self.line();
            if line != self.notices.line {
                notify::status(&line);
                self.notices.line = line;
            }
        }
    }

    fn line(&self) -> String {
        let numbers = self.numbers().line();
        match self.store_line() {
            Some(store) => format!("{numbers}; {store}"),
            None => numbers,
        }
    }

    fn numbers(&self) -> Numbers {
        let (mut requests, mut hits) = (0, 0);
        for index in 0..crate::sys::shared::WORKERS {
            let counters = self.shared.counters(index);
            requests += counters.requests.load(Relaxed);
            hits += counters.hits.load(Relaxed);
        }
        Numbers {
            workers: self.roster.ready(),
            clients: self.total_clients(),
            parked: self.parked(),
            requests,
            hits,
        }
    }

    fn parked(&self) -> usize {
        let clients = self.clients.iter();
        clients
            .filter(|(_, client)| client.place.is_waiting())
            .count()
    }

    /// How many clients there are, here and in workers.
    pub(super) fn total_clients(&self) -> usize {
        let links = self.links.iter();
        // A client that is sent and not taken is counted on both sides.
        let in_workers: usize = links
            .map(|(_, link)| (link.load as usize).saturating_sub(link.untaken))
            .sum();
        self.clients.len() + in_workers
    }

    /// The answer to `cacheproxy status`.
    pub(super) fn report(&self, now: Instant) -> String {
        let mut out = format!("{}\n", self.line());
        for (state, slot) in self.roster.states().zip(0..) {
            let worker = slot + 1;
            // Writing to a String can't fail.
            let _ = match state {
                State::Absent { until } => {
                    let wait = until.saturating_duration_since(now);
                    writeln!(out, "worker {worker}: not there, next try in {wait:.1?}")
                }
                State::Greeting { .. } => writeln!(out, "worker {worker}: starting"),
                State::Ready { link, .. } => match self.links.find(link) {
                    Some(link) => writeln!(out, "worker {worker}: ready, {}", describe(link)),
                    None => Ok(()),
                },
            };
        }
        for (_, link) in self.links.iter() {
            if link.stage == Stage::Draining {
                let _ = writeln!(
                    out,
                    "worker {}: draining, {}",
                    link.slot + 1,
                    describe(link)
                );
            }
        }
        out
    }
}

fn describe(link: &Link) -> String {
    format!("pid {}, {} clients", link.pid, link.load)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line() {
        let numbers = Numbers {
            workers: 2,
            clients: 12,
            parked: 10,
            requests: 1234,
            hits: 1100,
        };
        assert_eq!(
            numbers.line(),
            "2 workers, 12 clients (10 parked), 1234 requests, 1100 hits"
        );
    }
}
