//! What each message of a worker means for the clients, and what the end of its channel does.
//!
//! Who owns a client is decided by what was *sent* or *received*, never by what is queued here: a client
//! sent is still ours until `Taken`, a client returned is still the worker's until `ReturnsTaken` is
//! on its way. When a channel ends in between, that is what tells who goes on with the client.

use std::time::Instant;

use super::clients::{Client, Place};
use super::event_loop::Supervisor;
use super::link::{Lost, Stage, Unsent};
use super::stop::Phase;
use super::token::{ClientId, LinkId};
use crate::ipc::{Returned, ToSupervisor};

impl Supervisor {
    /// Does what a worker's message asks for.
    pub(super) fn heard(&mut self, id: LinkId, message: ToSupervisor, now: Instant) {
        match message {
            ToSupervisor::Hello {
                pid,
                worker,
                clients,
                version: _,
            } => self.hello(id, pid, worker, clients, now),
            ToSupervisor::SettingsApplied => self.settings_answer(id, Ok(())),
            ToSupervisor::SettingsRefused { reason } => self.settings_answer(id, Err(reason)),
            ToSupervisor::Taken { ids } => self.taken(id, &ids),
            ToSupervisor::Return { clients } if self.handing_over => drop(clients),
            ToSupervisor::Return { clients } => self.returned(id, clients, None, now),
            ToSupervisor::HandOver { worker, clients } => {
                self.handed_over(id, worker, clients, now);
            }
            ToSupervisor::Closed { ids } => self.lighten(id, ids.len()),
            ToSupervisor::Draining => self.draining(id, now),
            ToSupervisor::Published { objects } => self.published(objects),
            ToSupervisor::Removed { objects } => self.removed(objects),
        }
    }

    fn hello(&mut self, id: LinkId, pid: u32, worker: u16, clients: u32, now: Instant) {
        let Some(link) = self.links.find_mut(id) else {
            return;
        };
        if usize::from(worker) != link.slot + 1 || link.stage != Stage::Greeting {
            log::error!(
                "the process at the socket of worker {} says it is worker {worker}; its channel is closed",
                link.slot + 1
            );
            return self.lose(id, Lost::Broken, now);
        }
        link.stage = Stage::Ready;
        link.pid = pid;
        link.load = clients;
        log::info!("worker {worker} is ready (pid {pid}, {clients} clients)");
        let slot = link.slot;
        self.roster.greeted(slot, id, now);
        self.spawner.greeted(slot);
    }

    /// The worker has these clients now: our copies go.
    fn taken(&mut self, id: LinkId, ids: &[u64]) {
        for number in ids {
            let client = ClientId::from_number(*number);
            let place = self.clients.find(client).map(|client| client.place);
            if place == Some(Place::Sent(id)) {
                self.clients.remove(client);
                if let Some(link) = self.links.find_mut(id) {
                    link.untaken = link.untaken.saturating_sub(1);
                }
            }
        }
    }

    /// Clients go to the worker that fetches what they ask for. Where they can't, the one that has them
    /// serves them: it hasn't given them away until it hears so.
    fn handed_over(&mut self, id: LinkId, worker: u16, clients: Vec<Returned>, now: Instant) {
        let to = self.links.ready(worker).filter(|to| *to != id);
        if to.is_some() && self.phase == Phase::Running {
            return self.returned(id, clients, Some(worker), now);
        }
        if to.is_none() {
            // What it claimed, if it did, is nobody's.
            self.shared.unclaim_all(worker);
        }
        let tokens = clients.iter().map(|client| client.token).collect();
        self.tell(id, Unsent::HandOverRefused { tokens }, now);
    }

    /// Clients come back. While a supervisor that stops gives its clients away, they stay the worker's,
    /// which isn't told otherwise.
    fn returned(&mut self, id: LinkId, returned: Vec<Returned>, wanted: Option<u16>, now: Instant) {
        self.lighten(id, returned.len());
        let tick = self.tick(now);
        let mut tokens = Vec::with_capacity(returned.len());
        let mut clients = Vec::with_capacity(returned.len());
        for back in returned {
            tokens.push(back.token);
            let mut client = Client::new(back.fd, back.peer, Place::Returned(id), tick);
            client.read = Box::from(&back.read[..]);
            client.wanted = wanted;
            clients.push(self.clients.insert(client));
        }
        self.tell(id, Unsent::ReturnsTaken { tokens, clients }, now);
    }

    fn lighten(&mut self, id: LinkId, clients: usize) {
        if let Some(link) = self.links.find_mut(id) {
            let clients = u32::try_from(clients).unwrap_or(u32::MAX);
            link.load = link.load.saturating_sub(clients);
        }
    }

    /// The worker takes no more: what it hasn't taken goes to others, its seat to its successor.
    fn draining(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.find_mut(id) else {
            return;
        };
        link.stage = Stage::Draining;
        let (slot, untaken) = (link.slot, std::mem::take(&mut link.untaken));
        link.load = link.load.saturating_sub(untaken as u32);
        log::info!("worker {} drains; {untaken} clients go to others", slot + 1);
        self.requeue(self.clients.at(Place::Sent(id)), now);
        // Before its successor has any: they have the same number.
        self.shared.unclaim_all(slot as u16 + 1);
        self.roster.left(slot, id, now);
        self.spawner.leaves(slot);
    }

    /// A channel has ended: its clients go on where they can.
    pub(super) fn lose(&mut self, id: LinkId, how: Lost, now: Instant) {
        let Some(link) = self.links.remove(id) else {
            return;
        };
        if let Err(error) = self.poll.remove(&link) {
            log::debug!("epoll: {error}");
        }
        let sent = self.clients.at(Place::Sent(id));
        match how {
            Lost::Ended => self.requeue(sent, now),
            // It may still take them: they can't be given to anyone else.
            Lost::Broken => self.forget(&sent),
        }
        // It was never told that they are ours.
        self.forget(&self.clients.at(Place::Returned(id)));
        self.settings_answer(id, Ok(()));
        self.news_lost();
        if let Some(wait) = self.roster.left(link.slot, id, now) {
            self.shared.unclaim_all(link.slot as u16 + 1);
            self.shared.set_store_down(link.slot + 1, false);
            self.shared.set_untold(link.slot + 1, false);
            self.spawner.lost(link.slot, link.pid, wait);
        }
    }

    fn forget(&mut self, clients: &[ClientId]) {
        for client in clients {
            self.clients.remove(*client);
        }
    }
}
