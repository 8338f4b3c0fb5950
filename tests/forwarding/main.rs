//! Forwarding, seen from outside: what an origin receives of a request, what a client receives of a
//! response, and how connections are kept on both sides (RFC 9110 §7, RFC 9112 §3–§9).
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod clients;
mod cut;
mod duplex;
mod heads;
mod hung;
mod in_path;
mod interim;
mod itself;
mod leaving;
mod long;
mod names;
mod offers;
mod origins;
mod outcomes;
mod pinned;
mod requests;
mod responses;
mod reuse;
mod silence;
mod targets;
mod trailers;
mod uploads;

const MIB: u64 = 1 << 20;
