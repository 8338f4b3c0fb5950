//! Sockets of clients: listening, accepting, and whether a client has sent anything.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use nix::libc;
use nix::sys::socket::{MsgFlags, recv};
use socket2::{Domain, SockAddr, Socket, Type};

use super::stream::find_dead_peers;

/// The connections that the kernel may hold for us; it caps this at net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// Listens on a TCP address.
pub fn listen_tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // [::] is meant as every address, and stays so whatever net.ipv6.bindv6only says.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    find_dead_peers(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Listens on a Unix stream socket. A socket that is there and that nobody listens on is replaced.
pub fn listen_unix(path: &Path) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let address = SockAddr::unix(path)?;
    if let Err(error) = socket.bind(&address) {
        if error.kind() != io::ErrorKind::AddrInUse || !is_left_over(path, &address) {
            return Err(error);
        }
        fs::remove_file(path)?;
        socket.bind(&address)?;
    }
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn is_left_over(path: &Path, address: &SockAddr) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let Ok(probe) = Socket::new(Domain::UNIX, Type::STREAM, None) else {
        return false;
    };
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && probe.connect(address).is_err_and(refused)
}

/// The address a listener is bound to; none for a Unix socket.
pub fn local_address(listener: impl AsFd) -> io::Result<Option<SocketAddr>> {
    let socket = socket2::SockRef::from(&listener);
    Ok(socket.local_addr()?.as_socket())
}

/// Makes an inherited listener non-blocking, and refuses what isn't a listening stream socket. What is
/// accepted on a TCP listener has no delay by Nagle's algorithm, and keepalives, as it inherits both from the listener.
pub fn adopt_listener(listener: &OwnedFd) -> io::Result<()> {
    let socket = socket2::SockRef::from(listener);
    if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
        let why = "it is not a listening stream socket";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    // Both fail on a Unix socket, which has no such delay and whose peer is on this machine.
    let _ = socket.set_tcp_nodelay(true);
    let _ = find_dead_peers(listener);
    socket.set_nonblocking(true)
}

/// Accepts one client without waiting: close-on-exec, non-blocking, and who it is (none for a Unix socket).
pub fn accept(listener: impl AsFd) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let raw = listener.as_fd().as_raw_fd();
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: accept4 writes at most `length` bytes of an address into `storage` and sets `length` to
    // what it wrote; the fd it returns is new and owned by nobody else.
    let (fd, address) = unsafe {
        SockAddr::try_init(|storage, length| {
            match libc::accept4(raw, storage.cast(), length, flags) {
                -1 => Err(io::Error::last_os_error()),
                fd => Ok(OwnedFd::from_raw_fd(fd)),
            }
        })
    }?;
    Ok((fd, address.as_socket()))
}

/// The reason why no client could be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptFailure {
    /// Nobody is waiting.
    Nobody,
    /// This one client is gone or failed; the next may work.
    This,
    /// No fds or no memory are left: trying again at once would only spin.
    Exhausted,
    /// The listener is of no use.
    Listener,
}

impl AcceptFailure {
    /// The meaning of an error of `accept` (accept(2)).
    pub fn of(error: &io::Error) -> AcceptFailure {
        use AcceptFailure::{Exhausted, Listener, Nobody, This};
        match error.raw_os_error() {
            Some(libc::EAGAIN) => Nobody,
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Exhausted,
            Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP) => Listener,
            _ => This,
        }
    }
}

/// True when there are bytes to read, which stay there.
pub fn has_bytes(client: impl AsFd) -> bool {
    let mut byte = [0];
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    matches!(recv(client.as_fd().as_raw_fd(), &mut byte, flags), Ok(1..))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpStream};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_socket_left_over_is_replaced_and_one_in_use_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("client.sock");
        let listener = listen_unix(&path).unwrap();
        assert_eq!(
            listen_unix(&path).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        drop(listener);
        let listener = listen_unix(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        assert_eq!(accept(&listener).unwrap().1, None);
        let file = dir.path().join("file");
        fs::write(&file, "kept").unwrap();
        assert!(listen_unix(&file).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"kept");
    }

    #[test]
    fn accepting_tells_who_it_is_and_does_not_wait() {
        let listener = listen_tcp((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let nobody = accept(&listener).unwrap_err();
        assert_eq!(AcceptFailure::of(&nobody), AcceptFailure::Nobody);
        let address = local_address(&listener).unwrap().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        let (fd, peer) = accept(&listener).unwrap();
        assert_eq!(peer, Some(client.local_addr().unwrap()));
        assert!(!has_bytes(&fd));
        client.write_all(b"x").unwrap();
        drop(client);
        // Sent and then closed: the byte is still to be read, however often one looks.
        assert!(has_bytes(&fd) && has_bytes(&fd));
    }

    #[test]
    fn only_a_listening_stream_socket_is_adopted() {
        let listener = listen_tcp((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        assert!(adopt_listener(&listener).is_ok());
        let (pair, _other) = UnixStream::pair().unwrap();
        assert!(adopt_listener(&pair.into()).is_err());
        let (packets, _other) = crate::sys::seqpacket::pair().unwrap();
        assert!(adopt_listener(&packets).is_err());
    }
}
