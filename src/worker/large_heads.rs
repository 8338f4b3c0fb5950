//! The memory for heads of requests that take more than one read: what all clients of a worker may hold of it together.
//!
//! It is much more than usual clients need, so that only who begins many large heads at once is refused.

use std::cell::Cell;
use std::rc::Rc;

use crate::config::Settings;

/// The bytes of a head that needn't be counted: every client may have so many.
const UNCOUNTED: usize = 16 << 10;
/// The least that all large heads may have together.
const LEAST: u64 = 8 << 20;

/// The bytes of large heads in a worker.
#[derive(Clone, Default)]
pub(super) struct LargeHeads(Rc<Cell<usize>>);

impl LargeHeads {
    /// A client's part of them, nothing yet.
    pub(super) fn part(&self) -> LargeHead {
        LargeHead {
            all: self.clone(),
            bytes: 0,
        }
    }
}

/// The bytes of one client's head, which it has until the request is answered.
pub(super) struct LargeHead {
    all: LargeHeads,
    bytes: usize,
}

impl LargeHead {
    /// Notes how much has come of the head; false when all of them are too much with it.
    pub(super) fn grows_to(&mut self, bytes: usize, settings: &Settings) -> bool {
        self.set(bytes);
        self.bytes == 0 || self.all.0.get() as u64 <= settings.memory.max(LEAST)
    }

    /// Notes that its head is gone.
    pub(super) fn release(&mut self) {
        self.set(0);
    }

    fn set(&mut self, bytes: usize) {
        let before = self.bytes;
        self.bytes = if bytes > UNCOUNTED { bytes } else { 0 };
        self.all.0.set(self.all.0.get() - before + self.bytes);
    }
}

impl Drop for LargeHead {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_heads_are_bounded_together() {
        let settings = Settings {
            memory: 9 << 20,
            ..Settings::default()
        };
        let all = LargeHeads::default();
        let (mut one, mut other, mut small) = (all.part(), all.part(), all.part());
        assert!(one.grows_to(5 << 20, &settings) && one.grows_to(6 << 20, &settings));
        assert!(other.grows_to(3 << 20, &settings));
        assert!(!other.grows_to(4 << 20, &settings), "both are 10 MiB");
        assert!(small.grows_to(UNCOUNTED, &settings), "as ever");
        one.release();
        assert!(other.grows_to(9 << 20, &settings));
        drop(other);
        assert!(one.grows_to(8 << 20, &Settings::default()));
        let none = Settings {
            memory: 0,
            ..Settings::default()
        };
        assert!(one.grows_to(8 << 20, &none), "some are always possible");
        assert!(!one.grows_to((8 << 20) + 1, &none));
        drop(one);
        assert_eq!(all.0.get(), 0);
    }
}
