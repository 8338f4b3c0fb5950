//! Room for what was refused: kept free for a while, for when it is asked for again.

use std::time::{Duration, Instant};

use crate::sys::shared::Shared;

/// Kept so long.
const KEPT: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(super) struct Headroom {
    /// For a file, and for a small response.
    pub(super) file: Wanted,
    pub(super) small: Wanted,
}

#[derive(Debug)]
pub(super) struct Wanted {
    bytes: u64,
    until: Instant,
}

impl Headroom {
    pub(super) fn new(now: Instant) -> Headroom {
        let none = || Wanted {
            bytes: 0,
            until: now,
        };
        Headroom {
            file: none(),
            small: none(),
        }
    }

    /// Hears what was refused since the last time.
    pub(super) fn hear(&mut self, shared: &Shared, now: Instant) {
        let most = shared.limit() / 2;
        self.file.hear(shared.take_wanted(), most, now);
        self.small.hear(shared.take_wanted_small(), most, now);
    }
}

impl Wanted {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn hear(&mut self, bytes: u64, most: u64, now: Instant) {
        if bytes > self.bytes && bytes <= most {
            self.bytes = bytes;
            self.until = now + KEPT;
        } else if now >= self.until {
            self.bytes = 0;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_kept_room_for() {
        let shared = Shared::create().unwrap();
        shared.set_limit(100);
        let start = Instant::now();
        let mut headroom = Headroom::new(start);
        // (second, a file that is refused, a small response, the room kept for each)
        let rows = [
            (0, 0, 0, (0, 0)),
            (1, 50, 0, (50, 0)),
            (2, 51, 7, (50, 7)),
            (3, 20, 0, (50, 7)),
            (300, 0, 0, (50, 7)),
            (301, 0, 0, (0, 7)),
            (302, 20, 0, (20, 0)),
        ];
        for (second, file, small, expected) in rows {
            shared.set_stored(100);
            assert!(file == 0 || !shared.reserve(0, file));
            assert!(small == 0 || !shared.reserve_small(0, small));
            headroom.hear(&shared, start + Duration::from_secs(second));
            let kept = (headroom.file.bytes(), headroom.small.bytes());
            assert_eq!(kept, expected, "{second}");
        }
    }
}
