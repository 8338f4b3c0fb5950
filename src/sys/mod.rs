//! The operating system: the only home of `unsafe`, of fd passing, activation, the journal and shared memory.
#![allow(unsafe_code)]

pub mod shared;
