//! Warnings that would come many times a second, said at most once a minute.

use std::cell::Cell;
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_secs(60);

/// The time when it was due last.
#[derive(Debug, Default)]
pub(crate) struct OncePerMinute(Cell<Option<Instant>>);

impl OncePerMinute {
    /// True the first time, and then when a minute has passed since it was true.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let lately = |last: Instant| now.saturating_duration_since(last) < PERIOD;
        let is_due = !self.0.get().is_some_and(lately);
        if is_due {
            self.0.set(Some(now));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_at_once_and_then_a_minute_later() {
        let start = Instant::now();
        let rate = OncePerMinute::default();
        let rows = [
            (0, true),
            (1, false),
            (59, false),
            (60, true),
            (119, false),
            (121, true),
        ];
        for (second, expected) in rows {
            let now = start + Duration::from_secs(second);
            assert_eq!(rate.is_due(now), expected, "second {second}");
        }
    }
}
