//! Claims: one worker is fetching a key, and others send their clients there instead of asking the
//! origin server too (collapsed forwarding across workers).
//!
//! A hint, never a lock: nobody waits for an entry. A full bucket, two hashes that look alike or a worker
//! that died cost a second fetch or a detour, and nothing else.

use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};

use super::layout::Bucket;
use super::mapping::Shared;

/// The bits of an entry that name the worker.
const WORKER: u64 = 0x7fff;
/// The bit that says that a response's head is there, and is for others too. The bits above are of the key's hash.
const HEAD: u64 = 0x8000;

/// The answer to who claims a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimReply {
    /// It is this worker's until it is released.
    Claimed,
    /// This worker fetches it already: perhaps the one that asked.
    TakenBy(u16),
    /// The table has no place left to say so.
    TableFull,
}

impl Shared {
    /// Says that `worker` fetches the key with this hash, unless one does.
    pub fn claim(&self, hash: &[u8; 16], worker: u16) -> ClaimReply {
        let (bucket, tag) = self.bucket(hash);
        loop {
            let mut free = None;
            for slot in &bucket.0 {
                match slot.load(Acquire) {
                    0 => free = free.or(Some(slot)),
                    entry if entry & !(WORKER | HEAD) == tag => {
                        return ClaimReply::TakenBy((entry & WORKER) as u16);
                    }
                    _ => {}
                }
            }
            let Some(slot) = free else {
                return ClaimReply::TableFull;
            };
            let entry = entry(tag, worker);
            if slot.compare_exchange(0, entry, AcqRel, Acquire).is_ok() {
                return ClaimReply::Claimed;
            }
            // Somebody took the slot, perhaps for the same key: each further round means that another
            // claim has succeeded.
        }
    }

    /// Ends a claim. What is another worker's stays.
    pub fn unclaim(&self, hash: &[u8; 16], worker: u16) {
        let (bucket, tag) = self.bucket(hash);
        let entry = entry(tag, worker);
        for claim in [entry, entry | HEAD] {
            let ends = |slot: &AtomicU64| slot.compare_exchange(claim, 0, AcqRel, Acquire).is_ok();
            if bucket.0.iter().any(ends) {
                return;
            }
        }
    }

    /// Ends every claim on the key with this hash, which was made invalid: what is fetched for it is nobody else's.
    pub fn unclaim_key(&self, hash: &[u8; 16]) {
        let (bucket, tag) = self.bucket(hash);
        for slot in &bucket.0 {
            let entry = slot.load(Acquire);
            if entry & !(WORKER | HEAD) == tag {
                let _ = slot.compare_exchange(entry, 0, AcqRel, Acquire);
            }
        }
    }

    /// Says of a claim that a response is coming which is for others too.
    pub fn claim_has_head(&self, hash: &[u8; 16], worker: u16) {
        let (bucket, tag) = self.bucket(hash);
        let entry = entry(tag, worker);
        for slot in &bucket.0 {
            let with_head = slot.compare_exchange(entry, entry | HEAD, AcqRel, Acquire);
            if with_head.is_ok() {
                return;
            }
        }
    }

    /// The worker that receives a response for the key with this hash which is for others too.
    pub fn receives(&self, hash: &[u8; 16]) -> Option<u16> {
        let (bucket, tag) = self.bucket(hash);
        let mut entries = bucket.0.iter().map(|slot| slot.load(Acquire));
        let claim = entries.find(|entry| entry & !WORKER == tag | HEAD)?;
        Some((claim & WORKER) as u16)
    }

    /// Ends every claim of a worker that has gone, takes no more clients, or has just started.
    pub fn unclaim_all(&self, worker: u16) {
        for slot in self.layout().fetching.iter().flat_map(|bucket| &bucket.0) {
            let entry = slot.load(Acquire);
            if entry != 0 && entry & WORKER == u64::from(worker) {
                // If it is another entry by now, it is one that was made since.
                let _ = slot.compare_exchange(entry, 0, AcqRel, Acquire);
            }
        }
    }

    fn bucket(&self, hash: &[u8; 16]) -> (&Bucket, u64) {
        let [_, _, c, d, e, f, g, h, i, j, ..] = *hash;
        // Never 0, whatever the worker's number is.
        let tag = u64::from_le_bytes([0, 0, c, d, e, f, g | 1, h ^ i ^ j]);
        (Bucket::of(&self.layout().fetching, hash), tag)
    }
}

fn entry(tag: u64, worker: u16) -> u64 {
    tag | u64::from(worker) & WORKER
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::thread;

    use super::*;

    fn hash(number: u8) -> [u8; 16] {
        let mut hash = [0; 16];
        hash[3] = number;
        hash
    }

    /// A step on the table.
    #[derive(Clone, Copy)]
    enum ClaimStep {
        Claim(u8, u16, ClaimReply),
        Unclaim(u8, u16),
        UnclaimAll(u16),
        HasHead(u8, u16),
        Receives(u8, Option<u16>),
        UnclaimKey(u8),
    }

    #[test]
    fn a_key_is_one_workers_until_it_ends_its_claim() {
        use ClaimReply::{Claimed, TableFull, TakenBy};
        let rows = [
            ("free", ClaimStep::Claim(1, 1, Claimed)),
            ("taken", ClaimStep::Claim(1, 2, TakenBy(1))),
            ("its own already", ClaimStep::Claim(1, 1, TakenBy(1))),
            ("another key", ClaimStep::Claim(2, 2, Claimed)),
            ("nothing has come", ClaimStep::Receives(1, None)),
            ("not its own to say", ClaimStep::HasHead(1, 2)),
            ("and still nothing", ClaimStep::Receives(1, None)),
            ("a head has come", ClaimStep::HasHead(1, 1)),
            ("which all see", ClaimStep::Receives(1, Some(1))),
            ("of this key only", ClaimStep::Receives(2, None)),
            ("and it is claimed", ClaimStep::Claim(1, 2, TakenBy(1))),
            ("not its own", ClaimStep::Unclaim(1, 2)),
            ("still taken", ClaimStep::Claim(1, 3, TakenBy(1))),
            ("its own", ClaimStep::Unclaim(1, 1)),
            ("nothing comes", ClaimStep::Receives(1, None)),
            ("free again", ClaimStep::Claim(1, 3, Claimed)),
            ("a worker is gone", ClaimStep::UnclaimAll(3)),
            ("and its keys are free", ClaimStep::Claim(1, 4, Claimed)),
            ("but not others'", ClaimStep::Claim(2, 4, TakenBy(2))),
            ("it is made invalid", ClaimStep::UnclaimKey(1)),
            ("and free", ClaimStep::Claim(1, 4, Claimed)),
            ("3 of 8", ClaimStep::Claim(3, 32_767, Claimed)),
            ("4 of 8", ClaimStep::Claim(4, 32_767, Claimed)),
            ("5 of 8", ClaimStep::Claim(5, 32_767, Claimed)),
            ("6 of 8", ClaimStep::Claim(6, 32_767, Claimed)),
            ("7 of 8", ClaimStep::Claim(7, 32_767, Claimed)),
            ("8 of 8", ClaimStep::Claim(8, 32_767, Claimed)),
            ("the bucket is full", ClaimStep::Claim(9, 32_767, TableFull)),
            (
                "but knows those it has",
                ClaimStep::Claim(8, 1, TakenBy(32_767)),
            ),
            ("one goes", ClaimStep::Unclaim(3, 32_767)),
            ("and leaves room", ClaimStep::Claim(9, 1, Claimed)),
        ];
        let shared = Shared::create().unwrap();
        for (name, step) in rows {
            match step {
                ClaimStep::Claim(key, worker, expected) => {
                    assert_eq!(shared.claim(&hash(key), worker), expected, "{name}");
                }
                ClaimStep::Unclaim(key, worker) => shared.unclaim(&hash(key), worker),
                ClaimStep::UnclaimAll(worker) => shared.unclaim_all(worker),
                ClaimStep::UnclaimKey(key) => shared.unclaim_key(&hash(key)),
                ClaimStep::HasHead(key, worker) => shared.claim_has_head(&hash(key), worker),
                ClaimStep::Receives(key, expected) => {
                    assert_eq!(shared.receives(&hash(key)), expected, "{name}");
                }
            }
        }
    }

    #[test]
    fn of_many_threads_one_claims() {
        let shared = Shared::create().unwrap();
        let holders: Vec<AtomicUsize> = (0..4).map(|_| AtomicUsize::new(0)).collect();
        let (shared, holders) = (&shared, &holders);
        thread::scope(|scope| {
            for worker in 1..=4u16 {
                scope.spawn(move || {
                    for round in 0..20_000usize {
                        let key = round % holders.len();
                        // Each in a bucket of its own: in a shared one a release may let a second in.
                        let mut name = hash(7);
                        name[0] = key as u8;
                        match shared.claim(&name, worker) {
                            ClaimReply::Claimed => {
                                assert_eq!(holders[key].fetch_add(1, SeqCst), 0, "alone");
                                holders[key].fetch_sub(1, SeqCst);
                                shared.unclaim(&name, worker);
                            }
                            ClaimReply::TakenBy(other) => assert!((1..=4).contains(&other)),
                            ClaimReply::TableFull => panic!("the table is not full"),
                        }
                    }
                });
            }
        });
        for key in 0..4u8 {
            let mut name = hash(7);
            name[0] = key;
            assert_eq!(
                shared.claim(&name, 9),
                ClaimReply::Claimed,
                "all were released"
            );
        }
    }
}
