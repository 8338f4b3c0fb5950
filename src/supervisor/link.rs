//! A channel to a worker: what the worker is doing, what is still to be sent to it, and what keeps it from being sent.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::claims::{HeldClients, TakenClient};
use super::token::ClientId;
use super::unsent::{SharedFds, Unsent};
use crate::ipc::{ChannelError, Received, Sent, SupervisorChannel, ToSupervisor, ToWorker};
use crate::sys::epoll::Interest;

/// With so much to say to a worker, nothing more is heard from it until it has listened.
const MOST_UNSENT: usize = 64;
/// A worker that has so many clients to take gets no more until it took some.
const MOST_UNTAKEN: usize = 256;
/// The wait when the kernel has too many fds on their way.
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WorkerStage {
    /// Its Hello is awaited.
    Greeting,
    /// It takes clients.
    Ready,
    /// It takes none and finishes those it has.
    Draining,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkEnd {
    /// The worker has closed it, or has died.
    Ended,
    /// We close it; the worker may still be there.
    Broken,
}

/// The reason why a channel takes no messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blocked {
    No,
    /// Until it is writable.
    Full,
    Until(Instant),
    /// For ever; what the worker sent before is still to be read.
    Closed,
}

#[derive(Debug)]
pub(super) struct Link {
    pub slot: usize,
    pub stage: WorkerStage,
    /// The clients that it has taken.
    pub held: HeldClients,
    /// Its process id, once it has said Hello.
    pub pid: u32,
    /// The number of clients sent to it and not taken yet.
    untaken: usize,
    channel: SupervisorChannel,
    /// Messages to be sent before clients are.
    unsent: VecDeque<Unsent>,
    blocked: Blocked,
    /// The interest epoll has been told of.
    pub interest: Interest,
}

impl Link {
    pub(super) fn new(slot: usize, channel: SupervisorChannel) -> Link {
        Link {
            slot,
            stage: WorkerStage::Greeting,
            held: HeldClients::default(),
            pid: 0,
            untaken: 0,
            channel,
            unsent: VecDeque::from([Unsent::Hello]),
            blocked: Blocked::No,
            interest: Interest::Read,
        }
    }

    /// True when clients may be sent to it now.
    pub(super) fn is_open(&self) -> bool {
        self.stage == WorkerStage::Ready
            && self.blocked == Blocked::No
            && self.unsent.is_empty()
            && self.untaken < MOST_UNTAKEN
    }

    /// Takes the worker's Hello, after which it takes clients. An error when it isn't the worker that was called.
    pub(super) fn greeted(&mut self, pid: u32, worker: u16) -> Result<(), LinkEnd> {
        if usize::from(worker) != self.slot + 1 || self.stage != WorkerStage::Greeting {
            let called = self.slot + 1;
            log::error!(
                "the process at the socket of worker {called} says it is worker {worker}; its channel is closed"
            );
            return Err(LinkEnd::Broken);
        }
        self.stage = WorkerStage::Ready;
        self.pid = pid;
        log::info!(
            "worker {worker} is ready (pid {pid}, {} clients)",
            self.held.len()
        );
        Ok(())
    }

    /// The worker takes no more clients, nor those it hasn't taken.
    pub(super) fn drains(&mut self) {
        self.stage = WorkerStage::Draining;
        let untaken = std::mem::take(&mut self.untaken);
        let worker = self.slot + 1;
        log::info!("worker {worker} drains; {untaken} clients go to others");
    }

    /// The worker has so many clients more, and hasn't taken them yet.
    pub(super) fn assigned(&mut self, clients: usize) {
        self.untaken += clients;
    }

    /// The worker has taken these of the clients sent to it.
    pub(super) fn taken(&mut self, clients: Vec<(u64, TakenClient)>) {
        self.untaken = self.untaken.saturating_sub(clients.len());
        self.held.takes(clients);
    }

    /// The number of clients that it has, or is to have.
    pub(super) fn load(&self) -> usize {
        self.held.len() + self.untaken
    }

    pub(super) fn push(&mut self, message: Unsent) {
        // What can never be sent isn't kept; clients in it go when the channel ends.
        if self.blocked != Blocked::Closed {
            self.unsent.push_back(message);
        }
    }

    /// Sends what waits, as far as it goes. Adds the clients to `ours` that the worker has been told are ours.
    pub(super) fn flush(
        &mut self,
        fds: SharedFds<'_>,
        ours: &mut Vec<ClientId>,
        now: Instant,
    ) -> Result<(), LinkEnd> {
        while self.blocked == Blocked::No {
            let Some(message) = self.unsent.pop_front() else {
                break;
            };
            if !self.send(&message.lend(fds), now)? {
                self.unsent.push_front(message);
            } else if let Unsent::ReturnsTaken { clients, .. } = message {
                ours.extend(clients);
            }
        }
        if self.blocked == Blocked::Closed {
            self.unsent.clear();
        }
        Ok(())
    }

    /// Sends a message, and remembers what keeps the next one from being sent. False when it wasn't sent.
    pub(super) fn send(
        &mut self,
        message: &ToWorker<BorrowedFd<'_>>,
        now: Instant,
    ) -> Result<bool, LinkEnd> {
        let sent = self.channel.try_send(message);
        self.blocked = match sent.map_err(|e| self.broken(&e))? {
            Sent::Done => Blocked::No,
            Sent::Busy => Blocked::Full,
            Sent::Later => Blocked::Until(now + PAUSE),
            Sent::Closed => Blocked::Closed,
        };
        Ok(self.blocked == Blocked::No)
    }

    /// The next message of the worker, unless too much waits for it to listen.
    pub(super) fn receive(&self) -> Result<Option<ToSupervisor>, LinkEnd> {
        if self.wanted_interest() == Interest::Write {
            return Ok(None);
        }
        match self.channel.try_recv().map_err(|e| self.broken(&e))? {
            Received::Message(message) => Ok(Some(message)),
            Received::Nothing => Ok(None),
            Received::Closed => Err(LinkEnd::Ended),
        }
    }

    fn broken(&self, error: &ChannelError) -> LinkEnd {
        self.breaks(&error)
    }

    /// The end of a channel whose worker isn't to be believed, or can't be reached.
    pub(super) fn breaks(&self, why: &dyn std::fmt::Display) -> LinkEnd {
        log::error!("worker {}: {why}; its channel is closed", self.slot + 1);
        LinkEnd::Broken
    }

    /// Notes that the channel has room again. True when it was awaited.
    pub(super) fn note_room(&mut self) -> bool {
        self.unblock_if(self.blocked == Blocked::Full)
    }

    /// Notes that the time has come to try again. True when it was awaited.
    pub(super) fn note_time(&mut self, now: Instant) -> bool {
        self.unblock_if(self.next_try().is_some_and(|at| at <= now))
    }

    fn unblock_if(&mut self, is_over: bool) -> bool {
        if is_over {
            self.blocked = Blocked::No;
        }
        is_over
    }

    pub(super) fn next_try(&self) -> Option<Instant> {
        match self.blocked {
            Blocked::Until(when) => Some(when),
            Blocked::No | Blocked::Full | Blocked::Closed => None,
        }
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
        type Alter = fn(&mut Link);
        let rows: [(&str, Alter, bool); 7] = [
            ("ready", |_| (), true),
            ("greeting", |link| link.stage = WorkerStage::Greeting, false),
            ("draining", |link| link.stage = WorkerStage::Draining, false),
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
        for (name, alter, expected) in rows {
            let (mut link, _other) = link();
            link.stage = WorkerStage::Ready;
            link.unsent.clear();
            alter(&mut link);
            assert_eq!(link.is_open(), expected, "{name}");
        }
    }

    #[test]
    fn a_worker_that_does_not_listen_is_heard_until_too_much_waits_for_it() {
        let (mut link, _other) = link();
        let stop = ToWorker::Stop;
        while link.send(&stop, Instant::now()).unwrap() {}
        assert_eq!(link.wanted_interest(), Interest::ReadWrite);
        link.unsent = (0..MOST_UNSENT).map(|_| Unsent::Stop).collect();
        assert_eq!(link.wanted_interest(), Interest::Write);
        link.blocked = Blocked::No;
        assert_eq!(link.wanted_interest(), Interest::Read);
    }
}
