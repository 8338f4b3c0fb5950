//! Passing fds over a SOCK_SEQPACKET socket (SCM_RIGHTS, unix(7)).
//!
//! Every fd that arrives is close-on-exec and inside an `OwnedFd` before anything else is looked
//! at, so that a message refused for whatever reason closes what came with it. What the bytes mean
//! is not known here.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use nix::libc;
use nix::sys::socket::{MsgFlags, recvmsg, send as send_bytes};
use sendfd::SendWithFd;

use super::connection;

/// The most fds that go with one message.
pub const MAX_FDS: usize = 16;

/// Room for one fd more than may come, so that a surplus fd is seen and not cut off by the kernel.
const CONTROL: usize = size_of::<libc::cmsghdr>() + (MAX_FDS + 2) * size_of::<RawFd>();

/// A buffer for control messages, aligned as the kernel's header wants it.
#[repr(align(8))]
struct ControlBuffer([u8; CONTROL]);

/// A message as it came.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct ReceivedMessage {
    /// Bytes written into the buffer.
    pub bytes: usize,
    pub fds: Vec<OwnedFd>,
    /// True when the kernel had to cut off bytes or fds (a peer that breaks the protocol, or no fds left here).
    pub truncated: bool,
}

/// The outcome of sending a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Done,
    /// The queue is full: send it again when the socket is writable.
    Busy,
    /// Too many fds are on their way (ETOOMANYREFS) or memory is short; the socket doesn't become
    /// writable when that changes: send it again after some milliseconds.
    Later,
    /// The other end is closed. What it sent before can still be received.
    Closed,
}

/// Sends one message with its fds, without waiting.
pub fn send(socket: &UnixDatagram, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<Sent> {
    loop {
        let error = match send_once(socket, bytes, fds) {
            Ok(sent) if sent == bytes.len() => return Ok(Sent::Done),
            Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) => error,
        };
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EAGAIN) => return Ok(Sent::Busy),
            Some(libc::ETOOMANYREFS | libc::ENOBUFS | libc::ENOMEM) => return Ok(Sent::Later),
            Some(libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN) => return Ok(Sent::Closed),
            _ => return Err(error),
        }
    }
}

fn send_once(socket: &UnixDatagram, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if fds.is_empty() {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        return Ok(send_bytes(socket.as_raw_fd(), bytes, flags)?);
    }
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    socket.send_with_fd(bytes, &raw)
}

/// Receives one message, without waiting. Zero bytes mean that the other end is closed.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<ReceivedMessage> {
    let mut control = ControlBuffer([0; CONTROL]);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let got = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control.0), flags)?;
    let (bytes, flags) = (got.bytes, got.flags);
    Ok(ReceivedMessage {
        bytes,
        fds: owned(&control),
        truncated: flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC),
    })
}

/// The fds in the control buffer. nix refuses to list them after a truncation, when those that did
/// arrive are installed all the same and would leak; so the one header that can be there is read here.
fn owned(control: &ControlBuffer) -> Vec<OwnedFd> {
    let bytes = &control.0;
    // SAFETY: the buffer is longer than a cmsghdr and aligned to 8; any bytes are a valid cmsghdr.
    let header = unsafe { &*bytes.as_ptr().cast::<libc::cmsghdr>() };
    let start = size_of::<libc::cmsghdr>();
    let length = header.cmsg_len;
    let is_rights = header.cmsg_level == libc::SOL_SOCKET && header.cmsg_type == libc::SCM_RIGHTS;
    if !is_rights || length < start || length > bytes.len() {
        return Vec::new();
    }
    bytes[start..length]
        .chunks_exact(size_of::<RawFd>())
        .map(|chunk| {
            let mut number = [0; size_of::<RawFd>()];
            number.copy_from_slice(chunk);
            // SAFETY: the kernel has just installed this fd for this process; nobody else knows it.
            let fd = unsafe { OwnedFd::from_raw_fd(RawFd::from_ne_bytes(number)) };
            // Also what is refused is closed.
            connection::close_without_waiting(&fd);
            fd
        })
        .collect()
}

/// Sends a few bytes with one fd over a stream, without waiting.
pub fn send_in_stream(stream: &UnixStream, bytes: &[u8], fd: BorrowedFd<'_>) -> io::Result<()> {
    match stream.send_with_fd(bytes, &[fd.as_raw_fd()])? {
        sent if sent == bytes.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Receives some bytes, waiting as long as the stream allows, and the fd that came with them, if one did.
pub fn receive_in_stream(
    stream: &UnixStream,
    buffer: &mut [u8],
) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut control = ControlBuffer([0; CONTROL]);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let got = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut control.0), flags)?;
    let bytes = got.bytes;
    Ok((bytes, owned(&control).pop()))
}

/// A second fd for the same open file, close-on-exec.
pub fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}
