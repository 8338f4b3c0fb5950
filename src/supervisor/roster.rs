//! The workers that there should be and the state of each: when to connect, when to wait before that.
//!
//! Pure: `now` is an argument and the connecting is done elsewhere. A worker that drains has left its
//! slot, which is free for its successor at once.

use std::time::{Duration, Instant};

use super::token::LinkId;

/// The first wait after a failure, doubled by each that follows.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A worker that was ready for so long has not failed at its start.
const STEADY: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlotState {
    /// Nobody is there; to be connected at this time.
    Absent { until: Instant },
    /// Connected, its Hello awaited.
    Greeting { link: LinkId },
    /// It takes clients since this time.
    Ready { link: LinkId, since: Instant },
}

#[derive(Debug)]
struct WorkerSlot {
    state: SlotState,
    failures: u32,
}

/// The slots of all workers; slot 0 is worker 1.
#[derive(Debug)]
pub(super) struct Roster {
    slots: Vec<WorkerSlot>,
}

impl Roster {
    pub(super) fn new(count: usize, now: Instant) -> Roster {
        let mut roster = Roster { slots: Vec::new() };
        roster.resize(count, now);
        roster
    }

    /// Changes the number of slots, and tells the links of those that are no longer wanted.
    pub(super) fn resize(&mut self, count: usize, now: Instant) -> Vec<LinkId> {
        let keep = count.min(self.slots.len());
        let surplus = self.slots.split_off(keep);
        self.slots.resize_with(count, || WorkerSlot {
            state: SlotState::Absent { until: now },
            failures: 0,
        });
        let links = surplus.iter().filter_map(|slot| slot.state.link());
        links.collect()
    }

    pub(super) fn states(&self) -> impl Iterator<Item = SlotState> {
        self.slots.iter().map(|slot| slot.state)
    }

    /// The number of workers that take clients.
    pub(super) fn ready(&self) -> usize {
        let is_ready = |state: &SlotState| matches!(state, SlotState::Ready { .. });
        self.states().filter(is_ready).count()
    }

    pub(super) fn due(&self, now: Instant) -> Vec<usize> {
        let states = self.states().enumerate();
        let due = states.filter(|(_, state)| state.absent_until().is_some_and(|at| at <= now));
        due.map(|(slot, _)| slot).collect()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.states().filter_map(SlotState::absent_until).min()
    }

    pub(super) fn connected(&mut self, slot: usize, link: LinkId) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.state = SlotState::Greeting { link };
        }
    }

    pub(super) fn greeted(&mut self, slot: usize, link: LinkId, now: Instant) {
        if let Some(slot) = self.holder(slot, link) {
            slot.state = SlotState::Ready { link, since: now };
        }
    }

    /// No connection could be made. Tells how long to wait.
    pub(super) fn refused(&mut self, slot: usize, now: Instant) -> Duration {
        let slot = self.slots.get_mut(slot);
        slot.map_or(LONGEST_WAIT, |slot| slot.vacate(now))
    }

    /// The worker at this slot is gone or drains. Tells how long to wait for the next, or nothing when
    /// the slot was another worker's already.
    pub(super) fn left(&mut self, slot: usize, link: LinkId, now: Instant) -> Option<Duration> {
        let slot = self.holder(slot, link)?;
        if let SlotState::Ready { since, .. } = slot.state {
            if now.saturating_duration_since(since) >= STEADY {
                slot.failures = 0;
            }
        }
        Some(slot.vacate(now))
    }

    fn holder(&mut self, slot: usize, link: LinkId) -> Option<&mut WorkerSlot> {
        let slot = self.slots.get_mut(slot);
        slot.filter(|slot| slot.state.link() == Some(link))
    }
}

impl SlotState {
    fn absent_until(self) -> Option<Instant> {
        match self {
            SlotState::Absent { until } => Some(until),
            SlotState::Greeting { .. } | SlotState::Ready { .. } => None,
        }
    }

    fn link(self) -> Option<LinkId> {
        match self {
            SlotState::Absent { .. } => None,
            SlotState::Greeting { link } | SlotState::Ready { link, .. } => Some(link),
        }
    }
}

impl WorkerSlot {
    /// The first try after a failure is immediate, the second waits 0.1 s, and so on up to 10 s.
    fn vacate(&mut self, now: Instant) -> Duration {
        let wait = match self.failures {
            0 => Duration::ZERO,
            failures => LONGEST_WAIT.min(FIRST_WAIT.saturating_mul(1 << (failures - 1).min(16))),
        };
        self.failures = self.failures.saturating_add(1);
        self.state = SlotState::Absent { until: now + wait };
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_nothing_to_ten_seconds() {
        let now = Instant::now();
        let mut roster = Roster::new(1, now);
        let waits: Vec<u128> = (0..10)
            .map(|_| roster.refused(0, now).as_millis())
            .collect();
        let expected = [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000];
        assert_eq!(waits, expected);
        assert_eq!(roster.next_due(), Some(now + LONGEST_WAIT));
        assert!(roster.due(now).is_empty());
        assert_eq!(roster.due(now + LONGEST_WAIT), [0]);
    }

    #[test]
    fn a_worker_that_was_steady_is_replaced_at_once() {
        let start = Instant::now();
        let rows = [(1, 400), (9, 400), (10, 0), (100, 0)];
        for (lived, expected) in rows {
            let mut roster = Roster::new(1, start);
            for _ in 0..3 {
                roster.refused(0, start);
            }
            roster.connected(0, LinkId(1));
            roster.greeted(0, LinkId(1), start);
            let now = start + Duration::from_secs(lived);
            let wait = roster.left(0, LinkId(1), now);
            let expected = Some(Duration::from_millis(expected));
            assert_eq!(wait, expected, "ready for {lived} s");
        }
    }

    #[test]
    fn a_link_that_has_left_its_slot_does_not_vacate_it_again() {
        let now = Instant::now();
        let mut roster = Roster::new(1, now);
        roster.connected(0, LinkId(1));
        roster.greeted(0, LinkId(1), now);
        assert!(roster.left(0, LinkId(1), now).is_some(), "it drains");
        roster.connected(0, LinkId(2));
        assert_eq!(roster.left(0, LinkId(1), now), None, "it ends");
        roster.greeted(0, LinkId(1), now);
        assert_eq!(roster.ready(), 0, "and its late Hello counts for nobody");
        roster.greeted(0, LinkId(2), now);
        assert_eq!(roster.ready(), 1);
    }

    #[test]
    fn fewer_slots_name_the_links_to_stop() {
        let now = Instant::now();
        let mut roster = Roster::new(3, now);
        roster.connected(1, LinkId(7));
        assert_eq!(roster.resize(1, now), [LinkId(7)]);
        assert!(roster.resize(4, now).is_empty());
        assert_eq!(roster.due(now), [0, 1, 2, 3]);
    }
}
