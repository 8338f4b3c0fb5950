//! The rules of RFC 9111, as pure functions of a message, what is stored, and a given `now`.
#![forbid(unsafe_code)]

pub mod age;
pub mod bypass;
pub mod directives;
pub mod freshness;
pub mod invalidation;
pub mod key;
pub mod parts;
pub mod policy;
pub mod range;
pub mod reuse;
pub mod status;
pub mod stored;
pub mod storing;
#[cfg(test)]
mod testing;
pub mod validation;
pub mod vary;
