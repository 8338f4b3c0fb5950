//! The guess whether the index is in memory, so that a look into it waits for no disk: while looks don't wait. After one
//! that did they are made on other threads, until many of those haven't waited.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::sys::lmdb;

/// The looks on other threads, one after another, that must not have waited. At the start fewer.
const AFTER_A_WAIT: u32 = 256;
const AT_THE_START: u32 = 16;

/// A guess, which many threads make together.
#[derive(Debug)]
pub(super) struct Residency {
    /// The looks that have yet to go without a wait.
    left: AtomicU32,
}

thread_local! {
    /// The waits of this thread until it last looked.
    static FAULTS: Cell<i64> = Cell::new(lmdb::major_faults());
}

impl Residency {
    pub(super) fn new() -> Residency {
        Residency {
            left: AtomicU32::new(AT_THE_START),
        }
    }

    /// True when a look is likely to wait for nothing.
    pub(super) fn is_likely(&self) -> bool {
        self.left.load(Relaxed) == 0
    }

    /// Begins a look in the event loop.
    pub(super) fn begin(&self) {
        FAULTS.with(|_| ());
    }

    /// Notes a look in the event loop that took long, be it for the disk or for want of a processor.
    pub(super) fn note_wait(&self) {
        let faults = lmdb::major_faults();
        if FAULTS.replace(faults) != faults {
            self.left.store(AFTER_A_WAIT, Relaxed);
        }
    }

    /// Notes a look on another thread.
    pub(super) fn note(&self, was_resident: bool) {
        match was_resident {
            true => {
                let fewer = |left: u32| left.checked_sub(1);
                let _ = self.left.fetch_update(Relaxed, Relaxed, fewer);
            }
            false => self.left.store(AFTER_A_WAIT, Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_looks_without_a_wait_make_it_likely() {
        let residency = Residency::new();
        for left in (0..AT_THE_START).rev() {
            assert!(!residency.is_likely());
            residency.note(true);
            assert_eq!(residency.is_likely(), left == 0);
        }
        residency.note(true);
        assert!(residency.is_likely());
        residency.note(false);
        for _ in 0..AFTER_A_WAIT {
            assert!(!residency.is_likely());
            residency.note(true);
        }
        assert!(residency.is_likely());
    }
}
