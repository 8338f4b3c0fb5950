//! The end of a supervisor. Under systemd its idle clients move to the workers, which live on; in the
//! foreground the workers are told to stop too, and are waited for.

use std::time::{Duration, Instant};

use super::clients::Place;
use super::event_loop::Supervisor;
use super::token::ClientId;
use crate::sys::notify;
use crate::sys::signals::Asked;

/// How long the workers may take to take the clients over.
const HAND_OVER: Duration = Duration::from_secs(5);
/// How long to wait when none is ready: perhaps they are being restarted, perhaps all ends.
const NO_WORKER: Duration = Duration::from_secs(2);
/// What workers get beyond their own time for draining.
const BEYOND_DRAIN: Duration = Duration::from_secs(2);

/// Where the supervisor is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It serves.
    Running,
    /// Its clients move to the workers; until this time at most.
    HandingOver { until: Instant },
    /// Its children finish; until this time at most.
    Draining { until: Instant },
    /// It exits.
    Over,
}

impl Supervisor {
    /// Takes the signals that have come.
    pub(super) fn signals_ready(&mut self, now: Instant) {
        loop {
            match self.signals.next() {
                Ok(None) => return,
                Ok(Some(Asked::Stop)) => self.stop(now),
                Ok(Some(Asked::Reload)) if self.phase == Phase::Running => {
                    // The reason is in the journal; nobody else waits for it.
                    let _ = self.reload(now);
                }
                Ok(Some(Asked::Reload)) => {}
                Ok(Some(Asked::Child)) => self.children_ended(now),
                Err(error) => {
                    log::error!("signals can't be read: {error}");
                    return;
                }
            }
        }
    }

    /// Whether clients and workers are no longer taken on.
    pub(super) fn is_stopping(&self) -> bool {
        self.phase != Phase::Running
    }

    /// Whether a worker that isn't there is to be connected: also for clients that move to it.
    pub(super) fn wants_workers(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::HandingOver { .. })
    }

    /// Stops; in the foreground, asked a second time, at once.
    fn stop(&mut self, now: Instant) {
        if self.is_stopping() {
            if self.spawner.has_children() {
                self.in_a_hurry = true;
                self.phase = Phase::Over;
            }
            return;
        }
        notify::stopping();
        self.close_doors_for_good();
        if self.spawner.has_children() {
            self.drain_children(now);
        } else {
            self.hand_over(now);
        }
    }

    fn hand_over(&mut self, now: Instant) {
        let waiting = self.waiting();
        log::info!(
            "stopping: {} idle clients move to the workers",
            waiting.len()
        );
        for id in &waiting {
            self.stop_waiting(*id);
        }
        let tick = self.tick(now);
        for id in waiting {
            self.clients.place(id, Place::Queued, tick);
            self.queue.push_back(id);
        }
        self.handing_over = true;
        self.phase = Phase::HandingOver {
            until: now + HAND_OVER,
        };
    }

    fn drain_children(&mut self, now: Instant) {
        for id in self.waiting() {
            self.stop_waiting(id);
            self.clients.remove(id);
        }
        let drain = self.settings.current().times.drain;
        eprintln!("cacheproxy: finishing what is running; Ctrl-C again ends it at once");
        self.phase = Phase::Draining {
            until: now + drain + BEYOND_DRAIN,
        };
        self.dispatch(now);
        for link in self.link_ids(|_| true) {
            self.tell_stop(link, now);
        }
    }

    fn waiting(&self) -> Vec<ClientId> {
        let clients = self.clients.iter();
        clients
            .filter(|(_, client)| client.place.is_waiting())
            .map(|(id, _)| id)
            .collect()
    }

    /// Goes on to the next phase when this one is done or its time is over.
    pub(super) fn advance(&mut self, now: Instant) {
        match self.phase {
            Phase::HandingOver { until } => {
                let until = if self.roster.ready() == 0 {
                    until.min(now + NO_WORKER)
                } else {
                    until
                };
                self.phase = Phase::HandingOver { until };
                if self.clients.len() == 0 || until <= now {
                    if self.clients.len() > 0 {
                        log::warn!("{} clients found no worker", self.clients.len());
                    }
                    self.phase = Phase::Over;
                }
            }
            Phase::Draining { until } => {
                let is_done = self.links.is_empty() && !self.spawner.has_running();
                if is_done || until <= now {
                    self.phase = Phase::Over;
                }
            }
            Phase::Running | Phase::Over => {}
        }
    }

    /// When the phase ends at the latest.
    pub(super) fn phase_ends(&self) -> Option<Instant> {
        match self.phase {
            Phase::HandingOver { until } | Phase::Draining { until } => Some(until),
            Phase::Running | Phase::Over => None,
        }
    }
}
