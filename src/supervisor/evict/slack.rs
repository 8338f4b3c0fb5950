//! Slack that can be given back to the disk. Where it can't, since a reader still sees those pages or the file system makes
//! no holes, that isn't tried again and again.

use std::time::{Duration, Instant};

/// The time after which it is tried again.
const LATER: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Slack {
    /// What couldn't be given back, until when.
    stuck: Option<(u64, Instant)>,
}

impl Slack {
    /// The part of `slack` that giving back is worth trying.
    pub(super) fn returnable(&self, slack: u64, now: Instant) -> u64 {
        match self.stuck {
            // Half as much again may be another matter.
            Some((stuck, until)) if now < until && slack / 3 * 2 <= stuck => 0,
            _ => slack,
        }
    }

    /// Of `asked` bytes `given` were given back, and `left` stayed.
    pub(super) fn note(&mut self, asked: u64, given: u64, left: u64, now: Instant) {
        self.stuck = (given < asked / 4).then_some((left, now + LATER));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_isnt_tried_again_soon() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut slack = Slack::default();
        assert_eq!(slack.returnable(600, at(0)), 600);
        slack.note(400, 100, 500, at(0));
        assert_eq!(slack.returnable(500, at(1)), 500);
        slack.note(400, 99, 501, at(1));
        let rows = [(1, 501, 0), (2, 700, 0), (2, 760, 760), (61, 501, 501)];
        for (second, bytes, expected) in rows {
            assert_eq!(slack.returnable(bytes, at(second)), expected, "{bytes}");
        }
        slack.note(400, 400, 101, at(61));
        assert_eq!(slack.returnable(101, at(61)), 101);
    }
}
