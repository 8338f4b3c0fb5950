//! Counts of answers from stored responses: one for each place, where two responses whose places look
//! alike share one. So they are near: for people to read, and for which variant of a key goes when there are too many.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::layout::HIT_COUNTS;
use super::mapping::Shared;

impl Shared {
    /// Counts an answer from what is stored at this place, up to the largest number there is.
    pub fn count_hit(&self, place: &[u8; 16]) {
        let count = self.hits_at(place);
        if count.load(Relaxed) < u32::MAX - 1024 {
            count.fetch_add(1, Relaxed);
        }
    }

    /// About how often what is stored at this place answered.
    pub fn hits(&self, place: &[u8; 16]) -> u32 {
        self.hits_at(place).load(Relaxed)
    }

    /// Counts from 0: something new is stored at this place.
    pub fn forget_hits(&self, place: &[u8; 16]) {
        self.hits_at(place).store(0, Relaxed);
    }

    fn hits_at(&self, place: &[u8; 16]) -> &AtomicU32 {
        let index = u32::from_le_bytes([place[6], place[7], place[8], place[9]]) as usize;
        &self.layout().hits[index % HIT_COUNTS]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_apart_and_never_past_the_end() {
        let shared = Shared::create().unwrap();
        let (one, two) = ([1; 16], [2; 16]);
        shared.count_hit(&one);
        shared.count_hit(&one);
        assert_eq!((shared.hits(&one), shared.hits(&two)), (2, 0));
        shared.forget_hits(&one);
        assert_eq!(shared.hits(&one), 0);
        shared.hits_at(&two).store(u32::MAX - 1, Relaxed);
        shared.count_hit(&two);
        assert_eq!(shared.hits(&two), u32::MAX - 1);
    }
}
