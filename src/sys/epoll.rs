//! Readiness of many fds (epoll(7)), with what the supervisor needs of it and nothing else.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Bytes, messages or connections to take, for as long as there are any.
    Read,
    /// The same, and room to send.
    ReadWrite,
    Write,
    /// The first bytes or the end of a client, once.
    FirstBytes,
}

impl Interest {
    fn flags(self) -> EpollFlags {
        match self {
            Interest::Read => EpollFlags::EPOLLIN,
            Interest::ReadWrite => EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT,
            Interest::Write => EpollFlags::EPOLLOUT,
            Interest::FirstBytes => {
                EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLONESHOT
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// The number it was added with.
    pub token: u64,
    pub writable: bool,
    /// The peer has finished sending; bytes it sent before may be there.
    pub finished: bool,
    /// The connection is broken or closed in both directions.
    pub broken: bool,
}

/// A set of fds that are waited for.
#[derive(Debug)]
pub struct Poll {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Poll {
    /// An empty set that reports at most `batch` fds at once.
    pub fn new(batch: usize) -> io::Result<Poll> {
        Ok(Poll {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            events: vec![EpollEvent::empty(); batch],
        })
    }

    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let event = EpollEvent::new(interest.flags(), token);
        Ok(self.epoll.add(fd, event)?)
    }

    pub fn change(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let mut event = EpollEvent::new(interest.flags(), token);
        Ok(self.epoll.modify(fd, &mut event)?)
    }

    /// Waits for this fd no longer. To be called before the fd is closed or sent away: an open file
    /// that lives on elsewhere would be reported for ever.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(self.epoll.delete(fd)?)
    }

    /// Waits until something happens or the time is over, and appends what happened.
    pub fn wait(&mut self, limit: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let count = match self.epoll.wait(&mut self.events, timeout(limit)) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        ready.extend(self.events[..count].iter().map(|event| {
            let flags = event.events();
            Ready {
                token: event.data(),
                writable: flags.contains(EpollFlags::EPOLLOUT),
                finished: flags.contains(EpollFlags::EPOLLRDHUP),
                broken: flags.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR),
            }
        }));
        Ok(())
    }
}

/// Rounded up to whole milliseconds, so that a limit that is over has passed when the wait ends.
fn timeout(limit: Option<Duration>) -> EpollTimeout {
    let Some(limit) = limit else {
        return EpollTimeout::NONE;
    };
    let milliseconds = limit.as_nanos().div_ceil(1_000_000);
    u16::try_from(milliseconds).map_or(EpollTimeout::from(u16::MAX), EpollTimeout::from)
}
