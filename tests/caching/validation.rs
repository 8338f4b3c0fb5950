//! Validation: what a 304 refreshes, and what is done when it brings something else, or fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::origin::{fresh, ok};
use crate::common::{Client, Origin, Proxy, date, dated};
use crate::numbered;

#[test]
fn a_304_refreshes_what_is_stored() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| {
        if request.head.first("if-none-match") == Some("\"one\"") {
            return reply_304("Cache-Control: max-age=60\r\nETag: \"one\"\r\nX-Round: 2\r\n");
        }
        ok(
            "Cache-Control: max-age=0\r\nETag: \"one\"\r\nX-Round: 1\r\nX-Kept: yes\r\n",
            "content",
        )
    });
    let uri = origin.uri("/");
    let mut client = Client::of(&proxy);
    assert_eq!(client.get(&uri).first("x-round"), Some("1"));
    let validated = client.get(&uri);
    assert_eq!(
        (validated.status, validated.text().as_str()),
        (200, "content")
    );
    assert_eq!(
        validated.first("x-round"),
        Some("2"),
        "the 304's fields replace"
    );
    assert_eq!(validated.first("x-kept"), Some("yes"), "the others stay");
    assert_eq!(validated.cache_parameter("fwd").as_deref(), Some("stale"));
    assert_eq!(
        validated.cache_parameter("fwd-status").as_deref(),
        Some("304")
    );
    let hit = client.get(&uri);
    assert_eq!(
        (hit.is_hit(), hit.text().as_str()),
        (true, "content"),
        "{}",
        hit.cache_status()
    );
    assert_eq!(hit.first("x-round"), Some("2"));
    assert_eq!(
        hit.first("content-length"),
        Some("7"),
        "{:?}",
        hit.head.fields
    );
    assert_eq!(origin.count(), 2);
}

/// Many lines, each 304 with names of its own.
#[test]
fn the_fields_of_many_304s_do_not_add_up() {
    let proxy = Proxy::start("");
    let whole = Arc::new(AtomicUsize::new(0));
    let (asked, round) = (whole.clone(), AtomicUsize::new(0));
    let origin = Origin::answering(move |request| {
        let round = round.fetch_add(1, Ordering::SeqCst);
        if request.head.first("if-none-match") == Some("\"one\"") {
            let line = |line| format!("X-{round}-{line}: {}\r\n", "x".repeat(28_000));
            let lines: String = (0..5).map(line).collect();
            return reply_304(&format!(
                "Cache-Control: max-age=0\r\nETag: \"one\"\r\n{lines}"
            ));
        }
        asked.fetch_add(1, Ordering::SeqCst);
        ok("Cache-Control: max-age=0\r\nETag: \"one\"\r\n", "content")
    });
    let uri = origin.uri("/");
    let mut client = Client::of(&proxy);
    let mut most = 0;
    for _ in 0..8 {
        let reply = client.get(&uri);
        assert_eq!((reply.status, reply.text().as_str()), (200, "content"));
        most = most.max(reply.head.fields.len());
    }
    // The stored one, and after it two 304s at most.
    assert!(most < 20, "{most} fields");
    assert_eq!(whole.load(Ordering::SeqCst), 3);
}

pub fn reply_304(fields: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 304 Not Modified\r\nDate: {}\r\n{fields}\r\n",
        date(0)
    )
    .into_bytes()
}

#[test]
fn validation_may_bring_something_new() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| match request.head.has("if-modified-since") {
        true => fresh("new"),
        false => ok(
            &dated("Cache-Control: max-age=0\r\nLast-Modified: {-60}\r\n"),
            "old",
        ),
    });
    let uri = origin.uri("/");
    assert_eq!(proxy.get(&uri).text(), "old");
    assert_eq!(proxy.get(&uri).text(), "new", "a 200 replaces");
    let hit = proxy.get(&uri);
    assert_eq!(
        (hit.is_hit(), hit.text().as_str()),
        (true, "new"),
        "{}",
        hit.cache_status()
    );
}

#[test]
fn a_reload_is_seen_by_who_asks_next() {
    let proxy = Proxy::start("");
    let origin = numbered(|_| "Cache-Control: max-age=60\r\n".to_owned());
    let uri = origin.uri("/");
    let mut client = Client::of(&proxy);
    client.get(&uri);
    for round in 0..30 {
        let reloaded = client.request("GET", &uri, "Cache-Control: no-cache\r\n");
        let next = client.get(&uri);
        assert_eq!(
            next.text(),
            reloaded.text(),
            "round {round}: {}",
            next.cache_status()
        );
    }
}

#[test]
fn a_failed_validation_does_not_bring_stale_content_that_must_not_be() {
    let proxy = Proxy::start("");
    let failing = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let origin = Origin::scripted({
        let failing = failing.clone();
        move |mut conn| {
            while conn.request().is_ok() {
                if failing.load(Ordering::SeqCst) {
                    return;
                }
                conn.send(ok(
                    "Cache-Control: max-age=0, must-revalidate\r\nETag: \"x\"\r\n",
                    "content",
                ));
            }
        }
    });
    assert_eq!(proxy.get(&origin.uri("/")).status, 200);
    failing.store(true, Ordering::SeqCst);
    let response = proxy.get(&origin.uri("/"));
    assert!(
        [502, 503, 504].contains(&response.status),
        "RFC 9111 §5.2.2.2: {}",
        response.status
    );
}
