//! The loop's dealings with workers: connecting them, hearing what each says, sending what waits, and what the end
//! of a channel does.
//!
//! A client's owner is decided by what was *sent* or *received*, never by what is queued here: a client
//! sent is still ours until `Taken`, a client returned is still the worker's until `ReturnsTaken` is
//! on its way. When a channel ends in between, that is what tells who goes on with the client.

use std::time::Instant;

use super::Supervisor;
use crate::ipc::{Returned, SupervisorChannel, ToSupervisor};
use crate::supervisor::claims::Verdict;
use crate::supervisor::clients::ClientPlace;
use crate::supervisor::link::{Link, LinkEnd, WorkerStage};
use crate::supervisor::roster::SlotState;
use crate::supervisor::stop::LifePhase;
use crate::supervisor::token::{ClientId, LinkId};
use crate::supervisor::unsent::{SharedFds, Unsent};
use crate::sys::shared::StoreState;

/// The most messages that are taken from one channel before others have their turn.
const MESSAGES_A_TURN: usize = 64;

impl Supervisor {
    pub(super) fn connect_workers(&mut self, now: Instant) {
        for slot in self.roster.due(now) {
            match self.spawner.connect(slot) {
                Ok(fd) => self.connected(slot, SupervisorChannel::from(fd), now),
                Err(problem) => {
                    let wait = self.roster.refused(slot, now);
                    self.spawner.report(slot, &problem, wait);
                }
            }
        }
    }

    fn connected(&mut self, slot: usize, channel: SupervisorChannel, now: Instant) {
        let id = self.links.insert(slot, channel);
        self.roster.connected(slot, id);
        match self.links.watch(id, &self.poll) {
            Ok(()) => self.flush(id, now),
            Err(end) => self.lose(id, end, now),
        }
    }

    /// Hears a channel that has something to read, and sends what waits when it has room again.
    pub(super) fn link_ready(&mut self, id: LinkId, writable: bool, now: Instant) {
        let link = self.links.find_mut(id).filter(|_| writable);
        if link.is_some_and(|link| link.note_room()) {
            self.flush(id, now);
        }
        for _ in 0..MESSAGES_A_TURN {
            match self.links.find(id).map_or(Ok(None), Link::receive) {
                Ok(Some(message)) => self.message(id, message, now),
                Ok(None) => return,
                Err(end) => return self.lose(id, end, now),
            }
        }
    }

    fn message(&mut self, id: LinkId, message: ToSupervisor, now: Instant) {
        // A worker that drains and its successor have one share together.
        let slot = self.links.find(id).map(|link| link.slot);
        let claimed = slot.map_or(0, |slot| self.links.claimed(slot));
        let share = self.share_of_clients().saturating_sub(claimed);
        let Some(link) = self.links.find_mut(id) else {
            return;
        };
        let is_hello = matches!(message, ToSupervisor::Hello { .. });
        if link.stage == WorkerStage::Greeting && !is_hello {
            let end = link.breaks(&"it said something before its Hello");
            return self.lose(id, end, now);
        }
        match message {
            ToSupervisor::Hello {
                pid,
                worker,
                clients,
                ..
            } => {
                let slot = link.slot;
                link.held.claims(clients, share);
                if let Err(end) = link.greeted(pid, worker) {
                    return self.lose(id, end, now);
                }
                self.roster.greeted(slot, id, now);
                self.spawner.greeted(slot);
            }
            ToSupervisor::SettingsApplied => self.settings.applied(id),
            ToSupervisor::SettingsRefused { reason } => {
                self.settings.refused(id, link.slot + 1, &reason, now);
            }
            // The worker has them now: our copies go.
            ToSupervisor::Taken { ids } => link.taken(self.clients.taken(id, &ids)),
            // While a supervisor that stops gives its clients away, they stay the worker's, which isn't told otherwise.
            ToSupervisor::Return { .. } if self.phase.is_handing_over() => {}
            ToSupervisor::Return { clients } => self.take_back(id, clients, None, now),
            ToSupervisor::HandOver { worker, clients } => {
                self.handed_over(id, worker, clients, now);
            }
            ToSupervisor::Closed { ids } => link.held.end(&ids),
            ToSupervisor::Draining if link.stage == WorkerStage::Draining => {}
            ToSupervisor::Draining => self.drains(id, now),
        }
    }

    /// Clients go to the worker that fetches what they ask for. Where they can't, the one that has them
    /// serves them: it hasn't given them away until it hears so.
    fn handed_over(&mut self, id: LinkId, worker: u16, clients: Vec<Returned>, now: Instant) {
        let to = self.links.ready(worker).filter(|to| *to != id);
        if to.is_some() && self.phase == LifePhase::Running {
            return self.take_back(id, clients, Some(worker), now);
        }
        if to.is_none() {
            // Its claims, if it had any, are nobody's.
            self.shared.unclaim_all(worker);
        }
        let tokens = clients.iter().map(|client| client.token).collect();
        self.tell(id, Unsent::HandOverRefused(tokens), now);
    }

    fn take_back(&mut self, id: LinkId, back: Vec<Returned>, wanted: Option<u16>, now: Instant) {
        let settings = self.settings.current();
        let others = self.links.held_elsewhere(id, &back);
        let Some(link) = self.links.find_mut(id) else {
            return;
        };
        let tokens = back.iter().map(|client| client.token).collect();
        let mut clients = Vec::with_capacity(back.len());
        for client in back {
            let is_here = self.clients.find(ClientId::from_number(client.id));
            if is_here.is_some() || others.contains(&client.id) {
                continue;
            }
            match link.held.gives_back(&client, &mut self.origins) {
                Verdict::Genuine => {
                    // The settings may have changed meanwhile.
                    let counted = self.limits.admit(client.peer, settings, now);
                    let take = |counted| self.clients.returned(id, client, counted, wanted, now);
                    clients.extend(counted.map(take));
                }
                Verdict::Stranger => {}
                Verdict::False => {
                    let end = link.breaks(&"it gave back a client that isn't the one it had");
                    return self.lose(id, end, now);
                }
            }
        }
        self.tell(id, Unsent::ReturnsTaken { tokens, clients }, now);
    }

    /// The clients of a supervisor before that one worker may say it has: all of them where it is the only one.
    fn share_of_clients(&self) -> u32 {
        let settings = self.settings.current();
        let share = settings.max_clients.div_ceil(settings.workers.max(1));
        u32::try_from(share).unwrap_or(u32::MAX)
    }

    /// Gives the clients that the worker hasn't taken to others, and its slot to its successor.
    fn drains(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.find_mut(id) else {
            return;
        };
        link.drains();
        let slot = link.slot;
        self.dismiss_maintainer(id);
        let untaken = self.clients.at(ClientPlace::Sent(id));
        self.queue.requeue(untaken, &mut self.clients, now);
        // Before its successor has any: they have the same number.
        self.shared.unclaim_all(slot as u16 + 1);
        self.roster.left(slot, id, now);
        self.spawner.leaves(slot);
    }

    pub(super) fn tell(&mut self, id: LinkId, message: Unsent, now: Instant) {
        if let Some(link) = self.links.find_mut(id) {
            link.push(message);
        }
        self.flush(id, now);
    }

    /// Sends what waits for this channel: clients whose return it acknowledges are ours.
    pub(super) fn flush(&mut self, id: LinkId, now: Instant) {
        let fds = SharedFds {
            settings: self.settings.memory(),
            shared: self.shared.fd(),
        };
        let Some(link) = self.links.find_mut(id) else {
            return;
        };
        let mut ours = Vec::new();
        let sent = link.flush(fds, &mut ours, now);
        self.links.adjust_interest(id, &self.poll);
        for client in ours {
            self.park(client, now);
        }
        if let Err(end) = sent {
            self.lose(id, end, now);
        }
    }

    /// A channel has ended: its clients go on where they can.
    pub(super) fn lose(&mut self, id: LinkId, end: LinkEnd, now: Instant) {
        let Some(link) = self.links.remove(id, &self.poll) else {
            return;
        };
        self.dismiss_maintainer(id);
        let sent = self.clients.at(ClientPlace::Sent(id));
        match end {
            LinkEnd::Ended => self.queue.requeue(sent, &mut self.clients, now),
            // It may still take them: they can't be given to anyone else.
            LinkEnd::Broken => self.clients.remove_all(&sent),
        }
        // It was never told that they are ours.
        let returned = self.clients.at(ClientPlace::Returned(id));
        self.clients.remove_all(&returned);
        self.settings.applied(id);
        self.disk.worker_ended();
        if let Some(wait) = self.roster.left(link.slot, id, now) {
            self.shared.unclaim_all(link.slot as u16 + 1);
            self.shared.set_store_down(link.slot + 1, false);
            self.shared.set_store_state(link.slot + 1, StoreState::Used);
            self.shared.set_pending_invalidations(link.slot + 1, false);
            self.spawner.lost(link.slot, link.pid, wait);
        }
    }

    /// Children have ended. One that never said Hello has a channel that would stay silent for ever.
    pub(super) fn children_ended(&mut self, now: Instant) {
        for slot in self.spawner.reap() {
            let state = self.roster.states().nth(slot);
            if let Some(SlotState::Greeting { link }) = state {
                self.lose(link, LinkEnd::Ended, now);
            }
        }
    }
}
