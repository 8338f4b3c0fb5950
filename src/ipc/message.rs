//! The messages between supervisor and worker, one enum per direction.
//!
//! The messages are generic over how they hold an fd: who receives one owns its fds, who sends one
//! may lend them (`ToWorker<BorrowedFd>`), because a sender keeps its copy until the other side
//! has said that it took over. Ownership of a client moves like this:
//!
//! - *Assign*: the worker says `Taken` **before** it reads the client's first byte. Until then the client
//!   is the supervisor's, and goes to another worker when this one closes its channel or drains.
//! - *Return*: the client is the worker's until it reads `ReturnsTaken`; if the channel ends before that,
//!   the worker keeps the client.
//! - *HandOver*: as *Return*, but the client goes to the worker that is named, or to any other when that one
//!   has gone meanwhile. `HandOverRefused` says that it was the worker's all the time.
//! - After it has said `Draining` a worker drops every `Assign` it still reads.

use std::os::fd::{BorrowedFd, OwnedFd};

use bytes::Bytes;

use super::codec::{Decode, DecodeError, Encode, Reader, Version, messages, record};
use super::fields::Peer;
use crate::sys::fds::MAX_FDS;

/// The most bytes of a message.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// A client given to a worker.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Assigned<F = OwnedFd> {
    /// The supervisor's name for the client, to be used in `Taken` and `Closed`.
    pub id: u64,
    pub peer: Peer,
    /// Another worker sent it here for a fetch that was running: it isn't sent on for this request.
    pub handed: bool,
    /// The bytes that a worker has already read from it and not answered.
    pub read: Bytes,
    pub fd: F,
}

/// A client given back to the supervisor.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Returned<F = OwnedFd> {
    /// The worker's name for this hand-over, repeated in `ReturnsTaken`.
    pub token: u64,
    /// The id under which it was assigned.
    pub id: u64,
    pub peer: Peer,
    /// The bytes that were read from it and not answered. When there are any, the client is assigned
    /// again at once instead of waiting for more bytes.
    pub read: Bytes,
    pub fd: F,
}

/// From the supervisor to a worker.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum ToWorker<F = OwnedFd> {
    /// The first message, with a memory file of the configuration's texts, and the shared memory.
    Hello {
        version: Version,
        settings: F,
        shared: F,
    },
    /// The configuration has changed; answered by `SettingsApplied` or `SettingsRefused`.
    Settings { settings: F },
    /// Clients to serve; answered by `Taken`.
    Assign { clients: Vec<Assigned<F>> },
    /// These returned clients are the supervisor's now: the worker closes its copies.
    ReturnsTaken { tokens: Vec<u64> },
    /// These clients could not be handed over: they stay the worker's, which serves them itself.
    HandOverRefused { tokens: Vec<u64> },
    /// See to the store's files, as ordered over this channel until it is closed.
    Maintain { channel: F },
    /// Drain and exit, without a new process to follow.
    Stop,
}

/// From a worker to the supervisor.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum ToSupervisor<F = OwnedFd> {
    /// The first message.
    Hello {
        version: Version,
        pid: u32,
        /// Its number, from 1.
        worker: u16,
        /// The number of clients it already has, from a supervisor before.
        clients: u32,
    },
    /// The settings sent last are in force.
    SettingsApplied,
    /// The settings sent last can't be used; the ones before stay in force.
    SettingsRefused { reason: String },
    /// These assigned clients are the worker's now: the supervisor closes its copies.
    Taken { ids: Vec<u64> },
    /// Clients to park; answered by `ReturnsTaken`.
    Return { clients: Vec<Returned<F>> },
    /// Clients for another worker, which fetches what they ask for; answered by `ReturnsTaken` or
    /// `HandOverRefused`.
    HandOver {
        worker: u16,
        clients: Vec<Returned<F>>,
    },
    /// Clients that have ended in the worker.
    Closed { ids: Vec<u64> },
    /// The worker takes no more clients and will exit when those it has are finished.
    Draining,
}

record!(Assigned<F> { id, peer, handed, read, fd } at most MAX_FDS);
record!(Returned<F> { token, id, peer, read, fd } at most MAX_FDS);

// A number is never given another meaning; a message that changes its fields gets a new number or `VERSION` goes up.

messages! { ToWorker<F>:
    1 = Hello { version, settings, shared }
    2 = Settings { settings }
    3 = Assign { clients }
    4 = ReturnsTaken { tokens }
    5 = Stop {}
    6 = HandOverRefused { tokens }
    7 = Maintain { channel }
}

messages! { ToSupervisor<F>:
    1 = Hello { version, pid, worker, clients }
    32 = SettingsApplied {}
    33 = SettingsRefused { reason }
    34 = Taken { ids }
    35 = Return { clients }
    36 = Closed { ids }
    37 = Draining {}
    40 = HandOver { worker, clients }
}
