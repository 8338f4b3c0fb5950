//! The two message enums between supervisor and worker, and the typed channel that carries them.
//!
//! Frames are explicit bytes, little-endian, length-checked and bounded; anything unexpected ends the
//! channel with an error that names it. What the messages lead to is decided by supervisor and worker.
#![forbid(unsafe_code)]

pub(crate) mod batch;
mod channel;
pub mod decode;
pub mod encode;
mod kind;
pub mod message;
#[cfg(test)]
mod tests;

pub use channel::{ChannelError, Received, Sent, SupervisorChannel, WorkerChannel};
pub use decode::DecodeError;
pub use message::{
    Assigned, MAX_ITEMS, MAX_READ, Object, Peer, Returned, ToSupervisor, ToWorker, VERSION,
};
