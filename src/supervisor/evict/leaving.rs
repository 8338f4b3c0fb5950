//! Responses that were evicted while somebody was being sent them: they take disk as before, and count here until the
//! workers, who look four times a second, count them as removed.

use std::time::{Duration, Instant};

/// By then the worker that sends it has counted it.
const COUNTED_AFTER: Duration = Duration::from_millis(600);

#[derive(Debug, Default)]
pub(super) struct Leaving {
    files: Vec<(Instant, u64)>,
    /// The bytes that the workers counted before the first of them went.
    removed_before: u64,
    /// The bytes that had gone in this way when last looked at.
    gone: u64,
}

impl Leaving {
    pub(super) fn new(gone: u64) -> Leaving {
        Leaving {
            gone,
            ..Leaving::default()
        }
    }

    /// The bytes that the workers, who count `removed`, have yet to count, when `gone` have gone in this way so far.
    pub(super) fn bytes(&mut self, gone: u64, removed: u64, now: Instant) -> u64 {
        if self.files.is_empty() {
            self.removed_before = removed;
        }
        let more = gone.wrapping_sub(std::mem::replace(&mut self.gone, gone));
        if more > 0 {
            self.files.push((now, more));
        }
        let is_counted = |since: Instant| now.saturating_duration_since(since) >= COUNTED_AFTER;
        let counted = self.files.iter().filter(|(since, _)| is_counted(*since));
        let counted: u64 = counted.map(|(_, bytes)| bytes).sum();
        self.removed_before = self.removed_before.saturating_add(counted);
        self.files.retain(|(since, _)| !is_counted(*since));
        let left: u64 = self.files.iter().map(|(_, bytes)| bytes).sum();
        left.saturating_sub(removed.saturating_sub(self.removed_before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_counts_once() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut leaving = Leaving::new(100);
        // (time, what has gone, what workers count, what is left)
        let rows = [
            (0, 100, 50, 0),
            (0, 110, 50, 10),
            (300, 130, 50, 30),
            (310, 130, 60, 20),
            (599, 130, 60, 20),
            (601, 130, 60, 20),
            (602, 130, 80, 0),
            (901, 130, 80, 0),
            // One that was never counted, since its client had all of it, is gone by then.
            (1000, 135, 80, 5),
            (1500, 135, 80, 5),
            (1700, 135, 80, 0),
        ];
        for (time, gone, removed, expected) in rows {
            assert_eq!(
                leaving.bytes(gone, removed, at(time)),
                expected,
                "at {time}"
            );
        }
    }
}
