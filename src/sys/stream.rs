//! A connected stream socket (TCP or Unix) on the worker's event loop: reads, gathered writes,
//! sendfile, each with a deadline. Tries the system call first and waits for readiness only when
//! it would block, so that data already there costs one call.

use std::cell::Cell;
use std::fs::File;
use std::future::Future;
use std::io::{self, IoSlice, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::sendfile::sendfile;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep, timeout_at};

/// The most that one sendfile call is asked for, so that one client doesn't hold the event loop.
const SENDFILE_MOST: u64 = 1 << 20;
/// The most that is copied through the process at once.
const COPIED_MOST: usize = 128 << 10;

/// The silence after which a peer is asked for a sign of life, the time between two such probes, and how many go unanswered
/// before the connection is given up: a peer that is gone is found in two minutes, a stream that is silent goes on.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 4;
/// The time between two looks whether what was written has arrived.
const ARRIVAL_LOOK: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub struct Stream(AsyncFd<Socket>, SignsOfLife);

/// The number of times that a peer has shown that it is there, other than by taking what is written.
#[derive(Debug, Default)]
struct SignsOfLife(Cell<u64>);

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

impl Stream {
    /// Registers a connected socket that is non-blocking already, as the supervisor accepts them; a
    /// blocking one would stop the event loop.
    pub fn new(fd: OwnedFd) -> io::Result<Stream> {
        register(Socket::from(fd))
    }

    /// Connects to `address`. The caller bounds the time.
    pub async fn connect(address: SocketAddr) -> io::Result<Stream> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        find_dead_peers(&socket)?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            outcome => outcome?,
        }
        let stream = register(socket)?;
        stream.0.writable().await?.retain_ready();
        match stream.0.get_ref().take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    pub fn into_fd(self) -> OwnedFd {
        self.0.into_inner().into()
    }

    /// Appends what there is to read to `buffer`'s spare capacity, waiting until `deadline`.
    /// `Ok(0)` is the end of the stream. `TimedOut` after the deadline.
    pub async fn read(&self, buffer: &mut BytesMut, deadline: Instant) -> io::Result<usize> {
        within(deadline, self.read_some(buffer)).await
    }

    /// As [`Stream::read`], without a deadline.
    pub async fn read_some(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        loop {
            let mut guard = self.0.ready(Interest::READABLE).await?;
            match read_once(self.0.get_ref(), buffer) {
                // A short read emptied the socket: the next one may wait for the event at once.
                Ok((read, true)) => {
                    guard.clear_ready();
                    return Ok(read);
                }
                Ok((read, false)) => {
                    guard.retain_ready();
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => guard.retain_ready(),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads what is there without waiting; `WouldBlock` when there is nothing.
    pub fn try_read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        read_once(self.0.get_ref(), buffer).map(|(read, _)| read)
    }

    /// True when the peer has neither closed nor sent anything that wasn't read: the state in which an idle
    /// connection may be used.
    pub fn is_quiet(&self) -> bool {
        is_quiet(self.0.get_ref())
    }

    /// Writes a few bytes if there is room for them; without an effect otherwise.
    pub fn try_write(&self, bytes: &[u8]) {
        let _ = self.0.get_ref().send_with_flags(bytes, libc::MSG_NOSIGNAL);
    }

    /// True when the peer has reset the connection, or closed it both ways.
    pub fn is_reset(&self) -> bool {
        let mut fds = [PollFd::new(self.0.get_ref().as_fd(), PollFlags::empty())];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|events| events > 0)
    }

    /// True when the connection has failed: the peer has reset it, or doesn't show any sign of life.
    pub fn has_failed(&self) -> bool {
        let mut fds = [PollFd::new(self.0.get_ref().as_fd(), PollFlags::empty())];
        let asked = poll(&mut fds, PollTimeout::ZERO).is_ok();
        asked
            && fds[0]
                .revents()
                .is_some_and(|seen| seen.contains(PollFlags::POLLERR))
    }

    /// Writes all of `parts` in order, each call gathering as much as there is; the deadline is
    /// `timeout` from the last progress.
    pub async fn write_all(&self, parts: &mut [IoSlice<'_>], timeout: Duration) -> io::Result<()> {
        let mut parts = parts;
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            match self.0.get_ref().write_vectored(parts) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut parts, written),
                Err(error) => self.wait_to_write(error, timeout).await?,
            }
        }
        Ok(())
    }

    /// Writes some of `parts`, waiting without a deadline.
    pub async fn write_some(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            match self.0.get_ref().write_vectored(parts) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => return Ok(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.until_writable().await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// As [`Stream::write_all`] of one part that is at once followed by more, so that both can
    /// share a packet.
    pub async fn write_more(&self, part: &[u8], timeout: Duration) -> io::Result<()> {
        let mut rest = part;
        while !rest.is_empty() {
            let flags = libc::MSG_MORE | libc::MSG_NOSIGNAL;
            match self.0.get_ref().send_with_flags(rest, flags) {
                Ok(written) => rest = &rest[written..],
                Err(error) => self.wait_to_write(error, timeout).await?,
            }
        }
        Ok(())
    }

    /// Sends `len` bytes of `file` from `offset` without copying them through the process.
    /// Counts what was sent. `UnexpectedEof` when the file is shorter.
    pub async fn send_file(
        &self,
        file: &File,
        offset: u64,
        len: u64,
        timeout: Duration,
        count: &Cell<u64>,
    ) -> io::Result<()> {
        let (mut at, end) = (offset, offset + len);
        while at < end {
            let most = (end - at).min(SENDFILE_MOST) as usize;
            match send_some(self.0.get_ref(), file, at, most) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(sent) => {
                    at += sent as u64;
                    count.set(count.get() + sent as u64);
                    if sent == most && at < end {
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) => self.wait_to_write(error, timeout).await?,
            }
        }
        Ok(())
    }

    async fn wait_to_write(&self, error: io::Error, timeout: Duration) -> io::Result<()> {
        if error.kind() == io::ErrorKind::Interrupted {
            return Ok(());
        }
        if error.kind() != io::ErrorKind::WouldBlock {
            return Err(error);
        }
        loop {
            let before = self.1.0.get();
            match within(Instant::now() + timeout, self.until_writable()).await {
                // It may send all that it has before it reads.
                Err(why) if is_late(&why) && self.1.0.get() != before => {}
                done => return done,
            }
        }
    }

    /// Takes note of a sign of life of the peer, which may be busy with what it sends: the time to take what is written
    /// begins anew.
    pub fn note_life(&self) {
        self.1.0.set(self.1.0.get() + 1);
    }

    /// Waits for the event that says there is room again. Call it only after a write would have blocked.
    pub(super) async fn until_writable(&self) -> io::Result<()> {
        // The readiness remembered may be older than the full buffer: ask the kernel once more
        // whether there is room, and wait for the event if not.
        loop {
            let mut guard = self.0.writable().await?;
            if is_writable(self.0.get_ref())? {
                guard.retain_ready();
                return Ok(());
            }
            guard.clear_ready();
        }
    }

    pub fn shut_write(&self) -> io::Result<()> {
        self.0.get_ref().shutdown(Shutdown::Write)
    }

    /// Waits until the peer has all that was written, for so long at most.
    pub async fn until_arrived(&self, limit: Duration) {
        let end = Instant::now() + limit;
        while unacknowledged(self.0.get_ref()) > 0 && Instant::now() < end {
            sleep(ARRIVAL_LOOK).await;
        }
    }

    /// Makes the coming close a reset, so that a peer whose content ends with the connection can
    /// tell that it is not whole.
    pub fn reset_on_close(&self) {
        // Without effect on Unix sockets; there a truncated content can't be told apart.
        let _ = SockRef::from(self.0.get_ref()).set_linger(Some(Duration::ZERO));
    }

    pub(super) fn inner(&self) -> &AsyncFd<Socket> {
        &self.0
    }
}

/// Has the kernel ask a silent peer for a sign of life (RFC 1122 §4.2.3.6); what is accepted inherits it from a listener.
pub fn find_dead_peers<'a>(socket: impl Into<SockRef<'a>>) -> io::Result<()> {
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    socket.into().set_tcp_keepalive(&keepalive)
}

fn register(socket: Socket) -> io::Result<Stream> {
    // SAFETY: a Socket owns its fd and never changes or closes it before it is dropped.
    let registered = unsafe { AsyncFd::register(socket) }?;
    Ok(Stream(registered, SignsOfLife::default()))
}

/// Registers an fd of any kind that can be polled with the event loop of this thread.
pub fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is the same open fd until it is dropped.
    Ok(unsafe { AsyncFd::register(fd) }?)
}

pub async fn wait_writable(fd: &AsyncFd<OwnedFd>) -> io::Result<()> {
    fd.writable().await?.clear_ready();
    Ok(())
}

/// Runs `work` until `deadline`, then fails with `TimedOut`.
pub async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match timeout_at(deadline, work).await {
        Ok(done) => done,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// True for a time limit of ours; the kernel's is that the peer is gone.
pub fn is_late(why: &io::Error) -> bool {
    why.kind() == io::ErrorKind::TimedOut && why.raw_os_error().is_none()
}

/// Sends some of a file, at most so much: by sendfile, and through the process where the file system doesn't have that, or a
/// filter of system calls is against it.
fn send_some(socket: &Socket, file: &File, at: u64, most: usize) -> io::Result<usize> {
    let mut position = at as libc::off_t;
    match sendfile(socket, file, Some(&mut position), most) {
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::EPERM) => {
            send_copied(socket, file, at, most)
        }
        sent => Ok(sent?),
    }
}

fn send_copied(socket: &Socket, file: &File, at: u64, most: usize) -> io::Result<usize> {
    let mut copy = vec![0; most.min(COPIED_MOST)];
    let read = file.read_at(&mut copy, at)?;
    match read {
        0 => Ok(0),
        _ => socket.send_with_flags(&copy[..read], libc::MSG_NOSIGNAL),
    }
}

/// One read into the spare capacity; true when it was shorter than that, so that nothing is left.
fn read_once(socket: &Socket, buffer: &mut BytesMut) -> io::Result<(usize, bool)> {
    let spare = buffer.capacity() - buffer.len();
    if spare == 0 {
        return Err(io::Error::other("no room to read into"));
    }
    let read = socket.recv(buffer.spare_capacity_mut())?;
    // SAFETY: recv initialised the first `read` bytes of the spare capacity.
    unsafe { buffer.advance_mut(read) };
    // At the end of the stream readiness stays, so that the next read sees the end again.
    Ok((read, read > 0 && read < spare))
}

/// The bytes that were written and haven't arrived at the peer, as far as is known.
fn unacknowledged(socket: &Socket) -> libc::c_int {
    let mut unsent: libc::c_int = 0;
    // SAFETY: SIOCOUTQ, which has the same number as TIOCOUTQ, writes one int to where the pointer says.
    let asked = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &mut unsent) };
    if asked == 0 { unsent } else { 0 }
}

/// True when there is nothing to read on a non-blocking socket, neither bytes nor its end. Asks the kernel: the event
/// loop may not have heard yet.
pub fn is_quiet<'a>(socket: impl Into<SockRef<'a>>) -> bool {
    let peeked = socket.into().peek(&mut [MaybeUninit::uninit()]);
    peeked.is_err_and(|why| why.kind() == io::ErrorKind::WouldBlock)
}

fn is_writable(socket: &Socket) -> io::Result<bool> {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    Ok(poll(&mut fds, PollTimeout::ZERO)? > 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_sendfile_does_not_take_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, (0..=255).collect::<Vec<u8>>()).unwrap();
        let file = File::open(&path).unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let socket = Socket::from(OwnedFd::from(ours));
        // (from, at most, what is sent)
        for (at, most, sent) in [(0, 10, 10), (250, 100, 6), (256, 10, 0), (300, 10, 0)] {
            for send in [send_some, send_copied] {
                assert_eq!(send(&socket, &file, at, most).unwrap(), sent, "{at}");
                let mut came = vec![0; sent];
                theirs.read_exact(&mut came).unwrap();
                let expected = (at..).map(|byte| byte as u8).take(sent);
                assert!(came.into_iter().eq(expected), "{at}");
            }
        }
    }
}
