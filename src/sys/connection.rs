//! Facts about a connected socket that came from another process, asked of the kernel instead of whoever sent it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use socket2::{Domain, SockAddr, SockRef, Type};

/// The end of a connection, or of a listener, on this side: it tells which listener brought a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalEnd {
    /// A port of TCP, at whatever address.
    Port(u16),
    /// A Unix socket's address, which may be none.
    Unix(SockAddr),
}

/// The local end of a stream socket.
pub fn local_end(socket: impl AsFd) -> io::Result<LocalEnd> {
    let address = SockRef::from(&socket).local_addr()?;
    Ok(match address.as_socket() {
        Some(address) => LocalEnd::Port(address.port()),
        None => LocalEnd::Unix(address),
    })
}

/// The other end of a connection: its address, or none where it is a Unix socket. An error for what isn't a connected
/// stream socket of TCP or Unix.
pub fn peer(socket: impl AsFd) -> io::Result<Option<SocketAddr>> {
    let socket = SockRef::from(&socket);
    let is_known = [Domain::IPV4, Domain::IPV6, Domain::UNIX].contains(&socket.domain()?);
    if !is_known || socket.r#type()? != Type::STREAM {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(socket.peer_addr()?.as_socket())
}

/// The kernel's number of this socket, which no other has until the next boot, whatever fds lead to it.
pub fn cookie(socket: impl AsFd) -> io::Result<u64> {
    SockRef::from(&socket).cookie()
}

/// Has closing this socket not wait: another process that had it may have set SO_LINGER. A linger of no time stays: it is a
/// reset, by which a worker shows that content is cut off.
pub fn close_without_waiting(socket: impl AsFd) {
    let socket = SockRef::from(&socket);
    // Both fail on what isn't a socket, which has nothing to wait for.
    if socket
        .linger()
        .is_ok_and(|it| it.is_some_and(|time| !time.is_zero()))
    {
        let _ = socket.set_linger(None);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixListener;
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::sys::seqpacket;

    #[test]
    fn a_connection_is_told_from_all_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(peer(&accepted).unwrap(), client.local_addr().ok());
        assert_eq!(local_end(&accepted).unwrap(), local_end(&listener).unwrap());
        assert_ne!(local_end(&client).unwrap(), local_end(&listener).unwrap());
        assert_ne!(cookie(&accepted).unwrap(), cookie(&client).unwrap());
        let again = accepted.try_clone().unwrap();
        assert_eq!(cookie(&accepted).unwrap(), cookie(&again).unwrap());

        let dir = tempfile::tempdir().unwrap();
        let named = UnixListener::bind(dir.path().join("socket")).unwrap();
        let _client = UnixStream::connect(dir.path().join("socket")).unwrap();
        let (accepted, _) = named.accept().unwrap();
        assert_eq!(peer(&accepted).unwrap(), None);
        assert_eq!(local_end(&accepted).unwrap(), local_end(&named).unwrap());
        let (pair, _other) = UnixStream::pair().unwrap();
        assert_ne!(local_end(&pair).unwrap(), local_end(&named).unwrap());

        let file = std::fs::File::open("/dev/null").unwrap();
        let (packets, _other) = seqpacket::pair().unwrap();
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        datagrams.connect(address).unwrap();
        assert!(peer(&file).is_err());
        assert!(peer(&packets).is_err());
        assert!(peer(&datagrams).is_err());
        assert!(peer(&listener).is_err());
        assert!(peer(&named).is_err());
    }

    #[test]
    fn closing_does_not_wait_for_what_was_not_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        while std::io::Write::write(&mut &accepted, &[0; 1 << 16]).is_ok() {}
        let linger = Some(Duration::from_secs(20));
        SockRef::from(&accepted).set_linger(linger).unwrap();
        let before = Instant::now();
        close_without_waiting(&accepted);
        drop(accepted);
        assert!(before.elapsed() < Duration::from_secs(5));
    }
}
