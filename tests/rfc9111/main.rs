//! RFC 9111 and what belongs to it, section by section, as tables of short conversations with the whole
//! binary. A row is a name and its steps: what the client sends, what the origin would answer, and
//! what has to come of it; the three small languages are described in `row`.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod cache_status;
mod freshness;
mod invalidation;
mod requests;
mod row;
mod stale;
mod storing;
mod validation;
mod variants;
