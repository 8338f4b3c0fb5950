//! The clients that the supervisor holds: new ones, parked ones, queued ones, and its copies of those
//! sent to a worker that hasn't taken them yet. One compact table; 10,000 idle clients are its point.
//!
//! Where a client goes next is decided in `dispatch`; nothing here does I/O.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::token::{ClientId, LinkId};
use crate::ipc::Peer;

/// Where a client is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Accepted, its first bytes awaited.
    New,
    /// Idle after a response, its next bytes awaited.
    Parked,
    /// To be sent to a worker.
    Queued,
    /// Sent over this link and not taken yet.
    Sent(LinkId),
    /// Come back over this link; the worker hasn't been told yet that it is ours.
    Returned(LinkId),
}

impl Place {
    /// Whether the client is in epoll.
    pub(super) fn is_waiting(self) -> bool {
        matches!(self, Place::New | Place::Parked)
    }
}

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    /// Its connection.
    pub fd: OwnedFd,
    /// Who it is.
    pub peer: Peer,
    /// What a worker has read and not answered.
    pub read: Box<[u8]>,
    /// The worker to which another has handed it over.
    pub wanted: Option<u16>,
    /// Where it is.
    pub place: Place,
    since: Tick,
}

impl Client {
    /// A client that is there since `now`.
    pub(super) fn new(fd: OwnedFd, peer: Peer, place: Place, now: Tick) -> Client {
        Client {
            fd,
            peer,
            read: Box::default(),
            wanted: None,
            place,
            since: now,
        }
    }
}

/// Tenths of a second since the supervisor started: a quarter of an `Instant`'s size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u32);

impl Tick {
    /// The tick of `now`.
    pub(super) fn at(start: Instant, now: Instant) -> Tick {
        Tick::of(now.saturating_duration_since(start))
    }

    fn of(time: Duration) -> Tick {
        Tick(u32::try_from(time.as_millis() / 100).unwrap_or(u32::MAX))
    }
}

#[derive(Debug, Default)]
struct Slot {
    serial: u32,
    client: Option<Client>,
}

/// The table of clients.
#[derive(Debug)]
pub(super) struct Clients {
    slots: Vec<Slot>,
    free: Vec<u32>,
    serial: u32,
}

impl Clients {
    /// An empty table. Ids begin at `seed`, which should differ from one supervisor to the next.
    pub(super) fn new(seed: u32) -> Clients {
        Clients {
            slots: Vec::new(),
            free: Vec::new(),
            serial: seed,
        }
    }

    /// How many clients there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes a client in.
    pub(super) fn insert(&mut self, client: Client) -> ClientId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        self.serial = self.serial.wrapping_add(1) & ClientId::SERIAL;
        self.slots[index as usize] = Slot {
            serial: self.serial,
            client: Some(client),
        };
        ClientId::new(self.serial, index)
    }

    /// The client of this id, if it is still here.
    pub(super) fn find(&self, id: ClientId) -> Option<&Client> {
        let slot = self.slots.get(id.index())?;
        slot.client.as_ref().filter(|_| slot.serial == id.serial())
    }

    /// The client of this id, if it is still here.
    pub(super) fn find_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        let slot = self.slots.get_mut(id.index())?;
        let is_it = slot.serial == id.serial();
        slot.client.as_mut().filter(|_| is_it)
    }

    /// Gives a client away.
    pub(super) fn remove(&mut self, id: ClientId) -> Option<Client> {
        self.find(id)?;
        self.free.push(id.index() as u32);
        self.slots[id.index()].client.take()
    }

    /// Moves a client to another place, as of `now`.
    pub(super) fn place(&mut self, id: ClientId, place: Place, now: Tick) {
        if let Some(client) = self.find_mut(id) {
            client.place = place;
            client.since = now;
        }
    }

    /// Every client with its id, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ClientId, &Client)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let client = slot.client.as_ref()?;
            Some((ClientId::new(slot.serial, index as u32), client))
        })
    }

    /// The clients at this place.
    pub(super) fn at(&self, place: Place) -> Vec<ClientId> {
        self.iter()
            .filter(|(_, client)| client.place == place)
            .map(|(id, _)| id)
            .collect()
    }

    /// The clients that have waited, for bytes or for a worker, longer than `limit`.
    pub(super) fn overdue(&self, limit: Duration, now: Tick) -> Vec<ClientId> {
        let limit = Tick::of(limit).0;
        self.iter()
            .filter(|(_, client)| client.place.is_waiting() || client.place == Place::Queued)
            .filter(|(_, client)| now.0.saturating_sub(client.since.0) > limit)
            .map(|(id, _)| id)
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sys::memory_file;

    fn client(place: Place, now: Tick) -> Client {
        let fd = memory_file::sealed("client", b"").unwrap();
        Client::new(fd, Peer::Unix, place, now)
    }

    #[test]
    fn a_parked_client_costs_at_most_200_bytes() {
        // A table that has just grown is half empty, and a slot has its place in the free list.
        assert!(2 * (size_of::<Slot>() + size_of::<u32>()) <= 200);
    }

    #[test]
    fn an_id_ends_with_its_client() {
        let mut clients = Clients::new(ClientId::SERIAL);
        let first = clients.insert(client(Place::New, Tick(0)));
        assert!(clients.remove(first).is_some());
        let second = clients.insert(client(Place::New, Tick(0)));
        assert_eq!(first.index(), second.index(), "the slot is used again");
        assert!(clients.find(first).is_none());
        assert!(clients.remove(first).is_none());
        assert!(clients.find(second).is_some());
        assert_eq!(clients.len(), 1);
        assert_eq!(ClientId::from_number(second.number()), second);
    }

    #[test]
    fn only_who_waits_too_long_is_overdue() {
        let link = LinkId(1);
        let limit = Duration::from_secs(1);
        let rows = [
            (Place::New, 0, true),
            (Place::Parked, 0, true),
            (Place::Queued, 0, true),
            (Place::Parked, 15, false),
            (Place::Sent(link), 0, false),
            (Place::Returned(link), 0, false),
        ];
        for (place, since, expected) in rows {
            let mut clients = Clients::new(0);
            let id = clients.insert(client(place, Tick(since)));
            let overdue = clients.overdue(limit, Tick(20));
            assert_eq!(overdue == [id], expected, "{place:?} since {since}");
        }
    }
}
