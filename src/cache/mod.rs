//! The rules of RFC 9111, as pure functions of a message, what is stored, and a given `now`.
#![forbid(unsafe_code)]

pub mod directives;
pub mod invalidation;
pub mod key;
pub mod policy;
pub mod status;
pub mod stored;
pub mod vary;
