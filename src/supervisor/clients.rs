//! The table of the clients that the supervisor holds: new ones, parked ones, queued ones, and its copies of
//! those sent to a worker that hasn't taken them yet. It is compact; 10,000 idle clients are its point.
//!
//! A client's next step is decided in `park` and `dispatch`; nothing here does I/O.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::accept::Accepted;
use super::claims::TakenClient;
use super::connection_limits::Counted;
use super::token::{ClientId, LinkId};
use crate::config::Times;
use crate::ipc::{Peer, Returned};
use crate::sys::connection;

/// The place of a client on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientPlace {
    /// Accepted, its first bytes awaited.
    New,
    /// Idle after a response, its next bytes awaited.
    Parked,
    Queued,
    /// Sent over this link and not taken yet.
    Sent(LinkId),
    /// Come back over this link; the worker hasn't been told yet that it is ours.
    Returned(LinkId),
}

impl ClientPlace {
    /// True when the client is in epoll.
    pub(super) fn is_waiting(self) -> bool {
        matches!(self, ClientPlace::New | ClientPlace::Parked)
    }
}

#[derive(Debug)]
pub(super) struct Client {
    pub fd: OwnedFd,
    pub peer: Peer,
    pub counted: Counted,
    /// Bytes that a worker has read and not answered.
    pub read: Box<[u8]>,
    /// The worker to which another has handed it over.
    pub wanted: Option<u16>,
    pub place: ClientPlace,
    /// Tenths of a second since the supervisor started: a quarter of an `Instant`'s size.
    since: u32,
}

impl Drop for Client {
    fn drop(&mut self) {
        connection::close_without_waiting(&self.fd);
    }
}

#[derive(Debug, Default)]
struct TableSlot {
    serial: u32,
    client: Option<Client>,
}

#[derive(Debug)]
pub(super) struct Clients {
    slots: Vec<TableSlot>,
    free: Vec<u32>,
    serial: u32,
    start: Instant,
}

impl Clients {
    /// An empty table. Ids begin at `seed`, which should differ from one supervisor to the next.
    pub(super) fn new(seed: u32, now: Instant) -> Clients {
        Clients {
            slots: Vec::new(),
            free: Vec::new(),
            serial: seed,
            start: now,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn accepted(&mut self, client: Accepted, now: Instant) -> ClientId {
        let Accepted { fd, peer, counted } = client;
        self.insert(Client {
            fd,
            peer,
            counted,
            read: Box::default(),
            wanted: None,
            place: ClientPlace::New,
            since: self.tenths(now),
        })
    }

    /// Takes in a client that a worker gives back, or gives to the worker that is `wanted`.
    pub(super) fn returned(
        &mut self,
        from: LinkId,
        client: Returned,
        counted: Counted,
        wanted: Option<u16>,
        now: Instant,
    ) -> ClientId {
        self.insert(Client {
            fd: client.fd,
            peer: client.peer,
            counted,
            read: Box::from(&client.read[..]),
            wanted,
            place: ClientPlace::Returned(from),
            since: self.tenths(now),
        })
    }

    fn insert(&mut self, client: Client) -> ClientId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(TableSlot::default());
            (self.slots.len() - 1) as u32
        });
        self.serial = self.serial.wrapping_add(1) & ClientId::SERIAL;
        self.slots[index as usize] = TableSlot {
            serial: self.serial,
            client: Some(client),
        };
        ClientId::new(self.serial, index)
    }

    pub(super) fn find(&self, id: ClientId) -> Option<&Client> {
        let slot = self.slots.get(id.index())?;
        slot.client.as_ref().filter(|_| slot.serial == id.serial())
    }

    pub(super) fn remove(&mut self, id: ClientId) -> Option<Client> {
        self.find(id)?;
        self.free.push(id.index() as u32);
        self.slots[id.index()].client.take()
    }

    pub(super) fn remove_all(&mut self, ids: &[ClientId]) {
        for id in ids {
            self.remove(*id);
        }
    }

    /// Removes those of these clients that were sent over this channel, since the worker has them now, and lists them.
    pub(super) fn taken(&mut self, by: LinkId, ids: &[u64]) -> Vec<(u64, TakenClient)> {
        let mut taken = Vec::with_capacity(ids.len());
        for id in ids.iter().map(|number| ClientId::from_number(*number)) {
            let was_sent = |it: &Client| it.place == ClientPlace::Sent(by);
            if self.find(id).is_none_or(|it| !was_sent(it)) {
                continue;
            }
            if let Some(mut client) = self.remove(id) {
                let client = TakenClient {
                    peer: client.peer,
                    cookie: connection::cookie(&client.fd).unwrap_or_default(),
                    _counted: std::mem::take(&mut client.counted),
                };
                taken.push((id.number(), client));
            }
        }
        taken
    }

    /// Removes the clients that wait here and for whom `admit` finds no place any more; tells who they are.
    pub(super) fn count_again(
        &mut self,
        mut admit: impl FnMut(Peer) -> Option<Counted>,
    ) -> Vec<ClientId> {
        let mut refused = Vec::new();
        for id in self.waiting() {
            let slot = self.slots.get_mut(id.index());
            let Some(client) = slot.and_then(|slot| slot.client.as_mut()) else {
                continue;
            };
            client.counted = Counted::default();
            match admit(client.peer) {
                Some(counted) => client.counted = counted,
                None => refused.push(id),
            }
        }
        refused
    }

    pub(super) fn place(&mut self, id: ClientId, place: ClientPlace, now: Instant) {
        let since = self.tenths(now);
        let slot = self.slots.get_mut(id.index());
        let slot = slot.filter(|slot| slot.serial == id.serial());
        if let Some(client) = slot.and_then(|slot| slot.client.as_mut()) {
            (client.place, client.since) = (place, since);
        }
    }

    fn chosen(&self, holds: impl Fn(&Client) -> bool) -> Vec<ClientId> {
        let slots = self.slots.iter().zip(0..);
        slots
            .filter(|(slot, _)| slot.client.as_ref().is_some_and(&holds))
            .map(|(slot, index)| ClientId::new(slot.serial, index))
            .collect()
    }

    pub(super) fn at(&self, place: ClientPlace) -> Vec<ClientId> {
        self.chosen(|client| client.place == place)
    }

    pub(super) fn waiting(&self) -> Vec<ClientId> {
        self.chosen(|client| client.place.is_waiting())
    }

    /// The clients that have waited, for bytes or for a worker, longer than they may.
    pub(super) fn overdue(&self, times: &Times, now: Instant) -> Vec<ClientId> {
        let idle = tenths(times.client_idle);
        let new = tenths(times.client_header).min(idle);
        let now = self.tenths(now);
        self.chosen(|client| {
            let waited = now.saturating_sub(client.since);
            match client.place {
                ClientPlace::New => waited > new,
                ClientPlace::Parked | ClientPlace::Queued => waited > idle,
                ClientPlace::Sent(_) | ClientPlace::Returned(_) => false,
            }
        })
    }

    fn tenths(&self, now: Instant) -> u32 {
        tenths(now.saturating_duration_since(self.start))
    }
}

fn tenths(time: Duration) -> u32 {
    u32::try_from(time.as_millis() / 100).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sys::memory_file;

    fn accept(clients: &mut Clients, now: Instant) -> ClientId {
        let fd = memory_file::sealed("client", b"").unwrap();
        let (peer, counted) = (Peer::Unix, Counted::default());
        clients.accepted(Accepted { fd, peer, counted }, now)
    }

    #[test]
    fn a_parked_client_costs_at_most_200_bytes() {
        // A table that has just grown is half empty, and a slot has its place in the free list.
        assert!(2 * (size_of::<TableSlot>() + size_of::<u32>()) <= 200);
    }

    #[test]
    fn an_id_ends_with_its_client() {
        let now = Instant::now();
        let mut clients = Clients::new(ClientId::SERIAL, now);
        let first = accept(&mut clients, now);
        assert!(clients.remove(first).is_some());
        let second = accept(&mut clients, now);
        assert_eq!(first.index(), second.index(), "the slot is used again");
        assert!(clients.find(first).is_none());
        assert!(clients.remove(first).is_none());
        assert!(clients.find(second).is_some());
        assert_eq!(clients.len(), 1);
        assert_eq!(ClientId::from_number(second.number()), second);
    }

    #[test]
    fn only_who_waits_too_long_is_overdue() {
        let start = Instant::now();
        let tenths = |count: u64| start + Duration::from_millis(100 * count);
        let link = LinkId(1);
        let times = Times {
            client_header: Duration::from_millis(500),
            client_idle: Duration::from_secs(1),
            ..Times::default()
        };
        let rows = [
            (ClientPlace::New, 0, true),
            (ClientPlace::New, 14, true),
            (ClientPlace::New, 15, false),
            (ClientPlace::Parked, 9, true),
            (ClientPlace::Parked, 0, true),
            (ClientPlace::Queued, 0, true),
            (ClientPlace::Parked, 10, false),
            (ClientPlace::Sent(link), 0, false),
            (ClientPlace::Returned(link), 0, false),
        ];
        for (place, since, expected) in rows {
            let mut clients = Clients::new(0, start);
            let id = accept(&mut clients, start);
            clients.place(id, place, tenths(since));
            let overdue = clients.overdue(&times, tenths(20));
            assert_eq!(overdue == [id], expected, "{place:?} since {since}");
        }
    }
}
