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

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use bytes::Bytes;

/// The version of these messages. Both sides say theirs first; a worker that is told another one
/// drains and exits, so that its successor is of the supervisor's version.
pub const VERSION: u16 = 3;

/// The most bytes of a message.
pub const MAX_BYTES: usize = 64 * 1024;

/// The most already read bytes that travel with one client.
pub const MAX_READ: usize = 16 * 1024;

/// The most ids, tokens or object names in one message.
pub const MAX_ITEMS: usize = 1024;

/// The peer of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A TCP client and its address.
    Ip(SocketAddr),
    /// A client on a Unix socket.
    Unix,
}

/// A client given to a worker.
#[derive(Debug)]
pub struct Assigned<F = OwnedFd> {
    /// The supervisor's name for the client, to be used in `Taken` and `Closed`.
    pub id: u64,
    /// Its address.
    pub peer: Peer,
    /// Another worker sent it here for a fetch that was running: it isn't sent on for this request.
    pub handed: bool,
    /// The bytes that a worker has already read from it and not answered.
    pub read: Bytes,
    /// The connection.
    pub fd: F,
}

/// A client given back to the supervisor.
#[derive(Debug)]
pub struct Returned<F = OwnedFd> {
    /// The worker's name for this hand-over, repeated in `ReturnsTaken`.
    pub token: u64,
    /// The id under which it was assigned.
    pub id: u64,
    /// Its address.
    pub peer: Peer,
    /// The bytes that were read from it and not answered. When there are any, the client is assigned
    /// again at once instead of waiting for more bytes.
    pub read: Bytes,
    /// The connection.
    pub fd: F,
}

/// One object as eviction knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// The hash of its key.
    pub hash: [u8; 16],
    /// The hash of its variant.
    pub variant: [u8; 16],
    /// The bytes it takes in the store.
    pub size: u64,
}

/// From the supervisor to a worker.
#[derive(Debug)]
pub enum ToWorker<F = OwnedFd> {
    /// The first message.
    Hello {
        /// The supervisor's `VERSION`.
        version: u16,
        /// A memory file with the texts of the configuration.
        settings: F,
        /// The shared memory.
        shared: F,
    },
    /// The configuration has changed; answered by `SettingsApplied` or `SettingsRefused`.
    Settings {
        /// A memory file with the texts of the configuration.
        settings: F,
    },
    /// Clients to serve; answered by `Taken`.
    Assign {
        /// At most 16.
        clients: Vec<Assigned<F>>,
    },
    /// These returned clients are the supervisor's now: the worker closes its copies.
    ReturnsTaken {
        /// The tokens of the returns.
        tokens: Vec<u64>,
    },
    /// These clients could not be handed over: they stay the worker's, which serves them itself.
    HandOverRefused {
        /// The tokens of the clients.
        tokens: Vec<u64>,
    },
    /// Drain and exit, without a new process to follow.
    Stop,
}

/// From a worker to the supervisor.
#[derive(Debug)]
pub enum ToSupervisor<F = OwnedFd> {
    /// The first message.
    Hello {
        /// The worker's `VERSION`.
        version: u16,
        /// Its process id.
        pid: u32,
        /// Its number, from 1.
        worker: u16,
        /// The number of clients it already has, from a supervisor before.
        clients: u32,
    },
    /// The settings sent last are in force.
    SettingsApplied,
    /// The settings sent last can't be used; the ones before stay in force.
    SettingsRefused {
        /// The reason, as a sentence.
        reason: String,
    },
    /// These assigned clients are the worker's now: the supervisor closes its copies.
    Taken {
        /// Their ids.
        ids: Vec<u64>,
    },
    /// Clients to park; answered by `ReturnsTaken`.
    Return {
        /// At most 16.
        clients: Vec<Returned<F>>,
    },
    /// Clients for another worker, which fetches what they ask for; answered by `ReturnsTaken` or
    /// `HandOverRefused`.
    HandOver {
        /// The other worker's number.
        worker: u16,
        /// At most 16.
        clients: Vec<Returned<F>>,
    },
    /// Clients that have ended in the worker.
    Closed {
        /// Their ids.
        ids: Vec<u64>,
    },
    /// The worker takes no more clients and will exit when those it has are finished.
    Draining,
    /// Objects that are new in the store.
    Published {
        /// At most `MAX_ITEMS`.
        objects: Vec<Object>,
    },
    /// Objects that are no longer in the store.
    Removed {
        /// At most `MAX_ITEMS`.
        objects: Vec<Object>,
    },
}
