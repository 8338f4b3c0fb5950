//! The store in PostgreSQL, seen from outside: proxies of the built binary, on servers of the tests' own that are killed, stopped,
//! locked and closed to them.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod connecting;
mod herd;
mod hosts;
mod hung;
mod outages;
mod queue;
mod relay;
mod resumed;
mod server;
mod stage;
mod storing;
