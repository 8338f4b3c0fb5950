//! SOCK_SEQPACKET sockets: the listener of a worker in the file system, the supervisor's connect, a
//! pair. All are close-on-exec and don't block.

use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, connect as connect_to,
    getsockname, listen as listen_on, socket, socketpair,
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
    // Whatever the umask is: see `sole_user`.
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
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

/// The directory that a listener's file is in.
pub fn directory(listener: impl AsFd) -> io::Result<PathBuf> {
    let address: UnixAddr = getsockname(listener.as_fd().as_raw_fd())?;
    let directory = address.path().and_then(Path::parent);
    directory
        .map(Path::to_owned)
        .ok_or(io::ErrorKind::NotFound.into())
}

/// The user who alone, beside root, may connect to this listener: its file's owner, when the mode keeps others out.
pub fn sole_user(listener: impl AsFd) -> io::Result<u32> {
    let address: UnixAddr = getsockname(listener.as_fd().as_raw_fd())?;
    let path = address.path().ok_or(io::ErrorKind::NotFound)?;
    let file = path.symlink_metadata()?;
    match file.mode() & 0o022 {
        0 => Ok(file.uid()),
        _ => Err(io::Error::other(format!(
            "{} is open to other users: see SocketMode= of its unit",
            path.display()
        ))),
    }
}

/// The event at a socket that a thread waits for.
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_socket_that_others_may_connect_to_is_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = listen(&path).unwrap();
        let own = dir.path().metadata().unwrap().uid();
        let rows = [(0o600, true), (0o755, true), (0o620, false), (0o777, false)];
        for (mode, alone) in rows {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let user = sole_user(&listener).ok();
            assert_eq!(user, alone.then_some(own), "{mode:o}");
        }
        assert!(sole_user(pair().unwrap().0).is_err());
    }
}
