//! Hostile requests and responses, sent raw to the whole binary, and what the peer on the other side got of them. A row names
//! its clause; what passes must pass as exactly the listed requests, what is refused must reach nobody, and the next request or
//! response is read right in either case. Rows are steps in the language of `common::conversation`, done in several ways.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod requests;
mod responses;

use common::Proxy;
use common::conversation::{Script, each_at_once, scripts};

/// A worker keeps no idle client for longer than a moment, so that parking is soon.
const PARKING: &str = "[timeouts]\nworker_idle = \"20ms\"\n";

/// Checks each row of a table.
fn each(config: &str, text: &str, check: impl Fn(&Proxy, &Script) + Sync) {
    let rows = scripts(text);
    assert!(rows.len() > 50, "the table has its rows");
    let proxy = Proxy::start(&format!("{config}{PARKING}"));
    each_at_once(rows, |row| check(&proxy, row));
}
