//! The connections of one worker: few, each used by one thread at a time, none waited for beyond a deadline.
//!
//! Once the server has failed every call
//! fails at once; that is said once when it begins, and once when it is over. `reconnect` reaches it again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postgres::Error;

use super::connect::{ConnectError, Connector};
use super::failure::{ends_session, is_passing, reason, refuses_writes};
use super::lanes::{Lane, Lanes, LanesState, NotTaken, PooledSession};
use super::session::Session;
use crate::store::StoreError;
use crate::sys::shared::Shared;

/// The most time that a lookup takes, all waiting included.
pub const LOOKUP: Duration = Duration::from_secs(2);
/// The most time that a change takes, or each step of a long one.
pub const CHANGE: Duration = Duration::from_secs(10);

/// The connections to one server.
pub struct Pool {
    connector: Connector,
    shared: Arc<Shared>,
    /// The index of the worker, by which the others know that its store is down.
    worker: usize,
    lanes: Lanes,
}

impl Pool {
    pub fn new(connector: Connector, shared: Arc<Shared>, worker: usize) -> Pool {
        Pool {
            connector,
            shared,
            worker,
            lanes: Lanes::new(),
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
        self.lanes.change(|state| {
            state.ended = true;
            state.forget_idle();
        });
    }

    /// True when the server is known to answer.
    #[cfg(test)]
    pub fn is_up(&self) -> bool {
        matches!(self.lanes.lock().breaker.check(), Ok(Some(_)))
    }

    /// Waits until the server is to be reached; false when the pool has ended.
    pub(super) fn wait_until_due(&self) -> bool {
        self.lanes.wait_until_due()
    }

    /// The server was reached, by a connection that has told it everything.
    pub(super) fn reached(&self, session: Session) {
        let server = self.server();
        if session.read_only {
            log::warn!(
                "the database at {server} takes no writes: what it has is used, nothing is stored"
            );
        }
        self.lanes.change(|state| {
            match state.breaker.close(Instant::now()) {
                None => log::info!("connected to the database at {server}"),
                Some(away) => {
                    let seconds = away.as_secs();
                    log::info!("the database at {server} is back after {seconds} s");
                }
            }
            state.host = session.host;
            state.add(Lane::Lookups, session);
            self.shared.set_store_down(self.worker, false);
        });
    }

    /// The server was not reached.
    pub(super) fn attempt_failed(&self, why: &str) {
        self.lanes.change(|state| {
            if state.breaker.attempt_failed(why, Instant::now()) {
                self.lost(state, why);
            }
        });
    }

    /// The server has failed somebody who used it in this era: gives what every call fails with from now on.
    fn fail(&self, era: u64, why: &str) -> StoreError {
        self.lanes.change(|state| {
            if state.breaker.trip(era, why, Instant::now()) {
                self.lost(state, why);
            }
            self.unreachable(state.breaker.check().err().unwrap_or(why).to_owned())
        })
    }

    fn lost(&self, state: &mut LanesState, why: &str) {
        let server = self.server();
        log::error!("going on without the database at {server} until it is back: {why}");
        state.forget_idle();
        self.shared.set_store_down(self.worker, true);
    }

    fn unreachable(&self, reason: String) -> StoreError {
        let server = self.server().to_owned();
        StoreError::Unreachable { server, reason }
    }

    fn work<T>(
        &self,
        lane: Lane,
        deadline: Duration,
        mut work: impl FnMut(&mut Session) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let until = Instant::now() + deadline;
        loop {
            let mut pooled = self.lanes.take(lane, until).map_err(|why| match why {
                NotTaken::Open(why) => self.unreachable(why),
                NotTaken::TooMany => {
                    let why = "too many others wait for it";
                    self.connector.failure(why.to_owned())
                }
            })?;
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
                return Err(self.fail(pooled.era, "it does not answer in time"));
            } else if elsewhere || session.is_closed() || ends_session(&error) {
                pooled.session = None;
                if used && Instant::now() < until {
                    // It may have ended long ago, unseen, and then the others have too.
                    self.lanes.lock().forget_idle();
                    continue;
                }
                if !elsewhere {
                    return Err(self.fail(pooled.era, &reason(&error)));
                }
            } else if session.roll_back().is_err() {
                pooled.session = None;
            } else if is_passing(&error) && Instant::now() < until {
                continue;
            }
            return Err(self.connector.failure(reason(&error)));
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
        let mut state = self.lanes.lock();
        let error = match connected {
            Ok(session) if session.host == state.host => return Ok(Some(session)),
            // It may have missed what this one was told, or have another schema: all begins anew.
            Ok(_) => ConnectError::of("another host took over".to_owned()),
            Err(error) => error,
        };
        if error.crowded && state.has_others() {
            return match state.crowd(pooled) {
                true => Ok(None),
                false => Err(self.connector.failure(error.why)),
            };
        }
        drop(state);
        Err(self.fail(pooled.era, &error.why))
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.server())
    }
}
