//! HTTP/1 messages (RFC 9110, RFC 9112) as pure functions of bytes: no I/O, no clock.
#![forbid(unsafe_code)]

pub mod fields;
pub mod head;
