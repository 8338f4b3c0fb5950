//! The process that accepts, dispatches to workers, parks idle clients and evicts. It parses nothing.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config;
use crate::sys::exit::Failure;

/// What a supervisor begins with.
#[derive(Debug)]
pub struct Start {
    /// Where the configuration comes from, now and at each reload.
    pub source: config::Source,
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
    let loaded = config::load(&start.source).map_err(Failure::config)?;
    Err(Failure::unavailable(format!(
        "the supervisor isn't written yet ({} workers)",
        loaded.settings.workers
    )))
}
