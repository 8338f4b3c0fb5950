//! The memory of versioned files: who asked for one, and when one was validated though it was fresh, in all workers.
//!
//! What follows from it is decided in `cache::versioned`.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Exchange;
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
    /// Takes up what is remembered of the versioned file with this key, and notes that this client asks for it; once for a
    /// request.
    pub(super) fn remember_asking(&mut self, key: &Key) {
        if self.asked.is_some() {
            return;
        }
        let shared = &self.worker.shared;
        let client = self.client_of(key);
        // Another worker, which sent the client here with this request, has noted it already.
        let asked = (shared.asked(&client)).filter(|_| !self.client.handed);
        self.remembered = Remembered {
            asked,
            validated: shared.validated(key.hash()),
        };
        if asks(&self.head) {
            shared.note_asked(&client, now().seconds());
        }
        self.asked = Some(AskedFile {
            key: *key.hash(),
            client,
        });
    }

    /// Notes anew when it asked, once it has its answer: a long download takes its time.
    pub(super) fn note_answered(&self) {
        if let Some(asked) = self.asked.filter(|_| asks(&self.head)) {
            self.worker
                .shared
                .note_asked(&asked.client, now().seconds());
        }
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
