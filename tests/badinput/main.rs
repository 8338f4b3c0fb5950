//! Hostile and broken peers: each gets a clear answer or a closed connection, nobody else notices, and
//! nothing of theirs becomes somebody's object.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod absent;
mod access;
mod content;
mod destinations;
mod fields;
mod log;
mod pieces;
mod requests;
mod responses;
mod slow;
mod target;

use Gets::{Declined, Refused, RefusedOrClosed};

/// The answer to a hostile request.
#[derive(Debug, Clone, Copy)]
enum Gets {
    /// One of these statuses, a reason, and a closed connection.
    Refused(&'static [u16]),
    /// One of these statuses or a closed connection without an answer.
    RefusedOrClosed(&'static [u16]),
    /// One of these statuses and a reason; its end is beyond doubt, so the connection may persist.
    Declined(&'static [u16]),
}

const BAD: Gets = Refused(&[400]);

const NO: Gets = Declined(&[400]);

/// A row: its name, what is sent, and what that gets. `{a}` is the origin's authority, `{u}` its URI `/`, `{o}` another
/// origin's authority. A request for `{u}smuggled` follows each; where the end of the first is in doubt it must
/// never reach an origin.
type Row = (&'static str, &'static str, Gets);
