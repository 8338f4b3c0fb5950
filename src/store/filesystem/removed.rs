//! Removals by the store itself, until they are announced.

use std::sync::{Mutex, PoisonError};

use crate::store::Published;

/// More removals than this are not remembered; the evictor finds them gone.
pub(super) const MOST: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Removed(Mutex<Vec<Published>>);

impl Removed {
    /// Remembers these, as far as there is room for them.
    pub(super) fn remember(&self, removed: impl IntoIterator<Item = Published>) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST.saturating_sub(list.len());
        list.extend(removed.into_iter().take(room));
    }

    /// All of them, which are forgotten here.
    pub(super) fn take(&self) -> Vec<Published> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
