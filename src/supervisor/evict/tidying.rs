//! The times at which what belongs to nobody is removed from the store, and what is said of it: what other versions left,
//! files that were never finished.

use std::time::{Duration, Instant};

use crate::ipc::{Cleared, Tidied};
use crate::sys::shared::Shared;

/// The time after a worker's end at which all that it left is old enough to go.
const AFTER_AN_END: Duration = Duration::from_secs(90);
/// The time between two passes when nothing calls for one.
const EVERY: Duration = Duration::from_secs(6 * 3600);

#[derive(Debug)]
pub(super) struct Tidying {
    due: Instant,
    /// A pass has begun and isn't done.
    is_under_way: bool,
    versions: Cleared,
    unfinished: Cleared,
    /// Bytes of other versions that are still to go.
    left: u64,
    /// The last thing that couldn't be removed: it is said once.
    failure: String,
}

impl Tidying {
    pub(super) fn new(now: Instant) -> Tidying {
        Tidying {
            due: now,
            is_under_way: false,
            versions: Cleared::default(),
            unfinished: Cleared::default(),
            left: 0,
            failure: String::new(),
        }
    }

    /// True when a step is to be done.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    /// True while there is more to do at once.
    pub(super) fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    /// A worker has ended, perhaps amid something.
    pub(super) fn hear_of_end(&mut self, now: Instant) {
        self.due = self.due.min(now + AFTER_AN_END);
    }

    /// The bytes that go without anything being evicted for them.
    pub(super) fn going(&self) -> u64 {
        if self.is_under_way { self.left } else { 0 }
    }

    /// Takes in the outcome of a step. Lines for the journal, when a pass is done.
    pub(super) fn hear(&mut self, tidied: Tidied, shared: &Shared, now: Instant) -> Vec<String> {
        let is_first = !std::mem::replace(&mut self.is_under_way, !tidied.is_done);
        if is_first {
            (self.versions, self.unfinished) = Default::default();
        }
        add(&mut self.versions, tidied.versions);
        add(&mut self.unfinished, tidied.unfinished);
        self.left = tidied.left;
        shared.set_leftovers(tidied.left);
        if !tidied.is_done {
            return Vec::new();
        }
        self.due = now + EVERY;
        let mut lines = Vec::new();
        if self.versions.files > 0 {
            lines.push(format!(
                "removed what other versions of cacheproxy had left in the store: {}",
                described(self.versions)
            ));
        }
        if self.unfinished.files > 0 {
            lines.push(format!(
                "removed unfinished files from the store: {}",
                described(self.unfinished)
            ));
        }
        lines
    }

    /// Tells what couldn't be removed, the first time.
    pub(super) fn new_failure(&mut self, tidied: &Tidied) -> Option<String> {
        let is_new = !tidied.failure.is_empty() && tidied.failure != self.failure;
        is_new.then(|| {
            self.failure.clone_from(&tidied.failure);
            let plain = |c: char| if c.is_control() { ' ' } else { c };
            self.failure.chars().map(plain).collect()
        })
    }

    /// A step failed: later again.
    pub(super) fn failed(&mut self, now: Instant) {
        self.is_under_way = false;
        self.due = now + AFTER_AN_END;
    }
}

fn add(sum: &mut Cleared, more: Cleared) {
    sum.files = sum.files.saturating_add(more.files);
    sum.bytes = sum.bytes.saturating_add(more.bytes);
}

fn described(cleared: Cleared) -> String {
    format!("{} files, {} MiB", cleared.files, cleared.bytes >> 20)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tidied(files: u64, left: u64, is_done: bool) -> Tidied {
        Tidied {
            versions: Cleared {
                files,
                bytes: files << 20,
            },
            unfinished: Cleared::default(),
            left,
            is_done,
            failure: String::new(),
        }
    }

    #[test]
    fn a_pass_is_told_when_it_is_done_and_comes_again() {
        let shared = Shared::create().unwrap();
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut tidying = Tidying::new(start);
        assert!(tidying.is_due(start));
        assert!(
            tidying
                .hear(tidied(3, 100, false), &shared, start)
                .is_empty()
        );
        assert_eq!((tidying.going(), shared.used()), (100, 100));
        assert!(tidying.is_under_way());
        let lines = tidying.hear(tidied(4, 0, true), &shared, at(1));
        let [line] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert!(line.contains("7 files, 7 MiB"), "{line}");
        assert_eq!((tidying.going(), shared.used()), (0, 0));
        assert!(!tidying.is_due(at(3600)));
        tidying.hear_of_end(at(3600));
        assert!(!tidying.is_due(at(3660)) && tidying.is_due(at(3690)));
        assert!(
            tidying
                .hear(tidied(0, 0, true), &shared, at(3690))
                .is_empty()
        );
        assert!(!tidying.is_due(at(7000)) && tidying.is_due(at(30_000)));
        // What can't be removed counts, and is said once.
        let stuck = Tidied {
            failure: "v1/a: no\n".to_owned(),
            ..tidied(0, 5, true)
        };
        assert_eq!(tidying.new_failure(&stuck).unwrap(), "v1/a: no ");
        assert!(tidying.new_failure(&stuck).is_none());
        assert!(tidying.hear(stuck, &shared, at(30_000)).is_empty());
        assert_eq!((tidying.going(), shared.used()), (0, 5));
    }
}
