//! What the supervisor knows of each channel to a worker: what the worker is doing, what is still to be
//! sent, and what keeps it from being sent. What is done with that is in `channels`.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::token::{ClientId, LinkId};
use crate::ipc::{ChannelError, MAX_ITEMS, Sent, SupervisorChannel, ToWorker, VERSION};
use crate::sys::epoll::Interest;

/// With so much to say to a worker, nothing more is heard from it until it has listened.
const MOST_UNSENT: usize = 64;
/// A worker that has so many clients to take gets no more until it took some.
const MOST_UNTAKEN: usize = 256;
/// How long to wait when the kernel has too many fds on their way.
const PAUSE: Duration = Duration::from_millis(10);

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
pub(super) enum Blocked {
    /// Nothing.
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
pub(super) enum Unsent {
    Hello,
    Settings,
    ReturnsTaken {
        tokens: Vec<u64>,
        clients: Vec<ClientId>,
    },
    HandOverRefused {
        tokens: Vec<u64>,
    },
    Stop,
}

/// A channel to a worker.
#[derive(Debug)]
pub(super) struct Link {
    /// The worker's seat.
    pub slot: usize,
    /// What it is doing.
    pub stage: Stage,
    /// How many clients it has: assigned, not yet returned or closed.
    pub load: u32,
    /// Its process id, once it has said Hello.
    pub pid: u32,
    /// How many of the clients sent to it are not taken yet.
    pub untaken: usize,
    /// The channel itself.
    pub(super) channel: SupervisorChannel,
    /// What is to be sent before clients are.
    pub(super) unsent: VecDeque<Unsent>,
    /// What keeps it from taking more.
    pub(super) blocked: Blocked,
    /// What epoll waits for.
    pub(super) interest: Interest,
}

impl Link {
    /// A channel that has just been connected.
    pub(super) fn new(slot: usize, channel: SupervisorChannel) -> Link {
        Link {
            slot,
            stage: Stage::Greeting,
            load: 0,
            pid: 0,
            untaken: 0,
            channel,
            unsent: VecDeque::from([Unsent::Hello]),
            blocked: Blocked::No,
            interest: Interest::Read,
        }
    }

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

    pub(super) fn wanted_interest(&self) -> Interest {
        match (self.blocked, self.unsent.len() >= MOST_UNSENT) {
            (Blocked::Full, true) => Interest::Write,
            (Blocked::Full, false) => Interest::ReadWrite,
            (Blocked::No | Blocked::Until(_) | Blocked::Closed, _) => Interest::Read,
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
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
    pub(super) fn insert(&mut self, link: Link) -> LinkId {
        self.last = self.last.wrapping_add(1);
        self.links.insert(LinkId(self.last), link);
        LinkId(self.last)
    }

    /// Gives a channel up.
    pub(super) fn remove(&mut self, id: LinkId) -> Option<Link> {
        self.links.remove(&id)
    }

    /// The channel of this id, if it hasn't ended.
    pub(super) fn find(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id)
    }

    /// The channel of this id, if it hasn't ended.
    pub(super) fn find_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&id)
    }

    /// The channel of the worker with this number, if it takes clients.
    pub(super) fn ready(&self, worker: u16) -> Option<LinkId> {
        let is_it =
            |link: &Link| link.slot + 1 == usize::from(worker) && link.stage == Stage::Ready;
        let mut links = self.links.iter();
        links.find(|(_, link)| is_it(link)).map(|(id, _)| *id)
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
    pub(super) fn lend<'a>(
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
            Unsent::HandOverRefused { tokens } => ToWorker::HandOverRefused {
                tokens: tokens.clone(),
            },
            Unsent::Stop => ToWorker::Stop,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sys::seqpacket;

    fn link() -> (Link, std::os::fd::OwnedFd) {
        let (one, other) = seqpacket::pair().unwrap();
        (Link::new(0, one.into()), other)
    }

    #[test]
    fn clients_go_only_to_a_worker_that_is_ready_and_has_room() {
        type Change = fn(&mut Link);
        let rows: [(&str, Change, bool); 7] = [
            ("ready", |_| (), true),
            ("greeting", |link| link.stage = Stage::Greeting, false),
            ("draining", |link| link.stage = Stage::Draining, false),
            ("full", |link| link.blocked = Blocked::Full, false),
            (
                "something to say",
                |link| link.unsent.push_back(Unsent::Stop),
                false,
            ),
            (
                "almost too many",
                |link| link.untaken = MOST_UNTAKEN - 1,
                true,
            ),
            ("too many", |link| link.untaken = MOST_UNTAKEN, false),
        ];
        for (name, change, expected) in rows {
            let (mut link, _other) = link();
            link.stage = Stage::Ready;
            link.unsent.clear();
            change(&mut link);
            assert_eq!(link.is_open(), expected, "{name}");
        }
    }

    #[test]
    fn a_worker_that_does_not_listen_is_heard_until_too_much_waits_for_it() {
        let (mut link, _other) = link();
        let stop = ToWorker::<std::os::fd::OwnedFd>::Stop;
        while link.send(&stop, Instant::now()).unwrap() {}
        assert_eq!(link.wanted_interest(), Interest::ReadWrite);
        link.unsent = (0..MOST_UNSENT).map(|_| Unsent::Stop).collect();
        assert_eq!(link.wanted_interest(), Interest::Write);
        link.blocked = Blocked::No;
        assert_eq!(link.wanted_interest(), Interest::Read);
    }
}
