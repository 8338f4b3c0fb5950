//! Whether the server can be reached. After a failure every call fails at once, while one thread tries to
//! reach it again, less and less often; that is said once when it begins, and once when it is over.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::pool::{Pool, State};
use super::session::Session;
use crate::store::StoreError;

/// How long the thread waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits between attempts, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// A server that fails again so soon has never really been back.
const STEADY: Duration = Duration::from_secs(4);

/// What is known of the server.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) phase: Phase,
    /// How often it was reached.
    pub(super) era: u64,
    /// Which of the hosts it is.
    pub(super) host: usize,
    /// Since when it is up, or down.
    since: Instant,
    /// When and why it was last found to be down.
    why: String,
    pause: Duration,
    next: Instant,
}

/// Where it stands with the server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    /// Nothing is known of it yet: who needs it waits.
    Connecting,
    /// It answers.
    Up,
    /// It doesn't: nobody waits for it.
    Down,
}

impl Default for Reach {
    fn default() -> Reach {
        Reach {
            phase: Phase::Connecting,
            era: 0,
            host: 0,
            since: Instant::now(),
            why: String::new(),
            pause: PAUSE.0,
            next: Instant::now(),
        }
    }
}

impl Pool {
    /// Whether the server is known to answer.
    pub fn is_up(&self) -> bool {
        matches!(self.lock().reach.phase, Phase::Up)
    }

    /// What every call fails with meanwhile.
    pub(super) fn down(&self, state: &State) -> StoreError {
        StoreError::Unreachable {
            server: self.connector.server().to_owned(),
            reason: state.reach.why.clone(),
        }
    }

    /// The server has failed somebody who used it in this era.
    pub(super) fn fail(&self, era: u64, why: String) -> StoreError {
        let mut state = self.lock();
        if matches!(state.reach.phase, Phase::Up) && state.reach.era == era {
            let reach = &mut state.reach;
            reach.pause = if reach.since.elapsed() < STEADY {
                (reach.pause * 2).min(PAUSE.1)
            } else {
                PAUSE.0
            };
            self.lost(&mut state, why);
        }
        let down = self.down(&state);
        drop(state);
        self.needed.notify_all();
        self.changed.notify_all();
        down
    }

    fn lost(&self, state: &mut State, why: String) {
        let server = self.connector.server();
        log::error!("going on without the database at {server} until it is back: {why}");
        let now = Instant::now();
        let reach = &mut state.reach;
        reach.phase = Phase::Down;
        reach.since = now;
        reach.next = now + reach.pause;
        reach.why = why;
        state.forget_idle();
        (self.tell)(true);
    }

    /// Reaches the server and reaches it again, until the pool has ended.
    pub(super) fn keep_reached(&self) {
        while self.is_needed() {
            let reached = self.reach();
            let mut state = self.lock();
            match reached {
                Ok(session) => self.back(&mut state, session),
                Err(why) => match state.reach.phase {
                    Phase::Connecting => self.lost(&mut state, why),
                    Phase::Up | Phase::Down => {
                        let reach = &mut state.reach;
                        reach.why = why;
                        reach.pause = (reach.pause * 2).min(PAUSE.1);
                        reach.next = Instant::now() + reach.pause;
                    }
                },
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Waits until the server is to be reached; false when the pool has ended.
    fn is_needed(&self) -> bool {
        let mut state = self.lock();
        while !state.ended {
            let left = match state.reach.phase {
                Phase::Connecting => Duration::ZERO,
                Phase::Up => Duration::MAX,
                Phase::Down => state.reach.next.saturating_duration_since(Instant::now()),
            };
            if left.is_zero() {
                return true;
            }
            state = if left == Duration::MAX {
                let waited = self.needed.wait(state);
                waited.unwrap_or_else(PoisonError::into_inner)
            } else {
                let waited = self.needed.wait_timeout(state, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            };
        }
        false
    }

    fn reach(&self) -> Result<Session, String> {
        let connected = self.connector.connect(PATIENCE);
        let mut session = connected.map_err(|refusal| refusal.why)?;
        session.set_deadline(Instant::now() + PATIENCE);
        (self.prepare)(&mut session)?;
        Ok(session)
    }

    fn back(&self, state: &mut State, session: Session) {
        let server = self.connector.server();
        if session.read_only {
            log::warn!(
                "the database at {server} takes no writes: what it has is used, nothing is stored"
            );
        }
        let reach = &mut state.reach;
        let down = reach.since.elapsed();
        match reach.phase {
            Phase::Connecting => log::info!("connected to the database at {server}"),
            Phase::Up | Phase::Down => {
                log::info!(
                    "the database at {server} is back after {} s",
                    down.as_secs()
                );
            }
        }
        reach.phase = Phase::Up;
        reach.era += 1;
        reach.host = session.host;
        reach.since = Instant::now();
        state.add(session);
        (self.tell)(false);
    }
}
