//! The connections of one worker: few, each used by one thread at a time, none waited for beyond a deadline.
//!
//! Lookups never wait behind changes: each kind has connections of its own. What is done when the server
//! fails, and how it is reached again, is in `reach`.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use postgres::Error;

use super::connect::{Connector, Refusal};
use super::failure::{ends_session, is_passing, reason, refuses_writes};
use super::reach::{Phase, Reach};
use super::session::Session;
use crate::store::StoreError;

/// How long a lookup may take, all waiting included.
pub const LOOKUP: Duration = Duration::from_secs(2);
/// How long a change may take, or each step of a long one.
pub const CHANGE: Duration = Duration::from_secs(10);

/// The most connections for lookups, and for changes.
const MOST: [usize; 2] = [4, 1];
/// A connection unused for so long is closed, except the last.
const IDLE: Duration = Duration::from_secs(60);
/// How long a server that takes no writes is used before another is looked for.
const READ_ONLY: Duration = Duration::from_secs(10);
/// How long a server that has no room for more connections isn't asked for one.
const CROWDED: Duration = Duration::from_secs(10);
/// The most threads that wait for a connection.
const WAITING: usize = 256;

/// What a connection is used for.
#[derive(Debug, Clone, Copy)]
enum Lane {
    Reading,
    Changing,
}

/// What is done with the first connection whenever the server was reached anew, before anybody uses it;
/// a sentence when the server can't be used.
pub type Prepare = Box<dyn Fn(&mut Session) -> Result<(), String> + Send + Sync>;
/// Told true when the server is lost and false when it is back.
pub type Tell = Box<dyn Fn(bool) + Send + Sync>;

/// The connections to one server.
pub struct Pool {
    pub(super) connector: Connector,
    pub(super) prepare: Prepare,
    pub(super) tell: Tell,
    state: Mutex<State>,
    /// Notified when a connection has become free, or the server is lost or back.
    pub(super) changed: Condvar,
    /// Notified when the server is to be reached, or nobody needs it any more.
    pub(super) needed: Condvar,
}

/// What changes.
pub(super) struct State {
    pub(super) reach: Reach,
    pub(super) ended: bool,
    lanes: [Connections; 2],
    waiting: usize,
}

struct Connections {
    /// With the time since when. The one that was used last is the last.
    idle: Vec<(Session, Instant)>,
    /// How many there are, idle or not.
    open: usize,
    most: usize,
    /// Until when no more are tried than there are.
    crowded: Option<Instant>,
}

impl Connections {
    fn has_room(&self) -> bool {
        let crowded = self.crowded.is_some_and(|until| Instant::now() < until);
        self.open == 0 || (self.open < self.most && !crowded)
    }
}

/// A connection in use, or room for one.
struct Taken {
    session: Option<Session>,
    /// How often the server had been reached when it was taken.
    era: u64,
}

impl Pool {
    /// Connections to this server; a thread begins to connect, and nobody waits for it here.
    pub fn start(connector: Connector, prepare: Prepare, tell: Tell) -> std::io::Result<Arc<Pool>> {
        let connections = |most| Connections {
            idle: Vec::new(),
            open: 0,
            most,
            crowded: None,
        };
        let pool = Arc::new(Pool {
            connector,
            prepare,
            tell,
            state: Mutex::new(State {
                reach: Reach::default(),
                ended: false,
                lanes: MOST.map(connections),
                waiting: 0,
            }),
            changed: Condvar::new(),
            needed: Condvar::new(),
        });
        let connecting = pool.clone();
        std::thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || connecting.keep_reached())?;
        Ok(pool)
    }

    /// What the server is called in messages.
    pub fn server(&self) -> &str {
        self.connector.server()
    }

    /// Reads from the database. What is done may be done again, on another connection.
    pub fn run<T>(
        &self,
        deadline: Duration,
        work: impl FnMut(&mut Session) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        self.work(Lane::Reading, deadline, work)
    }

    /// Changes the database. What is done may be done again, on another connection.
    pub fn change<T>(
        &self,
        deadline: Duration,
        work: impl FnMut(&mut Session) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        self.work(Lane::Changing, deadline, work)
    }

    /// A connection beside the pool's, for who needs one of its own.
    pub fn connect(&self, patience: Duration) -> Result<Session, StoreError> {
        let connected = self.connector.connect(patience);
        connected.map_err(|refusal| self.connector.failure(refusal.why))
    }

    /// Ends the thread that connects, and closes connections as they come back.
    pub fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.forget_idle();
        drop(state);
        self.changed.notify_all();
        self.needed.notify_all();
    }

    fn work<T>(
        &self,
        lane: Lane,
        deadline: Duration,
        mut work: impl FnMut(&mut Session) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let until = Instant::now() + deadline;
        loop {
            let Taken { session, era } = self.take(lane, until)?;
            let used = session.is_some();
            let mut session = match session {
                Some(session) => session,
                None => match self.another(lane, until, era)? {
                    Some(session) => session,
                    None => continue,
                },
            };
            session.set_deadline(until);
            let error = match work(&mut session).and_then(|done| {
                session.roll_back()?;
                Ok(done)
            }) {
                Ok(done) => {
                    self.give_back(lane, session);
                    return Ok(done);
                }
                Err(error) => error,
            };
            // Another host may have become the one that takes writes.
            let elsewhere = refuses_writes(&error) && self.connector.has_choice();
            if session.is_overdue() {
                self.lose(lane, session);
                return Err(self.fail(era, "it does not answer in time".to_owned()));
            } else if elsewhere || session.is_closed() || ends_session(&error) {
                self.lose(lane, session);
                if used && Instant::now() < until {
                    // It may have ended long ago, unseen, and then the others have too.
                    self.lock().forget_idle();
                    continue;
                }
                if !elsewhere {
                    return Err(self.fail(era, reason(&error)));
                }
            } else if session.roll_back().is_ok() {
                self.give_back(lane, session);
                if is_passing(&error) && Instant::now() < until {
                    continue;
                }
            } else {
                self.lose(lane, session);
            }
            return Err(self.connector.failure(reason(&error)));
        }
    }

    /// A connection that is free, waited for if need be; or room for one more.
    fn take(&self, lane: Lane, until: Instant) -> Result<Taken, StoreError> {
        let mut state = self.lock();
        loop {
            let era = state.reach.era;
            match state.reach.phase {
                Phase::Down => return Err(self.down(&state)),
                Phase::Connecting => {}
                Phase::Up => {
                    let connections = &mut state.lanes[lane as usize];
                    if let Some((session, _)) = connections.idle.pop() {
                        let session = Some(session);
                        return Ok(Taken { session, era });
                    }
                    if connections.has_room() {
                        connections.open += 1;
                        return Ok(Taken { session: None, era });
                    }
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.waiting >= WAITING {
                let why = "too many others wait for it";
                return Err(self.connector.failure(why.to_owned()));
            }
            state.waiting += 1;
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
    }

    /// One connection more, for which there is room; none when the server has no room for it.
    fn another(&self, lane: Lane, until: Instant, era: u64) -> Result<Option<Session>, StoreError> {
        let left = until.saturating_duration_since(Instant::now());
        let connected = self.connector.connect(left);
        let mut state = self.lock();
        let refusal = match connected {
            Ok(session) if session.host == state.reach.host => return Ok(Some(session)),
            // It may have missed what this one was told, or have another schema: all begins anew.
            Ok(_) => Refusal::of("another host took over".to_owned()),
            Err(refusal) => refusal,
        };
        let elsewhere = state.lanes.iter().map(|lane| lane.open).sum::<usize>() > 1;
        let connections = &mut state.lanes[lane as usize];
        connections.open = connections.open.saturating_sub(1);
        if refusal.crowded && elsewhere {
            connections.crowded = Some(Instant::now() + CROWDED);
            let wait = connections.open > 0;
            drop(state);
            return if wait {
                Ok(None)
            } else {
                Err(self.connector.failure(refusal.why))
            };
        }
        drop(state);
        Err(self.fail(era, refusal.why))
    }

    fn give_back(&self, lane: Lane, session: Session) {
        let now = Instant::now();
        let stale = session.read_only && now > session.since() + READ_ONLY;
        let mut state = self.lock();
        let up = matches!(state.reach.phase, Phase::Up) && !state.ended;
        let connections = &mut state.lanes[lane as usize];
        // Closed when the lock is no longer held.
        let closed = if up && !stale {
            connections.idle.push((session, now));
            let old = connections.idle[0].1 + IDLE < now;
            old.then(|| connections.idle.remove(0).0)
        } else {
            Some(session)
        };
        connections.open -= usize::from(closed.is_some()).min(connections.open);
        self.freed(state);
    }

    fn lose(&self, lane: Lane, session: Session) {
        drop(session);
        let mut state = self.lock();
        let connections = &mut state.lanes[lane as usize];
        connections.open = connections.open.saturating_sub(1);
        self.freed(state);
    }

    /// There is a connection, or room for one. Nobody is woken where nobody waits.
    fn freed(&self, state: MutexGuard<'_, State>) {
        let waited = state.waiting > 0;
        drop(state);
        if waited {
            self.changed.notify_all();
        }
    }

    /// The state. Nobody leaves it half changed, so that what a panic poisoned is good.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.server())
    }
}

impl State {
    /// Closes the connections that nobody uses.
    pub(super) fn forget_idle(&mut self) {
        for connections in &mut self.lanes {
            connections.open = connections.open.saturating_sub(connections.idle.len());
            connections.idle.clear();
        }
    }

    /// Puts the connection by which the server was reached at hand, for lookups.
    pub(super) fn add(&mut self, session: Session) {
        let connections = &mut self.lanes[Lane::Reading as usize];
        connections.open += 1;
        connections.idle.push((session, Instant::now()));
    }
}
