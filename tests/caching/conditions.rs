//! Clients' own conditions and ranges: answered from the store, and never a harm to what is there.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::origin::{fresh, ok, reply};
use crate::common::{Client, Origin, Proxy, dated};
use crate::validation::reply_304;

#[test]
fn conditions_of_clients_are_answered_from_the_store() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| {
        ok(
            &dated("Cache-Control: max-age=60\r\nETag: \"one\"\r\nLast-Modified: {-600}\r\n"),
            "content",
        )
    });
    let uri = origin.uri("/");
    proxy.get(&uri);
    let rows = [
        ("If-None-Match: \"one\"", 304),
        ("If-None-Match: W/\"one\"", 304),
        ("If-None-Match: \"zero\", \"one\"", 304),
        ("If-None-Match: *", 304),
        ("If-None-Match: \"two\"", 200),
        ("If-Modified-Since: {-60}", 304),
        ("If-Modified-Since: {-6000}", 200),
        ("If-Modified-Since: yesterday", 200),
        ("If-None-Match: \"two\"\r\nIf-Modified-Since: {-60}", 200),
        ("If-None-Match: \"one\"\r\nIf-Modified-Since: {-6000}", 304),
    ];
    let mut client = Client::of(&proxy);
    for (condition, status) in rows {
        let response = client.request("GET", &uri, &format!("{}\r\n", dated(condition)));
        assert_eq!(response.status, status, "{condition}");
        assert_eq!(
            response.text(),
            if status == 304 { "" } else { "content" },
            "{condition}"
        );
        assert_eq!(response.first("etag"), Some("\"one\""), "{condition}");
        assert!(
            response.is_hit(),
            "{condition}: {}",
            response.cache_status()
        );
    }
    assert_eq!(origin.count(), 1);
}

#[test]
fn conditions_of_clients_do_not_spoil_what_is_stored() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| match request.head.has("if-none-match") {
        true => reply_304("Cache-Control: max-age=60\r\nETag: \"one\"\r\n"),
        false => ok("Cache-Control: max-age=60\r\nETag: \"one\"\r\n", "content"),
    });
    let uri = origin.uri("/");
    let first = proxy.request("GET", &uri, "If-None-Match: \"one\"\r\n");
    assert_eq!(first.status, 304, "the client has it already");
    let second = proxy.get(&uri);
    assert_eq!(
        (second.status, second.text().as_str()),
        (200, "content"),
        "a 304 isn't an object"
    );
}

#[test]
fn a_range_never_becomes_the_whole() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| match request.head.has("range") {
        true => reply(
            "206 Partial Content",
            "Cache-Control: max-age=60\r\nContent-Range: bytes 0-1/7\r\n",
            "co",
        ),
        false => fresh("content"),
    });
    let uri = origin.uri("/");
    let range = "Range: bytes=0-1\r\n";
    let part = proxy.request("GET", &uri, range);
    assert!(matches!(
        (part.status, part.text().as_str()),
        (206, "co") | (200, "content")
    ));
    assert_eq!(proxy.get(&uri).text(), "content");
    // From the store it may be the part or the whole, but it must be what it says.
    let part = proxy.request("GET", &uri, range);
    assert!(
        matches!(
            (part.status, part.text().as_str()),
            (206, "co") | (200, "content")
        ),
        "{part:?}"
    );
    assert_eq!(proxy.get(&uri).text(), "content");
}

#[test]
fn a_stale_response_and_a_condition_of_the_client_s() {
    let proxy = Proxy::start("");
    let version = std::sync::Arc::new(AtomicUsize::new(1));
    let origin = Origin::answering({
        let version = version.clone();
        move |request| {
            let tag = format!("\"{}\"", version.load(Ordering::SeqCst));
            let fields = format!("Cache-Control: max-age=0\r\nETag: {tag}\r\n");
            match request.head.first("if-none-match") == Some(&tag) {
                true => reply_304(&fields),
                false => ok(&fields, format!("content {tag}")),
            }
        }
    });
    let uri = origin.uri("/");
    proxy.get(&uri);
    let has_it = proxy.request("GET", &uri, "If-None-Match: \"1\"\r\n");
    assert_eq!((has_it.status, has_it.text().as_str()), (304, ""));
    let has_another = proxy.request("GET", &uri, "If-None-Match: \"0\"\r\n");
    assert_eq!(
        (has_another.status, has_another.text().as_str()),
        (200, "content \"1\"")
    );
    version.store(2, Ordering::SeqCst);
    let had_it = proxy.request("GET", &uri, "If-None-Match: \"1\"\r\n");
    assert_eq!(
        (had_it.status, had_it.text().as_str()),
        (200, "content \"2\"")
    );
    version.store(3, Ordering::SeqCst);
    let ahead = proxy.request("GET", &uri, "If-None-Match: \"3\"\r\n");
    assert!([200, 304].contains(&ahead.status), "{}", ahead.status);
    assert_eq!(proxy.get(&uri).text(), "content \"3\"");
}
