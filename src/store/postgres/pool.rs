//! The connections of one worker: few, each used by one thread at a time, none waited for beyond a deadline.
//!
//! Lookups never wait behind changes: each kind has connections of its own. Once the server has failed every call
//! fails at once; that is said once when it begins, and once when it is over. `reconnect` reaches it again.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use postgres::Error;

use super::breaker::Breaker;
use super::connect::{ConnectError, Connector};
use super::failure::{ends_session, is_passing, reason, refuses_writes};
use super::session::Session;
use crate::store::StoreError;
use crate::sys::shared::Shared;

/// The most time that a lookup takes, all waiting included.
pub const LOOKUP: Duration = Duration::from_secs(2);
/// The most time that a change takes, or each step of a long one.
pub const CHANGE: Duration = Duration::from_secs(10);

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
enum Lane {
    Lookups,
    Changes,
}

/// The connections to one server.
pub struct Pool {
    connector: Connector,
    shared: Arc<Shared>,
    /// The index of the worker, by which the others know that its store is down.
    worker: usize,
    state: Mutex<PoolState>,
    /// Notified when a connection has become free, the circuit has opened or closed, or the pool has ended.
    changed: Condvar,
}

struct PoolState {
    breaker: Breaker,
    /// Which of the hosts was reached.
    host: usize,
    ended: bool,
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

impl Connections {
    fn has_room(&self, lane: Lane) -> bool {
        let crowded = self.crowded.is_some_and(|until| Instant::now() < until);
        self.open == 0 || (self.open < MOST[lane as usize] && !crowded)
    }
}

/// A connection in use, or room for one. Dropped, it is for others to use.
struct PooledSession<'a> {
    pool: &'a Pool,
    lane: Lane,
    /// The breaker's when it was taken.
    era: u64,
    session: Option<Session>,
}

impl Pool {
    pub fn new(connector: Connector, shared: Arc<Shared>, worker: usize) -> Pool {
        Pool {
            connector,
            shared,
            worker,
            state: Mutex::new(PoolState {
                breaker: Breaker::new(Instant::now()),
                host: 0,
                ended: false,
                lanes: Default::default(),
                waiting: 0,
            }),
            changed: Condvar::new(),
        }
    }

    pub fn server(&self) -> &str {
        self.connector.server()
    }

    /// Uses a connection for what a client waits for. The work may be done again, on another connection.
    pub fn run<T>(
        &self,
        deadline: Duration,
        work: impl FnMut(&mut Session) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        self.work(Lane::Lookups, deadline, work)
    }

    /// Uses the connection for changes. The work may be done again, on another connection.
    pub fn change<T>(
        &self,
        deadline: Duration,
        work: impl FnMut(&mut Session) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        self.work(Lane::Changes, deadline, work)
    }

    /// A connection beside the pool's, for who needs one of its own.
    pub fn connect(&self, timeout: Duration) -> Result<Session, ConnectError> {
        self.connector.connect(timeout)
    }

    /// Ends reconnecting, and closes connections as they come back.
    pub fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.forget_idle();
        drop(state);
        self.changed.notify_all();
    }

    /// True when the server is known to answer.
    #[cfg(test)]
    pub fn is_up(&self) -> bool {
        matches!(self.lock().breaker.check(), Ok(Some(_)))
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

    /// The server was reached, by a connection that has told it everything.
    pub(super) fn reached(&self, session: Session) {
        let server = self.server();
        if session.read_only {
            log::warn!(
                "the database at {server} takes no writes: what it has is used, nothing is stored"
            );
        }
        let mut state = self.lock();
        let now = Instant::now();
        match state.breaker.close(now) {
            None => log::info!("connected to the database at {server}"),
            Some(away) => log::info!(
                "the database at {server} is back after {} s",
                away.as_secs()
            ),
        }
        state.host = session.host;
        let lookups = &mut state.lanes[Lane::Lookups as usize];
        lookups.open += 1;
        lookups.idle.push((session, now));
        self.shared.set_store_down(self.worker, false);
        drop(state);
        self.changed.notify_all();
    }

    /// The server was not reached.
    pub(super) fn attempt_failed(&self, why: &str) {
        let mut state = self.lock();
        if state.breaker.attempt_failed(why, Instant::now()) {
            self.lost(&mut state, why);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The server has failed somebody who used it in this era: what every call fails with from now on.
    fn fail(&self, era: u64, why: String) -> StoreError {
        let mut state = self.lock();
        if state.breaker.trip(era, &why, Instant::now()) {
            self.lost(&mut state, &why);
        }
        let failure = self.unreachable(state.breaker.check().err().unwrap_or(&why));
        drop(state);
        self.changed.notify_all();
        failure
    }

    fn lost(&self, state: &mut PoolState, why: &str) {
        let server = self.server();
        log::error!("going on without the database at {server} until it is back: {why}");
        state.forget_idle();
        self.shared.set_store_down(self.worker, true);
    }

    fn unreachable(&self, why: &str) -> StoreError {
        StoreError::Unreachable {
            server: self.server().to_owned(),
            reason: why.to_owned(),
        }
    }

    fn work<T>(
        &self,
        lane: Lane,
        deadline: Duration,
        mut work: impl FnMut(&mut Session) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let until = Instant::now() + deadline;
        loop {
            let mut pooled = self.take(lane, until)?;
            let used = pooled.session.is_some();
            if !used {
                pooled.session = self.another(&pooled, until)?;
            }
            let Some(session) = &mut pooled.session else {
                continue;
            };
            session.set_deadline(until);
            let error = match work(session).and_then(|done| session.roll_back().map(|()| done)) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            // Another host may have become the one that takes writes.
            let elsewhere = refuses_writes(&error) && self.connector.has_choice();
            if session.is_overdue() {
                return Err(self.fail(pooled.era, "it does not answer in time".to_owned()));
            } else if elsewhere || session.is_closed() || ends_session(&error) {
                pooled.session = None;
                if used && Instant::now() < until {
                    // It may have ended long ago, unseen, and then the others have too.
                    self.lock().forget_idle();
                    continue;
                }
                if !elsewhere {
                    return Err(self.fail(pooled.era, reason(&error)));
                }
            } else if session.roll_back().is_err() {
                pooled.session = None;
            } else if is_passing(&error) && Instant::now() < until {
                continue;
            }
            return Err(self.connector.failure(reason(&error)));
        }
    }

    /// A connection that is free, waited for if need be; or room for one more.
    fn take(&self, lane: Lane, until: Instant) -> Result<PooledSession<'_>, StoreError> {
        let mut state = self.lock();
        loop {
            let era = state.breaker.check().map_err(|why| self.unreachable(why))?;
            if let Some(era) = era {
                let connections = &mut state.lanes[lane as usize];
                let session = connections.idle.pop().map(|(session, _)| session);
                if session.is_some() || connections.has_room(lane) {
                    connections.open += usize::from(session.is_none());
                    return Ok(PooledSession {
                        pool: self,
                        lane,
                        era,
                        session,
                    });
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.waiting >= WAITING {
                let why = "too many others wait for it";
                return Err(self.connector.failure(why.to_owned()));
            }
            state.waiting += 1;
            state = self.wait(state, left);
            state.waiting -= 1;
        }
    }

    /// One connection more, for which there is room; none when the server has no room for it.
    fn another(
        &self,
        pooled: &PooledSession<'_>,
        until: Instant,
    ) -> Result<Option<Session>, StoreError> {
        let left = until.saturating_duration_since(Instant::now());
        let connected = self.connector.connect(left);
        let mut state = self.lock();
        let error = match connected {
            Ok(session) if session.host == state.host => return Ok(Some(session)),
            // It may have missed what this one was told, or have another schema: all begins anew.
            Ok(_) => ConnectError::of("another host took over".to_owned()),
            Err(error) => error,
        };
        let others = state.lanes.iter().map(|lane| lane.open).sum::<usize>() > 1;
        if error.crowded && others {
            let connections = &mut state.lanes[pooled.lane as usize];
            connections.crowded = Some(Instant::now() + CROWDED);
            return match connections.open > 1 {
                true => Ok(None),
                false => Err(self.connector.failure(error.why)),
            };
        }
        drop(state);
        Err(self.fail(pooled.era, error.why))
    }

    /// Waits for a change, so long at most.
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, PoolState>,
        most: Duration,
    ) -> MutexGuard<'a, PoolState> {
        let waited = self.changed.wait_timeout(state, most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// The state. Nobody leaves it half changed, so that what a panic poisoned is good.
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PooledSession<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let stale = |session: &Session| session.read_only && now > session.since() + READ_ONLY;
        let session = self.session.take();
        let session = session.filter(|session| session.is_clean() && !stale(session));
        let mut state = self.pool.lock();
        let up = state.breaker.check().is_ok() && !state.ended;
        let kept = up && session.is_some();
        let connections = &mut state.lanes[self.lane as usize];
        // Closed when the lock is no longer held.
        let closed = if kept {
            connections
                .idle
                .extend(session.map(|session| (session, now)));
            let old = connections.idle[0].1 + IDLE < now;
            old.then(|| connections.idle.remove(0).0)
        } else {
            session
        };
        connections.open -= usize::from(!kept || closed.is_some());
        // Nobody is woken where nobody waits.
        let waited = state.waiting > 0;
        drop(state);
        drop(closed);
        if waited {
            self.pool.changed.notify_all();
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.server())
    }
}

impl PoolState {
    /// Closes the connections that nobody uses.
    fn forget_idle(&mut self) {
        for connections in &mut self.lanes {
            connections.open -= connections.idle.len();
            connections.idle.clear();
        }
    }
}
