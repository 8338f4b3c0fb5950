//! SOCK_SEQPACKET sockets in the file system: the listener of a worker, the supervisor's connect, a
//! pair for tests. All are close-on-exec and don't block.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, connect as connect_to,
    listen as listen_on, socket,
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

/// Two connected ends.
#[cfg(any(test, feature = "internals"))]
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    use nix::sys::socket::socketpair;
    Ok(socketpair(UNIX, SockType::SeqPacket, None, FLAGS)?)
}
