//! A worker's claim on a key, told to the others through shared memory for as long as it is held.

use std::sync::Arc;

use crate::cache::key::Key;
use crate::sys::shared::{ClaimReply, Shared};
use crate::worker::state::Worker;

/// A claim that ends when it is dropped.
pub struct ClaimGuard {
    shared: Arc<Shared>,
    hash: [u8; 16],
    worker: u16,
}

/// Who may fetch a key.
pub enum Claim {
    /// This worker, and the others know.
    Ours(ClaimGuard),
    /// Another worker does already.
    Theirs(u16),
    /// Each for itself.
    Alone,
}

/// Claims a key for clients that may, or may not, reach this machine's own addresses.
pub fn claim(worker: &Worker, key: &Key, local_allowed: bool) -> Claim {
    if worker.phase.draining() {
        // Others can't send their clients here any more.
        return Claim::Alone;
    }
    let mut hash = *key.hash();
    // What some clients may not have is another key here.
    hash[2] ^= u8::from(local_allowed);
    match worker.shared.claim(&hash, worker.index) {
        ClaimReply::Claimed => Claim::Ours(ClaimGuard {
            shared: worker.shared.clone(),
            hash,
            worker: worker.index,
        }),
        ClaimReply::TakenBy(other) if other != worker.index => Claim::Theirs(other),
        ClaimReply::TakenBy(_) | ClaimReply::TableFull => Claim::Alone,
    }
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        self.shared.unclaim(&self.hash, self.worker);
    }
}
