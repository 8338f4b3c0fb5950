//! The table of channels to workers. What is known of each is in `link`.

use std::collections::BTreeMap;
use std::time::Instant;

use super::link::{Link, LinkEnd, WorkerStage};
use super::token::{LinkId, Token};
use crate::ipc::{Returned, SupervisorChannel};
use crate::sys::epoll::{Interest, Poll};

#[derive(Debug, Default)]
pub(super) struct Links {
    links: BTreeMap<LinkId, Link>,
    last: u32,
}

impl Links {
    pub(super) fn insert(&mut self, slot: usize, channel: SupervisorChannel) -> LinkId {
        self.last = self.last.wrapping_add(1);
        let id = LinkId(self.last);
        self.links.insert(id, Link::new(slot, channel));
        id
    }

    pub(super) fn watch(&self, id: LinkId, poll: &Poll) -> Result<(), LinkEnd> {
        let Some(link) = self.find(id) else {
            return Ok(());
        };
        let added = poll.add(link, Token::Link(id).number(), Interest::Read);
        added.map_err(|error| {
            let worker = link.slot + 1;
            log::error!("worker {worker}: its channel can't be polled: {error}");
            LinkEnd::Broken
        })
    }

    pub(super) fn remove(&mut self, id: LinkId, poll: &Poll) -> Option<Link> {
        let link = self.links.remove(&id)?;
        if let Err(error) = poll.remove(&link) {
            log::debug!("epoll: {error}");
        }
        Some(link)
    }

    pub(super) fn find(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id)
    }

    pub(super) fn find_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&id)
    }

    /// The channel of the worker with this number, if it takes clients.
    pub(super) fn ready(&self, worker: u16) -> Option<LinkId> {
        let mut ready = self.iter().filter(|(_, it)| it.stage == WorkerStage::Ready);
        let it = ready.find(|(_, link)| link.slot + 1 == usize::from(worker));
        it.map(|(id, _)| id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter().map(|(id, link)| (*id, link))
    }

    pub(super) fn chosen(&self, holds: impl Fn(&Link) -> bool) -> Vec<LinkId> {
        let chosen = self.iter().filter(|(_, link)| holds(link));
        chosen.map(|(id, _)| id).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The clients of supervisors before that this slot's workers are believed to have.
    pub(super) fn claimed(&self, slot: usize) -> u32 {
        let of_slot = self.links.values().filter(|link| link.slot == slot);
        of_slot
            .map(|link| link.held.earlier())
            .fold(0, u32::saturating_add)
    }

    /// The number of clients that workers have taken.
    pub(super) fn clients(&self) -> usize {
        self.links.values().map(|link| link.held.len()).sum()
    }

    /// Those of these clients that are another worker's, by their names.
    pub(super) fn held_elsewhere(&self, by: LinkId, clients: &[Returned]) -> Vec<u64> {
        let others = || self.iter().filter(|(id, _)| *id != by);
        let is_anothers = |id: &u64| others().any(|(_, link)| link.held.has(*id));
        let ids = clients.iter().map(|client| client.id);
        ids.filter(is_anothers).collect()
    }

    pub(super) fn adjust_interest(&mut self, id: LinkId, poll: &Poll) {
        let link = self.find_mut(id);
        let Some(link) = link.filter(|it| it.interest != it.wanted_interest()) else {
            return;
        };
        let wanted = link.wanted_interest();
        match poll.change(&*link, Token::Link(id).number(), wanted) {
            Ok(()) => link.interest = wanted,
            Err(error) => log::error!("worker {}: epoll: {error}", link.slot + 1),
        }
    }

    /// The channels that had to wait until now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<LinkId> {
        let links = self.links.iter_mut();
        let due = links.filter_map(|(id, link)| link.note_time(now).then_some(*id));
        due.collect()
    }

    pub(super) fn next_try(&self) -> Option<Instant> {
        self.links.values().filter_map(Link::next_try).min()
    }
}
