//! Collapsing across workers: a client that asks for what another worker is fetching goes there, with what
//! was read from it. Once for a request: where that worker has nothing for it after all, it is served alone.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use super::candidates::CandidateSet;
use super::{After, Collapsing, Exchange};
use crate::ipc::MAX_READ;
use crate::worker::fetch::{Claim, claim, received_elsewhere};
use crate::worker::waiting_list::{ClaimGuard, Waiter};

/// The next step for a key that has to be fetched.
pub(super) enum Admission {
    /// Fetch it; with a claim, others send their clients here.
    Fetch(Option<Rc<ClaimGuard>>),
    /// Look it up again: it has been stored meanwhile.
    LookUp,
    /// The client goes to another worker.
    Leave(After),
}

impl Exchange<'_> {
    /// Says whether this request is the first for its key in any worker.
    /// A response stored meanwhile is looked up, unless it asks for what holds now.
    pub(super) fn admission(&mut self, looked_up: &CandidateSet, waiter: &Waiter) -> Admission {
        let key = &looked_up.key;
        let is_first = self.collapsing == Collapsing::Untried;
        let wants_any = waiter.wanted.since.is_none();
        self.collapsing = Collapsing::Tried;
        match claim(self.worker, key, self.client.is_local()) {
            Claim::Ours(claim)
                if is_first && wants_any && looked_up.are_outdated(&self.worker.shared, key) =>
            {
                drop(claim);
                Admission::LookUp
            }
            Claim::Ours(claim) => Admission::Fetch(Some(claim)),
            Claim::Theirs(other) if is_first && self.may_leave() => {
                Admission::Leave(self.leave_for(other))
            }
            Claim::Theirs(_) | Claim::Alone => Admission::Fetch(None),
        }
    }

    /// Leaves for the worker that receives what may answer this request: a condition, a range or HEAD, which wait for no
    /// fetch that has no head yet.
    pub(super) fn leave_for_received(&mut self, looked_up: &CandidateSet) -> Option<After> {
        if self.collapsing != Collapsing::Untried || self.directives.no_cache || !self.may_leave() {
            return None;
        }
        let (key, is_local) = (looked_up.key_of_get(), self.client.is_local());
        let other = received_elsewhere(self.worker, key, is_local)?;
        Some(self.leave_for(other))
    }

    /// True when the connection may change hands with this request unanswered, and the request may be
    /// answered by what another's fetch brings.
    fn may_leave(&self) -> bool {
        let phase = &self.worker.phase;
        let length = self.received_text().len() + self.client.buffer.len();
        !self.client.handed
            && !self.has_own_credentials
            && self.client.pinned.is_empty()
            && phase.supervised()
            && !phase.draining()
            && self.client.out.is_empty()
            && length <= MAX_READ
    }

    fn received_text(&self) -> &Bytes {
        self.received
            .as_ref()
            .unwrap_or_else(|| self.head.fields.text())
    }

    /// Puts the request back as it was received, before what was read after it.
    fn leave_for(&mut self, other: u16) -> After {
        let head = self.received_text();
        let mut read = BytesMut::with_capacity(head.len() + self.client.buffer.len());
        read.extend_from_slice(head);
        read.extend_from_slice(&self.client.buffer);
        self.client.buffer = read;
        After::HandOver(other)
    }
}
