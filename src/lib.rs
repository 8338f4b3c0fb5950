//! cacheproxy: a caching HTTP proxy made of a supervisor that accepts and workers that speak HTTP.
//!
//! Imports point down only: cli → supervisor, worker → store, ipc → sys, cache, config → http
//! (`tests/imports.rs` holds this). ARCHITECTURE.md says which room a change belongs in.

pub mod cache;
pub mod cli;
pub mod config;
pub mod http;
pub mod ipc;
pub mod store;
pub mod supervisor;
pub mod sys;
pub mod worker;

/// PostgreSQL servers for unit tests, of which there is one implementation for all of the project.
#[cfg(test)]
#[path = "../tests/common/postgres/mod.rs"]
mod postgres_server;
