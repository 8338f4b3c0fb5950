//! The decisions of the pools of connections: where one more comes from, and if one may be used again.
//!
//! Only the server is waited for here, never a connection that others use.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use tokio::sync::watch;

use super::breaker::Breaker;
use super::connect::{ConnectError, Connector};
use super::session::Session;

/// A server that takes no writes is used for so long before another is looked for.
const READ_ONLY: Duration = Duration::from_secs(10);
/// A server that has no room for more connections isn't asked for one for so long.
const CROWDED: Duration = Duration::from_secs(10);

tokio::task_local! {
    /// The end of the time for a connection.
    pub(super) static UNTIL: Instant;
}

/// Where the pools stand with the server.
pub(super) struct PoolState {
    pub(super) breaker: Breaker,
    /// The host that was reached, of those that are tried.
    pub(super) host: usize,
    pub(super) ended: bool,
    /// The connection that reached the server, for the first who asks.
    pub(super) ready: Option<Session>,
}

/// The connections of one pool.
pub(super) struct Manager {
    connector: Arc<Connector>,
    state: watch::Sender<PoolState>,
    /// Held by each connection, which counts them.
    open: Arc<()>,
    /// Until when no more are tried than there are, and why.
    crowded: Mutex<Option<(Instant, ConnectError)>>,
}

impl Manager {
    pub(super) fn new(connector: Arc<Connector>, state: watch::Sender<PoolState>) -> Manager {
        Manager {
            connector,
            state,
            open: Arc::default(),
            crowded: Mutex::default(),
        }
    }

    /// The number of connections, with those that are being made.
    pub(super) fn open(&self) -> usize {
        Arc::strong_count(&self.open) - 1
    }

    /// True when somebody may use this connection next.
    pub(super) fn may_use(&self, session: &Session) -> bool {
        let stale = session.read_only && session.since.elapsed() > READ_ONLY;
        let state = self.state.borrow();
        let current = state.breaker.check() == Ok(Some(session.era)) && !state.ended;
        current && !stale && session.is_clean()
    }

    async fn connect(&self) -> Result<Session, ConnectError> {
        let mut ready = None;
        self.state.send_if_modified(|state| {
            ready = state.ready.take();
            false
        });
        if let Some(session) = ready.filter(|session| self.may_use(session)) {
            return Ok(session);
        }
        let crowded = || self.crowded.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = crowded().clone();
        // There are others than this one.
        let others = |until: &Instant| Instant::now() < *until && self.open() > 1;
        if let Some((_, error)) = refused.filter(|(until, _)| others(until)) {
            return Err(error);
        }
        let host = self.state.borrow().host;
        let session = self.connector.connect_until(UNTIL.get()).await;
        match &session {
            // It may have missed what this one was told, or have another schema: all begins anew.
            Ok(session) if session.host != host => {
                return Err(ConnectError::of("another host took over".to_owned()));
            }
            Err(error) if error.crowded => {
                *crowded() = Some((Instant::now() + CROWDED, error.clone()));
            }
            _ => {}
        }
        session
    }
}

impl managed::Manager for Manager {
    type Type = Session;
    type Error = ConnectError;

    async fn create(&self) -> Result<Session, ConnectError> {
        let counted = self.open.clone();
        let era = self.state.borrow().breaker.check().ok().flatten();
        let connected = match era {
            Some(_) => self.connect().await,
            // Only the reason why the circuit is open is told.
            None => Err(ConnectError::of("the circuit is open".to_owned())),
        };
        let era = era.unwrap_or(0);
        let mut session = connected.map_err(|error| ConnectError { era, ..error })?;
        (session.era, session.counted) = (era, Some(counted));
        Ok(session)
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<ConnectError> {
        let usable = self.may_use(session).then_some(());
        usable.ok_or(RecycleError::message("of no more use"))
    }
}
