//! The two message enums between supervisor and worker, and the typed channel that carries them.
//!
//! Frames are explicit bytes, little-endian, length-checked and bounded; anything unexpected ends the
//! channel with an error that names it. What the messages lead to is decided by supervisor and worker.
#![forbid(unsafe_code)]

pub(crate) mod batch;
mod channel;
pub mod codec;
mod fields;
mod host;
mod maintenance;
mod message;
#[cfg(test)]
mod tests;

pub use channel::{ChannelError, Received, Sent, SupervisorChannel, WorkerChannel};
pub(crate) use codec::MAX_ITEMS;
pub use codec::{DecodeError, VERSION};
pub(crate) use fields::MAX_READ;
pub use fields::Peer;
pub(crate) use host::Host;
pub use maintenance::{
    Cleared, Evicted, Free, MaintainerChannel, OrderChannel, StoreOrder, StoreReply, Tidied,
};
pub use message::{Assigned, Returned, ToSupervisor, ToWorker};
