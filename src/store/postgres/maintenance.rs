//! The maintenance that one worker of one host does for all: when the stored responses take more than their limit some go,
//! in the order of SIEVE; what is of no use goes, content that nobody refers to, leases that have run out.
//!
//! Whoever holds an advisory lock does it. Nothing here waits for a row that somebody else has locked.

use std::time::{Duration, Instant};

use postgres::Error;

use super::expiry;
use super::session::Session;

/// The lock: "cacheproxy" in four bytes, and which of its tasks.
const LOCK: &str = "SELECT pg_catalog.pg_try_advisory_lock(1668313721, 1)";
const LISTEN: &str = "LISTEN cacheproxy_room";
const USED: &str = "SELECT cacheproxy.used()";
const HAND: &str = "SELECT value FROM cacheproxy.state WHERE name = 'hand'";
const NEXT: &str =
    "SELECT id, size, used FROM cacheproxy.response WHERE id > $1 ORDER BY id LIMIT 100";
const EVICT: &str = "WITH \
    hand AS (INSERT INTO cacheproxy.state VALUES ('hand', $3::bigint::pg_catalog.text) \
        ON CONFLICT (name) DO UPDATE SET value = excluded.value), \
    passed AS (UPDATE cacheproxy.response SET used = false WHERE id IN ( \
        SELECT id FROM cacheproxy.response WHERE id = ANY ($1) FOR NO KEY UPDATE SKIP LOCKED)) \
    SELECT cacheproxy.evict($2)";
/// Content that nothing refers to any more, little by little. What is referred to is kept for ever.
const ORPHANS: &str = "WITH gone AS (DELETE FROM cacheproxy.content WHERE id IN ( \
        SELECT c.id FROM cacheproxy.content c WHERE c.kept_until < pg_catalog.now() \
        AND NOT EXISTS (SELECT FROM cacheproxy.response r WHERE r.content_id = c.id) \
        ORDER BY c.kept_until LIMIT 32 FOR UPDATE SKIP LOCKED) RETURNING id), \
    pieces AS (DELETE FROM cacheproxy.piece WHERE content_id IN (SELECT id FROM gone)) \
    SELECT pg_catalog.count(*) FROM gone";
const LEASES: &str =
    "DELETE FROM cacheproxy.fetching WHERE until < pg_catalog.now() - interval '1 minute'";

/// The time between looks for something to do, and for the lock.
const EVERY: Duration = Duration::from_secs(10);
/// The time between looks for old content and leases.
const SELDOM: Duration = Duration::from_secs(60);
/// The longest that it goes on without a look at what is to be heard.
const STRETCH: Duration = Duration::from_millis(100);

/// A response in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct QueueEntry {
    id: i64,
    size: u64,
    used: bool,
}

/// A step of the hand through the queue, towards the newest.
#[derive(Debug, Default, PartialEq, Eq)]
struct Step {
    /// They were used: passed over this once.
    passed: Vec<i64>,
    /// They go.
    evicted: Vec<i64>,
    /// The last that was looked at.
    hand: i64,
}

/// Decides about entries until `wanted` bytes are freed.
fn step(entries: &[QueueEntry], wanted: u64) -> Step {
    let mut step = Step::default();
    let mut freed = 0;
    for entry in entries {
        if freed >= wanted {
            break;
        }
        step.hand = entry.id;
        if entry.used {
            step.passed.push(entry.id);
        } else {
            step.evicted.push(entry.id);
            freed += entry.size;
        }
    }
    step
}

/// The bytes that are kept free, as the schema's function of this name has it; half of it may be used before more goes.
fn margin(limit: u64) -> u64 {
    (limit / 64).max((limit / 8).min(16 << 20))
}

/// The maintenance of a database, while the lock is ours.
pub struct DatabaseMaintenance {
    limit: u64,
    /// The largest that somebody wanted room for.
    wanted: u64,
    due: Instant,
    /// True while the lock is ours.
    ours: bool,
    /// The last response that was looked at for whether it is of any use.
    looked: i64,
    /// When old content and leases are looked for again.
    seldom: Instant,
}

impl DatabaseMaintenance {
    /// For stored responses that may take `limit` bytes.
    pub fn new(limit: u64, now: Instant) -> DatabaseMaintenance {
        DatabaseMaintenance {
            limit,
            wanted: 0,
            due: now,
            ours: false,
            looked: 0,
            seldom: now,
        }
    }

    #[cfg(test)]
    pub fn is_ours(&self) -> bool {
        self.ours
    }

    /// When it is to be looked at next.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Somebody stores something of this size, and it is getting tight.
    pub fn want(&mut self, bytes: u64) {
        self.wanted = self.wanted.max(bytes.min(self.limit / 2));
        self.due = Instant::now();
    }

    /// The connection was lost, and with it the lock.
    pub fn lost(&mut self) {
        self.ours = false;
        self.due = Instant::now();
    }

    /// Does a part of what is to be done. `due` tells when to go on.
    pub fn round(&mut self, session: &mut Session) -> Result<(), Error> {
        let begun = Instant::now();
        self.due = begun + EVERY;
        if session.read_only {
            return Ok(());
        }
        if !self.ours {
            let row = session.query_first(LOCK, &[])?;
            self.ours = row.is_some_and(|row| row.get(0));
            if self.ours {
                session.batch(LISTEN)?;
            }
        }
        if !self.ours {
            return Ok(());
        }
        let used = read_used(session)?;
        let (margin, most) = (margin(self.limit), self.limit - self.wanted);
        if used > most - margin / 2 {
            let more = used - most.saturating_sub(margin);
            if self.make_room(session, more, begun + STRETCH)? {
                self.due = Instant::now();
            } else {
                self.wanted = 0;
            }
        } else {
            self.looked = expiry::remove_some(session, self.looked)?;
        }
        if begun >= self.seldom {
            let more = remove_orphans(session)?;
            session.execute(LEASES, &[])?;
            self.seldom = if more { begun } else { begun + SELDOM };
            if more {
                self.due = begun + STRETCH;
            }
        }
        Ok(())
    }

    /// Moves the hand until so many bytes are freed; true when there was no time for all.
    fn make_room(
        &self,
        session: &mut Session,
        mut wanted: u64,
        until: Instant,
    ) -> Result<bool, Error> {
        let row = session.query_first(HAND, &[])?;
        let mut hand: i64 = row
            .and_then(|row| row.get::<_, String>(0).parse().ok())
            .unwrap_or(0);
        // Bits are set while the hand moves: it goes round twice at most without removing anything.
        let mut rounds = 0;
        while wanted > 0 && rounds < 2 {
            let rows = session.query(NEXT, &[&hand])?;
            let entries: Vec<QueueEntry> = rows
                .iter()
                .map(|row| QueueEntry {
                    id: row.get(0),
                    size: row.get::<_, i64>(1).max(0) as u64,
                    used: row.get(2),
                })
                .collect();
            let step = step(&entries, wanted);
            if step.hand == 0 {
                // Beyond the newest comes the oldest.
                rounds += 1;
                hand = 0;
                continue;
            }
            hand = step.hand;
            let row = session.query_first(EVICT, &[&step.passed, &step.evicted, &hand])?;
            let freed = row.map_or(0, |row| row.get::<_, i64>(0).max(0) as u64);
            if freed > 0 {
                rounds = 0;
            }
            wanted = wanted.saturating_sub(freed);
            if Instant::now() >= until {
                return Ok(wanted > 0);
            }
        }
        Ok(false)
    }
}

/// Removes some content that nobody refers to; true when there may be more.
fn remove_orphans(session: &mut Session) -> Result<bool, Error> {
    let row = session.query_first(ORPHANS, &[])?;
    Ok(row.is_some_and(|row| row.get::<_, i64>(0) > 0))
}

fn read_used(session: &mut Session) -> Result<u64, Error> {
    let row = session.query_first(USED, &[])?;
    Ok(row.map_or(0, |row| row.get::<_, i64>(0).max(0) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps() {
        let entry = |id, used| QueueEntry { id, size: 10, used };
        let queue = [
            entry(1, true),
            entry(2, false),
            entry(5, true),
            entry(7, false),
        ];
        // (bytes wanted, passed, evicted, where the hand is then)
        let rows: [(u64, &[i64], &[i64], i64); 5] = [
            (0, &[], &[], 0),
            (1, &[1], &[2], 2),
            (10, &[1], &[2], 2),
            (11, &[1, 5], &[2, 7], 7),
            (100, &[1, 5], &[2, 7], 7),
        ];
        for (wanted, passed, evicted, hand) in rows {
            let expected = Step {
                passed: passed.to_vec(),
                evicted: evicted.to_vec(),
                hand,
            };
            assert_eq!(step(&queue, wanted), expected, "{wanted}");
        }
        assert_eq!(step(&[], 5), Step::default());
    }
}
