//! The times at which processes died as they read the store's index, because its file has less than it had: the last two.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::time::Duration;

use super::mapping::Shared;

/// Two within this time are no accident.
const WINDOW: Duration = Duration::from_secs(3600);

impl Shared {
    /// Notes that a process dies so, by the clock that nobody sets. May be called in a signal's handler.
    pub(in crate::sys) fn note_index_fault(&self, now: Duration) {
        let [last, before] = &self.layout().index_faults;
        before.store(last.swap(millis(now), AcqRel), Release);
    }

    /// True when two died within an hour until now, by the same clock.
    pub fn has_index_faults(&self, now: Duration) -> bool {
        let times = self.layout().index_faults.each_ref();
        let since = millis(now.saturating_sub(WINDOW));
        times.iter().all(|it| it.load(Acquire) > since)
    }

    /// Forgets them, as there is another index now.
    pub fn forget_index_faults(&self) {
        self.layout()
            .index_faults
            .iter()
            .for_each(|it| it.store(0, Release));
    }
}

/// Never 0, which stands for none.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn two_within_an_hour_are_too_many() {
        let at = Duration::from_secs;
        // (the times at which processes died, when is asked, too many)
        let table: [(&[u64], u64, bool); 7] = [
            (&[], 10, false),
            (&[5], 10, false),
            (&[5, 6], 10, true),
            (&[5, 6], 3604, true),
            (&[5, 6], 3606, false),
            (&[5, 5000], 5001, false),
            (&[5, 5000, 6000], 6000, true),
        ];
        for (times, now, expected) in table {
            let shared = Shared::create().unwrap();
            for time in times {
                shared.note_index_fault(at(*time));
            }
            assert_eq!(
                shared.has_index_faults(at(now)),
                expected,
                "{times:?} {now}"
            );
            shared.forget_index_faults();
            assert!(!shared.has_index_faults(at(now)));
        }
    }
}
