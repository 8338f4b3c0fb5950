//! https URIs in absolute-form, fetched over TLS by the proxy and cached as anything else
//! (RFC 9110 §4.2.2, §4.3.4): origin servers with certificates made by the test.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod cached;
mod duplex;
mod origin;
mod refused;
mod through_http;

use common::{Client, Proxy};

/// One GET with a Host field of the test's choice.
#[track_caller]
fn get(proxy: &Proxy, uri: &str, host: &str) -> common::Response {
    let mut client = Client::of(proxy);
    client.send(format!("GET {uri} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.response("GET")
}

#[track_caller]
fn fetch(proxy: &Proxy, uri: &str) -> common::Response {
    let authority = uri.trim_start_matches("https://");
    get(proxy, uri, authority.split('/').next().unwrap())
}
