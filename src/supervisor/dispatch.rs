//! The worker that a client goes to: the least loaded of those that are ready, in batches of one turn; or the one that
//! another worker has handed it to.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::AsFd;
use std::time::Instant;

use bytes::Bytes;

use super::clients::{ClientPlace, Clients};
use super::link::{Link, LinkEnd};
use super::links::Links;
use super::token::{ClientId, LinkId};
use crate::ipc::{Assigned, ToWorker, batch};
use crate::sys::epoll::Poll;
use crate::sys::fds::MAX_FDS;

/// The workers that clients can go to, with the number of clients each has.
struct Balance {
    open: Vec<(LinkId, usize)>,
    /// Where the round begins among those equally loaded.
    next: usize,
}

impl Balance {
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
}

/// Clients that have something to read and no worker yet; those no longer there are passed over.
#[derive(Debug, Default)]
pub(super) struct Queue {
    clients: VecDeque<ClientId>,
    /// The worker whose turn it is among those equally loaded.
    next_worker: usize,
}

impl Queue {
    pub(super) fn push(&mut self, id: ClientId, clients: &mut Clients, now: Instant) {
        clients.place(id, ClientPlace::Queued, now);
        self.clients.push_back(id);
    }

    /// These clients go to another worker, before those that came later.
    pub(super) fn requeue(&mut self, ids: Vec<ClientId>, clients: &mut Clients, now: Instant) {
        for id in ids {
            clients.place(id, ClientPlace::Queued, now);
            self.clients.push_front(id);
        }
    }

    /// Sends the queued clients to workers, as far as there are any that take them. Tells which channels ended.
    pub(super) fn dispatch(
        &mut self,
        clients: &mut Clients,
        links: &mut Links,
        poll: &Poll,
        now: Instant,
    ) -> Vec<(LinkId, LinkEnd)> {
        let mut ended = Vec::new();
        for (to, share) in self.shares(clients, links) {
            let mut rest = &share[..];
            while let Some(link) = links.find_mut(to) {
                match assign(link, rest, clients, now) {
                    Ok(0) => break,
                    Ok(count) => {
                        for id in &rest[..count] {
                            clients.place(*id, ClientPlace::Sent(to), now);
                        }
                        rest = &rest[count..];
                    }
                    Err(end) => {
                        ended.push((to, end));
                        break;
                    }
                }
            }
            self.clients.extend(rest);
            links.adjust_interest(to, poll);
        }
        ended
    }

    /// The clients that each worker is to get, which are taken out of the queue.
    fn shares(&mut self, clients: &Clients, links: &Links) -> BTreeMap<LinkId, Vec<ClientId>> {
        let open = links.iter().filter(|(_, link)| link.is_open());
        let open: Vec<_> = open.map(|(id, link)| (id, link.load())).collect();
        let mut shares = BTreeMap::<_, Vec<_>>::new();
        if open.is_empty() {
            return shares;
        }
        let next = self.next_worker;
        let mut balance = Balance { open, next };
        for id in self.clients.drain(..) {
            let client = clients.find(id);
            let Some(client) = client.filter(|it| it.place == ClientPlace::Queued) else {
                continue;
            };
            // A client that is for one worker waits until that one's channel has room.
            let wanted = client.wanted.and_then(|worker| links.ready(worker));
            if let Some(to) = wanted.or_else(|| balance.choose()) {
                shares.entry(to).or_default().push(id);
            }
        }
        self.next_worker = balance.next;
        shares
    }
}

/// Sends the first of these clients over this channel, and tells how many: as many as fit into a message.
fn assign(
    link: &mut Link,
    ids: &[ClientId],
    clients: &Clients,
    now: Instant,
) -> Result<usize, LinkEnd> {
    if ids.is_empty() || !link.is_open() {
        return Ok(0);
    }
    let clients = ids.iter().filter_map(|id| Some((id, clients.find(*id)?)));
    let assigned = clients.take(MAX_FDS).map(|(id, client)| Assigned {
        id: id.number(),
        peer: client.peer,
        handed: client.wanted.is_some(),
        read: Bytes::copy_from_slice(&client.read),
        fd: client.fd.as_fd(),
    });
    let mut clients: Vec<_> = assigned.collect();
    clients.truncate(batch::fitting(&clients));
    let count = clients.len();
    if !link.send(&ToWorker::Assign { clients }, now)? {
        return Ok(0);
    }
    link.assigned(count);
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_go_to_the_least_loaded_and_equals_take_turns() {
        // (loads before, next, clients, how many each gets)
        type Row = (&'static [usize], usize, u64, &'static [usize]);
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
            let open = open.collect();
            let mut balance = Balance { open, next };
            let mut got = vec![0; loads.len()];
            for link in (0..count).filter_map(|_| balance.choose()) {
                got[link.0 as usize] += 1;
            }
            assert_eq!(got, expected, "{loads:?} next {next}, {count} clients");
        }
    }

    #[test]
    fn one_client_at_a_time_goes_round() {
        let mut next = 0;
        let mut order = Vec::new();
        for _ in 0..4 {
            let open = vec![(LinkId(1), 0), (LinkId(2), 0)];
            let mut balance = Balance { open, next };
            order.extend(balance.choose());
            next = balance.next;
        }
        assert_eq!(order, [LinkId(1), LinkId(2), LinkId(1), LinkId(2)]);
    }
}
