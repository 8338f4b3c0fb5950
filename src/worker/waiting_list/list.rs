//! The waiting list of one key: the fetches that run, and how many of them may ask the origin server at once. One
//! does; when it shows no progress one more asks, later others, and after each failure the next.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::Fetch;
use crate::sys::notifier::Notifier;

/// The most fetches of one key that ask the origin server at once while others wait for them.
const MOST_ASKING: u32 = 4;

/// The fetches of one key, and those who wait for one of them.
#[derive(Default)]
pub(super) struct WaitingList {
    /// The latest last.
    pub(super) fetches: RefCell<Vec<Rc<Fetch>>>,
    /// The number of those who wait.
    pub(super) waiters: Cell<usize>,
    company: Cell<Option<Company>>,
    pub(super) changed: Rc<Notifier>,
}

/// The fetches that may ask at once, and when one more may.
#[derive(Clone, Copy)]
struct Company {
    allowed: u32,
    due: Instant,
}

/// The next step of one who waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Ask,
    WaitUntil(Instant),
}

impl WaitingList {
    pub(super) fn is_over(&self) -> bool {
        self.fetches.borrow().is_empty() && self.waiters.get() == 0
    }

    /// Forgets how those fared that asked before.
    pub(super) fn begins_anew(&self) {
        self.company.set(None);
    }

    /// Says that a fetch begins to ask; the first begins the time until it gets company.
    pub(super) fn asks(&self, now: Instant, patience: Duration) {
        if self.company.get().is_none() {
            let (allowed, due) = (1, now + patience);
            self.company.set(Some(Company { allowed, due }));
        }
    }

    /// Has none more ask before this time.
    pub(super) fn asks_later(&self, due: Instant) {
        if let Some(Company { allowed, .. }) = self.company.get() {
            self.company.set(Some(Company { allowed, due }));
        }
    }

    /// Says that one that asked has failed: the next may ask at once, and in time more of them side by side.
    pub(super) fn has_failed(&self) {
        if let Some(Company { allowed, due }) = self.company.get() {
            let allowed = (allowed + 1).min(MOST_ASKING);
            self.company.set(Some(Company { allowed, due }));
        }
    }

    /// The turn of one who waits while `asking` fetches ask; it is taken for that one, if it is to ask.
    pub(super) fn turn(&self, asking: u32, now: Instant, patience: Duration) -> Turn {
        if asking == 0 {
            return Turn::Ask;
        }
        let Some(Company { allowed, due }) = self.company.get() else {
            return Turn::WaitUntil(now + patience);
        };
        if asking < allowed {
            return Turn::Ask;
        }
        if now < due {
            return Turn::WaitUntil(due);
        }
        // Where the first wait is 2 s, 4 and 8 s more: then as many ask as may.
        let due = now + patience * (1 << allowed.min(MOST_ASKING));
        let more = (allowed + 1).min(MOST_ASKING);
        self.company.set(Some(Company { allowed: more, due }));
        match asking < more {
            true => Turn::Ask,
            false => Turn::WaitUntil(due),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_and_others_after_2_4_and_8_s_more() {
        const S: Duration = Duration::from_secs(1);
        let begin = Instant::now();
        let list = WaitingList::default();
        list.asks(begin, 2 * S);
        // (seconds since the first asked, how many ask, what one who waits does, until when)
        let rows = [
            (0, 1, Turn::WaitUntil(begin + 2 * S)),
            (1, 1, Turn::WaitUntil(begin + 2 * S)),
            (2, 1, Turn::Ask),
            (2, 2, Turn::WaitUntil(begin + 6 * S)),
            (6, 2, Turn::Ask),
            (6, 3, Turn::WaitUntil(begin + 14 * S)),
            (14, 3, Turn::Ask),
            (14, 4, Turn::WaitUntil(begin + 30 * S)),
            (30, 4, Turn::WaitUntil(begin + 62 * S)),
            // One of the four has failed.
            (31, 3, Turn::Ask),
            (32, 0, Turn::Ask),
        ];
        for (seconds, asking, expected) in rows {
            let turn = list.turn(asking, begin + seconds * S, 2 * S);
            assert_eq!(turn, expected, "{asking} after {seconds} s");
        }
    }

    #[test]
    fn after_a_failure_the_next_asks_and_another_beside_it() {
        const S: Duration = Duration::from_secs(1);
        let begin = Instant::now();
        let list = WaitingList::default();
        list.asks(begin, 2 * S);
        list.has_failed();
        assert_eq!(list.turn(0, begin, 2 * S), Turn::Ask);
        assert_eq!(list.turn(1, begin, 2 * S), Turn::Ask);
        assert_eq!(list.turn(2, begin, 2 * S), Turn::WaitUntil(begin + 2 * S));
    }
}
