//! The process that accepts, dispatches to workers, parks idle clients and evicts. It parses nothing.
//!
//! One thread with one loop (`event_loop`), which has a table of parts. Each part owns its state, decides one thing
//! and says what is to be done. No byte of a client is read.
#![forbid(unsafe_code)]

mod accept;
mod callers;
mod claims;
mod clients;
mod connection_limits;
mod control;
mod disk_watch;
mod dispatch;
mod event_loop;
mod evict;
mod housekeeping;
mod link;
mod links;
mod listen;
mod park;
mod roster;
mod settings;
mod spawn;
mod start;
mod status;
mod stop;
mod token;
mod unsent;

pub use start::{Listen, ListenAddr, Spawn, Start};

use crate::sys::exit::Failure;

/// Serves until it is told to stop.
pub fn serve(start: Start) -> Result<(), Failure> {
    event_loop::Supervisor::begin(start)?.run()
}
