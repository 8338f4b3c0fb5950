//! The connections of one worker: few, each used by one thread at a time, none waited for beyond a deadline.
//! Lookups never wait behind changes: each kind has a pool of its own.
//!
//! Once the server has failed every call fails at once; that is said once when it begins, and once when it is over.
//! `reconnect` reaches it again.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::Runtime;
use deadpool::managed::{self, Object, PoolError, QueueMode, Timeouts};
use postgres::Error;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{timeout, timeout_at};

use super::breaker::Breaker;
use super::connect::Connector;
use super::failure::{ends_session, is_passing, reason, refuses_writes};
use super::manager::{Manager, PoolState, UNTIL};
use super::session::Session;
use crate::config::display_duration;
use crate::store::StoreError;
use crate::sys::shared::Shared;

/// The most time that a lookup takes, all waiting included.
pub const LOOKUP: Duration = Duration::from_secs(2);
/// The most time that a change takes, or each step of a long one.
pub const CHANGE: Duration = Duration::from_secs(10);
/// The most connections for lookups.
const LOOKUPS: usize = 4;
/// The most connections for changes.
const CHANGES: usize = 1;
/// A connection unused for so long is closed, except the last.
const IDLE: Duration = Duration::from_secs(60);
/// The most threads that wait for a connection.
const WAITING: usize = 256;

type Connections = managed::Pool<Manager>;

/// The connections to one server.
pub struct Pool {
    pub(super) connector: Arc<Connector>,
    shared: Arc<Shared>,
    /// The index of the worker, by which the others know that its store is down.
    worker: usize,
    state: watch::Sender<PoolState>,
    lookups: Connections,
    changes: Connections,
    /// A permit for each thread that uses a connection or waits for one.
    users: Semaphore,
    /// Notified when a connection is free again, or closed.
    freed: Notify,
}

impl Pool {
    pub fn new(connector: Connector, shared: Arc<Shared>, worker: usize) -> Pool {
        let connector = Arc::new(connector);
        let (state, _) = watch::channel(PoolState {
            breaker: Breaker::new(Instant::now()),
            host: 0,
            ended: false,
            ready: None,
        });
        let connections = |most| {
            managed::Pool::builder(Manager::new(connector.clone(), state.clone()))
                .max_size(most)
                .queue_mode(QueueMode::Lifo)
                .runtime(Runtime::Tokio1)
                .build()
                .expect("a runtime is named")
        };
        Pool {
            lookups: connections(LOOKUPS),
            changes: connections(CHANGES),
            users: Semaphore::new(WAITING + LOOKUPS + CHANGES),
            freed: Notify::new(),
            connector,
            shared,
            worker,
            state,
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
        self.work(&self.lookups, deadline, work)
    }

    /// Uses the connection for changes. The work may be done again, on another connection.
    pub fn change<T>(
        &self,
        work: impl FnMut(&mut Session) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        self.work(&self.changes, CHANGE, work)
    }

    /// Ends reconnecting, and closes connections as they come back.
    pub fn end(&self) {
        self.state.send_modify(|state| {
            state.ended = true;
            state.ready = None;
        });
        self.forget_idle();
    }

    /// True when the server is known to answer.
    #[cfg(test)]
    pub fn is_up(&self) -> bool {
        matches!(self.state.borrow().breaker.check(), Ok(Some(_)))
    }

    /// Waits until the server is to be reached; false when the pool has ended.
    pub(super) fn wait_until_due(&self) -> bool {
        let mut state = self.state.subscribe();
        self.connector.driver.block_on(async {
            loop {
                let (ended, left) = {
                    let state = state.borrow_and_update();
                    (state.ended, state.breaker.due(Instant::now()))
                };
                if ended || left.is_zero() {
                    return !ended;
                }
                // Changed, or due, or gone: seen above.
                let _ = timeout(left, state.changed()).await;
            }
        })
    }

    /// The server was reached, by a connection that has told it everything.
    pub(super) fn reached(&self, mut session: Session) {
        let server = self.server();
        if session.read_only {
            log::warn!(
                "the database at {server} takes no writes: what it has is used, nothing is stored"
            );
        }
        self.state.send_modify(|state| {
            match state.breaker.close(Instant::now()) {
                None => log::info!("connected to the database at {server}"),
                Some(away) => log::info!(
                    "the database at {server} is back after {}",
                    display_duration(away)
                ),
            }
            state.host = session.host;
            session.era = state.breaker.check().ok().flatten().unwrap_or_default();
            state.ready = Some(session);
            self.shared.set_store_down(self.worker, false);
        });
    }

    /// The server was not reached.
    pub(super) fn attempt_failed(&self, why: &str) {
        self.state.send_modify(|state| {
            if state.breaker.attempt_failed(why, Instant::now()) {
                self.lost(state, why);
            }
        });
    }

    /// The server has failed somebody who used it in this era: gives what every call fails with from now on.
    fn fail(&self, era: u64, why: &str) -> StoreError {
        self.state.send_if_modified(|state| {
            let opens = state.breaker.trip(era, why, Instant::now());
            if opens {
                self.lost(state, why);
            }
            opens
        });
        let state = self.state.borrow();
        StoreError::Unreachable {
            server: self.server().to_owned(),
            reason: state.breaker.check().err().unwrap_or(why).to_owned(),
        }
    }

    fn lost(&self, state: &mut PoolState, why: &str) {
        let server = self.server();
        log::error!("going on without the database at {server} until it is back: {why}");
        state.ready = None;
        self.forget_idle();
        self.shared.set_store_down(self.worker, true);
    }

    /// Closes the connections that nobody uses.
    fn forget_idle(&self) {
        for connections in [&self.lookups, &self.changes] {
            connections.retain(|_, _| false);
        }
        self.freed.notify_waiters();
    }

    fn work<T>(
        &self,
        connections: &Connections,
        deadline: Duration,
        mut work: impl FnMut(&mut Session) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let (driver, until) = (&self.connector.driver, Instant::now() + deadline);
        let user = self.users.try_acquire();
        let _user = user.map_err(|_| self.too_many())?;
        loop {
            let since = Instant::now();
            let taken = driver.block_on(self.take(connections, until));
            let done = taken.map_err(Some).and_then(|mut session| {
                session.set_deadline(until);
                let done = work(&mut session);
                match done.and_then(|done| session.roll_back().map(|()| done)) {
                    Ok(done) => {
                        give_back(connections, session);
                        Ok(done)
                    }
                    Err(error) => Err(self.failed(connections, session, &error, since..until)),
                }
            });
            self.freed.notify_waiters();
            match done {
                Ok(done) => return Ok(done),
                Err(Some(error)) => return Err(error),
                Err(None) => {}
            }
        }
    }

    /// A connection: one that is free, waited for if need be, or one more.
    async fn take(
        &self,
        connections: &Connections,
        until: Instant,
    ) -> Result<Object<Manager>, StoreError> {
        let mut state = self.state.subscribe();
        let known = state.wait_for(|state| state.breaker.check() != Ok(None));
        let known = timeout_at(until.into(), known).await.map(drop);
        known.map_err(|_| self.too_many())?;
        loop {
            let freed = self.freed.notified();
            let mut timeouts = Timeouts::new();
            timeouts.wait = Some(until.saturating_duration_since(Instant::now()));
            let taken = tokio::select! {
                biased;
                taken = UNTIL.scope(until, connections.timeout_get(&timeouts)) => taken,
                // Nobody goes on waiting once the circuit is open.
                () = async { drop(state.wait_for(|state| state.breaker.check().is_err()).await) } => {
                    return Err(self.fail(0, ""));
                }
            };
            let error = match taken {
                Ok(session) => return Ok(session),
                Err(PoolError::Backend(error)) => error,
                Err(_) => return Err(self.too_many()),
            };
            let others = self.lookups.manager().open() + self.changes.manager().open();
            if !error.crowded || others == 0 {
                return Err(self.fail(error.era, &error.why));
            } else if connections.manager().open() == 0 {
                return Err(self.connector.failure(error.why));
            }
            // One of the others is waited for.
            let freed = timeout_at(until.into(), freed).await;
            freed.map_err(|_| self.too_many())?;
        }
    }

    fn too_many(&self) -> StoreError {
        self.connector
            .failure("too many others wait for it".to_owned())
    }

    /// The failure of work that had this time, and the end of its connection where it is of no more use; None when
    /// the work is to be done again.
    fn failed(
        &self,
        connections: &Connections,
        mut session: Object<Manager>,
        error: &Error,
        time: Range<Instant>,
    ) -> Option<StoreError> {
        let (era, used) = (session.era, session.since < time.start);
        let in_time = Instant::now() < time.end;
        // Another host may have become the one that takes writes.
        let elsewhere = refuses_writes(error) && self.connector.has_choice();
        if session.overdue {
            drop(Object::take(session));
            return Some(self.fail(era, "it does not answer in time"));
        }
        if elsewhere || session.is_closed() || ends_session(error) {
            drop(Object::take(session));
            if used && in_time {
                // It may have ended long ago, unseen, and then the others have too.
                self.forget_idle();
                return None;
            }
            if !elsewhere {
                return Some(self.fail(era, &reason(error)));
            }
        } else {
            let passing = session.roll_back().is_ok() && is_passing(error) && in_time;
            give_back(connections, session);
            if passing {
                return None;
            }
        }
        Some(self.connector.failure(reason(error)))
    }
}

/// Leaves a connection to others, unless it is of no more use, and closes those that nobody has used for long.
fn give_back(connections: &Connections, session: Object<Manager>) {
    if connections.manager().may_use(&session) {
        connections.retain(|_, metrics| metrics.last_used() < IDLE);
    } else {
        drop(Object::take(session));
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.server())
    }
}
