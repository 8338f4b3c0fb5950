//! The typed channel: whole messages with their fds over one SOCK_SEQPACKET socket, never waiting.
//!
//! A message that can't be sent now stays with the caller, who keeps a bounded queue. A message that
//! can't be understood is an error after which the channel must be closed: nothing is skipped.

use std::cell::RefCell;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;

use super::decode::{Decode, DecodeError};
use super::encode::Encode;
use super::message::{MAX_BYTES, ToSupervisor, ToWorker};
use crate::sys::fds;
pub use crate::sys::fds::Sent;

/// One end of the channel: which messages it receives.
pub trait ChannelEnd {
    /// The messages that this end receives.
    type Incoming: Decode;
}

/// A message that the end `E` may send.
pub trait SentBy<E>: Encode {}

/// The supervisor's end.
#[derive(Debug)]
pub enum SupervisorEnd {}

/// The worker's end.
#[derive(Debug)]
pub enum WorkerEnd {}

impl ChannelEnd for SupervisorEnd {
    type Incoming = ToSupervisor;
}

impl ChannelEnd for WorkerEnd {
    type Incoming = ToWorker;
}

impl<F: AsFd> SentBy<SupervisorEnd> for ToWorker<F> {}
impl<F: AsFd> SentBy<WorkerEnd> for ToSupervisor<F> {}

/// The outcome of `try_recv`.
#[derive(Debug)]
pub enum Received<M> {
    /// A message.
    Message(M),
    /// Nothing yet: wait until the channel is readable.
    Nothing,
    /// The other end is closed and everything it sent has been received.
    Closed,
}

/// The reason to give a channel up.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other end sent what isn't a message.
    #[error("the other end broke the protocol: {0}")]
    Decode(#[from] DecodeError),
    /// A message of ours is larger than may be sent: a bug in the sender.
    #[error("a message of {0} bytes or {1} fds is too large to send")]
    TooLarge(usize, usize),
    /// The system refused.
    #[error("the channel failed: {0}")]
    Io(#[from] io::Error),
}

/// One end of a channel. It can be polled as an fd (epoll, tokio's `AsyncFd`).
#[derive(Debug)]
pub struct Channel<E> {
    socket: UnixDatagram,
    end: PhantomData<fn() -> E>,
}

/// The channel as the supervisor holds it.
pub type SupervisorChannel = Channel<SupervisorEnd>;
/// The channel as a worker holds it.
pub type WorkerChannel = Channel<WorkerEnd>;

thread_local! {
    static INCOMING: RefCell<Box<[u8]>> = RefCell::new(vec![0; MAX_BYTES].into_boxed_slice());
    static OUTGOING: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(MAX_BYTES));
}

impl<E: ChannelEnd> Channel<E> {
    /// Takes the next message, if there is one.
    pub fn try_recv(&self) -> Result<Received<E::Incoming>, ChannelError> {
        INCOMING.with_borrow_mut(|buffer| self.receive_into(buffer))
    }

    fn receive_into(&self, buffer: &mut [u8]) -> Result<Received<E::Incoming>, ChannelError> {
        let got = loop {
            match fds::receive(self.as_fd(), buffer) {
                Ok(got) => break got,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Received::Nothing);
                }
                // ECONNRESET says that the other end closed with messages of ours unread; what it
                // sent before is still in the queue, and a lost `Taken` would serve a client twice.
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error.into()),
            }
        };
        if got.truncated {
            return Err(DecodeError::Oversized.into());
        }
        if got.bytes == 0 {
            return Ok(Received::Closed);
        }
        let message = E::Incoming::decode(&buffer[..got.bytes], got.fds)?;
        Ok(Received::Message(message))
    }

    /// Sends a message, if there is room for it.
    pub fn try_send<M: SentBy<E>>(&self, message: &M) -> Result<Sent, ChannelError> {
        OUTGOING.with_borrow_mut(|bytes| {
            bytes.clear();
            let mut passed = Vec::new();
            message.encode(bytes, &mut passed);
            if bytes.len() > MAX_BYTES || passed.len() > fds::MAX_FDS {
                return Err(ChannelError::TooLarge(bytes.len(), passed.len()));
            }
            Ok(fds::send(&self.socket, bytes, &passed)?)
        })
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionReset
    )
}

impl<E> From<OwnedFd> for Channel<E> {
    fn from(fd: OwnedFd) -> Channel<E> {
        let socket = UnixDatagram::from(fd);
        Channel {
            socket,
            end: PhantomData,
        }
    }
}

impl<E> AsFd for Channel<E> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<E> AsRawFd for Channel<E> {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
