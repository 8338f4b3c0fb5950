//! Collapsing across workers: a client that asks for what another worker is fetching goes there, with what
//! was read from it. Once for a request: where that worker has nothing for it after all, it is served alone.

use bytes::BytesMut;

use super::{After, Exchange};
use crate::cache::directives::RequestDirectives;
use crate::cache::key::Key;
use crate::ipc::MAX_READ;
use crate::worker::fetch::{Claim, ClaimGuard, claim};

/// What to do about a key that has to be fetched.
pub(super) enum Admission {
    /// Fetch it; with a claim, others send their clients here.
    Fetch(Option<ClaimGuard>),
    /// Look it up again: it has been stored meanwhile.
    LookUp,
    /// The client goes to another worker.
    Leave(After),
}

impl Exchange<'_> {
    /// Remembers what the key's generation was before it was looked up.
    pub(super) fn looking_up(&mut self, key: &Key) {
        let generation = self.worker.shared.generation(key.hash());
        self.looked_up = (*key.hash(), generation);
    }

    /// Whether what is stored for the key has changed since it was looked up.
    pub(super) fn has_changed(&self, key: &Key) -> bool {
        let (hash, generation) = self.looked_up;
        hash == *key.hash() && self.worker.shared.generation(&hash) != generation
    }

    /// Whether this request is the first for its key in any worker.
    pub(super) fn turn(&mut self, key: &Key) -> Admission {
        if self.collapsing_tried || self.is_conditional() {
            return Admission::Fetch(None);
        }
        match claim(self.worker, key, self.client.is_local()) {
            Claim::Ours(claimed) if !self.has_changed(key) => Admission::Fetch(Some(claimed)),
            Claim::Ours(claimed) => {
                drop(claimed);
                self.collapsing_tried = true;
                Admission::LookUp
            }
            Claim::Theirs(other) if self.may_leave() => Admission::Leave(self.leave_for(other)),
            Claim::Theirs(_) | Claim::Alone => Admission::Fetch(None),
        }
    }

    /// Whether the connection may change hands with this request unanswered, and the request may be
    /// answered by what another's fetch brings.
    fn may_leave(&self) -> bool {
        let phase = &self.worker.phase;
        let length = self.head.fields.text().len() + self.client.buffer.len();
        !self.client.handed
            && phase.supervised()
            && !phase.draining()
            && self.client.out.is_empty()
            && length <= MAX_READ
            && !RequestDirectives::of(&self.head.fields).no_cache
    }

    /// Puts the request back before what was read after it.
    fn leave_for(&mut self, other: u16) -> After {
        let head = self.head.fields.text();
        let mut read = BytesMut::with_capacity(head.len() + self.client.buffer.len());
        read.extend_from_slice(head);
        read.extend_from_slice(&self.client.buffer);
        self.client.buffer = read;
        After::HandOver(other)
    }
}
