//! Which worker gets a client: the least loaded of those that are ready, in batches of one turn.
//!
//! A client is taken out of epoll before it is sent: its connection lives on in the worker, and epoll
//! would go on reporting it here. Bytes are never read, so the kernel keeps them for the worker.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use bytes::Bytes;

use super::clients::Place;
use super::event_loop::Supervisor;
use super::link::Lost;
use super::stop::Phase;
use super::token::{ClientId, LinkId, Token};
use crate::ipc::{Assigned, ToWorker, batch};
use crate::sys::clients;
use crate::sys::epoll::{Interest, Ready};

/// The workers that clients can go to, with the number of clients each has.
#[derive(Debug)]
struct Balance {
    open: Vec<(LinkId, u32)>,
    next: usize,
}

impl Balance {
    /// `next` is where the round begins among those equally loaded.
    fn new(open: Vec<(LinkId, u32)>, next: usize) -> Balance {
        Balance { open, next }
    }

    /// The least loaded worker, which has one more client then. Among equals they take turns.
    fn choose(&mut self) -> Option<LinkId> {
        let count = self.open.len();
        let order = (0..count).map(|step| (self.next + step) % count);
        let chosen = order.min_by_key(|index| self.open[*index].1)?;
        self.next = chosen + 1;
        let (link, load) = &mut self.open[chosen];
        *load += 1;
        Some(*link)
    }

    /// Distributes the clients: for each worker those it gets, in their order.
    fn share(&mut self, clients: &[ClientId]) -> Vec<(LinkId, Vec<ClientId>)> {
        let mut shares: Vec<(LinkId, Vec<ClientId>)> = Vec::new();
        for client in clients {
            let Some(link) = self.choose() else {
                break;
            };
            match shares.iter_mut().find(|(to, _)| *to == link) {
                Some((_, share)) => share.push(*client),
                None => shares.push((link, vec![*client])),
            }
        }
        shares
    }
}

impl Supervisor {
    /// Waits for the next bytes of a client that is ours, or queues it if some are here already.
    pub(super) fn park(&mut self, id: ClientId, now: Instant) {
        let tick = self.tick(now);
        let Some(client) = self.clients.find(id) else {
            return;
        };
        match self.phase {
            Phase::Running if client.read.is_empty() => {}
            // Those that come back last are handed over with the others.
            Phase::Running | Phase::HandingOver { .. } => {
                self.clients.place(id, Place::Queued, tick);
                self.queue.push_back(id);
                return;
            }
            // In the foreground all ends, and an idle client with it.
            Phase::Draining { .. } | Phase::Over => {
                self.clients.remove(id);
                return;
            }
        }
        let place = match client.place {
            Place::New => Place::New,
            Place::Parked | Place::Queued | Place::Sent(_) | Place::Returned(_) => Place::Parked,
        };
        let token = Token::Client(id).number();
        match self.poll.add(&client.fd, token, Interest::FirstBytes) {
            Ok(()) => self.clients.place(id, place, tick),
            Err(error) => {
                log::warn!("a client can't be parked and is closed: {error}");
                self.clients.remove(id);
            }
        }
    }

    /// A waiting client has sent something, or has gone.
    pub(super) fn client_ready(&mut self, id: ClientId, event: Ready, now: Instant) {
        if !self.stop_waiting(id) {
            return;
        }
        let Some(client) = self.clients.find(id) else {
            return;
        };
        if event.broken || (event.finished && !clients::has_bytes(&client.fd)) {
            self.clients.remove(id);
            return;
        }
        let tick = self.tick(now);
        self.clients.place(id, Place::Queued, tick);
        self.queue.push_back(id);
    }

    /// Takes a client out of epoll. False when it isn't there: an event that was already on its way.
    pub(super) fn stop_waiting(&mut self, id: ClientId) -> bool {
        let Some(client) = self.clients.find(id) else {
            return false;
        };
        if !client.place.is_waiting() {
            return false;
        }
        if let Err(error) = self.poll.remove(&client.fd) {
            log::error!("a client can't be taken out of epoll and is closed: {error}");
            self.clients.remove(id);
            return false;
        }
        true
    }

    /// Closes the clients that have waited too long.
    pub(super) fn close_overdue(&mut self, now: Instant) {
        let limit = self.settings.current().times.client_idle;
        for id in self.clients.overdue(limit, self.tick(now)) {
            self.stop_waiting(id);
            self.clients.remove(id);
        }
    }

    /// These clients go to another worker, before those that came later.
    pub(super) fn requeue(&mut self, clients: Vec<ClientId>, now: Instant) {
        let tick = self.tick(now);
        for id in clients {
            self.clients.place(id, Place::Queued, tick);
            self.queue.push_front(id);
        }
    }

    /// Sends the queued clients to workers, as far as there are any that take them.
    pub(super) fn dispatch(&mut self, now: Instant) {
        if self.queue.is_empty() {
            return;
        }
        let open = self.links.iter().filter(|(_, link)| link.is_open());
        let open: Vec<(LinkId, u32)> = open.map(|(id, link)| (id, link.load)).collect();
        if open.is_empty() {
            return;
        }
        let mut balance = Balance::new(open, self.next_worker);
        let clients = &self.clients;
        let is_queued = |id: &ClientId| {
            let client = clients.find(*id);
            client.is_some_and(|client| client.place == Place::Queued)
        };
        let waiting: Vec<ClientId> = self.queue.drain(..).filter(is_queued).collect();
        let (wanted, waiting): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .map(|id| (self.wanted(id), id))
            .partition(|(to, _)| to.is_some());
        let waiting: Vec<ClientId> = waiting.into_iter().map(|(_, id)| id).collect();
        let mut shares = balance.share(&waiting);
        let to_wanted = wanted.into_iter().filter_map(|(to, id)| Some((to?, id)));
        for (to, id) in to_wanted {
            match shares.iter_mut().find(|(link, _)| *link == to) {
                Some((_, share)) => share.push(id),
                None => shares.push((to, vec![id])),
            }
        }
        self.next_worker = balance.next;
        for (link, share) in shares {
            let left = self.assign(link, &share, now);
            self.queue.extend(left);
            self.adjust_interest(link);
        }
    }

    /// The channel to the worker that this client is for, as long as that one takes clients: it waits
    /// until the channel has room.
    fn wanted(&self, id: ClientId) -> Option<LinkId> {
        self.links.ready(self.clients.find(id)?.wanted?)
    }

    /// Sends these clients over this channel, and tells which of them it had no room for.
    fn assign(&mut self, to: LinkId, mut ids: &[ClientId], now: Instant) -> Vec<ClientId> {
        while !ids.is_empty() {
            let Some(link) = self.links.find_mut(to).filter(|link| link.is_open()) else {
                break;
            };
            let mut message: Vec<Assigned<BorrowedFd<'_>>> = ids
                .iter()
                .take(crate::sys::fds::MAX_FDS)
                .filter_map(|id| Some(assigned(*id, self.clients.find(*id)?)))
                .collect();
            message.truncate(batch::fitting(&message));
            let count = message.len();
            let sent = link.send(&ToWorker::Assign { clients: message }, now);
            match sent {
                Ok(true) => {
                    link.load += count as u32;
                    link.untaken += count;
                    let tick = self.tick(now);
                    for id in &ids[..count] {
                        self.clients.place(*id, Place::Sent(to), tick);
                    }
                    ids = &ids[count..];
                }
                Ok(false) => break,
                Err(error) => {
                    log::error!("worker {}: {error}; its channel is closed", link.slot + 1);
                    self.lose(to, Lost::Broken, now);
                    break;
                }
            }
        }
        ids.to_vec()
    }
}

fn assigned(id: ClientId, client: &super::clients::Client) -> Assigned<BorrowedFd<'_>> {
    Assigned {
        id: id.number(),
        peer: client.peer,
        handed: client.wanted.is_some(),
        read: Bytes::copy_from_slice(&client.read),
        fd: client.fd.as_fd(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(count: u64) -> Vec<ClientId> {
        (0..count).map(ClientId::from_number).collect()
    }

    #[test]
    fn clients_go_to_the_least_loaded_and_equals_take_turns() {
        // (loads before, next, clients, how many each gets)
        type Row = (&'static [u32], usize, u64, &'static [usize]);
        let rows: [Row; 7] = [
            (&[], 0, 3, &[]),
            (&[0], 0, 3, &[3]),
            (&[0, 0], 0, 4, &[2, 2]),
            (&[0, 0], 1, 1, &[0, 1]),
            (&[5, 0], 0, 3, &[0, 3]),
            (&[2, 0], 0, 4, &[1, 3]),
            (&[100, 3, 4], 7, 3, &[0, 2, 1]),
        ];
        for (loads, next, count, expected) in rows {
            let open = loads.iter().zip(0..).map(|(load, id)| (LinkId(id), *load));
            let mut balance = Balance::new(open.collect(), next);
            let shares = balance.share(&clients(count));
            let mut got = vec![0; loads.len()];
            for (link, share) in shares {
                got[link.0 as usize] = share.len();
            }
            assert_eq!(got, expected, "{loads:?} next {next}, {count} clients");
        }
    }

    #[test]
    fn one_client_at_a_time_goes_round() {
        let mut next = 0;
        let mut order = Vec::new();
        for _ in 0..4 {
            let mut balance = Balance::new(vec![(LinkId(1), 0), (LinkId(2), 0)], next);
            order.extend(balance.choose());
            next = balance.next;
        }
        assert_eq!(order, [LinkId(1), LinkId(2), LinkId(1), LinkId(2)]);
    }
}
