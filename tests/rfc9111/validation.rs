//! RFC 9111 §4.3 and §3.2, RFC 9110 §8.8 and §13: validation by the proxy, conditions of clients.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::common::origin::ok;
use super::common::{Client, Origin, Proxy, date};
use super::row::{Row, hold};

#[rustfmt::skip]
const OURS: &[Row] = &[
    // §4.3.1: the conditions we send.
    ("an ETag", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET", "304 | ETag: \"a\"", "validated 0 | 200 | asked If-None-Match: \"a\" | asked !If-Modified-Since")]),
    ("a weak ETag", &[("GET", "200 | Cache-Control: max-age=0 | ETag: W/\"a\"", "miss"), ("GET", "304 | ETag: W/\"a\"", "validated 0 | asked If-None-Match: W/\"a\"")]),
    ("Last-Modified", &[("GET", "200 | Cache-Control: max-age=0 | Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", "miss"), ("GET", "304", "validated 0 | asked !If-None-Match | asked If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT")]),
    ("both", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\" | Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", "miss"), ("GET", "304", "validated 0 | asked If-None-Match: \"a\" | asked If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT")]),
    ("a malformed ETag is not sent", &[("GET", "200 | Cache-Control: max-age=0 | ETag: a", "miss"), ("GET", "200", "miss | asked !If-None-Match")]),
    ("the response's no-cache", &[("GET", "200 | Cache-Control: no-cache, max-age=60 | ETag: \"a\"", "miss"), ("GET", "304", "validated 0"), ("GET", "304", "validated 0")]),
    // §4.3.3: what comes back.
    ("a 200 replaces", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET", "200 | Cache-Control: max-age=60 | ETag: \"b\"", "replaced | ETag: \"b\""), ("GET", "", "hit 1 | ETag: \"b\"")]),
    ("a 404 replaces", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET", "404 | Cache-Control: max-age=60", "replaced | 404"), ("GET", "", "hit 1 | 404")]),
    ("a 200 that may not be stored", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("GET | Cache-Control: no-cache", "200 | Cache-Control: no-store", "replaced"), ("GET", "200", "miss")]),
    ("a 404 that may not be stored", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET", "404", "replaced | 404"), ("GET", "200", "miss")]),
    ("a 304 makes fresh", &[("GET", "200 | Cache-Control: max-age=1 | ETag: \"a\"", "miss"), ("+2 GET", "304 | Cache-Control: max-age=60", "validated 0 | cs fwd-status=304"), ("GET", "", "hit 0 | Cache-Control: max-age=60")]),
    ("a 304 without freshness keeps the old lifetime", &[("GET", "200 | Cache-Control: max-age=9 | Age: 20 | ETag: \"a\"", "miss"), ("GET", "304", "validated 0 | age 0"), ("GET", "", "hit 0")]),
    // §3.2: what a 304 updates.
    ("new, changed and kept fields", &[
        ("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\" | X-A: 1 | X-B: 1", "miss"),
        ("GET", "304 | Cache-Control: max-age=60 | X-B: 2 | X-C: 2", "validated 0 | X-A: 1 | X-B: 2 | X-C: 2"),
        ("GET", "", "hit 0 | X-A: 1 | X-B: 2 | X-C: 2 | ETag: \"a\"")]),
    ("all lines of a field are replaced", &[
        ("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\" | X-A: 1 | X-A: 2", "miss"),
        ("GET", "304 | Cache-Control: max-age=60 | X-A: 3", "validated 0 | X-A: 3"), ("GET", "", "hit 0 | X-A: 3")]),
    ("Content-Length is not updated", &[
        ("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET", "304 | Cache-Control: max-age=60 | Content-Length: 99", "validated 0 | Content-Length: 8"), ("GET", "", "hit 0 | Content-Length: 8")]),
    ("Content-Encoding is not updated", &[
        ("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET", "304 | Content-Encoding: gzip", "validated 0 | !Content-Encoding")]),
    ("Content-Type is updated", &[
        ("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\" | Content-Type: text/plain", "miss"), ("GET", "304 | Cache-Control: max-age=60 | Content-Type: text/html", "validated 0 | Content-Type: text/html"), ("GET", "", "hit 0 | Content-Type: text/html")]),
    ("fields of the connection are not", &[
        ("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\" | X-A: 1", "miss"), ("GET", "304 | Cache-Control: max-age=60 | Connection: X-A | X-A: 2", "validated 0 | X-A: 1"), ("GET", "", "hit 0 | X-A: 1")]),
    ("Date and Expires are updated", &[
        ("GET", "200 | Date: {-100} | Expires: {-50} | ETag: \"a\"", "miss"), ("GET", "304 | Expires: {+60}", "validated 0 | age 0"), ("GET", "", "hit 0 | age 0")]),
    ("an old Age goes", &[("GET", "200 | Cache-Control: max-age=60 | Age: 100 | ETag: \"a\"", "miss"), ("GET", "304", "validated 0 | age 0"), ("GET", "", "hit 0 | age 0")]),
    ("no-store in a 304", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET", "304 | Cache-Control: no-store, max-age=60", "validated 0"), ("GET", "304", "validated 0")]),
    // §4.3.5: HEAD.
    ("HEAD that agrees freshens", &[
        ("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\" | X-A: 1", "miss"), ("HEAD", "200 | Cache-Control: max-age=60 | ETag: \"a\" | X-A: 2 | Content-Length: 8", "replaced | X-A: 2"), ("GET", "", "hit 0 | X-A: 2")]),
    ("HEAD with 304 freshens", &[
        ("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\" | X-A: 1", "miss"), ("HEAD", "304 | Cache-Control: max-age=60 | X-A: 2", "validated 0 | 200 | X-A: 2 | Content-Length: 8"), ("GET", "", "hit 0 | X-A: 2")]),
    ("HEAD with another ETag", &[
        ("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("HEAD | Cache-Control: no-cache", "200 | Cache-Control: max-age=60 | ETag: \"b\" | Content-Length: 8", "replaced"), ("GET", "200", "miss")]),
    ("HEAD with another length", &[
        ("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("HEAD | Cache-Control: no-cache", "200 | ETag: \"a\" | Content-Length: 9", "replaced"), ("GET", "200", "miss")]),
    ("HEAD with another modification", &[
        ("GET", "200 | Cache-Control: max-age=60 | Last-Modified: {-900}", "miss"), ("HEAD | Cache-Control: no-cache", "200 | Last-Modified: {-9} | Content-Length: 8", "replaced"), ("GET", "200", "miss")]),
    ("HEAD with an error changes nothing", &[
        ("GET", "200 | Cache-Control: max-age=60, must-revalidate | ETag: \"a\"", "miss"), ("HEAD | Cache-Control: no-cache", "503 | Content-Length: 9", "replaced | 503"), ("GET", "", "hit 0")]),
    ("HEAD without a validator that agrees", &[
        ("GET", "200 | Cache-Control: max-age=60 | X-A: 1", "miss"), ("HEAD | Cache-Control: no-cache", "200 | Cache-Control: max-age=60 | X-A: 2 | Content-Length: 8", "miss"), ("GET", "", "hit 0 | X-A: 2")]),
];

#[test]
fn section_4_3_of_the_proxy_itself() {
    hold("", OURS);
}

#[rustfmt::skip]
const THEIRS: &[Row] = &[
    // §4.3.2: answered from a fresh stored response.
    ("If-None-Match", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\" | X-A: 1", "miss"), ("GET | If-None-Match: \"a\"", "", "hit 0 | 304 | ETag: \"a\" | Cache-Control: max-age=60 | !Content-Length | !X-A")]),
    ("If-None-Match of another", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("GET | If-None-Match: \"b\"", "", "hit 0 | 200")]),
    ("a list", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("GET | If-None-Match: \"b\",\"a\", W/\"c\"", "", "hit 0 | 304")]),
    ("a list in two lines", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("GET | If-None-Match: \"b\" | If-None-Match: \"a\"", "", "hit 0 | 304")]),
    ("*", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("GET | If-None-Match: *", "", "hit 0 | 304")]),
    ("weak against strong", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("GET | If-None-Match: W/\"a\"", "", "hit 0 | 304")]),
    ("strong against weak", &[("GET", "200 | Cache-Control: max-age=60 | ETag: W/\"a\"", "miss"), ("GET | If-None-Match: \"a\"", "", "hit 0 | 304")]),
    ("case counts", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("GET | If-None-Match: \"A\"", "", "hit 0 | 200")]),
    ("a comma within a tag", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a,b\"", "miss"), ("GET | If-None-Match: \"x\", \"a,b\"", "", "hit 0 | 304")]),
    ("HEAD", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("HEAD | If-None-Match: \"a\"", "", "hit 0 | 304")]),
    ("If-Modified-Since", &[("GET", "200 | Cache-Control: max-age=60 | Last-Modified: {-900}", "miss"), ("GET | If-Modified-Since: {-60}", "", "hit 0 | 304")]),
    ("If-Modified-Since before", &[("GET", "200 | Cache-Control: max-age=60 | Last-Modified: {-900}", "miss"), ("GET | If-Modified-Since: {-990}", "", "hit 0 | 200")]),
    ("If-Modified-Since against Date", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("GET | If-Modified-Since: {+9}", "", "hit 0 | 304")]),
    ("If-Modified-Since that is no date", &[("GET", "200 | Cache-Control: max-age=60 | Last-Modified: {-900}", "miss"), ("GET | If-Modified-Since: now", "", "hit 0 | 200")]),
    ("If-None-Match over If-Modified-Since", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\" | Last-Modified: {-900}", "miss"), ("GET | If-None-Match: \"b\" | If-Modified-Since: {-60}", "", "hit 0 | 200")]),
    ("If-None-Match alone, no ETag", &[("GET", "200 | Cache-Control: max-age=60 | Last-Modified: {-900}", "miss"), ("GET | If-None-Match: \"a\" | If-Modified-Since: {-60}", "", "hit 0 | 200")]),
    ("not of a 404 (RFC 9110 §13.2.1)", &[("GET", "404 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("GET | If-None-Match: \"a\"", "", "hit 0 | 404")]),
    ("not of a redirection", &[("GET", "301 | Cache-Control: max-age=60 | ETag: \"a\" | Location: /x", "miss"), ("GET | If-None-Match: \"a\"", "", "hit 0 | 301")]),
    ("If-Match is the origin's", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("GET | If-Match: \"b\"", "412", "miss | 412 | asked If-Match: \"b\"")]),
    ("If-Unmodified-Since too", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("GET | If-Unmodified-Since: {-9}", "412", "miss | 412")]),
    // Stale or not stored.
    ("stale, both the same", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET | If-None-Match: \"a\"", "304 | Cache-Control: max-age=60", "validated 0 | 304"), ("GET", "", "hit 0 | 200")]),
    ("stale, theirs another", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET | If-None-Match: \"b\"", "304 | ETag: \"a\"", "validated 0 | 200")]),
    ("stale, theirs by date", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\" | Last-Modified: {-900}", "miss"), ("GET | If-Modified-Since: {-60}", "304", "validated 0 | 304 | asked If-None-Match: \"a\"")]),
    ("stale, changed", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET | If-None-Match: \"a\"", "200 | Cache-Control: max-age=60 | ETag: \"b\"", "replaced | 200"), ("GET", "", "hit 1")]),
    ("stale, changed to what the client has", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET | If-None-Match: \"b\"", "200 | Cache-Control: max-age=60 | ETag: \"b\"", "replaced"), ("GET", "", "hit 1")]),
    ("not stored: theirs goes on", &[("GET | If-None-Match: \"a\"", "304 | ETag: \"a\"", "miss | 304 | asked If-None-Match: \"a\""), ("GET", "200", "miss | asked !If-None-Match")]),
    ("not stored: a 200 is stored", &[("GET | If-None-Match: \"a\"", "200 | Cache-Control: max-age=60 | ETag: \"b\"", "miss | 200"), ("GET", "", "hit 0 | 200")]),
    ("stale without a validator", &[("GET", "200 | Cache-Control: max-age=1", "miss"), ("+2 GET | If-None-Match: \"a\"", "304 | ETag: \"a\" | Cache-Control: max-age=60", "replaced | 304"), ("GET", "200 | Cache-Control: max-age=60", "miss | 200")]),
];

#[test]
fn section_4_3_2_of_clients() {
    hold("", THEIRS);
}

#[test]
fn a_304_about_something_else_updates_nothing() {
    let proxy = Proxy::start("");
    let answers = AtomicUsize::new(0);
    let origin = Origin::answering(move |_| match answers.fetch_add(1, Ordering::SeqCst) {
        0 => ok(
            "Cache-Control: max-age=0\r\nETag: \"a\"\r\nX-A: 1\r\n",
            "one",
        ),
        1 => format!(
            "HTTP/1.1 304 x\r\nDate: {}\r\nETag: \"z\"\r\nX-A: 2\r\n\r\n",
            date(0)
        )
        .into_bytes(),
        _ => ok(
            "Cache-Control: max-age=60\r\nETag: \"b\"\r\nX-A: 3\r\n",
            "two",
        ),
    });
    assert_eq!(proxy.get(&origin.uri("/")).text(), "one");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let second = proxy.get(&origin.uri("/"));
    assert_eq!(
        (second.text().as_str(), second.first("x-a")),
        ("two", Some("3"))
    );
    let requests = origin.requests();
    assert!(requests[1].head.has("if-none-match") && !requests[2].head.has("if-none-match"));
    let third = proxy.get(&origin.uri("/"));
    assert_eq!(
        (third.text().as_str(), third.first("etag")),
        ("two", Some("\"b\""))
    );
    assert_eq!(origin.count(), 3);
}

#[test]
fn a_conditional_reload_is_seen_by_who_asks_next() {
    let proxy = Proxy::start("");
    let answers = AtomicUsize::new(0);
    let origin = Origin::answering(move |_| {
        let number = answers.fetch_add(1, Ordering::SeqCst);
        let fields = format!("Cache-Control: max-age=60\r\nETag: \"{number}\"\r\n");
        ok(&fields, format!("answer {number}"))
    });
    let uri = origin.uri("/");
    let mut client = Client::of(&proxy);
    assert_eq!(client.get(&uri).text(), "answer 0");
    for number in 1..20 {
        let reload = "Cache-Control: no-cache\r\nIf-None-Match: \"x\"\r\n";
        let reloaded = client.request("GET", &uri, reload);
        assert_eq!(reloaded.text(), format!("answer {number}"));
        assert_eq!(
            client.get(&uri).text(),
            reloaded.text(),
            "RFC 9111 §4: the most recent"
        );
    }
}
