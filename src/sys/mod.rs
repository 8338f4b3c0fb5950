//! The operating system: the only home of `unsafe`, of fd passing, activation, the journal and shared memory.
#![allow(unsafe_code)]

pub mod activation;
pub mod certificates;
pub mod child;
pub mod clients;
pub mod credentials;
pub mod disk;
pub mod epoll;
pub mod exit;
pub mod fds;
pub mod journal;
pub mod limits;
pub mod memory_file;
pub mod notifier;
pub mod notify;
pub mod seqpacket;
pub mod shared;
pub mod signals;
pub mod splice;
pub mod stream;
pub mod user;
