//! The phases of a supervisor's life. At its end under systemd, idle clients move to the workers, which live on; in
//! the foreground the workers are told to stop too, and are waited for.
//!
//! The event loop does what a phase asks for.

use std::time::{Duration, Instant};

/// The time in which the workers have to take the clients over.
const HAND_OVER: Duration = Duration::from_secs(5);
/// The wait when none is ready: perhaps they are being restarted, perhaps all ends.
const NO_WORKER: Duration = Duration::from_secs(2);
/// The time that workers get beyond their own for draining.
const BEYOND_DRAIN: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LifePhase {
    Running,
    /// Its clients move to the workers; until this time at most.
    HandingOver(Instant),
    /// Its children finish; until this time at most.
    Draining(Instant),
    Over,
    /// It exits without waiting even for the disk: the end was asked for a second time.
    Aborted,
}

impl LifePhase {
    /// The phase after the end was asked for, for a supervisor whose workers live on.
    pub(super) fn hand_over(now: Instant) -> LifePhase {
        LifePhase::HandingOver(now + HAND_OVER)
    }

    /// The phase after the end was asked for, for a supervisor whose workers may take `drain` to finish.
    pub(super) fn drain(drain: Duration, now: Instant) -> LifePhase {
        LifePhase::Draining(now + drain + BEYOND_DRAIN)
    }

    /// The phase after a while of `HandingOver`, with so many clients here and so many workers ready.
    pub(super) fn handed_over(
        until: Instant,
        clients: usize,
        ready: usize,
        now: Instant,
    ) -> LifePhase {
        let until = match ready {
            0 => until.min(now + NO_WORKER),
            _ => until,
        };
        if clients > 0 && until > now {
            return LifePhase::HandingOver(until);
        }
        if clients > 0 {
            log::warn!("{clients} clients found no worker");
        }
        LifePhase::Over
    }

    pub(super) fn is_handing_over(self) -> bool {
        matches!(self, LifePhase::HandingOver(_))
    }

    pub(super) fn is_over(self) -> bool {
        matches!(self, LifePhase::Over | LifePhase::Aborted)
    }

    /// True while a worker that isn't there is to be connected: also for clients that move to it.
    pub(super) fn wants_workers(self) -> bool {
        matches!(self, LifePhase::Running | LifePhase::HandingOver(_))
    }

    pub(super) fn ends(self) -> Option<Instant> {
        match self {
            LifePhase::HandingOver(until) | LifePhase::Draining(until) => Some(until),
            LifePhase::Running | LifePhase::Over | LifePhase::Aborted => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_handed_over_until_all_are_gone_or_the_time_is_over() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let until = |seconds| LifePhase::HandingOver(after(seconds));
        // (clients here, workers ready, seconds left, the next phase)
        let rows = [
            (3, 1, 5, until(5)),
            (3, 0, 5, until(2)),
            (3, 0, 1, until(1)),
            (0, 1, 5, LifePhase::Over),
            (3, 1, 0, LifePhase::Over),
        ];
        for (clients, ready, left, expected) in rows {
            let next = LifePhase::handed_over(after(left), clients, ready, now);
            assert_eq!(next, expected, "{clients} clients, {ready} ready, {left} s");
        }
    }
}
