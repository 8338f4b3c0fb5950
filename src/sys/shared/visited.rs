//! Visited bits: what is stored at a place was used since eviction last passed it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::layout::VISITED_WORDS;
use super::mapping::Shared;

impl Shared {
    /// Remembers that what is stored at this place was used.
    pub fn visit(&self, place: &[u8; 16]) {
        let (word, bit) = self.visited(place);
        // Most visits find the bit set: reading first keeps the cache line shared between cores.
        if word.load(Relaxed) & bit == 0 {
            word.fetch_or(bit, Relaxed);
        }
    }

    /// Tells if this place was used since this was last asked.
    pub fn take_visited(&self, place: &[u8; 16]) -> bool {
        let (word, bit) = self.visited(place);
        word.load(Relaxed) & bit != 0 && word.fetch_and(!bit, Relaxed) & bit != 0
    }

    /// True when this place was used since eviction last passed it.
    pub fn is_visited(&self, place: &[u8; 16]) -> bool {
        let (word, bit) = self.visited(place);
        word.load(Relaxed) & bit != 0
    }

    fn visited(&self, place: &[u8; 16]) -> (&AtomicU64, u64) {
        let index = u32::from_le_bytes([place[2], place[3], place[4], place[5]]) as usize;
        let word = &self.layout().visited[(index / 64) % VISITED_WORDS];
        (word, 1 << (index % 64))
    }
}
