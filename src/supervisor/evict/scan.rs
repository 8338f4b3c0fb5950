//! Reading the whole store, one directory at a time, while publishing and removing go on.
//!
//! News that comes during the scan is newer than what the scan saw, and counts instead of it.

use std::collections::HashSet;

use super::maintenance::Maintenance;
use crate::store::StoreError;
use crate::store::sieve::{Sieve, SieveEntry};
use crate::sys::shared::Shared;

const DIRECTORIES: u16 = 256;

pub(super) struct Scan {
    next: u16,
    found: Vec<(u64, SieveEntry)>,
    bytes: u64,
    /// Places of what was published, removed or evicted meanwhile.
    touched: HashSet<[u8; 16]>,
    /// It is the one at the start.
    pub(super) first: bool,
    /// Every directory could be read.
    pub(super) whole: bool,
    /// Those that couldn't: what is known of them stays.
    failed: HashSet<u8>,
    /// The bytes counted as stored before the scan, no less than what it has seen so far.
    before: u64,
}

impl Scan {
    /// The scan at the start, when the queue knows nothing yet.
    pub(super) fn first(shared: &Shared) -> Scan {
        shared.forget_announced();
        shared.forget_stored();
        Scan {
            next: 0,
            found: Vec::new(),
            bytes: 0,
            touched: HashSet::new(),
            first: true,
            whole: true,
            failed: HashSet::new(),
            before: shared.stored(),
        }
    }

    /// A scan that sets a queue right which may have missed something.
    pub(super) fn again(shared: &Shared) -> Scan {
        Scan {
            first: false,
            ..Scan::first(shared)
        }
    }

    /// Notes what was changed meanwhile, `most` places at most.
    pub(super) fn touch(&mut self, entry: &SieveEntry, most: usize) {
        if self.touched.len() < most {
            self.touched.insert(entry.place());
        }
    }

    /// Reads the next directory; true after the last. One that cannot be read is passed over, as is what goes beyond
    /// `most` responses.
    pub(super) fn step(
        &mut self,
        maintenance: &impl Maintenance,
        shared: &Shared,
        most: usize,
    ) -> Result<bool, StoreError> {
        let number = self.next.min(DIRECTORIES - 1) as u8;
        self.next += 1;
        let ended = self.next >= DIRECTORIES;
        match maintenance.scan(number) {
            // More than can be there isn't kept.
            Ok(found) if self.found.len() + found.len() > most => {
                self.whole = false;
                self.failed.insert(number);
            }
            Ok(found) => {
                for (_, entry) in &found {
                    shared.note_stored(&entry.hash);
                    self.bytes = self.bytes.saturating_add(entry.size);
                }
                self.found.extend(found);
            }
            Err(error) => {
                self.whole = false;
                self.failed.insert(number);
                if !ended {
                    return Err(error);
                }
            }
        }
        if ended && self.whole {
            shared.all_stored_are_noted();
        }
        Ok(ended)
    }

    /// The bytes to count as stored, when the queue knows of `known`.
    pub(super) fn stored(&self, known: u64) -> u64 {
        if self.first {
            self.before.max(self.bytes.saturating_add(known))
        } else {
            known
        }
    }

    /// Puts what was found into the queue behind what is there, the oldest last, and takes out what
    /// was not found.
    pub(super) fn settle(mut self, queue: &mut Sieve) {
        if !self.first {
            let found = self.found.iter().map(|(_, entry)| entry.place());
            let known: HashSet<_> = found.chain(self.touched.iter().copied()).collect();
            let failed = &self.failed;
            queue.retain(|entry| known.contains(&entry.place()) || failed.contains(&entry.hash[0]));
        }
        self.found
            .sort_unstable_by_key(|(modified, _)| std::cmp::Reverse(*modified));
        for (_, entry) in &self.found {
            if !self.touched.contains(&entry.place()) {
                queue.insert_oldest(entry);
            }
        }
    }
}
