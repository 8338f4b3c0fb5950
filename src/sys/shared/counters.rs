//! Each worker's counts, and which of them can't reach its store.

use super::layout::{Counters, WORKERS};
use super::mapping::Shared;

impl Shared {
    /// Notes that worker `index` can't reach its store, or can again.
    pub fn set_store_down(&self, index: usize, down: bool) {
        self.layout().store_down.set(index, down);
    }

    /// True when worker `index` can't reach its store.
    pub fn is_store_down_for(&self, index: usize) -> bool {
        self.layout().store_down.has(index)
    }

    /// True when some worker can't reach its store.
    pub fn is_store_down(&self) -> bool {
        self.layout().store_down.any()
    }

    /// The counts of worker `index`.
    pub fn counters(&self, index: usize) -> &Counters {
        &self.layout().counters[index % WORKERS]
    }
}
