//! Eviction in the order of SIEVE (Zhang et al., NSDI 2024): new records at the head of the queue, which the index keeps
//! by number; a hand that moves from the oldest to the newest and round again; one visited bit each, in shared memory.
//!
//! How much has to go is decided by the supervisor.

use std::time::{Duration, Instant};

use super::FilesystemStore;
use super::change::Change;
use super::entry::RecordPlace;
use crate::store::{StoreError, place};

/// The most records that are looked at in one transaction.
const STEP: usize = 256;
/// The longest that one call goes on.
const LONGEST: Duration = Duration::from_millis(500);

/// The outcome of an eviction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evicted {
    /// The bytes that what went had taken.
    pub bytes: u64,
    /// The number of responses.
    pub count: u64,
    /// There is nothing left that could go.
    pub is_empty: bool,
}

impl FilesystemStore {
    /// Evicts what SIEVE finds next, until so much has gone or some time has passed.
    pub fn evict(&self, bytes: u64) -> Result<Evicted, StoreError> {
        let begun = Instant::now();
        let mut evicted = Evicted::default();
        while evicted.bytes < bytes && !evicted.is_empty && begun.elapsed() < LONGEST {
            let left = bytes - evicted.bytes;
            let step = self.change(|change| self.evict_some(change, left))?;
            evicted.bytes += step.bytes;
            evicted.count += step.count;
            evicted.is_empty = step.is_empty;
        }
        Ok(evicted)
    }

    fn evict_some(&self, change: &mut Change<'_>, bytes: u64) -> Result<Evicted, StoreError> {
        let mut evicted = Evicted::default();
        for _ in 0..STEP {
            if evicted.bytes >= bytes {
                break;
            }
            let next = match change.in_queue_from(change.state.hand)? {
                // From the newest on to the oldest again.
                None => change.in_queue_from(0)?,
                next => next,
            };
            let Some((number, key)) = next else {
                evicted.is_empty = true;
                break;
            };
            change.state.hand = number + 1;
            let Some(at) = RecordPlace::parse(&key) else {
                change.forget_number(number)?;
                continue;
            };
            if self.shared.take_visited(&place(&at.hash, &at.variant)) {
                continue;
            }
            match change.remove(&key)? {
                Some(removed) => {
                    evicted.bytes += removed.size;
                    evicted.count += 1;
                }
                None => change.forget_number(number)?,
            }
        }
        Ok(evicted)
    }
}
