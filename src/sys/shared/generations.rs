//! Generations of keys, and how often keys were made invalid.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

use super::layout::GENERATIONS;
use super::mapping::Shared;

impl Shared {
    /// The generation of the key with this hash. A copy in memory is current while it is unchanged.
    pub fn generation(&self, hash: &[u8; 16]) -> u32 {
        self.generation_of(hash).load(Acquire)
    }

    /// Begins a new generation of this key, after what is stored for it has changed; returns it.
    pub fn next_generation(&self, hash: &[u8; 16]) -> u32 {
        let before = self.generation_of(hash).fetch_add(1, AcqRel);
        before.wrapping_add(1)
    }

    /// The count of times that keys with this hash were made invalid by unsafe requests, here and elsewhere. What was
    /// asked of an origin server before this changed must not be stored after it.
    pub fn invalidations(&self, hash: &[u8; 16]) -> u32 {
        let here = self.invalidations_of(hash).load(Acquire);
        here.wrapping_add(self.invalidations_elsewhere(hash))
    }

    /// Counts that this key was made invalid. To be called before what is stored is removed.
    pub fn invalidate(&self, hash: &[u8; 16]) {
        self.invalidations_of(hash).fetch_add(1, AcqRel);
    }

    /// Counts that every key was made invalid, so that nothing asked for before is stored.
    pub fn invalidate_all(&self) {
        for count in &self.layout().invalidations {
            count.fetch_add(1, AcqRel);
        }
    }

    fn invalidations_of(&self, hash: &[u8; 16]) -> &AtomicU32 {
        &self.layout().invalidations[usize::from(Shared::invalidation_slot(hash))]
    }

    fn generation_of(&self, hash: &[u8; 16]) -> &AtomicU32 {
        let index = usize::from(u16::from_le_bytes([hash[0], hash[1]]));
        &self.layout().generations[index % GENERATIONS]
    }
}
