//! The parameters of a supervisor: its configuration, the sockets that clients connect to, the way workers come to be.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config;

#[derive(Debug)]
pub struct Start {
    /// The configuration, which says where it is read again from.
    pub configuration: config::Loaded,
    pub listen: Listen,
    /// The runtime directory, for the worker sockets and the control socket.
    pub dir: PathBuf,
    pub workers: Spawn,
}

/// The sockets that clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// Those named `client` that systemd hands over.
    Inherited,
    Bind(Vec<ListenAddr>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddr {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// The way workers are started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spawn {
    /// By connecting to the sockets `worker-N.sock`, which systemd listens on.
    Sockets,
    /// As children, over the same protocol: this program with `worker N`.
    Children(PathBuf),
}
