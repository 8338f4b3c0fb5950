//! cacheproxy: a caching HTTP proxy made of a supervisor that accepts and workers that speak HTTP.
//!
//! Imports point down only: cli → supervisor, worker → store, ipc → sys, config → cache → http
//! (`tests/imports/` holds this). The program needs [`main`] alone. Tests see more by the feature `internals`; without
//! it every module is private, so that rustc says what nobody uses.

#[cfg(not(feature = "internals"))]
mod cache;
#[cfg(feature = "internals")]
pub mod cache;
mod cli;
#[cfg(not(feature = "internals"))]
mod config;
#[cfg(feature = "internals")]
pub mod config;
#[cfg(not(feature = "internals"))]
mod http;
#[cfg(feature = "internals")]
pub mod http;
#[cfg(not(feature = "internals"))]
mod ipc;
#[cfg(feature = "internals")]
pub mod ipc;
#[cfg(not(feature = "internals"))]
mod store;
#[cfg(feature = "internals")]
pub mod store;
mod supervisor;
#[cfg(not(feature = "internals"))]
mod sys;
#[cfg(feature = "internals")]
pub mod sys;
mod worker;

pub use cli::main;

/// PostgreSQL servers for unit tests, of which there is one implementation for all of the project.
#[cfg(test)]
#[path = "../tests/common/postgres/mod.rs"]
mod postgres_server;
