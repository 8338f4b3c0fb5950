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

/// The outcome of a step of eviction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Evicted {
    /// The stored responses that went; none when none is left.
    pub responses: u64,
    /// The bytes that they took.
    pub bytes: u64,
    /// Those that were in a file of their own.
    pub files: u64,
}

/// The amount that is to be given back: responses go until both are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Wanted {
    pub bytes: u64,
    pub files: u64,
}

impl Wanted {
    fn are_met(self, evicted: &Evicted) -> bool {
        evicted.bytes >= self.bytes && evicted.files >= self.files
    }
}

impl FilesystemStore {
    /// Evicts what SIEVE finds next, until so much has gone or so much time has passed.
    pub fn evict(&self, wanted: Wanted, most: Duration) -> Result<Evicted, StoreError> {
        let end = Instant::now() + most;
        let mut evicted = Evicted::default();
        loop {
            let begun = evicted;
            let (step, is_empty) = self.change(|change| {
                let mut step = begun;
                let is_empty = self.evict_some(change, wanted, &mut step)?;
                Ok((step, is_empty))
            })?;
            evicted = step;
            if wanted.are_met(&evicted) || is_empty || Instant::now() >= end {
                return Ok(evicted);
            }
        }
    }

    /// True when nothing is left.
    fn evict_some(
        &self,
        change: &mut Change<'_>,
        wanted: Wanted,
        evicted: &mut Evicted,
    ) -> Result<bool, StoreError> {
        for _ in 0..STEP {
            if wanted.are_met(evicted) {
                break;
            }
            // What is in the index gives no inode back.
            let only_files = evicted.bytes >= wanted.bytes;
            if only_files && change.state.files == 0 {
                return Ok(true);
            }
            let next = match change.in_queue_from(change.state.hand)? {
                // From the newest on to the oldest again.
                None => change.in_queue_from(0)?,
                next => next,
            };
            let Some((number, key)) = next else {
                return Ok(true);
            };
            change.state.hand = number + 1;
            let Some(at) = RecordPlace::parse(&key) else {
                change.forget_number(number)?;
                continue;
            };
            let Some(found) = change.found(number, &key)? else {
                evicted.bytes += change.forget_number(number)?;
                continue;
            };
            if only_files && found.file_size() == 0 {
                continue;
            }
            if self.shared.take_visited(&place(&at.hash, &at.variant)) {
                continue;
            }
            let files = change.released.len();
            if let Some(removed) = change.remove(&key)? {
                evicted.bytes += removed.size;
                evicted.responses += 1;
                evicted.files += (change.released.len() - files) as u64;
            }
        }
        Ok(false)
    }
}
