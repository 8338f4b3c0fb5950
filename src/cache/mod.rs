//! The rules of RFC 9111, as pure functions of a message, what is stored, and a given `now`.
#![forbid(unsafe_code)]

pub(crate) mod age;
pub(crate) mod bypass;
pub(crate) mod collapsing;
pub mod directives;
pub mod extent;
pub(crate) mod freshness;
pub(crate) mod invalidation;
pub mod key;
pub(crate) mod multipart;
pub(crate) mod owner;
pub mod parts;
pub(crate) mod personal;
pub(crate) mod plan;
pub(crate) mod policy;
pub mod provenance;
pub mod range;
pub mod refresh;
pub(crate) mod reuse;
pub(crate) mod sound;
pub(crate) mod status;
pub mod stored;
pub(crate) mod storing;
#[cfg(test)]
pub(crate) mod testing;
pub mod time;
pub mod validation;
pub mod vary;
pub mod versioned;
