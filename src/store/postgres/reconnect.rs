//! The thread that reaches the server, at first and whenever the circuit breaker has opened. Before anybody uses the
//! server again it has the schema, knows every key that was made invalid, and nothing at hand is believed.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::failure::reason;
use super::listen::ToListener;
use super::pending_invalidations::PendingInvalidations;
use super::pool::Pool;
use super::schema::{self, SchemaInit};
use super::session::Session;
use crate::sys::shared::Shared;

/// The most time that the thread waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The thread's share of the store.
pub(super) struct Reconnect {
    pub(super) pool: Arc<Pool>,
    pub(super) shared: Arc<Shared>,
    pub(super) pending_invalidations: Arc<PendingInvalidations>,
    /// True when tables that are made survive a crash of the server.
    pub(super) logged: bool,
    pub(super) listener: Sender<ToListener>,
}

impl Reconnect {
    /// Starts the thread, which ends with the pool.
    pub(super) fn start(self) {
        let driver = self.pool.connector.driver.clone();
        driver.spawn_blocking(move || {
            while self.pool.wait_until_due() {
                match self.connect() {
                    Ok(session) => {
                        self.pool.reached(session);
                        // It is gone only when nobody has to hear any more.
                        let _ = self.listener.send(ToListener::Reached);
                    }
                    Err(why) => self.pool.attempt_failed(&why),
                }
            }
        });
    }

    fn connect(&self) -> Result<Session, String> {
        let connected = self.pool.connector.connect(TIMEOUT);
        let mut session = connected.map_err(|error| error.why)?;
        session.set_deadline(Instant::now() + TIMEOUT);
        let made = schema::init(&mut session, self.logged).map_err(|why| why.to_string())?;
        if !matches!(made, SchemaInit::Current) {
            log::info!("made the schema \"cacheproxy\" in the database");
        }
        // Changes may not have been heard while the server was away.
        self.shared.next_generation_of_all();
        let told = self.pending_invalidations.tell(&mut session);
        told.map_err(|why| reason(&why))?;
        Ok(session)
    }
}
