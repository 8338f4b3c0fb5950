//! The state of each worker's store, for the supervisor to tell; and the keys that were made invalid while what is stored
//! of them could not be removed.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::layout::{GENERATIONS, WORKERS};
use super::mapping::Shared;

/// The state of a worker's store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreState {
    /// It is used, or nothing is known yet.
    Used,
    /// It doesn't come back from reading or writing.
    Hangs,
    /// It is another proxy's.
    Owned,
    /// It lies on a file system that it can't be on.
    Unsuitable,
    /// It can't be written to, or not be opened: the system's number of the error, 0 where there is none.
    Failed(u16),
}

const HANGS: u32 = 1;
const OWNED: u32 = 2;
const UNSUITABLE: u32 = 3;
const FAILED: u32 = 1 << 16;

impl Shared {
    /// Says the state of worker `index`'s store.
    pub fn set_store_state(&self, index: usize, state: StoreState) {
        let number = match state {
            StoreState::Used => 0,
            StoreState::Hangs => HANGS,
            StoreState::Owned => OWNED,
            StoreState::Unsuitable => UNSUITABLE,
            StoreState::Failed(error) => FAILED | u32::from(error),
        };
        self.layout().store_states[index % WORKERS].store(number, Relaxed);
    }

    /// The state of worker `index`'s store.
    pub fn store_state(&self, index: usize) -> StoreState {
        match self.layout().store_states[index % WORKERS].load(Relaxed) {
            HANGS => StoreState::Hangs,
            OWNED => StoreState::Owned,
            UNSUITABLE => StoreState::Unsuitable,
            failed if failed & FAILED != 0 => StoreState::Failed(failed as u16),
            _ => StoreState::Used,
        }
    }

    /// False when worker `index` must leave the store's directory alone: it is another proxy's, or no place for one.
    pub fn may_change_store(&self, index: usize) -> bool {
        let state = self.store_state(index);
        !matches!(state, StoreState::Owned | StoreState::Unsuitable)
    }

    /// Notes that what was stored under this key before `now`, in milliseconds, may still be there though it is invalid.
    pub fn note_unremoved(&self, hash: &[u8; 16], now: u64) {
        let noted = &self.layout().unremoved[unremoved_slot(hash)];
        noted.fetch_max(now, AcqRel);
    }

    /// True when what was stored under this key at this time may be what is to be removed. Another key's may seem so,
    /// too.
    pub fn is_unremoved(&self, hash: &[u8; 16], stored: u64) -> bool {
        let noted = self.layout().unremoved[unremoved_slot(hash)].load(Acquire);
        noted != 0 && stored <= noted
    }
}

fn unremoved_slot(hash: &[u8; 16]) -> usize {
    usize::from(u16::from_le_bytes([hash[4], hash[5]])) % GENERATIONS
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn states_are_told() {
        let shared = Shared::create().unwrap();
        for state in [
            StoreState::Used,
            StoreState::Hangs,
            StoreState::Owned,
            StoreState::Unsuitable,
            StoreState::Failed(0),
            StoreState::Failed(30),
        ] {
            shared.set_store_state(3, state);
            assert_eq!(shared.store_state(3), state);
            assert_eq!(shared.store_state(4), StoreState::Used);
        }
    }

    #[test]
    fn what_was_stored_before_is_not_used_and_what_comes_later_is() {
        let shared = Shared::create().unwrap();
        let (hash, other) = ([7; 16], [8; 16]);
        // (stored, whether it is to be removed)
        assert!(!shared.is_unremoved(&hash, 1));
        shared.note_unremoved(&hash, 100);
        shared.note_unremoved(&hash, 90);
        for (stored, unremoved) in [(0, true), (99, true), (100, true), (101, false)] {
            assert_eq!(shared.is_unremoved(&hash, stored), unremoved, "{stored}");
            assert!(!shared.is_unremoved(&other, 0));
        }
    }
}
