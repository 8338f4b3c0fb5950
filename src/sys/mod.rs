//! The operating system: the only home of `unsafe`, of fd passing, activation, the journal and shared memory.
#![allow(unsafe_code)]

pub(crate) mod activation;
pub(crate) mod addresses;
pub mod certificates;
pub mod child;
pub mod clients;
pub(crate) mod clock;
pub mod completions;
pub mod connection;
pub(crate) mod credentials;
pub(crate) mod disk;
pub(crate) mod epoll;
pub(crate) mod exit;
pub mod faults;
pub mod fds;
pub(crate) mod file_system;
pub(crate) mod inspection;
pub(crate) mod journal;
pub(crate) mod limits;
pub(crate) mod lmdb;
pub mod memory_file;
pub(crate) mod names;
pub(crate) mod notifier;
pub(crate) mod notify;
pub(crate) mod page_cache;
pub(crate) mod printable;
pub(crate) mod random;
pub(crate) mod rate;
pub mod seqpacket;
pub mod shared;
pub(crate) mod signals;
pub(crate) mod splice;
pub(crate) mod stream;
pub(crate) mod threads;
pub(crate) mod user;
