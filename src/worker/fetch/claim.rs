//! Claims on keys: the other workers learn through shared memory which worker fetches one.

use std::rc::Rc;

use crate::cache::key::{Hash, Key};
use crate::sys::shared::ClaimReply;
use crate::worker::state::Worker;
use crate::worker::waiting_list::ClaimGuard;

/// The one who may fetch a key.
pub enum Claim {
    /// This worker, and the others know; it may be fetching it already.
    Ours(Rc<ClaimGuard>),
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
    let hash = name(key, local_allowed);
    match worker.shared.claim(&hash, worker.index) {
        ClaimReply::Claimed => {
            // One that was ended because the key was made invalid is good again: its end is that of both.
            let ended = worker.waiting_lists.claim_of(key, local_allowed);
            let new = || ClaimGuard::new(worker.shared.clone(), hash, worker.index);
            Claim::Ours(ended.unwrap_or_else(|| Rc::new(new())))
        }
        ClaimReply::TakenBy(other) if other != worker.index => Claim::Theirs(other),
        ClaimReply::TakenBy(_) => {
            let claim = worker.waiting_lists.claim_of(key, local_allowed);
            claim.map_or(Claim::Alone, Claim::Ours)
        }
        ClaimReply::TableFull => Claim::Alone,
    }
}

/// The other worker that receives a response for this key which is for others too.
pub fn received_elsewhere(worker: &Worker, key: &Key, local_allowed: bool) -> Option<u16> {
    let receiving = worker.shared.receives(&name(key, local_allowed));
    receiving.filter(|other| *other != worker.index)
}

/// Ends all claims on a key that was made invalid: nobody is sent to a fetch that began before.
pub fn unclaim(worker: &Worker, key: &Key) {
    for local_allowed in [false, true] {
        worker.shared.unclaim_key(&name(key, local_allowed));
    }
}

/// A name for a key: for clients that may not have the same it is another.
fn name(key: &Key, local_allowed: bool) -> Hash {
    let mut hash = *key.hash();
    hash[2] ^= u8::from(local_allowed);
    hash
}
