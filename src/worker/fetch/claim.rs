//! A worker's claim on a key, told to the others through shared memory for as long as it is held.

use std::sync::Arc;

use crate::cache::key::Key;
use crate::sys::shared::{Claim, Shared};
use crate::worker::state::Worker;

/// A claim that ends when it is dropped.
pub struct Claimed {
    shared: Arc<Shared>,
    hash: [u8; 16],
    worker: u16,
}

/// Who may fetch a key.
pub enum Turn {
    /// This worker, and the others know.
    Ours(Claimed),
    /// Another worker does already.
    Theirs(u16),
    /// Each for itself.
    Alone,
}

/// Claims a key for clients that may, or may not, reach this machine's own addresses.
pub fn claim(worker: &Worker, key: &Key, local_allowed: bool) -> Turn {
    if worker.phase.draining() {
        // Others can't send their clients here any more.
        return Turn::Alone;
    }
    let mut hash = *key.hash();
    // What some clients may not have is another key here.
    hash[2] ^= u8::from(local_allowed);
    match worker.shared.claim(&hash, worker.index) {
        Claim::Claimed => Turn::Ours(Claimed {
            shared: worker.shared.clone(),
            hash,
            worker: worker.index,
        }),
        Claim::TakenBy(other) if other != worker.index => Turn::Theirs(other),
        Claim::TakenBy(_) | Claim::NoRoom => Turn::Alone,
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.shared.unclaim(&self.hash, self.worker);
    }
}
