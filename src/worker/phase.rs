//! The phase of a worker: serving or draining, with a supervisor to give clients to or without one, and
//! the notifications that tell its tasks when that changes.

use std::cell::Cell;

use crate::sys::notifier::Notifier;

#[derive(Default)]
pub(super) struct WorkerPhase {
    draining: Cell<bool>,
    supervision: Cell<Supervision>,
    /// Says that one of the above has changed, apart from what is delivered. Every idle client waits for
    /// it, so it is used seldom.
    changed: Notifier,
    /// Says that the end has come nearer: a client has left, or the supervisor has all there was.
    pub(super) progress: Notifier,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Supervision {
    #[default]
    Absent,
    /// It has not yet all that is to go to it.
    Undelivered,
    /// It has all that was to go to it.
    Delivered,
}

impl WorkerPhase {
    /// True once the worker has been told to stop.
    pub(super) fn draining(&self) -> bool {
        self.draining.get()
    }

    /// Stops the worker: idle clients go back, running requests finish.
    pub(super) fn drain(&self) {
        self.draining.set(true);
        self.changed.notify();
    }

    /// Resolves when the worker has been told to stop.
    pub(super) async fn drains(&self) {
        self.changed.holds(|| self.draining()).await;
    }

    pub(super) fn supervision(&self) -> Supervision {
        self.supervision.get()
    }

    pub(super) fn set_supervision(&self, now: Supervision) {
        let before = self.supervision.replace(now);
        if (before == Supervision::Absent) != (now == Supervision::Absent) {
            self.changed.notify();
        }
        if before != now {
            self.progress.notify();
        }
    }

    pub(super) fn supervised(&self) -> bool {
        self.supervision() != Supervision::Absent
    }

    /// Resolves when a supervisor has come or gone.
    pub(super) async fn supervision_changes(&self, from: bool) {
        self.changed.holds(|| self.supervised() != from).await;
    }
}
