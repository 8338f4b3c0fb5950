//! The supervisor's one loop: wait, do what each event asks for, see to what is due, send what is queued.
//! Nothing in it waits for anyone.
//!
//! The parts own their state and say what is to be done; here that is carried out: for clients in this file, for
//! workers in `workers`, for signals and the control socket in `orders`.

mod maintainer;
mod orders;
mod workers;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::accept::{Listeners, Occupancy};
use super::claims::Origins;
use super::clients::Clients;
use super::connection_limits::ConnectionLimits;
use super::control::Control;
use super::dispatch::Queue;
use super::housekeeping::DiskSpace;
use super::links::Links;
use super::listen;
use super::park::Parking;
use super::roster::Roster;
use super::settings::CurrentSettings;
use super::spawn::Spawner;
use super::start::Start;
use super::status::{Notices, Overview};
use super::stop::LifePhase;
use super::token::{ClientId, LinkId, Token};
use crate::sys::epoll::{Interest, Poll, Ready};
use crate::sys::exit::Failure;
use crate::sys::notify;
use crate::sys::shared::Shared;
use crate::sys::signals::Signals;

/// The most events that one turn takes.
const EVENTS: usize = 256;

pub(super) struct Supervisor {
    poll: Poll,
    signals: Signals,
    listeners: Listeners,
    clients: Clients,
    origins: Origins,
    limits: ConnectionLimits,
    parking: Parking,
    queue: Queue,
    links: Links,
    roster: Roster,
    spawner: Spawner,
    control: Control,
    settings: CurrentSettings,
    shared: Arc<Shared>,
    disk: DiskSpace,
    /// The worker that sees to the store's files.
    maintainer: Option<LinkId>,
    notices: Notices,
    phase: LifePhase,
}

impl Supervisor {
    /// Takes everything it needs; clients can connect when this returns.
    pub(super) fn begin(start: Start) -> Result<Supervisor, Failure> {
        let now = Instant::now();
        let signals = Signals::take().map_err(unavailable("signals"))?;
        let settings = CurrentSettings::begin(start.configuration)?;
        let passed = listen::sockets(&start.listen)?;
        let listeners = Listeners::new(passed.listeners);
        let shared = share(passed.shared).map_err(unavailable("shared memory"))?;
        let disk = DiskSpace::start(settings.current(), &shared)?;
        let control = Control::open(&start.dir).map_err(unavailable("the control socket"))?;
        let poll = Poll::new(EVENTS).map_err(unavailable("epoll"))?;
        let supervisor = Supervisor {
            clients: Clients::new(seed(), now),
            origins: listeners.origins(),
            limits: ConnectionLimits::default(),
            parking: Parking::new(now),
            queue: Queue::default(),
            links: Links::default(),
            roster: Roster::new(settings.current().workers, now),
            notices: Notices::new(now),
            phase: LifePhase::Running,
            poll,
            signals,
            listeners,
            spawner: Spawner::new(start.workers, start.dir),
            control,
            settings,
            shared,
            disk,
            maintainer: None,
        };
        supervisor.watch().map_err(unavailable("epoll"))?;
        supervisor.listeners.announce(&start.listen);
        Ok(supervisor)
    }

    fn watch(&self) -> io::Result<()> {
        let poll = &self.poll;
        poll.add(&self.signals, Token::Signals.number(), Interest::Read)?;
        self.control.watch(poll)?;
        self.listeners.watch(poll)
    }

    pub(super) fn run(mut self) -> Result<(), Failure> {
        let mut ready = Vec::with_capacity(EVENTS);
        while !self.phase.is_over() {
            self.see_to_what_is_due(Instant::now());
            let wait = self.time_to_wait(Instant::now());
            ready.clear();
            let waited = self.poll.wait(wait, &mut ready);
            waited.map_err(unavailable("epoll"))?;
            let now = Instant::now();
            for event in &ready {
                self.event(*event, now);
            }
            self.dispatch(now);
            self.advance(now);
        }
        self.spawner.kill_all();
        if self.phase != LifePhase::Aborted {
            self.disk.stop();
        }
        Ok(())
    }

    fn event(&mut self, event: Ready, now: Instant) {
        match Token::from_number(event.token) {
            Token::Client(id) => {
                let clients = &mut self.clients;
                if self.parking.woken(id, event, clients, &self.poll) {
                    self.queue.push(id, clients, now);
                }
            }
            Token::Listener(index) => self.listener_ready(index, now),
            Token::Link(id) => self.link_ready(id, event.writable, now),
            Token::Control => self.control.accept(&self.poll, now),
            Token::Caller(id) => self.caller_ready(id, now),
            Token::Signals => self.signals_ready(now),
        }
    }

    fn see_to_what_is_due(&mut self, now: Instant) {
        if self.phase.wants_workers() {
            self.connect_workers(now);
        }
        for id in self.links.take_due(now) {
            self.flush(id, now);
        }
        self.appoint_maintainer(now);
        self.listeners.reopen(self.occupancy(), &self.poll, now);
        self.finish_reload(now);
        self.control.end_overdue(now);
        if self.notices.send_due(self.roster.ready() > 0, now) {
            self.notices.renew_line(self.overview().line());
        }
        let times = &self.settings.current().times;
        self.parking
            .sweep(&mut self.clients, &self.poll, times, now);
    }

    fn time_to_wait(&self, now: Instant) -> Option<Duration> {
        let workers = self
            .roster
            .next_due()
            .filter(|_| self.phase.wants_workers());
        [
            workers,
            self.parking.next_sweep(&self.clients),
            self.links.next_try(),
            self.listeners.next_try(),
            self.settings.next_deadline(),
            self.control.next_deadline(),
            self.notices.next_deadline(),
            self.phase.ends(),
            self.disk.next_look(now),
        ]
        .into_iter()
        .flatten()
        .min()
        .map(|when| when.saturating_duration_since(now))
    }

    fn listener_ready(&mut self, index: u32, now: Instant) {
        let (occupancy, settings) = (self.occupancy(), self.settings.current());
        let (limits, poll) = (&mut self.limits, &self.poll);
        let accepted = (self.listeners).accept(index, occupancy, limits, settings, poll, now);
        for client in accepted {
            let id = self.clients.accepted(client, now);
            self.park(id, now);
        }
    }

    fn park(&mut self, id: ClientId, now: Instant) {
        let clients = &mut self.clients;
        if self.parking.park(id, clients, &self.poll, self.phase, now) {
            self.queue.push(id, clients, now);
        }
    }

    fn dispatch(&mut self, now: Instant) {
        let (clients, links) = (&mut self.clients, &mut self.links);
        for (link, end) in self.queue.dispatch(clients, links, &self.poll, now) {
            self.lose(link, end, now);
        }
    }

    /// Goes on to the next phase when this one is done or its time is over.
    fn advance(&mut self, now: Instant) {
        match self.phase {
            LifePhase::HandingOver(until) => {
                let (clients, ready) = (self.clients.len(), self.roster.ready());
                self.phase = LifePhase::handed_over(until, clients, ready, now);
            }
            LifePhase::Draining(until) => {
                let is_done = self.links.is_empty() && !self.spawner.has_running();
                if is_done || until <= now {
                    self.phase = LifePhase::Over;
                }
            }
            LifePhase::Running | LifePhase::Over | LifePhase::Aborted => {}
        }
    }

    fn overview(&self) -> Overview<'_> {
        Overview {
            clients: &self.clients,
            closed: self.limits.closed,
            links: &self.links,
            roster: &self.roster,
            shared: &self.shared,
            store: &self.settings.current().store,
        }
    }

    fn occupancy(&self) -> Occupancy {
        Occupancy {
            clients: (self.clients.len() + self.links.clients())
                .saturating_sub(self.limits.not_allowed()),
            max_clients: self.settings.current().max_clients,
        }
    }
}

/// The memory that workers share: the supervisor's before, so that those that live on still have it in common.
fn share(kept: Option<OwnedFd>) -> io::Result<Arc<Shared>> {
    if let Some(kept) = kept.and_then(|fd| Shared::from_fd(fd).ok()) {
        return Ok(Arc::new(kept));
    }
    let shared = Shared::create()?;
    notify::keep(listen::SHARED, shared.fd());
    Ok(Arc::new(shared))
}

/// The start of the ids: at random, since workers may still have clients of a supervisor before, whose ids mean nothing
/// here.
fn seed() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}

fn unavailable(what: &str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::unavailable(format!("can't set up {what}: {error}"))
}
