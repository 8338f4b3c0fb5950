//! Listens to what other hosts change (LISTEN), in a thread with a connection of its own in each worker: generations
//! begin anew, invalidations are counted, who waits for a key is woken.
//!
//! After the connection was lost, anything may have changed unheard, so nothing at hand is used any more.
//! The same thread flushes hits and, on one host at a time, does the maintenance: connections are few.

use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use postgres::Error;

use super::failure::reason;
use super::hits::Hits;
use super::lease::LeaseWaiters;
use super::maintenance::DatabaseMaintenance;
use super::notices::{News, Notices, SECRET};
use super::pending_invalidations::PendingInvalidations;
use super::pool::Pool;
use super::row::invalidation_count;
use super::session::Session;
use crate::store::LeaseNews;
use crate::sys::shared::Shared;

/// The channel on which changes are told.
const LISTEN: &str = "LISTEN cacheproxy";
/// A host that is gone without a word is to be noticed by the server too: it may hold the lock for maintenance.
const SETTINGS: &str = "SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; \
    SET tcp_keepalives_count = 3; SET lock_timeout = '500ms'";
/// The counts of invalidations, by slot.
const COUNTS: &str = "SELECT slot, count FROM cacheproxy.invalidation";
/// Counts that the database had and has lost, with a standby that was behind or a backup.
const COUNT_AGAIN: &str = "INSERT INTO cacheproxy.invalidation AS i \
    SELECT * FROM unnest($1::integer[], $2::bigint[]) ON CONFLICT (slot) \
    DO UPDATE SET count = excluded.count WHERE i.count < excluded.count";

/// The most time that connecting takes, and everything that is asked on the connection.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The time between checks of the connection.
const CHECK: Duration = Duration::from_secs(5);
/// The longest that the thread sleeps: so long may ending it take.
const NAP: Duration = Duration::from_secs(1);
/// The pause before it connects again, at first and at most.
const PAUSE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(10)];

/// The thread's share of the store.
pub struct Listener {
    pub pool: Arc<Pool>,
    pub shared: Arc<Shared>,
    /// This host's name in notifications.
    pub host: String,
    pub pending_invalidations: Arc<PendingInvalidations>,
    pub waiters: Arc<LeaseWaiters>,
    pub hits: Arc<Hits>,
    /// Done while this worker holds the lock.
    pub maintenance: DatabaseMaintenance,
}

/// A message to the thread.
#[derive(Debug, Clone, Copy)]
pub enum ToListener {
    /// The server was reached: it isn't to be waited for.
    Reached,
    /// The store was closed.
    Closed,
}

impl Listener {
    /// Starts the thread.
    pub fn start(mut self, messages: Receiver<ToListener>) {
        let driver = self.pool.connector.driver.clone();
        driver.spawn_blocking(move || self.run(&messages));
    }

    fn run(&mut self, messages: &Receiver<ToListener>) {
        let mut pause = PAUSE[0];
        loop {
            let ended = match self.pool.connector.connect(TIMEOUT) {
                Ok(mut session) => {
                    let ended = self.listen(&mut session, messages);
                    pause = PAUSE[0];
                    ended.map_err(|lost| reason(&lost))
                }
                Err(error) => Err(error.why),
            };
            // Nobody will be woken.
            self.waiters.set_heard(false);
            self.maintenance.lost();
            match ended {
                Ok(()) => return,
                Err(why) => log::debug!("changes of other hosts are not heard: {why}"),
            }
            match messages.recv_timeout(pause) {
                Ok(ToListener::Closed) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(ToListener::Reached) => pause = PAUSE[0],
                Err(RecvTimeoutError::Timeout) => pause = PAUSE[1].min(2 * pause),
            }
        }
    }

    /// Listens until the connection is lost; Ok when the store has been closed.
    fn listen(
        &mut self,
        session: &mut Session,
        messages: &Receiver<ToListener>,
    ) -> Result<(), Error> {
        session.set_deadline(Instant::now() + TIMEOUT);
        session.batch(SETTINGS)?;
        let row = session.query_one(SECRET)?;
        let (host, server) = (self.host.clone(), self.pool.server().to_owned());
        let notices = Arc::new(Notices::new(row.get(0), row.get(1), host, server));
        session.hear(notices.clone());
        session.batch(LISTEN)?;
        self.catch_up(session)?;
        self.waiters.set_heard(true);
        let mut check = Instant::now() + CHECK;
        loop {
            match messages.try_recv() {
                Ok(ToListener::Closed) | Err(TryRecvError::Disconnected) => return Ok(()),
                // Its schema may be another one now.
                Ok(ToListener::Reached) => check = Instant::now(),
                Err(TryRecvError::Empty) => {}
            }
            let due = check.min(self.maintenance.due()).min(self.hits.due());
            let mut nap = due.saturating_duration_since(Instant::now()).min(NAP);
            while let Some(news) = session.news(mem::take(&mut nap))? {
                self.handle(news, session)?;
            }
            let now = Instant::now();
            session.set_deadline(now + TIMEOUT);
            if now >= check {
                let row = session.query_one(SECRET)?;
                notices.renew(row.get(0), row.get(1));
                check = now + CHECK;
            }
            if self.pending_invalidations.any() {
                self.pending_invalidations.tell(session)?;
            }
            if now >= self.hits.due() {
                self.hits.flush(session)?;
            }
            if now >= self.maintenance.due() {
                self.maintenance.round(session)?;
            }
        }
    }

    /// Nothing that was at hand before is used any more; what was made invalid meanwhile is counted.
    fn catch_up(&self, session: &mut Session) -> Result<(), Error> {
        let mut slots: std::collections::HashMap<u16, u32> =
            self.shared.invalidations_noted().collect();
        for row in session.query(COUNTS, &[])? {
            let (slot, count) = (row.get::<_, i32>(0) as u16, invalidation_count(row.get(1)));
            self.shared.note_invalidations(slot, count);
            slots.retain(|known, heard| *known != slot || *heard > count);
        }
        if !slots.is_empty() && !session.read_only {
            let (slots, counts): (Vec<i32>, Vec<i64>) = slots
                .iter()
                .map(|(slot, count)| (i32::from(*slot), i64::from(*count)))
                .unzip();
            session.execute(COUNT_AGAIN, &[&slots, &counts])?;
        }
        self.shared.next_generation_of_all();
        Ok(())
    }

    fn handle(&mut self, news: News, session: &mut Session) -> Result<(), Error> {
        match news {
            News::Changed(change) => {
                let slot = Shared::invalidation_slot(&change.hash);
                self.shared.note_invalidations(slot, change.count);
                // This host's own changes begin a generation there and then.
                if !change.ours {
                    self.shared.note_change(&[change.hash], change.number);
                }
                self.waiters.wake(&change.hash, LeaseNews::Changed);
            }
            News::Gone(number, hashes) => self.shared.note_change(&hashes, number),
            News::Free(hash) => self.waiters.wake(&hash, LeaseNews::Free),
            News::All => {
                session.set_deadline(Instant::now() + TIMEOUT);
                self.catch_up(session)?;
            }
            News::Room(bytes) => self.maintenance.want(bytes),
        }
        Ok(())
    }
}
