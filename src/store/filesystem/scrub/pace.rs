//! The pace of a scrub: so many bytes a second that all that is stored is read within a week, and no fewer than a few.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::position::WEEK;

/// The fewest bytes a second: a store of 4 GiB is read in an hour and a bit then.
const LEAST: u64 = 1 << 20;

/// An end of the scrub that was asked for: it goes on later.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stopped;

/// Tells a scrub to stop, when its other end is dropped.
pub type Stop = Receiver<()>;

pub(super) struct Pace<'a> {
    stop: &'a Stop,
    /// Bytes a second; none for one that never waits, as in tests.
    rate: Option<u64>,
    /// The time until which the bytes that were read take.
    until: Instant,
}

/// The bytes a second for a store that holds so many: a pass takes six days, as all else takes time too.
pub(super) fn rate(stored: u64) -> u64 {
    (stored / (WEEK.as_secs() * 6 / 7)).max(LEAST)
}

impl<'a> Pace<'a> {
    pub(super) fn new(stop: &'a Stop, rate: Option<u64>) -> Pace<'a> {
        let until = Instant::now();
        Pace { stop, rate, until }
    }

    /// Takes so many bytes from now on.
    pub(super) fn set_rate(&mut self, rate: u64) {
        self.rate = self.rate.map(|_| rate);
    }

    /// Waits as long as these bytes take that were read.
    pub(super) fn wait_for(&mut self, bytes: u64) -> Result<(), Stopped> {
        let now = Instant::now();
        let Some(rate) = self.rate else {
            return pause(self.stop, Duration::ZERO);
        };
        // What took longer by itself isn't made up for.
        let takes = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        self.until = self.until.max(now) + takes;
        pause(self.stop, self.until - now)
    }
}

/// Waits so long.
pub(super) fn pause(stop: &Stop, time: Duration) -> Result<(), Stopped> {
    match stop.recv_timeout(time) {
        Err(RecvTimeoutError::Timeout) => Ok(()),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(Stopped),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn all_is_read_within_a_week() {
        for (stored, expected) in [(0, LEAST), (4 << 30, LEAST), (10 << 40, 20 << 20)] {
            let rate = rate(stored);
            assert!(
                rate >= expected && rate < expected + LEAST,
                "{stored}: {rate}"
            );
            assert!(stored / rate <= WEEK.as_secs());
        }
    }

    #[test]
    fn bytes_take_their_time_until_it_is_told_to_stop() {
        let (go_on, stop) = channel();
        let mut pace = Pace::new(&stop, Some(1 << 20));
        let begun = Instant::now();
        for _ in 0..4 {
            pace.wait_for(25 << 10).unwrap();
        }
        assert!(begun.elapsed() >= Duration::from_millis(90));
        let mut unbounded = Pace::new(&stop, None);
        let begun = Instant::now();
        unbounded.wait_for(u64::MAX).unwrap();
        drop(go_on);
        pace.set_rate(1);
        assert_eq!(pace.wait_for(1 << 30), Err(Stopped));
        assert_eq!(unbounded.wait_for(0), Err(Stopped));
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}
