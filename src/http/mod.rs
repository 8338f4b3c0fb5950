//! HTTP/1 messages (RFC 9110, RFC 9112) as pure functions of bytes: no I/O, no clock.
#![forbid(unsafe_code)]

pub mod chunked;
pub mod connection;
pub mod connection_auth;
pub mod content;
pub mod date;
pub mod fields;
pub mod forward;
pub mod framing;
pub mod head;
pub mod names;
pub mod parse;
pub mod persistence;
pub mod syntax;
pub mod target;
#[cfg(test)]
pub mod testing;
pub mod validator;
