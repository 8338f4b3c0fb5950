//! The channels to the workers: what is still to be sent over each, and what each message means for the
//! clients.
//!
//! Who owns a client is decided by what was *sent* or *received*, never by what is queued here: a client
//! sent is still ours until `Taken`, a client returned is still the worker's until `ReturnsTaken` is
//! on its way. When a channel ends in between, that is what tells who goes on with the client.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::park::{Client, ClientId, Place};
use super::token::Token;
use super::turn::Supervisor;
use crate::ipc::{
    ChannelError, MAX_ITEMS, Received, Returned, Sent, SupervisorChannel, ToSupervisor, ToWorker,
    VERSION,
};
use crate::sys::epoll::Interest;

/// How many messages are taken from one channel before others have their turn.
const MESSAGES_A_TURN: usize = 64;
/// With so much to say to a worker, nothing more is heard from it until it has listened.
const MOST_UNSENT: usize = 64;
/// A worker that has so many clients to take gets no more until it took some.
const MOST_UNTAKEN: usize = 256;
/// How long to wait when the kernel has too many fds on their way.
const PAUSE: Duration = Duration::from_millis(10);

/// Names a channel for as long as the supervisor lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LinkId(pub u32);

/// What a worker on a channel is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its Hello is awaited.
    Greeting,
    /// It takes clients.
    Ready,
    /// It takes none and finishes those it has.
    Draining,
}

/// What keeps a channel from taking messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blocked {
    No,
    /// Until it is writable.
    Full,
    /// Until this time.
    Until(Instant),
    /// For ever; what the worker sent before is still to be read.
    Closed,
}

/// A message that is to be sent, without the fds it borrows then.
#[derive(Debug)]
enum Unsent {
    Hello,
    Settings,
    ReturnsTaken {
        tokens: Vec<u64>,
        clients: Vec<ClientId>,
    },
    Stop,
}

/// A channel to a worker.
#[derive(Debug)]
pub(super) struct Link {
    /// The worker's seat.
    pub seat: usize,
    /// What it is doing.
    pub stage: Stage,
    /// How many clients it has: assigned, not yet returned or closed.
    pub load: u32,
    /// Its process id, once it has said Hello.
    pub pid: u32,
    /// How many of the clients sent to it are not taken yet.
    pub untaken: usize,
    channel: SupervisorChannel,
    unsent: VecDeque<Unsent>,
    blocked: Blocked,
    interest: Interest,
}

impl Link {
    /// Whether clients may be sent to it now.
    pub(super) fn is_open(&self) -> bool {
        self.stage == Stage::Ready
            && self.blocked == Blocked::No
            && self.unsent.is_empty()
            && self.untaken < MOST_UNTAKEN
    }

    /// Sends a message, and remembers what keeps the next one from being sent.
    pub(super) fn send<F: AsFd>(
        &mut self,
        message: &ToWorker<F>,
        now: Instant,
    ) -> Result<bool, ChannelError> {
        self.blocked = match self.channel.try_send(message)? {
            Sent::Done => Blocked::No,
            Sent::Busy => Blocked::Full,
            Sent::Later => Blocked::Until(now + PAUSE),
            Sent::Closed => Blocked::Closed,
        };
        Ok(self.blocked == Blocked::No)
    }

    fn wanted_interest(&self) -> Interest {
        match (self.blocked, self.unsent.len() >= MOST_UNSENT) {
            (Blocked::Full, true) => Interest::Write,
            (Blocked::Full, false) => Interest::ReadWrite,
            (Blocked::No | Blocked::Until(_) | Blocked::Closed, _) => Interest::Read,
        }
    }
}

/// All channels.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: BTreeMap<LinkId, Link>,
    last: u32,
}

impl Links {
    /// Takes a connected channel in.
    fn insert(&mut self, link: Link) -> LinkId {
        self.last = self.last.wrapping_add(1);
        self.links.insert(LinkId(self.last), link);
        LinkId(self.last)
    }

    /// The channel of this id, if it hasn't ended.
    pub(super) fn find(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id)
    }

    /// The channel of this id, if it hasn't ended.
    pub(super) fn find_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&id)
    }

    /// Every channel.
    pub(super) fn iter(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter().map(|(id, link)| (*id, link))
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// When the first channel that has to wait may be tried again.
    pub(super) fn next_try(&self) -> Option<Instant> {
        self.links
            .values()
            .filter_map(|link| match link.blocked {
                Blocked::Until(when) => Some(when),
                Blocked::No | Blocked::Full | Blocked::Closed => None,
            })
            .min()
    }
}

impl Supervisor {
    /// Connects the workers that are due.
    pub(super) fn connect_workers(&mut self, now: Instant) {
        for seat in self.roster.due(now) {
            match self.spawner.connect(seat) {
                Ok(fd) => self.add_link(seat, SupervisorChannel::from(fd), now),
                Err(problem) => {
                    let wait = self.roster.refused(seat, now);
                    self.spawner.report(seat, &problem, wait);
                }
            }
        }
    }

    fn add_link(&mut self, seat: usize, channel: SupervisorChannel, now: Instant) {
        let id = self.links.insert(Link {
            seat,
            stage: Stage::Greeting,
            load: 0,
            pid: 0,
            untaken: 0,
            channel,
            unsent: VecDeque::from([Unsent::Hello]),
            blocked: Blocked::No,
            interest: Interest::Read,
        });
        self.roster.connected(seat, id);
        let Some(link) = self.links.find(id) else {
            return;
        };
        let token = Token::Link(id).number();
        if let Err(error) = self.poll.add(&link.channel, token, Interest::Read) {
            log::error!("worker {}: its channel can't be polled: {error}", seat + 1);
            self.lose(id, Lost::Broken, now);
            return;
        }
        self.flush(id, now);
    }

    /// The channel has something to read, or room again.
    pub(super) fn link_ready(&mut self, id: LinkId, writable: bool, now: Instant) {
        if let Some(link) = self.links.find_mut(id) {
            if writable && link.blocked == Blocked::Full {
                link.blocked = Blocked::No;
                self.flush(id, now);
            }
        }
        for _ in 0..MESSAGES_A_TURN {
            let Some(link) = self.links.find(id) else {
                return;
            };
            if link.wanted_interest() == Interest::Write {
                return;
            }
            match link.channel.try_recv() {
                Ok(Received::Message(message)) => self.heard(id, message, now),
                Ok(Received::Nothing) => return,
                Ok(Received::Closed) => return self.lose(id, Lost::Ended, now),
                Err(error) => {
                    log::error!("worker {}: {error}; its channel is closed", link.seat + 1);
                    return self.lose(id, Lost::Broken, now);
                }
            }
        }
    }

    /// Tries the channels again that had to wait for a time.
    pub(super) fn retry_links(&mut self, now: Instant) {
        for id in self.link_ids(|link| matches!(link.blocked, Blocked::Until(at) if at <= now)) {
            if let Some(link) = self.links.find_mut(id) {
                link.blocked = Blocked::No;
            }
            self.flush(id, now);
        }
    }

    /// The channels for which this holds.
    pub(super) fn link_ids(&self, holds: impl Fn(&Link) -> bool) -> Vec<LinkId> {
        let chosen = self.links.iter().filter(|(_, link)| holds(link));
        chosen.map(|(id, _)| id).collect()
    }

    /// Has a worker told to stop.
    pub(super) fn tell_stop(&mut self, id: LinkId, now: Instant) {
        self.tell(id, Unsent::Stop, now);
    }

    /// Has a worker told of new settings.
    pub(super) fn tell_settings(&mut self, id: LinkId, now: Instant) {
        self.tell(id, Unsent::Settings, now);
    }

    fn tell(&mut self, id: LinkId, message: Unsent, now: Instant) {
        if let Some(link) = self.links.find_mut(id) {
            link.unsent.push_back(message);
        }
        self.flush(id, now);
    }

    /// Sends what is waiting for this channel, as far as it goes.
    fn flush(&mut self, id: LinkId, now: Instant) {
        while let Some(link) = self.links.find_mut(id) {
            let Some(message) = link.unsent.front().filter(|_| link.blocked == Blocked::No) else {
                break;
            };
            let settings = self.settings.memory();
            let message = message.lend(settings, self.shared.fd());
            match link.send(&message, now) {
                Ok(true) => self.sent_front(id, now),
                Ok(false) => break,
                Err(error) => {
                    log::error!("worker {}: {error}; its channel is closed", link.seat + 1);
                    return self.lose(id, Lost::Broken, now);
                }
            }
        }
        self.adjust_interest(id);
    }

    /// The first unsent message is on its way: returned clients that it names are ours.
    fn sent_front(&mut self, id: LinkId, now: Instant) {
        let link = self.links.find_mut(id);
        let sent = link.and_then(|link| link.unsent.pop_front());
        if let Some(Unsent::ReturnsTaken { clients, .. }) = sent {
            for client in clients {
                self.park(client, now);
            }
        }
    }

    /// Waits for what the channel needs now.
    pub(super) fn adjust_interest(&mut self, id: LinkId) {
        let Some(link) = self.links.find_mut(id) else {
            return;
        };
        let wanted = link.wanted_interest();
        if wanted == link.interest {
            return;
        }
        let token = Token::Link(id).number();
        match self.poll.change(&link.channel, token, wanted) {
            Ok(()) => link.interest = wanted,
            Err(error) => log::error!("worker {}: epoll: {error}", link.seat + 1),
        }
    }

    /// Does what a worker's message asks for.
    fn heard(&mut self, id: LinkId, message: ToSupervisor, now: Instant) {
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
            ToSupervisor::Return { clients } => self.returned(id, clients, now),
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
        if usize::from(worker) != link.seat + 1 || link.stage != Stage::Greeting {
            log::error!(
                "the process at the socket of worker {} says it is worker {worker}; its channel is closed",
                link.seat + 1
            );
            return self.lose(id, Lost::Broken, now);
        }
        link.stage = Stage::Ready;
        link.pid = pid;
        link.load = clients;
        log::info!("worker {worker} is ready (pid {pid}, {clients} clients)");
        let seat = link.seat;
        self.roster.greeted(seat, id, now);
        self.spawner.greeted(seat);
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

    /// Clients come back. While clients are handed over they stay the worker's, which isn't told otherwise.
    fn returned(&mut self, id: LinkId, returned: Vec<Returned>, now: Instant) {
        if self.handing_over {
            return;
        }
        self.lighten(id, returned.len());
        let tick = self.tick(now);
        let mut tokens = Vec::with_capacity(returned.len());
        let mut clients = Vec::with_capacity(returned.len());
        for back in returned {
            tokens.push(back.token);
            let mut client = Client::new(back.fd, back.peer, Place::Returned(id), tick);
            client.read = Box::from(&back.read[..]);
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
        let (seat, untaken) = (link.seat, std::mem::take(&mut link.untaken));
        link.load = link.load.saturating_sub(untaken as u32);
        log::info!("worker {} drains; {untaken} clients go to others", seat + 1);
        self.requeue(self.clients.at(Place::Sent(id)), now);
        self.roster.left(seat, id, now);
        self.spawner.leaves(seat);
    }

    /// A channel has ended: its clients go on where they can.
    pub(super) fn lose(&mut self, id: LinkId, how: Lost, now: Instant) {
        let Some(link) = self.links.links.remove(&id) else {
            return;
        };
        if let Err(error) = self.poll.remove(&link.channel) {
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
        if let Some(wait) = self.roster.left(link.seat, id, now) {
            self.spawner.lost(link.seat, link.pid, wait);
        }
    }

    fn forget(&mut self, clients: &[ClientId]) {
        for client in clients {
            self.clients.remove(*client);
        }
    }
}

/// How a channel has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// The worker has closed it, or has died.
    Ended,
    /// We close it; the worker may still be there.
    Broken,
}

impl Unsent {
    /// The message with its fds.
    fn lend<'a>(
        &self,
        settings: BorrowedFd<'a>,
        shared: BorrowedFd<'a>,
    ) -> ToWorker<BorrowedFd<'a>> {
        match self {
            Unsent::Hello => ToWorker::Hello {
                version: VERSION,
                settings,
                shared,
            },
            Unsent::Settings => ToWorker::Settings { settings },
            Unsent::ReturnsTaken { tokens, .. } => {
                debug_assert!(tokens.len() <= MAX_ITEMS);
                ToWorker::ReturnsTaken {
                    tokens: tokens.clone(),
                }
            }
            Unsent::Stop => ToWorker::Stop,
        }
    }
}
