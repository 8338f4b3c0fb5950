//! The supervisor's one loop: wait, do what each event asks for, see to what is due, send what is queued.
//! Nothing in it waits for anyone.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::accept::Listeners;
use super::clients::{Clients, Tick};
use super::control::Control;
use super::housekeeping::DiskSpace;
use super::link::{Links, Lost};
use super::roster::{Roster, State};
use super::settings::Current;
use super::spawn::Spawner;
use super::start::Start;
use super::status::Notices;
use super::stop::Phase;
use super::token::{ClientId, Token};
use crate::sys::epoll::{Interest, Poll, Ready};
use crate::sys::exit::Failure;
use crate::sys::limits;
use crate::sys::shared::Shared;
use crate::sys::signals::Signals;

/// How many events one turn takes.
const EVENTS: usize = 256;
/// Clients are looked at so often for whether they have waited too long.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Fds that aren't clients': listeners, channels, files.
const SPARE_FDS: u64 = 128;

/// The supervisor. Each file of this folder adds what it decides.
pub(super) struct Supervisor {
    pub(super) poll: Poll,
    pub(super) signals: Signals,
    pub(super) clients: Clients,
    /// Clients that have something to read and no worker yet; those no longer there are passed over.
    pub(super) queue: VecDeque<ClientId>,
    pub(super) links: Links,
    pub(super) roster: Roster,
    pub(super) spawner: Spawner,
    pub(super) listeners: Listeners,
    pub(super) control: Control,
    pub(super) settings: Current,
    pub(super) shared: Arc<Shared>,
    pub(super) room: Option<DiskSpace>,
    pub(super) notices: Notices,
    pub(super) phase: Phase,
    /// The clients being sent may have nothing to read.
    pub(super) handing_over: bool,
    /// The end was asked for a second time.
    pub(super) in_a_hurry: bool,
    /// The worker whose turn it is among those equally loaded.
    pub(super) next_worker: usize,
    most_fds: u64,
    start: Instant,
    next_sweep: Instant,
}

impl Supervisor {
    /// Takes everything it needs; clients can connect when this returns.
    pub(super) fn begin(start: Start) -> Result<Supervisor, Failure> {
        let now = Instant::now();
        let signals = Signals::take().map_err(unavailable("signals"))?;
        let settings = Current::begin(start.configuration)?;
        let listeners = Listeners::open(&start.listen)?;
        let spawner = Spawner::new(start.workers);
        let dir = spawner.dir();
        let shared = Shared::create(&dir.join("shared")).map_err(unavailable("shared memory"))?;
        let shared = Arc::new(shared);
        let room = DiskSpace::start(settings.current(), &shared)?;
        let control = Control::open(dir).map_err(unavailable("the control socket"))?;
        let poll = Poll::new(EVENTS).map_err(unavailable("epoll"))?;
        let supervisor = Supervisor {
            clients: Clients::new(seed()),
            queue: VecDeque::new(),
            links: Links::default(),
            roster: Roster::new(settings.current().workers, now),
            notices: Notices::new(now),
            phase: Phase::Running,
            handing_over: false,
            in_a_hurry: false,
            next_worker: 0,
            most_fds: raised_limit(),
            start: now,
            next_sweep: now + SWEEP_EVERY,
            poll,
            signals,
            spawner,
            listeners,
            control,
            settings,
            shared,
            room: Some(room),
        };
        supervisor.watch().map_err(unavailable("epoll"))?;
        supervisor.listeners.announce(&start.listen);
        Ok(supervisor)
    }

    fn watch(&self) -> io::Result<()> {
        let signals = Token::Signals.number();
        self.poll.add(&self.signals, signals, Interest::Read)?;
        self.control.watch(&self.poll)?;
        self.listeners.watch(&self.poll)
    }

    /// Serves until it is told to stop.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        let mut ready = Vec::with_capacity(EVENTS);
        while self.phase != Phase::Over {
            self.see_to_what_is_due(Instant::now());
            let wait = self.time_to_wait(Instant::now());
            ready.clear();
            self.poll
                .wait(wait, &mut ready)
                .map_err(unavailable("epoll"))?;
            let now = Instant::now();
            for event in &ready {
                self.event(*event, now);
            }
            self.dispatch(now);
            self.advance(now);
        }
        self.end();
        Ok(())
    }

    /// Nothing is left to do; whoever is in a hurry doesn't wait for the disk either.
    fn end(&mut self) {
        self.spawner.kill_all();
        if self.in_a_hurry {
            return;
        }
        if let Some(room) = self.room.take() {
            room.stop();
        }
    }

    fn event(&mut self, event: Ready, now: Instant) {
        match Token::from_number(event.token) {
            Token::Client(id) => self.client_ready(id, event, now),
            Token::Listener(index) => self.listener_ready(index, now),
            Token::Link(id) => self.link_ready(id, event.writable, now),
            Token::Control => self.control_ready(now),
            Token::Caller(id) => self.caller_ready(id, now),
            Token::Signals => self.signals_ready(now),
        }
    }

    fn see_to_what_is_due(&mut self, now: Instant) {
        if self.wants_workers() {
            self.connect_workers(now);
        }
        self.retry_links(now);
        self.reopen_doors(now);
        self.finish_reload(now);
        self.end_calls(now);
        self.tell_systemd(now);
        if self.next_sweep <= now {
            self.next_sweep = now + SWEEP_EVERY;
            self.close_overdue(now);
        }
    }

    fn time_to_wait(&self, now: Instant) -> Option<Duration> {
        let workers = self.roster.next_due().filter(|_| self.wants_workers());
        let sweep = (self.clients.len() > 0).then_some(self.next_sweep);
        [
            workers,
            sweep,
            self.links.next_try(),
            self.listeners.next_try(),
            self.settings.next_deadline(),
            self.control.next_deadline(),
            self.notices.next_deadline(),
            self.phase_ends(),
        ]
        .into_iter()
        .flatten()
        .min()
        .map(|when| when.saturating_duration_since(now))
    }

    /// The time as the table of clients keeps it.
    pub(super) fn tick(&self, now: Instant) -> Tick {
        Tick::at(self.start, now)
    }

    /// How many clients there may be: as configured, but each needs an fd here while it waits.
    pub(super) fn most_clients(&self) -> usize {
        let fds = usize::try_from(self.most_fds.saturating_sub(SPARE_FDS)).unwrap_or(usize::MAX);
        self.settings.current().max_clients.min(fds.max(1))
    }

    /// Children have ended. One that never said Hello has a channel that would stay silent for ever.
    pub(super) fn children_ended(&mut self, now: Instant) {
        for slot in self.spawner.reap() {
            let state = self.roster.states().nth(slot);
            if let Some(State::Greeting { link }) = state {
                self.lose(link, Lost::Ended, now);
            }
        }
    }
}

/// Where ids begin: elsewhere than those of the supervisor before, which workers may still know.
fn seed() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as u32)
}

fn raised_limit() -> u64 {
    limits::raise_open_files().unwrap_or_else(|error| {
        log::warn!("the limit on open files can't be raised: {error}");
        1024
    })
}

fn unavailable(what: &str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::unavailable(format!("can't set up {what}: {error}"))
}
