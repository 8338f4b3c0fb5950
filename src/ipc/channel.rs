//! The typed channel: whole messages with their fds over one SOCK_SEQPACKET socket, never waiting.
//!
//! A message that can't be sent now stays with the caller, who keeps a bounded queue. A message that
//! can't be understood is an error after which the channel must be closed: nothing is skipped.

use std::cell::RefCell;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::codec::{Decode, DecodeError, Encode};
use super::message::{MAX_BYTES, ToSupervisor, ToWorker};
use crate::sys::fds;
pub use crate::sys::fds::Sent;
use crate::sys::seqpacket::{self, Awaited};

/// The wait when the system is short of memory.
const LATER: Duration = Duration::from_millis(5);

/// A message to the one who sends messages `M`.
pub trait AnswerTo<M>: Encode {}

impl<F: Encode> AnswerTo<ToSupervisor> for ToWorker<F> {}
impl<F: Encode> AnswerTo<ToWorker> for ToSupervisor<F> {}

/// The outcome of `try_recv`.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Received<M> {
    Message(M),
    /// Nothing yet: wait until the channel is readable.
    Nothing,
    /// The other end is closed and everything it sent has been received.
    Closed,
}

/// The reason to give a channel up.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ChannelError {
    #[error("the other end broke the protocol: {0}")]
    Decode(#[from] DecodeError),
    /// A message of ours is larger than may be sent: a bug in the sender.
    #[error("a message of {0} bytes or {1} fds is too large to send")]
    TooLarge(usize, usize),
    #[error("the channel failed: {0}")]
    Io(#[from] io::Error),
}

/// One end of a channel, which receives messages `M`. It can be polled as an fd (epoll, tokio's `AsyncFd`).
#[derive(Debug)]
pub struct Channel<M> {
    socket: UnixDatagram,
    incoming: PhantomData<fn() -> M>,
}

/// The channel as the supervisor holds it.
pub type SupervisorChannel = Channel<ToSupervisor>;
/// The channel as a worker holds it.
pub type WorkerChannel = Channel<ToWorker>;

thread_local! {
    static INCOMING: RefCell<Box<[u8]>> = RefCell::new(vec![0; MAX_BYTES].into_boxed_slice());
    static OUTGOING: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(MAX_BYTES));
}

impl<M: Decode> Channel<M> {
    /// Takes the next message, if there is one.
    pub fn try_recv(&self) -> Result<Received<M>, ChannelError> {
        INCOMING.with_borrow_mut(|buffer| self.receive_into(buffer))
    }

    /// Takes the next message, waiting for it for this time at most, or for ever.
    pub fn recv_within(&self, limit: Option<Duration>) -> Result<Received<M>, ChannelError> {
        match self.try_recv()? {
            Received::Nothing => {
                seqpacket::wait(self.as_fd(), Awaited::Message, limit)?;
                self.try_recv()
            }
            heard @ (Received::Message(_) | Received::Closed) => Ok(heard),
        }
    }

    /// Sends a message, waiting until there is room for it.
    pub fn send_waiting(&self, message: &impl AnswerTo<M>) -> Result<(), ChannelError> {
        loop {
            match self.try_send(message)? {
                Sent::Done => return Ok(()),
                Sent::Closed => return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
                Sent::Busy => seqpacket::wait(self.as_fd(), Awaited::Room, None)?,
                Sent::Later => std::thread::sleep(LATER),
            }
        }
    }

    fn receive_into(&self, buffer: &mut [u8]) -> Result<Received<M>, ChannelError> {
        use io::ErrorKind::{ConnectionReset, Interrupted, WouldBlock};
        let got = loop {
            match fds::receive(self.as_fd(), buffer) {
                Ok(got) => break got,
                Err(error) if error.kind() == WouldBlock => return Ok(Received::Nothing),
                // ECONNRESET says that the other end closed with messages of ours unread; what it
                // sent before is still in the queue, and a lost `Taken` would serve a client twice.
                Err(error) if matches!(error.kind(), Interrupted | ConnectionReset) => {}
                Err(error) => return Err(error.into()),
            }
        };
        if got.truncated {
            return Err(DecodeError::Oversized.into());
        }
        if got.bytes == 0 {
            return Ok(Received::Closed);
        }
        let message = M::decode(&buffer[..got.bytes], got.fds)?;
        Ok(Received::Message(message))
    }

    /// Sends a message, if there is room for it.
    pub fn try_send(&self, message: &impl AnswerTo<M>) -> Result<Sent, ChannelError> {
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

impl<M> From<OwnedFd> for Channel<M> {
    fn from(fd: OwnedFd) -> Channel<M> {
        Channel {
            socket: UnixDatagram::from(fd),
            incoming: PhantomData,
        }
    }
}

impl<M> AsFd for Channel<M> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
