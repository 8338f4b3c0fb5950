//! Times in milliseconds, as a type of their own, so that they aren't mixed with what HTTP counts in seconds: dates,
//! delta-seconds, Age. Where these come of it, they are rounded down, and so never say more than there is.
//!
//! No clock here. Ages are `Duration`s.

use std::ops::Add;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::provenance::BootTime;
use crate::http::date::UnixSeconds;

/// A time in milliseconds since 1970-01-01 00:00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time of so many milliseconds since 1970.
    pub const fn from_millis(millis: u64) -> Timestamp {
        Timestamp(millis)
    }

    /// The beginning of a second.
    pub const fn from_seconds(seconds: UnixSeconds) -> Timestamp {
        Timestamp(seconds.saturating_mul(1000))
    }

    /// The milliseconds since 1970.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The second that it lies in.
    pub const fn seconds(self) -> UnixSeconds {
        self.0 / 1000
    }

    /// The time since an earlier one; none where a clock was set back between the two.
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    /// A time before 1970 is taken as 1970.
    fn from(time: SystemTime) -> Timestamp {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::default() + since
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, later: Duration) -> Timestamp {
        let millis = u64::try_from(later.as_millis()).unwrap_or(u64::MAX);
        Timestamp(self.0.saturating_add(millis))
    }
}

/// When a request was sent and its response received (RFC 9111 §4.2.3).
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct FetchTimes {
    pub request: Timestamp,
    pub response: Timestamp,
    /// The second of them by the clock that nobody sets.
    pub received: BootTime,
}

/// The freshness that a stored response has left: its lifetime less its age, negative when it is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FreshnessLeft {
    millis: i64,
}

impl FreshnessLeft {
    /// What a lifetime leaves at this age, neither of which is more than 2^32 seconds.
    pub const fn of(lifetime: Duration, age: Duration) -> FreshnessLeft {
        let millis = lifetime.as_millis() as i64 - age.as_millis() as i64;
        FreshnessLeft { millis }
    }

    /// True while the lifetime is greater than the age (RFC 9111 §4.2).
    pub fn is_fresh(self) -> bool {
        self.millis > 0
    }

    /// The whole seconds of it.
    pub fn seconds(self) -> i64 {
        self.millis.div_euclid(1000)
    }

    /// True when it stays fresh for at least so many seconds.
    pub fn lasts(self, seconds: u64) -> bool {
        i64::try_from(seconds).is_ok_and(|least| self.millis >= least.saturating_mul(1000))
    }

    /// The time for which it has been stale.
    pub fn staleness(self) -> Duration {
        Duration::from_millis(self.millis.min(0).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_say_no_more_than_there_is() {
        // (lifetime and age in milliseconds, whether it is fresh, seconds left, milliseconds stale)
        let table: &[(u64, u64, bool, i64, u64)] = &[
            (1000, 0, true, 1, 0),
            (1000, 1, true, 0, 0),
            (1000, 999, true, 0, 0),
            (1000, 1000, false, 0, 0),
            (1000, 1001, false, -1, 1),
            (1000, 2000, false, -1, 1000),
            (0, 0, false, 0, 0),
        ];
        for (lifetime, age, fresh, seconds, stale) in table {
            let millis = Duration::from_millis;
            let left = FreshnessLeft::of(millis(*lifetime), millis(*age));
            assert_eq!(left.is_fresh(), *fresh, "{lifetime} {age}");
            assert_eq!(left.seconds(), *seconds, "{lifetime} {age}");
            assert_eq!(left.staleness(), millis(*stale), "{lifetime} {age}");
            assert_eq!(left.lasts(0), *seconds >= 0, "{lifetime} {age}");
            assert_eq!(left.lasts(1), *seconds >= 1, "{lifetime} {age}");
            assert!(!left.lasts(u64::MAX));
        }
    }

    #[test]
    fn absurd_times_saturate() {
        let (first, last) = (Timestamp::default(), Timestamp::from_seconds(u64::MAX));
        assert_eq!(first.since(last), Duration::ZERO);
        assert_eq!(last + Duration::MAX, last);
        assert_eq!(last.since(first).as_millis(), u128::from(u64::MAX));
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Timestamp::from(before), first);
        let some = UNIX_EPOCH + Duration::from_micros(1_999_999);
        assert_eq!(Timestamp::from(some).millis(), 1999);
        assert_eq!(Timestamp::from(some).seconds(), 1);
    }
}
