//! Hits, counted in the workers and written to the database in batches: how often a stored response was used,
//! and that eviction passes it over once more.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use postgres::Error;

use super::session::Session;
use crate::cache::key::Hash;
use crate::store::Used;

/// A response that is being changed at this very moment isn't counted: nobody waits for a count. (`unnest` of several
/// arrays is syntax, which has no schema.)
const FLUSH: &str = "WITH new AS ( \
        SELECT r.id, n.hits FROM unnest($1::pg_catalog.bytea[], $2::pg_catalog.bytea[], $3::bigint[]) \
        AS n (key, variant, hits) \
        JOIN cacheproxy.response r ON r.key_hash = n.key AND r.variant_hash = n.variant \
        FOR NO KEY UPDATE OF r SKIP LOCKED) \
    UPDATE cacheproxy.response r SET hits = r.hits + new.hits, used = true, last_used = pg_catalog.now() \
    FROM new WHERE r.id = new.id";

/// The time between writes.
const EVERY: Duration = Duration::from_secs(10);
/// The most responses whose hits wait to be written, and that are written at once.
const MOST: usize = 64 << 10;
const BATCH: usize = 1000;

/// The uses that aren't written yet.
#[derive(Debug)]
pub struct Hits {
    waiting: Mutex<HashMap<(Hash, Hash), u64>>,
    flushed: Mutex<Instant>,
}

impl Hits {
    pub fn new(now: Instant) -> Hits {
        Hits {
            waiting: Mutex::default(),
            flushed: now.into(),
        }
    }

    /// Adds what was used. More than can wait isn't counted.
    pub fn add(&self, used: &[Used]) {
        let mut waiting = self.lock();
        for used in used {
            let place = (used.hash, used.variant);
            if waiting.len() < MOST || waiting.contains_key(&place) {
                *waiting.entry(place).or_default() += used.hits;
            }
        }
    }

    /// When they are to be written next.
    pub fn due(&self) -> Instant {
        *self.flushed.lock().unwrap_or_else(PoisonError::into_inner) + EVERY
    }

    /// Writes some of what waits.
    pub fn flush(&self, session: &mut Session) -> Result<(), Error> {
        let batch: Vec<_> = {
            let mut waiting = self.lock();
            let some: Vec<_> = waiting.keys().take(BATCH).copied().collect();
            some.into_iter()
                .filter_map(|place| waiting.remove_entry(&place))
                .collect()
        };
        if batch.len() < BATCH {
            *self.flushed.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        if batch.is_empty() || session.read_only {
            return Ok(());
        }
        let keys: Vec<&[u8]> = batch.iter().map(|((key, _), _)| &key[..]).collect();
        let variants: Vec<&[u8]> = batch.iter().map(|((_, variant), _)| &variant[..]).collect();
        let hits: Vec<i64> = batch.iter().map(|(_, hits)| *hits as i64).collect();
        session.execute(FLUSH, &[&keys, &variants, &hits])?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Hash, Hash), u64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
