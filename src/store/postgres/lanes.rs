//! The connections of a pool by their use: which is taken next, how many there may be, who waits for one.
//!
//! Lookups never wait behind changes: each kind has connections of its own. Nothing is connected here.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::breaker::Breaker;
use super::session::Session;

/// The most connections for lookups, and for changes.
const MOST: [usize; 2] = [4, 1];
/// A connection unused for so long is closed, except the last.
const IDLE: Duration = Duration::from_secs(60);
/// A server that takes no writes is used for so long before another is looked for.
const READ_ONLY: Duration = Duration::from_secs(10);
/// A server that has no room for more connections isn't asked for one for so long.
const CROWDED: Duration = Duration::from_secs(10);
/// The most threads that wait for a connection.
const WAITING: usize = 256;

/// The use of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lane {
    Lookups,
    Changes,
}

/// The connections.
pub(super) struct Lanes {
    state: Mutex<LanesState>,
    /// Notified when a connection has become free, the circuit has opened or closed, or the pool has ended.
    changed: Condvar,
}

pub(super) struct LanesState {
    pub(super) breaker: Breaker,
    /// The host that was reached, of those that are tried.
    pub(super) host: usize,
    pub(super) ended: bool,
    lanes: [Connections; 2],
    waiting: usize,
}

#[derive(Default)]
struct Connections {
    /// With the time since when. The one that was used last is the last.
    idle: Vec<(Session, Instant)>,
    /// The number of all, idle or not.
    open: usize,
    /// Until when no more are tried than there are.
    crowded: Option<Instant>,
}

/// A connection in use, or room for one. Dropped, it is for others to use.
pub(super) struct PooledSession<'a> {
    lanes: &'a Lanes,
    lane: Lane,
    /// The breaker's when it was taken.
    pub(super) era: u64,
    pub(super) session: Option<Session>,
}

/// Why no connection was taken.
pub(super) enum NotTaken {
    /// The circuit is open, for this reason.
    Open(String),
    /// Too many others wait, or one was waited for in vain.
    TooMany,
}

impl Lanes {
    pub(super) fn new() -> Lanes {
        Lanes {
            state: Mutex::new(LanesState {
                breaker: Breaker::new(Instant::now()),
                host: 0,
                ended: false,
                lanes: Default::default(),
                waiting: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// A connection that is free, waited for if need be; or room for one more.
    pub(super) fn take(&self, lane: Lane, until: Instant) -> Result<PooledSession<'_>, NotTaken> {
        let mut state = self.lock();
        loop {
            let era = state.breaker.check();
            if let Some(era) = era.map_err(|why| NotTaken::Open(why.to_owned()))? {
                let connections = &mut state.lanes[lane as usize];
                let session = connections.idle.pop().map(|(session, _)| session);
                if session.is_some() || connections.has_room(lane) {
                    connections.open += usize::from(session.is_none());
                    return Ok(PooledSession {
                        lanes: self,
                        lane,
                        era,
                        session,
                    });
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.waiting >= WAITING {
                return Err(NotTaken::TooMany);
            }
            state.waiting += 1;
            state = self.wait(state, left);
            state.waiting -= 1;
        }
    }

    /// Waits until the server is to be reached; false when the pool has ended.
    pub(super) fn wait_until_due(&self) -> bool {
        let mut state = self.lock();
        while !state.ended {
            let left = state.breaker.due(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self.wait(state, left);
        }
        false
    }

    /// Changes the state for everybody who waits.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut LanesState) -> T) -> T {
        let outcome = change(&mut self.lock());
        self.changed.notify_all();
        outcome
    }

    /// The state. Nobody leaves it half changed, so that what a panic poisoned is good.
    pub(super) fn lock(&self) -> MutexGuard<'_, LanesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, so long at most.
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, LanesState>,
        most: Duration,
    ) -> MutexGuard<'a, LanesState> {
        let waited = self.changed.wait_timeout(state, most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl LanesState {
    /// Adds a connection that nobody uses yet.
    pub(super) fn add(&mut self, lane: Lane, session: Session) {
        let connections = &mut self.lanes[lane as usize];
        connections.open += 1;
        connections.idle.push((session, Instant::now()));
    }

    /// Closes the connections that nobody uses.
    pub(super) fn forget_idle(&mut self) {
        for connections in &mut self.lanes {
            connections.open -= connections.idle.len();
            connections.idle.clear();
        }
    }

    /// True when there are others than the only one.
    pub(super) fn has_others(&self) -> bool {
        self.lanes.iter().map(|lane| lane.open).sum::<usize>() > 1
    }

    /// The server had no room for this one; true when there are others of its use, to be waited for.
    pub(super) fn crowd(&mut self, refused: &PooledSession<'_>) -> bool {
        let connections = &mut self.lanes[refused.lane as usize];
        connections.crowded = Some(Instant::now() + CROWDED);
        connections.open > 1
    }
}

impl Connections {
    fn has_room(&self, lane: Lane) -> bool {
        let crowded = self.crowded.is_some_and(|until| Instant::now() < until);
        self.open == 0 || (self.open < MOST[lane as usize] && !crowded)
    }
}

impl Drop for PooledSession<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let stale = |session: &Session| session.read_only && now > session.since() + READ_ONLY;
        let session = self.session.take();
        let session = session.filter(|session| session.is_clean() && !stale(session));
        let mut state = self.lanes.lock();
        let up = state.breaker.check().is_ok() && !state.ended;
        let connections = &mut state.lanes[self.lane as usize];
        // Closed when the lock is no longer held.
        let closed = match session {
            Some(session) if up => {
                connections.idle.push((session, now));
                let old = connections.idle[0].1 + IDLE < now;
                let closed = old.then(|| connections.idle.remove(0).0);
                connections.open -= usize::from(old);
                closed
            }
            session => {
                connections.open -= 1;
                session
            }
        };
        // Nobody is woken where nobody waits.
        let waited = state.waiting > 0;
        drop(state);
        drop(closed);
        if waited {
            self.lanes.changed.notify_all();
        }
    }
}
