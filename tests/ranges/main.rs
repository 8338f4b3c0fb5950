//! Ranges (RFC 9110 §13.1.5, §14, §15.3.7, §15.5.17; RFC 9111 §3.3, §3.4, §4.3) through the whole binary, as
//! tables, one row per clause.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod broken;
mod fetched;
mod middle;
mod parts;
mod segments;
mod stored;

use common::{Client, Origin, Proxy, Response, TIMEOUT, wait_until};

/// Small content, whose bytes say where they are.
const DIGITS: &str = "0123456789";

/// Asks for a path of the origin until the proxy has it stored.
fn have_stored(proxy: &Proxy, origin: &Origin, path: &str) {
    let mut client = Client::of(proxy);
    wait_until("a hit", TIMEOUT, || client.get(&origin.uri(path)).is_hit());
}

/// One request and its response.
fn ask(proxy: &Proxy, origin: &Origin, path: &str, fields: &str) -> Response {
    Client::of(proxy).request("GET", &origin.uri(path), fields)
}
