//! The supervisor's words about itself: readiness, a line for `systemctl status`, the watchdog, and the
//! answer to `cacheproxy status`.

use std::fmt::Write;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::clients::Clients;
use super::connection_limits::ClosedAtOnce;
use super::link::{Link, WorkerStage};
use super::links::Links;
use super::roster::{Roster, SlotState};
use crate::config::{DatabaseSettings, StoreChoice, StoreKind};
use crate::sys::notify;
use crate::sys::shared::{Shared, StoreState, WORKERS};

/// The status line is renewed so often at most.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// A supervisor is ready after this time even if no worker is: clients can connect and wait.
const READY_AFTER: Duration = Duration::from_secs(5);

/// The notices that systemd has had.
#[derive(Debug)]
pub(super) struct Notices {
    is_heard: bool,
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
    pub(super) fn new(now: Instant) -> Notices {
        Notices {
            is_heard: notify::is_configured(),
            ready_by: Some(now + READY_AFTER),
            line: String::new(),
            next_line: now,
            watchdog: notify::watchdog().map(|limit| Watchdog {
                every: limit / 3,
                next: now,
            }),
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let watchdog = self.watchdog.as_ref().map(|watchdog| watchdog.next);
        let line = self.is_heard.then_some(self.next_line);
        [self.ready_by, line, watchdog].into_iter().flatten().min()
    }

    /// Tells systemd what is due. True when the status line, which takes some work, is due too.
    pub(super) fn send_due(&mut self, is_ready: bool, now: Instant) -> bool {
        if self.ready_by.is_some_and(|by| is_ready || by <= now) {
            self.ready_by = None;
            notify::ready();
        }
        if let Some(watchdog) = self.watchdog.as_mut().filter(|it| it.next <= now) {
            watchdog.next = now + watchdog.every;
            notify::alive();
        }
        let is_due = self.is_heard && self.next_line <= now;
        if is_due {
            self.next_line = now + STATUS_EVERY;
        }
        is_due
    }

    /// Tells systemd the status line, if it is another one.
    pub(super) fn renew_line(&mut self, line: String) {
        if line != self.line {
            notify::status(&line);
            self.line = line;
        }
    }
}

struct Numbers {
    workers: usize,
    clients: usize,
    parked: usize,
    requests: u64,
    hits: u64,
}

impl Numbers {
    fn line(&self) -> String {
        format!(
            "{} workers, {} clients ({} parked), {} requests, {} hits",
            self.workers, self.clients, self.parked, self.requests, self.hits
        )
    }
}

pub(super) struct Overview<'a> {
    pub clients: &'a Clients,
    pub closed: ClosedAtOnce,
    pub links: &'a Links,
    pub roster: &'a Roster,
    pub shared: &'a Shared,
    pub store: &'a StoreChoice,
}

impl Overview<'_> {
    pub(super) fn line(&self) -> String {
        let numbers = self.numbers().line();
        match (&self.store.kind, self.shared.is_store_down()) {
            (StoreKind::Postgres(DatabaseSettings { database, .. }), true) => {
                format!("{numbers}; database unreachable: {}", database.place())
            }
            (StoreKind::Postgres(DatabaseSettings { database, .. }), false) => {
                format!("{numbers}; stored in database {}", database.place())
            }
            (StoreKind::Filesystem, true) => {
                format!("{numbers}; store not in use: {}", self.store.path.display())
            }
            // A directory of this machine needs no mention.
            (StoreKind::Filesystem, false) => numbers,
        }
    }

    fn numbers(&self) -> Numbers {
        let counters = || (0..WORKERS).map(|index| self.shared.counters(index));
        Numbers {
            workers: self.roster.ready(),
            clients: self.clients.len() + self.links.clients(),
            parked: self.clients.waiting().len(),
            // Any worker may have written anything there.
            requests: counters().fold(0, |sum, it| sum.saturating_add(it.requests.load(Relaxed))),
            hits: counters().fold(0, |sum, it| sum.saturating_add(it.hits.load(Relaxed))),
        }
    }

    pub(super) fn report(&self, now: Instant) -> String {
        let mut out = format!("{}\n", self.line());
        let ClosedAtOnce {
            not_allowed,
            of_address,
        } = self.closed;
        if not_allowed + of_address > 0 {
            // Writing to a String can't fail.
            let _ = writeln!(
                out,
                "closed at once: {not_allowed} that aren't allowed, {of_address} beyond max_clients_per_address"
            );
        }
        for (state, slot) in self.roster.states().zip(0..) {
            let worker = slot + 1;
            // Writing to a String can't fail.
            let _ = match state {
                SlotState::Absent { until } => {
                    let wait = until.saturating_duration_since(now);
                    writeln!(out, "worker {worker}: not there, next try in {wait:.1?}")
                }
                SlotState::Greeting { .. } => writeln!(out, "worker {worker}: starting"),
                SlotState::Ready { link, .. } => self.links.find(link).map_or(Ok(()), |link| {
                    let store = store(self.shared.store_state(worker));
                    writeln!(out, "worker {worker}: ready, {}{store}", describe(link))
                }),
            };
        }
        let links = self.links.iter().map(|(_, link)| link);
        for link in links.filter(|link| link.stage == WorkerStage::Draining) {
            let _ = writeln!(
                out,
                "worker {}: draining, {}",
                link.slot + 1,
                describe(link)
            );
        }
        out
    }
}

fn describe(link: &Link) -> String {
    format!("pid {}, {} clients", link.pid, link.load())
}

/// What there is to say of a worker's store.
fn store(state: StoreState) -> String {
    match state {
        StoreState::Used => String::new(),
        StoreState::Hangs => ", without its store, which hangs".to_owned(),
        StoreState::Owned => {
            ", without a store: another proxy uses it (see the journal)".to_owned()
        }
        StoreState::Unsuitable => {
            ", without a store: it can't be on that file system (see the journal)".to_owned()
        }
        StoreState::Failed(0) => ", without its store (see the journal)".to_owned(),
        StoreState::Failed(number) => {
            let why = io::Error::from_raw_os_error(number.into());
            format!(", storing nothing: {why}")
        }
    }
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
