//! The operating system: the only home of `unsafe`, of fd passing, activation, the journal and shared memory.
#![allow(unsafe_code)]

pub mod activation;
pub mod disk;
pub mod exit;
pub mod fds;
pub mod journal;
pub mod memory_file;
pub mod seqpacket;
pub mod shared;
