//! The messages to the supervisor that wait until the channel has room, and the clients in transit with
//! them: each is kept until the supervisor has said that it has it, so that a process that dies in
//! between loses none.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::outbox::WorkerNews;
use crate::ipc::batch::split;
use crate::ipc::{Assigned, ChannelError, MAX_ITEMS, Returned, Sent, ToSupervisor, WorkerChannel};

#[derive(Default)]
pub(super) struct Outgoing {
    queue: VecDeque<QueuedMessage>,
    /// By token.
    in_transit: HashMap<u64, InTransit>,
}

/// A message that waits its turn.
enum QueuedMessage {
    Plain(ToSupervisor),
    /// Clients are taken with this message, and served once it is out.
    Take(Vec<Assigned>),
    /// Clients go back: their tokens.
    Return(Vec<u64>),
    /// Clients go to the worker of this number: their tokens.
    HandOver(u16, Vec<u64>),
}

/// A client on its way to the supervisor.
pub(super) struct InTransit {
    /// Its request is to be served by another worker.
    pub(super) handed: bool,
    pub(super) client: Returned,
}

impl InTransit {
    /// Stays here after all.
    pub(super) fn stay(self) -> Assigned {
        let InTransit { handed, client } = self;
        Assigned {
            id: client.id,
            peer: client.peer,
            handed,
            read: client.read,
            fd: client.fd,
        }
    }
}

impl Outgoing {
    pub(super) fn push(&mut self, message: ToSupervisor) {
        self.queue.push_back(QueuedMessage::Plain(message));
    }

    /// Takes clients that were assigned, once it can be said.
    pub(super) fn take(&mut self, clients: Vec<Assigned>) {
        self.queue.push_back(QueuedMessage::Take(clients));
    }

    pub(super) fn push_news(&mut self, news: WorkerNews) {
        for ids in news.closed.chunks(MAX_ITEMS) {
            self.push(ToSupervisor::Closed { ids: ids.to_vec() });
        }
        for batch in split(news.returned) {
            let tokens = self.keep(batch, false);
            self.queue.push_back(QueuedMessage::Return(tokens));
        }
        for (worker, clients) in news.handed {
            for batch in split(clients) {
                let tokens = self.keep(batch, true);
                self.queue
                    .push_back(QueuedMessage::HandOver(worker, tokens));
            }
        }
    }

    /// Keeps clients that go away until the supervisor has them; their tokens.
    fn keep(&mut self, clients: Vec<Returned>, handed: bool) -> Vec<u64> {
        let tokens = clients.iter().map(|client| client.token).collect();
        for client in clients {
            let kept = InTransit { handed, client };
            self.in_transit.insert(kept.client.token, kept);
        }
        tokens
    }

    /// Sends as far as there is room; `start` gets the clients that are this worker's from then on.
    pub(super) fn send(
        &mut self,
        channel: &WorkerChannel,
        mut start: impl FnMut(Assigned),
    ) -> Result<Sent, ChannelError> {
        while let Some(next) = self.queue.front() {
            let sent = match next {
                QueuedMessage::Plain(message) => channel.try_send(message)?,
                QueuedMessage::Take(clients) => {
                    let ids = clients.iter().map(|client| client.id).collect();
                    channel.try_send(&ToSupervisor::<OwnedFd>::Taken { ids })?
                }
                QueuedMessage::Return(tokens) => {
                    let clients = self.lent(tokens);
                    channel.try_send(&ToSupervisor::Return { clients })?
                }
                QueuedMessage::HandOver(worker, tokens) => {
                    let (worker, clients) = (*worker, self.lent(tokens));
                    channel.try_send(&ToSupervisor::HandOver { worker, clients })?
                }
            };
            if !matches!(sent, Sent::Done) {
                return Ok(sent);
            }
            if let Some(QueuedMessage::Take(clients)) = self.queue.pop_front() {
                clients.into_iter().for_each(&mut start);
            }
        }
        Ok(Sent::Done)
    }

    fn lent(&self, tokens: &[u64]) -> Vec<Returned<BorrowedFd<'_>>> {
        let kept = tokens.iter().filter_map(|token| self.in_transit.get(token));
        kept.map(|InTransit { client, .. }| Returned {
            token: client.token,
            id: client.id,
            peer: client.peer,
            read: client.read.clone(),
            fd: client.fd.as_fd(),
        })
        .collect()
    }

    /// Removes a client that has arrived, or that stays here.
    pub(super) fn remove(&mut self, token: u64) -> Option<InTransit> {
        self.in_transit.remove(&token)
    }

    /// True when the supervisor has all that was to go to it.
    pub(super) fn is_delivered(&self) -> bool {
        self.queue.is_empty() && self.in_transit.is_empty()
    }

    /// Empties it when the channel has ended: the clients assigned and not yet taken.
    pub(super) fn drain_untaken(&mut self) -> Vec<Assigned> {
        let mut untaken = Vec::new();
        for queued in self.queue.drain(..) {
            if let QueuedMessage::Take(clients) = queued {
                untaken.extend(clients);
            }
        }
        untaken
    }

    /// The clients whose way to the supervisor has ended.
    pub(super) fn drain_in_transit(&mut self) -> impl Iterator<Item = InTransit> {
        self.in_transit.drain().map(|(_, client)| client)
    }
}
