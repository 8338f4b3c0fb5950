//! SOCK_SEQPACKET sockets: the listener of a worker in the file system, the supervisor's connect, a
//! pair. All are close-on-exec and don't block.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, connect as connect_to,
    listen as listen_on, socket, socketpair,
};

const UNIX: AddressFamily = AddressFamily::Unix;
const FLAGS: SockFlag = SockFlag::SOCK_CLOEXEC.union(SockFlag::SOCK_NONBLOCK);

fn new_socket() -> io::Result<OwnedFd> {
    Ok(socket(UNIX, SockType::SeqPacket, FLAGS, None)?)
}

/// Listens at `path`, which must not exist yet.
pub fn listen(path: &Path) -> io::Result<OwnedFd> {
    let fd = new_socket()?;
    bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen_on(&fd, Backlog::new(16)?)?;
    Ok(fd)
}

/// Connects to the listener at `path`. AF_UNIX never leaves a connect half done: it works at once
/// or fails (`NotFound`, `ConnectionRefused`, `WouldBlock` when the listener's queue is full).
pub fn connect(path: &Path) -> io::Result<OwnedFd> {
    let fd = new_socket()?;
    connect_to(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(fd)
}

/// Accepts one connection, without waiting when the listener doesn't block.
pub fn accept(listener: impl AsFd) -> io::Result<OwnedFd> {
    let raw = accept4(listener.as_fd().as_raw_fd(), FLAGS)?;
    // SAFETY: accept4 has just made this fd; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// What a thread waits for at a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Awaited {
    Message,
    Room,
}

/// Waits for it, or the other end's closing, for this time at most, or for ever.
pub fn wait(socket: BorrowedFd<'_>, awaited: Awaited, limit: Option<Duration>) -> io::Result<()> {
    let flags = match awaited {
        Awaited::Message => PollFlags::POLLIN,
        Awaited::Room => PollFlags::POLLOUT,
    };
    let limit = limit.map_or(PollTimeout::NONE, |limit| {
        PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)
    });
    match poll(&mut [PollFd::new(socket, flags)], limit) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Two connected ends.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(UNIX, SockType::SeqPacket, None, FLAGS)?)
}
