//! The store in a PostgreSQL server of the test's own.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod herd;
mod server;
