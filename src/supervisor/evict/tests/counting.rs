//! A store that only counts: small responses in pages of an index, the others in files.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::maintenance::Maintenance;
use crate::ipc::{Evicted, Free, MaintainerChannel, Tidied};
use crate::store::StoreError;
use crate::sys::shared::Shared;

/// The size of every response.
pub const SIZE: u64 = 64 << 10;
/// The disk is so large.
pub const DISK: u64 = 1 << 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    File,
    Small,
}

#[derive(Debug, Default)]
pub struct State {
    /// The oldest first.
    pub responses: VecDeque<Stored>,
    /// What is in the index, and beside it.
    index: u64,
    slack: u64,
    files: u64,
    /// Free pages can't be given back.
    pub keeps_slack: bool,
    /// The number of times that this was asked for.
    pub compacted: usize,
    pub all_inodes: u64,
    /// By others.
    pub taken_inodes: u64,
    /// The outcomes of tidying, the last one first; then there is nothing to do.
    pub tidied: Vec<Tidied>,
}

#[derive(Clone)]
pub struct Counting {
    state: Arc<Mutex<State>>,
    shared: Arc<Shared>,
}

impl Counting {
    pub fn new(shared: &Arc<Shared>) -> Counting {
        Counting {
            state: Arc::default(),
            shared: Arc::clone(shared),
        }
    }

    /// Looks at it or changes it, as a transaction does.
    pub fn look<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap();
        let outcome = work(&mut state);
        self.shared.set_stored(state.index + state.files);
        self.shared.set_slack(state.slack);
        outcome
    }

    /// False when there is no room.
    pub fn publish(&self, kind: Stored) -> bool {
        let has_room = match kind {
            Stored::File => self.shared.reserve(0, SIZE),
            Stored::Small => self.shared.reserve_small(0, SIZE),
        };
        if has_room {
            self.look(|state| {
                state.responses.push_back(kind);
                match kind {
                    Stored::File => state.files += SIZE,
                    Stored::Small if state.slack >= SIZE => state.slack -= SIZE,
                    Stored::Small => state.index += SIZE,
                }
            });
            self.shared.release(0, SIZE);
        }
        has_room
    }
}

impl Maintenance for Counting {
    fn appoint(&self, _: MaintainerChannel) {}

    fn is_there(&self) -> bool {
        true
    }

    fn tidy(&self) -> Result<Tidied, StoreError> {
        let nothing = Tidied {
            versions: Default::default(),
            unfinished: Default::default(),
            left: 0,
            is_done: true,
            failure: String::new(),
        };
        std::thread::sleep(Duration::from_millis(50));
        Ok(self.look(|state| state.tidied.pop()).unwrap_or(nothing))
    }

    fn evict(&self, bytes: u64, files: u64) -> Result<Evicted, StoreError> {
        let mut evicted = Evicted::default();
        while evicted.bytes < bytes || evicted.files < files {
            let gone = self.look(|state| {
                // Only files give inodes back.
                let is_wanted = |it: &Stored| evicted.bytes < bytes || *it == Stored::File;
                let oldest = state.responses.iter().position(is_wanted)?;
                let kind = state.responses.remove(oldest)?;
                match kind {
                    Stored::File => state.files -= SIZE,
                    Stored::Small => state.slack += SIZE,
                }
                Some(kind)
            });
            let Some(kind) = gone else {
                break;
            };
            evicted.responses += 1;
            evicted.bytes += SIZE;
            evicted.files += u64::from(kind == Stored::File);
        }
        Ok(evicted)
    }

    fn compact(&self, bytes: u64) -> Result<u64, StoreError> {
        Ok(self.look(|state| {
            state.compacted += 1;
            let given = match state.keeps_slack {
                true => 0,
                false => bytes.min(state.slack),
            };
            state.slack -= given;
            state.index -= given;
            given
        }))
    }

    fn free(&self) -> Result<Free, StoreError> {
        Ok(self.look(|state| {
            let files = state.responses.iter().filter(|it| **it == Stored::File);
            let taken = state.taken_inodes + files.count() as u64;
            Free {
                bytes: DISK - state.index - state.files,
                held: state.index + state.files,
                inodes: state.all_inodes.saturating_sub(taken),
                all_inodes: state.all_inodes,
                directories: 0,
            }
        }))
    }
}
