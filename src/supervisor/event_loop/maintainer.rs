//! The worker that sees to the store's files for the evictor: appointed when there is none, or when the evictor asks for
//! another, with a channel between the two.

use std::time::Instant;

use super::Supervisor;
use crate::supervisor::link::WorkerStage;
use crate::supervisor::token::LinkId;
use crate::supervisor::unsent::Unsent;
use crate::sys::seqpacket;

impl Supervisor {
    pub(super) fn appoint_maintainer(&mut self, now: Instant) {
        if !self.disk.wants_maintainer() {
            return;
        }
        let ready = self.links.chosen(|link| link.stage == WorkerStage::Ready);
        // Another one than it had, if there is one.
        let others = ready.iter().find(|id| Some(**id) != self.maintainer);
        let Some(chosen) = others.or(ready.first()).copied() else {
            return;
        };
        match seqpacket::pair() {
            Ok((ours, its)) => {
                if self.disk.appoint(ours.into()) {
                    self.maintainer = Some(chosen);
                    self.tell(chosen, Unsent::Maintain { channel: its }, now);
                }
            }
            Err(error) => log::warn!("the store's upkeep waits: no channel for it: {error}"),
        }
    }

    /// This worker takes no more orders.
    pub(super) fn dismiss_maintainer(&mut self, id: LinkId) {
        if self.maintainer == Some(id) {
            self.maintainer = None;
            self.disk.dismiss_maintainer();
        }
    }
}
