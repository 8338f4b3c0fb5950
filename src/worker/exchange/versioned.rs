//! The memory of versioned files: who asked for one, and when one was validated though it was fresh, in all workers.
//!
//! What follows from it is decided in `cache::versioned`.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Exchange;
use super::candidates::CandidateSet;
use crate::cache::key::{Hash as KeyHash, Key};
use crate::cache::versioned::{Remembered, asks};
use crate::worker::state::now;

/// A request for a versioned file.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskedFile {
    /// The hash of its key.
    key: KeyHash,
    /// A hash of the key and the client, by address and User-Agent.
    client: KeyHash,
}

impl Exchange<'_> {
    /// Takes up what is remembered of the versioned file with this key; once for a request.
    pub(super) fn remember(&mut self, key: &Key) {
        if self.asked.is_some() {
            return;
        }
        let shared = &self.worker.shared;
        let client = self.client_of(key);
        self.remembered = Remembered {
            asked: shared.asked(&client),
            validated: shared.validated(key.hash()),
        };
        self.asked = Some(AskedFile {
            key: *key.hash(),
            client,
        });
    }

    /// The same where what is stored is of such a file.
    pub(super) fn remember_stored(&mut self, candidates: &CandidateSet) {
        if (candidates.stored.as_ref()).is_some_and(|stored| stored.facts.versioned) {
            self.remember(&candidates.key);
        }
    }

    /// Notes that this client has asked for it: when its answer begins, and when that has ended, as a long download takes
    /// its time. Not before: a request that waits for the origin server's answer together with others of this client's, or
    /// goes to another worker, doesn't ask again.
    pub(super) fn note_asked(&self) {
        if let Some(asked) = self.asked.filter(|_| asks(&self.head)) {
            self.worker
                .shared
                .note_asked(&asked.client, now().seconds());
        }
    }

    /// True when what its client got before, of a versioned file, was of no use to it.
    pub(super) fn asks_again(&self) -> bool {
        self.asked.is_some() && asks(&self.head) && self.remembered.is_again(now())
    }

    /// Notes that what it asks for is validated now, if that is a versioned file.
    pub(super) fn note_validated(&mut self) {
        if let Some(asked) = self.asked {
            let now = now().seconds();
            self.worker.shared.note_validated(&asked.key, now);
            self.remembered.validated = Some(now);
        }
    }

    fn client_of(&self, key: &Key) -> KeyHash {
        let mut hasher = DefaultHasher::new();
        self.client.address().hash(&mut hasher);
        for line in self.head.fields.all("user-agent") {
            line.hash(&mut hasher);
        }
        key.hash().hash(&mut hasher);
        u128::from(hasher.finish()).to_le_bytes()
    }
}
