//! The process that accepts, dispatches to workers, parks idle clients and evicts. It parses nothing.
//!
//! One thread with one loop (`turn`); each other file is one decision. It reads no byte of a client.
#![forbid(unsafe_code)]

mod accept;
mod channels;
mod clients;
mod control;
mod disk_watch;
mod dispatch;
mod event_loop;
pub mod evict;
mod housekeeping;
mod link;
mod messages;
mod roster;
mod settings;
mod spawn;
mod start;
mod status;
mod stop;
mod token;

pub use start::{Listen, ListenAddr, Spawn, Start};

use crate::sys::exit::Failure;

/// Serves until it is told to stop.
pub fn serve(start: Start) -> Result<(), Failure> {
    event_loop::Supervisor::begin(start)?.run()
}
