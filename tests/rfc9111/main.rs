//! RFC 9111 and what belongs to it, section by section, as texts of short conversations with the whole binary in the
//! language of `common::conversation`.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod cache_status;
mod freshness;
mod invalidation;
mod language;
mod requests;
mod stale;
mod storing;
mod targeted;
mod validation;
mod variants;
