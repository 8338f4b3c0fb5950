//! Keys that may be stored: a bit for each hash, so that a key that was never stored is known to be
//! missing without asking for it. Bits are only ever set.

use std::sync::atomic::Ordering::{Acquire, Release};

use super::layout::KNOWN_WORDS;
use super::mapping::Shared;

impl Shared {
    /// True when something may be stored under this key, and while the store has not been read whole.
    pub fn may_be_stored(&self, hash: &[u8; 16]) -> bool {
        let layout = self.layout();
        let (word, bit) = place(hash);
        layout.known_whole.load(Acquire) == 0 || layout.known[word].load(Acquire) & bit != 0
    }

    /// Notes that something is stored under this key. To be called when it can be found, not before:
    /// whoever reads the store meanwhile sees one or the other.
    pub fn note_stored(&self, hash: &[u8; 16]) {
        let (word, bit) = place(hash);
        self.layout().known[word].fetch_or(bit, Release);
    }

    /// Says that every stored key has been noted.
    pub fn all_stored_are_noted(&self) {
        self.layout().known_whole.store(1, Release);
    }
}

fn place(hash: &[u8; 16]) -> (usize, u64) {
    let index = u32::from_le_bytes([hash[6], hash[7], hash[8], hash[9]]) as usize;
    ((index / 64) % KNOWN_WORDS, 1 << (index % 64))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_stored_is_missing_once_all_is_noted() {
        let shared = Shared::create().unwrap();
        let (one, two) = ([1; 16], [2; 16]);
        assert!(shared.may_be_stored(&one));
        shared.note_stored(&one);
        assert!(shared.may_be_stored(&two));
        shared.all_stored_are_noted();
        assert!(shared.may_be_stored(&one));
        assert!(!shared.may_be_stored(&two));
        shared.note_stored(&two);
        assert!(shared.may_be_stored(&two));
    }
}
