//! The process that accepts, dispatches to workers, parks idle clients and evicts. It parses nothing.
//!
//! One thread with one loop (`turn`); each other file is one decision. It reads no byte of a client.
#![forbid(unsafe_code)]

mod accept;
mod channels;
mod control;
mod disk_watch;
mod dispatch;
mod event_loop;
pub mod evict;
mod housekeeping;
mod link;
mod messages;
mod park;
mod roster;
mod settings;
mod spawn;
mod status;
mod stop;
mod token;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config;
use crate::sys::exit::Failure;

/// What a supervisor begins with.
#[derive(Debug)]
pub struct Start {
    /// The configuration, which says where it is read again from.
    pub configuration: config::Loaded,
    /// The sockets that clients connect to.
    pub listen: Listen,
    /// How workers are started.
    pub workers: Spawn,
}

/// The sockets that clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// Those named `client` that systemd hands over.
    Inherited,
    /// These, bound here.
    Bind(Vec<ListenAddr>),
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddr {
    /// A TCP port on an address.
    Tcp(SocketAddr),
    /// A Unix socket at a path.
    Unix(PathBuf),
}

/// How workers are started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spawn {
    /// By connecting to the sockets `worker-N.sock` in this directory, which systemd listens on.
    Sockets {
        /// The runtime directory.
        dir: PathBuf,
    },
    /// As children, over the same protocol.
    Children {
        /// The runtime directory, for the worker sockets and the control socket.
        dir: PathBuf,
        /// The program to start with `worker N`.
        program: PathBuf,
    },
}

/// Serves until it is told to stop.
pub fn serve(start: Start) -> Result<(), Failure> {
    event_loop::Supervisor::begin(start)?.run()
}
