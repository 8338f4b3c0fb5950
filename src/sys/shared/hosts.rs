//! News of other hosts that share a database: changes of keys, each counted once however many
//! workers hear of it, and how often keys were made invalid by anybody.
//!
//! The second is a table beside the host's own count: as long as neither of the two has changed, what
//! the database was known to count when a request was sent is still there to be compared with it.

use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};

use super::layout::CHANGES;
use super::mapping::Shared;

impl Shared {
    /// Names this host to the others: random, made with the shared memory.
    pub fn host(&self) -> [u8; 16] {
        self.layout().host.load()
    }

    /// Begins a new generation of these keys after another host's change of this number, unless one of
    /// this host's workers has heard of it before.
    pub fn note_change(&self, hashes: &[[u8; 16]], number: u64) {
        let place: &AtomicU64 = &self.layout().changes[(number % CHANGES as u64) as usize];
        if place.swap(number, AcqRel) != number {
            for hash in hashes {
                self.next_generation(hash);
            }
        }
    }

    /// Begins a new generation of every key: any may have changed unheard.
    pub fn next_generation_of_all(&self) {
        for generation in &self.layout().generations {
            generation.fetch_add(1, AcqRel);
        }
    }

    /// Says whether worker `index` knows of keys made invalid that the database has not been told of.
    pub fn set_pending_invalidations(&self, index: usize, untold: bool) {
        self.layout().pending_invalidations.set(index, untold);
    }

    /// True when a worker other than `index` knows of such keys: any may be one of them.
    pub fn has_pending_invalidations_beside(&self, index: usize) -> bool {
        self.layout().pending_invalidations.any_beside(index)
    }

    /// The database's count, as far as it is known, of times that keys with this hash were made invalid.
    pub fn invalidations_elsewhere(&self, hash: &[u8; 16]) -> u32 {
        self.layout().elsewhere[usize::from(Shared::invalidation_slot(hash))].load(Acquire)
    }

    /// The database counts `count` for the keys in this slot. It never becomes less.
    pub fn note_invalidations(&self, slot: u16, count: u32) {
        self.layout().elsewhere[usize::from(slot)].fetch_max(count, AcqRel);
    }

    /// The slots for which the database is known to have counted anything.
    pub fn invalidations_noted(&self) -> impl Iterator<Item = (u16, u32)> {
        let counts = self.layout().elsewhere.iter().enumerate();
        let counts = counts.map(|(slot, count)| (slot as u16, count.load(Acquire)));
        counts.filter(|(_, count)| *count != 0)
    }

    /// The slot in which it is counted how often keys with this hash were made invalid.
    pub fn invalidation_slot(hash: &[u8; 16]) -> u16 {
        u16::from_le_bytes([hash[10], hash[11]])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_change_begins_one_generation_however_many_hear_of_it() {
        let one = Shared::create().unwrap();
        let two = Shared::from_fd(one.fd().try_clone_to_owned().unwrap()).unwrap();
        let (hash, other) = ([7; 16], [8; 16]);
        // (who hears, of which change, the generation then)
        let rows = [(&one, 3, 1), (&two, 3, 1), (&two, 9, 2), (&one, 9, 2)];
        for (who, number, generation) in rows {
            who.note_change(&[hash], number);
            assert_eq!(one.generation(&hash), generation, "change {number}");
        }
        // One that comes late and out of order is a change all the same.
        one.set_pending_invalidations(1, true);
        assert!(
            two.has_pending_invalidations_beside(2) && !two.has_pending_invalidations_beside(1)
        );
        two.set_pending_invalidations(1, false);
        assert!(!one.has_pending_invalidations_beside(2));
        one.note_change(&[hash], 4);
        two.note_change(&[hash], 4);
        assert_eq!((two.generation(&hash), two.generation(&other)), (3, 0));
        two.next_generation_of_all();
        assert_eq!((one.generation(&hash), one.generation(&other)), (4, 1));
        assert_eq!(one.host(), two.host());
        assert_ne!(one.host(), Shared::create().unwrap().host());
    }

    #[test]
    fn invalidations_here_and_elsewhere_are_both_counted() {
        let shared = Shared::create().unwrap();
        let hash = [7; 16];
        let slot = Shared::invalidation_slot(&hash);
        shared.invalidate(&hash);
        shared.note_invalidations(slot, 5);
        assert_eq!(shared.invalidations(&hash), 6);
        shared.note_invalidations(slot, 4);
        assert_eq!(shared.invalidations_elsewhere(&hash), 5, "never less");
        assert_eq!(shared.invalidations(&[8; 16]), 0);
        assert_eq!(
            shared.invalidations_noted().collect::<Vec<_>>(),
            [(slot, 5)]
        );
    }
}
