//! The circuit breaker: once the server has failed every call fails at once, until one thread has reached it again,
//! which it tries less and less often. It decides only: nothing is connected and nothing said here.

use std::time::{Duration, Instant};

/// The time between attempts, at first and at most.
const PAUSE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(10)];
/// A server that fails again so soon has never really been back.
const STEADY: Duration = Duration::from_secs(4);

#[derive(Debug)]
pub(super) struct Breaker {
    circuit: Circuit,
    /// Counts the times that the server was reached.
    era: u64,
    /// Since when the circuit is closed, or is not.
    since: Instant,
    pause: Duration,
}

/// Where it stands with the server.
#[derive(Debug)]
enum Circuit {
    /// Nothing is known of it yet: who needs it waits.
    Unknown,
    /// It answers.
    Closed,
    /// It doesn't, for this reason, and nobody waits for it: it is tried again at this time.
    Open { why: String, next: Instant },
}

impl Breaker {
    pub(super) fn new(now: Instant) -> Breaker {
        Breaker {
            circuit: Circuit::Unknown,
            era: 0,
            since: now,
            pause: PAUSE[0],
        }
    }

    /// The era, while the server answers: connections of an older one are of no use. None while nothing is known of it;
    /// else why it doesn't.
    pub(super) fn check(&self) -> Result<Option<u64>, &str> {
        match &self.circuit {
            Circuit::Unknown => Ok(None),
            Circuit::Closed => Ok(Some(self.era)),
            Circuit::Open { why, .. } => Err(why),
        }
    }

    /// The server has failed somebody who used it in this era; true when that opens the circuit.
    pub(super) fn trip(&mut self, era: u64, why: &str, now: Instant) -> bool {
        let opens = self.check() == Ok(Some(era));
        if opens {
            self.pause = match now - self.since < STEADY {
                true => self.longer(),
                false => PAUSE[0],
            };
            self.since = now;
            self.open(why, now);
        }
        opens
    }

    /// An attempt has failed; true when it was the first.
    pub(super) fn attempt_failed(&mut self, why: &str, now: Instant) -> bool {
        let first = matches!(self.circuit, Circuit::Unknown);
        if first {
            self.since = now;
        } else {
            self.pause = self.longer();
        }
        self.open(why, now);
        first
    }

    /// The server was reached: tells for how long it had been away, unless this is the first time.
    pub(super) fn close(&mut self, now: Instant) -> Option<Duration> {
        let first = matches!(self.circuit, Circuit::Unknown);
        let away = (!first).then(|| now - self.since);
        self.circuit = Circuit::Closed;
        self.era += 1;
        self.since = now;
        away
    }

    /// The time that is left until the server is to be reached.
    pub(super) fn due(&self, now: Instant) -> Duration {
        match self.circuit {
            Circuit::Unknown => Duration::ZERO,
            Circuit::Closed => Duration::MAX,
            Circuit::Open { next, .. } => next.saturating_duration_since(now),
        }
    }

    fn open(&mut self, why: &str, now: Instant) {
        self.circuit = Circuit::Open {
            why: why.to_owned(),
            next: now + self.pause,
        };
    }

    fn longer(&self) -> Duration {
        (self.pause * 2).min(PAUSE[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_the_server_is_steady() {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(now);
        assert_eq!(breaker.due(now), Duration::ZERO);
        assert!(breaker.attempt_failed("one", now) && !breaker.attempt_failed("two", now));
        assert_eq!(breaker.due(now), 2 * PAUSE[0]);
        for _ in 0..10 {
            assert!(!breaker.attempt_failed("three", now));
        }
        assert_eq!(breaker.due(now), PAUSE[1], "at most");
        now += PAUSE[1];
        assert_eq!(breaker.due(now), Duration::ZERO);
        assert_eq!(breaker.close(now), Some(PAUSE[1]));
        assert_eq!(breaker.due(now), Duration::MAX);
        assert!(!breaker.trip(0, "an older connection", now));
        assert!(breaker.trip(1, "again", now));
        assert!(!breaker.trip(1, "once is enough", now));
        assert_eq!(breaker.due(now), PAUSE[1]);
        breaker.close(now);
        now += STEADY;
        assert!(breaker.trip(2, "much later", now));
        assert_eq!(breaker.due(now), PAUSE[0]);
    }
}
