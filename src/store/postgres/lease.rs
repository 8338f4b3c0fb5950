//! Leases: one host fetches a key, so that a herd on many hosts makes one request to the origin server: a lease
//! in the database, which runs out by itself when its host is gone.
//!
//! A hint, never a lock: whoever can't tell fetches, and nobody waits long.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot::{Receiver, Sender, channel};

use super::pool::Pool;
use crate::cache::key::{Hash, Key};
use crate::store::{Lease, LeaseNews};

/// The most time that a statement may take: then everybody fetches for himself.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Takes the lease where nobody has it, or it has run out. Else tells whether what was fetched is stored
/// by now, and for how long the lease is another's, who is to tell when it is done.
const LEASE: &str = "INSERT INTO cacheproxy.fetching AS f (key_hash, host, until) \
        VALUES ($1, $2, pg_catalog.now() + interval '5 s') ON CONFLICT (key_hash) DO UPDATE SET \
        host = CASE WHEN f.until > pg_catalog.now() THEN f.host ELSE excluded.host END, \
        until = CASE WHEN f.until > pg_catalog.now() AND f.host <> excluded.host THEN f.until ELSE excluded.until END, \
        done = f.done AND f.until > pg_catalog.now() AND f.host <> excluded.host, \
        waited = f.until > pg_catalog.now() AND (f.host <> excluded.host OR f.waited AND NOT f.done) \
    RETURNING CASE WHEN host = $2 THEN 'ours' WHEN done THEN 'done' ELSE 'theirs' END, \
        pg_catalog.ceil(extract(epoch FROM until - pg_catalog.now()) * 1000)::bigint";
const RENEW: &str = "UPDATE cacheproxy.fetching SET until = pg_catalog.now() + interval '5 s' \
    WHERE key_hash = $1 AND host = $2 AND NOT done";
/// Whoever waits for it then fetches for himself.
const RELEASE: &str = "WITH gone AS (DELETE FROM cacheproxy.fetching \
        WHERE key_hash = $1 AND host = $2 AND NOT done RETURNING key_hash, waited) \
    SELECT cacheproxy.notify('cacheproxy', $2 || ' f ' || pg_catalog.encode(key_hash, 'hex')) FROM gone WHERE waited";

/// More keys than this are looked through for those that nobody waits for any more.
const MANY: usize = 1024;

/// The waiting lists: those who wait for a key that another host fetches.
#[derive(Debug, Default)]
pub struct LeaseWaiters(Mutex<Waiters>);

#[derive(Debug, Default)]
struct Waiters {
    /// True when somebody listens, who would wake them.
    heard: bool,
    keys: HashMap<Hash, Vec<Sender<LeaseNews>>>,
}

impl LeaseWaiters {
    /// Says whether other hosts are heard. When not, nobody waits for them.
    pub fn set_heard(&self, heard: bool) {
        let mut waiters = self.lock();
        waiters.heard = heard;
        if !heard {
            waiters.keys.clear();
        }
    }

    /// True when other hosts are heard.
    #[cfg(test)]
    pub fn is_heard(&self) -> bool {
        self.lock().heard
    }

    /// Receives the news of this key from now on; None when nothing would be heard.
    fn register(&self, hash: &Hash) -> Option<Receiver<LeaseNews>> {
        let mut waiters = self.lock();
        if !waiters.heard {
            return None;
        }
        if waiters.keys.len() > MANY {
            waiters.keys.retain(|_, senders| {
                senders.retain(|sender| !sender.is_closed());
                !senders.is_empty()
            });
        }
        let (sender, receiver) = channel();
        let senders = waiters.keys.entry(*hash).or_default();
        senders.retain(|sender| !sender.is_closed());
        senders.push(sender);
        Some(receiver)
    }

    /// Tells everybody who waits for this key.
    pub fn wake(&self, hash: &Hash, news: LeaseNews) {
        for sender in self.lock().keys.remove(hash).into_iter().flatten() {
            // One that has stopped waiting needs no news.
            let _ = sender.send(news);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for the lease on this key.
pub fn lease(pool: &Pool, host: &str, waiters: &LeaseWaiters, key: &Key) -> Lease {
    // Before asking, so that no news of it is missed.
    let Some(news) = waiters.register(key.hash()) else {
        return Lease::None;
    };
    let hash = key.hash().as_slice();
    let answer = pool.run(TIMEOUT, |session| {
        let row = session.query_first(LEASE, &[&hash, &host])?;
        Ok(row.map(|row| (row.get::<_, String>(0), row.get::<_, i64>(1))))
    });
    match answer {
        Ok(Some((answer, _))) if answer == "ours" => Lease::Ours,
        Ok(Some((answer, _))) if answer == "done" => Lease::Fetched,
        Ok(Some((_, left))) => Lease::Theirs {
            news,
            left: Duration::from_millis(left.max(0) as u64),
        },
        // A failure here is one in lookups and changes too, and is told there.
        Ok(None) | Err(_) => Lease::None,
    }
}

/// Keeps the lease while the key is still being fetched.
pub fn renew(pool: &Pool, host: &str, key: &Key) {
    let hash = key.hash().as_slice();
    let _ = pool.run(TIMEOUT, |session| session.execute(RENEW, &[&hash, &host]));
}

/// Gives up the lease: nothing came of it for others.
pub fn release(pool: &Pool, host: &str, key: &Key) {
    let hash = key.hash().as_slice();
    let _ = pool.run(TIMEOUT, |session| session.execute(RELEASE, &[&hash, &host]));
}
