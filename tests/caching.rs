//! What is stored, reused, validated and invalidated, seen from outside (RFC 9111, RFC 9211).
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::origin::{fresh, ok, reply};
use common::{
    Client, Ended, Gate, Origin, PATIENCE, Proxy, Response, date, dated, each, wait_until,
};

/// What the second of two equal requests gets.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Second {
    /// The stored response, without the origin.
    Hit,
    /// The origin is asked as if nothing were stored.
    Miss,
    /// The origin is asked with a condition.
    Validates,
}
use Second::{Hit, Miss, Validates};

/// Fields of the request, fields of the response, and what the second request gets. `{+60}` is a date
/// so many seconds from now.
type Row = (&'static str, &'static str, &'static str, Second);

const STORED: [Row; 50] = [
    ("max-age", "", "Cache-Control: max-age=60", Hit),
    ("max-age in capitals", "", "CACHE-CONTROL: MAX-AGE=60", Hit),
    ("max-age quoted", "", "Cache-Control: max-age=\"60\"", Hit),
    (
        "public with max-age",
        "",
        "Cache-Control: public, max-age=60",
        Hit,
    ),
    ("Expires", "", "Expires: {+60}", Hit),
    (
        "max-age over Expires",
        "",
        "Cache-Control: max-age=60\r\nExpires: {-60}",
        Hit,
    ),
    (
        "max-age=0 over Expires",
        "",
        "Cache-Control: max-age=0\r\nExpires: {+60}",
        Miss,
    ),
    (
        "s-maxage over max-age",
        "",
        "Cache-Control: max-age=0, s-maxage=60",
        Hit,
    ),
    (
        "s-maxage=0 over max-age",
        "",
        "Cache-Control: s-maxage=0, max-age=60",
        Miss,
    ),
    ("Expires in the past", "", "Expires: {-60}", Miss),
    ("Expires: 0 is the past", "", "Expires: 0", Miss),
    ("heuristic", "", "Last-Modified: {-864000}", Hit),
    (
        "heuristic of something new",
        "",
        "Last-Modified: {-1}",
        Validates,
    ),
    ("nothing said", "", "X-Nothing: said", Miss),
    ("nothing said, but an ETag", "", "ETag: \"x\"", Validates),
    ("no-store", "", "Cache-Control: no-store, max-age=60", Miss),
    (
        "no-store on a second line",
        "",
        "Cache-Control: max-age=60\r\nCache-Control: no-store",
        Miss,
    ),
    ("private", "", "Cache-Control: private, max-age=60", Miss),
    (
        "private in capitals",
        "",
        "Cache-Control: PRIVATE, max-age=60",
        Miss,
    ),
    (
        "no-cache without a validator",
        "",
        "Cache-Control: no-cache, max-age=60",
        Miss,
    ),
    (
        "no-cache with an ETag",
        "",
        "Cache-Control: no-cache\r\nETag: \"x\"",
        Validates,
    ),
    (
        "max-age=0 with an ETag",
        "",
        "Cache-Control: max-age=0\r\nETag: \"x\"",
        Validates,
    ),
    (
        "max-age=0 with Last-Modified",
        "",
        "Cache-Control: max-age=0\r\nLast-Modified: {-60}",
        Validates,
    ),
    (
        "max-age that is no number",
        "",
        "Cache-Control: max-age=soon",
        Miss,
    ),
    ("negative max-age", "", "Cache-Control: max-age=-1", Miss),
    (
        "a lifetime beyond all bounds",
        "",
        "Cache-Control: max-age=99999999999999999999",
        Hit,
    ),
    (
        "must-revalidate while fresh",
        "",
        "Cache-Control: max-age=60, must-revalidate",
        Hit,
    ),
    (
        "an unknown directive",
        "",
        "Cache-Control: max-age=60, later=\"a, no-store\"",
        Hit,
    ),
    (
        "Age beyond max-age",
        "",
        "Cache-Control: max-age=60\r\nAge: 100",
        Miss,
    ),
    (
        "Age within max-age",
        "",
        "Cache-Control: max-age=60\r\nAge: 30",
        Hit,
    ),
    (
        "Age that is no number",
        "",
        "Cache-Control: max-age=60\r\nAge: old",
        Hit,
    ),
    (
        "Set-Cookie with max-age",
        "",
        "Cache-Control: max-age=60\r\nSet-Cookie: a=b",
        Hit,
    ),
    ("Vary: *", "", "Cache-Control: max-age=60\r\nVary: *", Miss),
    (
        "Vary: *, among others",
        "",
        "Cache-Control: max-age=60\r\nVary: Accept, *",
        Miss,
    ),
    (
        "Vary with equal requests",
        "Accept: a\r\n",
        "Cache-Control: max-age=60\r\nVary: Accept",
        Hit,
    ),
    (
        "Vary with an absent field",
        "",
        "Cache-Control: max-age=60\r\nVary: Accept",
        Hit,
    ),
    (
        "Authorization",
        "Authorization: Basic eDp5\r\n",
        "Cache-Control: max-age=60",
        Miss,
    ),
    (
        "Authorization, public",
        "Authorization: Basic eDp5\r\n",
        "Cache-Control: public, max-age=60",
        Hit,
    ),
    (
        "Authorization, s-maxage",
        "Authorization: Basic eDp5\r\n",
        "Cache-Control: s-maxage=60",
        Hit,
    ),
    (
        "Authorization, must-revalidate",
        "Authorization: Basic eDp5\r\n",
        "Cache-Control: max-age=60, must-revalidate",
        Hit,
    ),
    (
        "request says no-store",
        "Cache-Control: no-store\r\n",
        "Cache-Control: max-age=60",
        Miss,
    ),
    (
        "request says no-cache",
        "Cache-Control: no-cache\r\n",
        "Cache-Control: max-age=60",
        Miss,
    ),
    (
        "request says no-cache, ETag",
        "Cache-Control: no-cache\r\n",
        "Cache-Control: max-age=60\r\nETag: \"x\"",
        Validates,
    ),
    (
        "request says Pragma: no-cache",
        "Pragma: no-cache\r\n",
        "Cache-Control: max-age=60",
        Miss,
    ),
    (
        "request says max-age=0",
        "Cache-Control: max-age=0\r\n",
        "Cache-Control: max-age=60\r\nAge: 9",
        Miss,
    ),
    (
        "request's max-age is met",
        "Cache-Control: max-age=50\r\n",
        "Cache-Control: max-age=60",
        Hit,
    ),
    (
        "request's max-age isn't met",
        "Cache-Control: max-age=5\r\n",
        "Cache-Control: max-age=60\r\nAge: 9",
        Miss,
    ),
    (
        "request's min-fresh isn't met",
        "Cache-Control: min-fresh=90\r\n",
        "Cache-Control: max-age=60",
        Miss,
    ),
    (
        "request's min-fresh is met",
        "Cache-Control: min-fresh=10\r\n",
        "Cache-Control: max-age=60",
        Hit,
    ),
    (
        "Cookie in the request",
        "Cookie: a=b\r\n",
        "Cache-Control: max-age=60",
        Hit,
    ),
];

/// An origin that gives each request a content of its own, so that a reuse shows.
fn numbered(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Origin {
    let count = AtomicUsize::new(0);
    Origin::answering(move |request| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        ok(&answer(request.target()), format!("answer {number}"))
    })
}

#[test]
fn responses_are_stored_and_reused_as_the_rfc_says() {
    let proxy = Proxy::start("");
    let origin = numbered(|path| {
        let row: usize = path.trim_start_matches('/').parse().unwrap();
        format!("{}\r\n", dated(STORED[row].2))
    });
    each(
        STORED.iter().enumerate(),
        |(number, (what, request, _, expected))| {
            let mut client = Client::of(&proxy);
            let path = format!("/{number}");
            let first = client.request("GET", &origin.uri(&path), request);
            assert!(!first.is_hit(), "{what}: {}", first.cache_status());
            assert!(
                first.cache_parameter("fwd").is_some(),
                "{what}: {}",
                first.cache_status()
            );
            let second = client.request("GET", &origin.uri(&path), request);
            let last = origin
                .requests()
                .into_iter()
                .rfind(|request| request.target() == path)
                .unwrap();
            let conditional = last.head.has("if-none-match") || last.head.has("if-modified-since");
            let got = match (origin.count_of(&path), conditional) {
                (1, _) => Hit,
                (_, true) => Validates,
                (_, false) => Miss,
            };
            assert_eq!(got, *expected, "{what}: {}", second.cache_status());
            assert_eq!(
                second.is_hit(),
                got == Hit,
                "{what}: {}",
                second.cache_status()
            );
            assert_eq!(second.content == first.content, got == Hit, "{what}");
            assert_eq!(second.status, 200, "{what}");
        },
    );
}

/// Status, fields, and whether the response is stored.
const STATUSES: [(u16, &str, bool); 22] = [
    (200, "Cache-Control: max-age=60", true),
    (203, "Cache-Control: max-age=60", true),
    (204, "Cache-Control: max-age=60", true),
    (
        206,
        "Cache-Control: max-age=60\r\nContent-Range: bytes 0-1/9",
        false,
    ),
    (206, "Cache-Control: max-age=60", false),
    (300, "Cache-Control: max-age=60", true),
    (301, "Cache-Control: max-age=60\r\nLocation: /x", true),
    (301, "Last-Modified: {-864000}\r\nLocation: /x", true),
    (302, "Cache-Control: max-age=60\r\nLocation: /x", true),
    (302, "Last-Modified: {-864000}\r\nLocation: /x", false),
    (307, "Cache-Control: max-age=60\r\nLocation: /x", true),
    (308, "Last-Modified: {-864000}\r\nLocation: /x", true),
    (404, "Cache-Control: max-age=60", true),
    (404, "Last-Modified: {-864000}", true),
    (404, "X-Nothing: said", false),
    (410, "Cache-Control: max-age=60", true),
    (414, "Last-Modified: {-864000}", true),
    (403, "Last-Modified: {-864000}", false),
    (500, "Last-Modified: {-864000}", false),
    (501, "Last-Modified: {-864000}", true),
    (503, "Cache-Control: no-store", false),
    (299, "Last-Modified: {-864000}", false),
];

#[test]
fn statuses_are_stored_as_the_rfc_says() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| {
        let row: usize = request.target().trim_start_matches('/').parse().unwrap();
        let (status, fields, _) = STATUSES[row];
        let fields = dated(fields);
        if status == 204 {
            return format!("HTTP/1.1 204 x\r\nDate: {}\r\n{fields}\r\n\r\n", date(0)).into_bytes();
        }
        reply(&format!("{status} x"), &format!("{fields}\r\n"), "content")
    });
    each(
        STATUSES.iter().enumerate(),
        |(number, (status, fields, stored))| {
            let mut client = Client::of(&proxy);
            let path = format!("/{number}");
            let first = client.get(&origin.uri(&path));
            let second = client.get(&origin.uri(&path));
            assert_eq!(
                (first.status, second.status),
                (*status, *status),
                "{fields}"
            );
            assert_eq!(first.content, second.content, "{status} {fields}");
            let hit = origin.count_of(&path) == 1;
            assert_eq!(hit, *stored, "{status} {fields}: {}", second.cache_status());
            assert_eq!(
                second.is_hit(),
                hit,
                "{status} {fields}: {}",
                second.cache_status()
            );
        },
    );
}

#[test]
fn only_get_is_stored() {
    let proxy = Proxy::start("");
    let origin = numbered(|_| "Cache-Control: max-age=60\r\n".to_owned());
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
        let uri = origin.uri(&format!("/{method}"));
        let first = proxy.request(method, &uri, "Content-Length: 0\r\n");
        let second = proxy.request(method, &uri, "Content-Length: 0\r\n");
        assert_ne!(first.content, second.content, "{method}");
        let get = proxy.get(&uri);
        assert!(
            !get.is_hit() && get.content != second.content,
            "{method}: {}",
            get.cache_status()
        );
    }
}

#[test]
fn a_hit_says_so_with_age_and_ttl() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| match request.target() {
        "/aged" => ok(
            "Cache-Control: max-age=60\r\nAge: 20\r\nETag: \"e\"\r\nX-A: 1\r\n",
            "content",
        ),
        _ => fresh("content"),
    });
    let first = proxy.get(&origin.uri("/aged"));
    assert_eq!(
        first.cache_parameter("fwd").as_deref(),
        Some("uri-miss"),
        "{}",
        first.cache_status()
    );
    assert!(
        first.cache_parameter("stored").is_some(),
        "{}",
        first.cache_status()
    );
    let hit = proxy.get(&origin.uri("/aged"));
    assert!(hit.is_hit(), "{}", hit.cache_status());
    let age = hit
        .age()
        .expect("RFC 9111 §5.1: Age in a response without validation");
    assert!((20..40).contains(&age), "{age}");
    let ttl: i64 = hit.cache_parameter("ttl").expect("ttl").parse().unwrap();
    assert_eq!(ttl, 60 - age as i64);
    assert_eq!(hit.head.all("age").len(), 1, "{:?}", hit.head.fields);
    for name in ["date", "etag", "x-a", "cache-control"] {
        assert_eq!(hit.head.all(name), first.head.all(name), "{name}");
    }
    assert_eq!(hit.first("content-length"), Some("7"));
    assert!(hit.head.has("via"), "{:?}", hit.head.fields);
    assert_eq!(
        hit.cache_status().split(';').next(),
        first.cache_status().split(';').next()
    );
}

#[test]
fn keys_are_whole_target_uris() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| fresh(request.target()));
    let paths = [
        "/", "/a", "/A", "/a/", "/a?", "/a?b", "/a?b=1", "/a?b=2", "/a%20", "//a", "/a/../a",
        "/a;b",
    ];
    for round in 0..2 {
        for path in paths {
            let response = proxy.get(&origin.uri(path));
            assert_eq!(
                (response.text().as_str(), response.is_hit()),
                (path, round == 1)
            );
        }
    }
    let port = origin.address().port();
    let other = Origin::answering(|_| fresh("other"));
    assert_eq!(
        proxy.get(&other.uri("/a")).text(),
        "other",
        "another origin"
    );
    assert!(
        !proxy.get(&format!("http://localhost:{port}/a")).is_hit(),
        "another name"
    );
    assert!(
        proxy.get(&format!("http://LOCALHOST:{port}/a")).is_hit(),
        "hosts are case-insensitive"
    );
}

#[test]
fn host_of_an_http_1_0_request_is_not_the_key() {
    // The target URI decides (RFC 9112 §3.2.2): a Host beside it must not poison another's object.
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh("mine"));
    let victim = Origin::answering(|_| fresh("victim's"));
    let mut client = Client::of(&proxy);
    let (uri, host) = (origin.uri("/a"), victim.authority());
    client.send(format!("GET {uri} HTTP/1.0\r\nHost: {host}\r\n\r\n"));
    let _ = client.try_response("GET");
    assert_eq!(proxy.get(&victim.uri("/a")).text(), "victim's");
}

#[test]
fn variants_are_selected_by_vary() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| {
        let language = request.head.all("accept-language").join("+");
        ok(
            "Cache-Control: max-age=60\r\nVary: Accept-Language\r\n",
            format!("in {language}"),
        )
    });
    let uri = origin.uri("/");
    let asked = |fields: &str| proxy.request("GET", &uri, fields);
    let (english, french) = ("Accept-Language: en\r\n", "Accept-Language: fr\r\n");
    assert_eq!(asked(english).text(), "in en");
    assert_eq!(asked(french).text(), "in fr");
    assert_eq!(asked("").text(), "in ");
    assert_eq!(origin.count(), 3);
    for (fields, content) in [(english, "in en"), (french, "in fr"), ("", "in ")] {
        let hit = asked(fields);
        assert_eq!(
            (hit.text().as_str(), hit.is_hit()),
            (content, true),
            "{}",
            hit.cache_status()
        );
    }
    assert_eq!(
        asked("accept-language: en\r\nX-Other: 1\r\n").text(),
        "in en"
    );
    assert_eq!(origin.count(), 3);
}

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

fn reply_304(fields: &str) -> Vec<u8> {
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
fn unsafe_methods_invalidate() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| match (request.method(), request.target()) {
        ("GET", path) => fresh(path),
        (_, "/refused") => reply("403 Forbidden", "", "no"),
        (_, "/elsewhere") => reply(
            "201 Created",
            "Location: /made\r\nContent-Location: /also\r\n",
            "",
        ),
        _ => reply("200 OK", "", "done"),
    });
    let hit = |path: &str| proxy.get(&origin.uri(path)).is_hit();
    for path in ["/made", "/also", "/elsewhere", "/other"] {
        hit(path);
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "UNKNOWN"] {
        let path = format!("/{method}");
        hit(&path);
        assert!(hit(&path), "{method}");
        proxy.request(method, &origin.uri(&path), "Content-Length: 0\r\n");
        assert!(!hit(&path), "{method} invalidates (RFC 9111 §4.4)");
    }
    hit("/refused");
    proxy.request("POST", &origin.uri("/refused"), "Content-Length: 0\r\n");
    assert!(hit("/refused"), "only a non-error response invalidates");
    proxy.request("POST", &origin.uri("/elsewhere"), "Content-Length: 0\r\n");
    for (path, expected) in [
        ("/elsewhere", false),
        ("/made", false),
        ("/also", false),
        ("/other", true),
    ] {
        assert_eq!(hit(path), expected, "{path}");
    }
    for method in ["HEAD", "OPTIONS", "GET"] {
        proxy.request(method, &origin.uri("/other"), "");
        assert!(hit("/other"), "{method} is safe");
    }
}

#[test]
fn only_if_cached_never_asks_the_origin() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh("content"));
    let fields = "Cache-Control: only-if-cached\r\n";
    assert_eq!(proxy.request("GET", &origin.uri("/"), fields).status, 504);
    assert_eq!(origin.count(), 0);
    proxy.get(&origin.uri("/"));
    assert_eq!(
        proxy.request("GET", &origin.uri("/"), fields).text(),
        "content"
    );
    assert_eq!(origin.count(), 1);
}

#[test]
fn head_is_answered_from_a_stored_get_and_never_the_other_way() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| match request.method() {
        "HEAD" => {
            b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 7\r\n\r\n".to_vec()
        }
        _ => fresh("content"),
    });
    let uri = origin.uri("/");
    assert_eq!(proxy.request("HEAD", &uri, "").status, 200);
    assert_eq!(
        proxy.get(&uri).text(),
        "content",
        "a HEAD has no content to store"
    );
    let before = origin.count();
    let mut client = Client::of(&proxy);
    for _ in 0..2 {
        let head = client.request("HEAD", &uri, "");
        assert!(head.is_hit(), "{}", head.cache_status());
        assert_eq!(
            (head.status, head.first("content-length")),
            (200, Some("7"))
        );
        assert_eq!(client.get(&uri).text(), "content");
    }
    assert_eq!(origin.count(), before);
}

#[test]
fn the_operator_sets_and_overrides_the_ttl() {
    let config = "ttl = \"10m\"\nmax_ttl = \"20m\"\n\
                  [[rule]]\nmatch = \"*/forced/*\"\nttl = \"15m\"\noverride = true\n\
                  [[rule]]\nmatch = \"*.deb\"\nttl = \"30d\"\n";
    let proxy = Proxy::start(config);
    let origin = Origin::answering(
        |request| match request.target().rsplit('/').next().unwrap() {
            "none" | "package.deb" => ok("", "content"),
            "short" => ok("Cache-Control: max-age=5\r\nX: y\r\n", "content"),
            "long" => ok("Cache-Control: max-age=86400\r\n", "content"),
            "private" => ok("Cache-Control: private\r\n", "content"),
            _ => ok("Cache-Control: no-store\r\n", "content"),
        },
    );
    // The ttl that the second request is told, or none for a miss.
    let rows = [
        ("/none", Some(600)),
        ("/package.deb", Some(1200)),
        ("/short", Some(5)),
        ("/long", Some(1200)),
        ("/private", None),
        ("/never", None),
        ("/forced/short", Some(900)),
        ("/forced/long", Some(900)),
        ("/forced/private", None),
    ];
    for (path, expected) in rows {
        proxy.get(&origin.uri(path));
        let second = proxy.get(&origin.uri(path));
        let ttl = second
            .cache_parameter("ttl")
            .and_then(|ttl| ttl.parse::<i64>().ok());
        match expected {
            None => assert!(!second.is_hit(), "{path}: {}", second.cache_status()),
            Some(expected) => {
                assert!(second.is_hit(), "{path}: {}", second.cache_status());
                let ttl = ttl.expect("a ttl");
                assert!((expected - 4..=expected).contains(&ttl), "{path}: {ttl}");
            }
        }
    }
}

#[test]
fn package_files_are_kept_by_default() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| ok("", "package"));
    for path in [
        "/pool/main/a/a_1.0_amd64.deb",
        "/x.udeb",
        "/dists/x/by-hash/SHA256/0123",
    ] {
        proxy.get(&origin.uri(path));
        let second = proxy.get(&origin.uri(path));
        assert!(second.is_hit(), "{path}: {}", second.cache_status());
    }
    proxy.get(&origin.uri("/dists/stable/InRelease"));
    assert!(!proxy.get(&origin.uri("/dists/stable/InRelease")).is_hit());
}

#[test]
fn what_is_too_large_passes_without_being_stored() {
    let proxy = Proxy::start("largest_object = \"64KiB\"\n");
    let origin = Origin::answering(|request| match request.target() {
        "/chunked" => {
            let mut bytes = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: \
                              chunked\r\n\r\n20000\r\n"
                .to_vec();
            bytes.extend_from_slice(&common::pattern(0x20000));
            bytes.extend_from_slice(b"\r\n0\r\n\r\n");
            bytes
        }
        "/small" => fresh(common::pattern(0x10000)),
        _ => fresh(common::pattern(0x20000)),
    });
    for (path, length, stored) in [
        ("/large", 0x20000, false),
        ("/chunked", 0x20000, false),
        ("/small", 0x10000, true),
    ] {
        for round in 0..2 {
            let response = proxy.get(&origin.uri(path));
            assert!(response.content == common::pattern(length), "{path}");
            assert_eq!(
                response.is_hit(),
                stored && round == 1,
                "{path}: {}",
                response.cache_status()
            );
        }
    }
}

#[test]
fn long_objects_are_stored_and_served_whole() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| {
        let mib: usize = request.target().trim_start_matches('/').parse().unwrap();
        fresh(common::pattern(mib << 20))
    });
    for mib in [1_usize, 5, 50] {
        let content = common::pattern(mib << 20);
        let mut client = Client::of(&proxy);
        for round in 0..3 {
            let response = client.get(&origin.uri(&format!("/{mib}")));
            assert!(response.content == content, "{mib} MiB, round {round}");
            assert_eq!(
                response.is_hit(),
                round > 0,
                "{mib} MiB: {}",
                response.cache_status()
            );
        }
    }
    assert_eq!(origin.count(), 3);
    let peak = proxy.worker_peak();
    assert!(peak < 64 << 20, "a worker used {} MiB", peak >> 20);
}

#[test]
fn trailers_are_stored_or_dropped_but_never_content() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n"
            .to_vec()
    });
    let mut client = Client::of(&proxy);
    for round in 0..3 {
        let response = client.get(&origin.uri("/"));
        assert_eq!(
            (response.text().as_str(), response.is_hit()),
            ("abc", round > 0)
        );
        assert!(
            !response.head.has("x-sum"),
            "trailers don't become fields (RFC 9110 §6.5.1)"
        );
    }
}

#[test]
fn stored_trailers_are_for_those_who_look_at_them() {
    // RFC 9110 §6.5.1, §10.1.4.
    let mut proxy = Proxy::start("");
    let origin = Origin::answering(|request| {
        let length: usize = request.target()[1..].parse().unwrap();
        let content = common::pattern(length);
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"a\"\r\nTransfer-Encoding: chunked\r\n\r\n";
        let size = format!("{length:x}\r\n");
        let end = b"\r\n0\r\nX-Sum: 42\r\nContent-Type: no/trailer\r\n\r\n";
        [head.as_bytes(), size.as_bytes(), &content, end].concat()
    });
    // (method, fields, status, whether there are trailers)
    let rows = [
        ("GET", "TE: trailers\r\nConnection: TE\r\n", 200, true),
        (
            "GET",
            "TE: gzip;q=0.5, trailers\r\nConnection: TE\r\n",
            200,
            true,
        ),
        ("GET", "", 200, false),
        ("GET", "TE: gzip\r\nConnection: TE\r\n", 200, false),
        ("HEAD", "TE: trailers\r\nConnection: TE\r\n", 200, false),
        (
            "GET",
            "TE: trailers\r\nIf-None-Match: \"a\"\r\n",
            304,
            false,
        ),
        ("GET", "TE: trailers\r\nRange: bytes=0-1\r\n", 206, false),
    ];
    // From memory, copied or not, and from the store.
    let lengths = [100, 40_000, 500_000];
    for restart in [false, true] {
        for length in lengths {
            let uri = origin.uri(&format!("/{length}"));
            proxy.get(&uri);
            let mut client = Client::of(&proxy);
            for (method, fields, status, has) in rows {
                let response = client.request(method, &uri, fields);
                let row = format!("{restart} {length} {method} {fields:?}");
                assert_eq!(
                    (response.status, response.is_hit()),
                    (status, true),
                    "{row}"
                );
                let sums = [("X-Sum".to_owned(), "42".to_owned())];
                assert_eq!(response.trailers, sums[..usize::from(has)], "{row}");
                if method == "GET" && status == 200 {
                    assert!(response.content == common::pattern(length), "{row}");
                    assert_eq!(response.head.has("content-length"), !has, "{row}");
                }
            }
        }
        if !restart {
            proxy.restart();
        }
    }
    assert_eq!(origin.count(), lengths.len());
}

#[test]
fn empty_contents_are_contents() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh(""));
    let mut client = Client::of(&proxy);
    for round in 0..2 {
        let response = client.get(&origin.uri("/"));
        assert_eq!(
            (response.text().as_str(), response.is_hit()),
            ("", round > 0)
        );
        assert_eq!(response.first("content-length"), Some("0"));
    }
}

/// Ways in which an origin breaks off.
const BROKEN: [(&str, &str, bool); 7] = [
    ("by length", "Content-Length: 10\r\n\r\nhalf", false),
    ("by length, nothing", "Content-Length: 10\r\n\r\n", false),
    ("by length, reset", "Content-Length: 10\r\n\r\nhalf", true),
    (
        "within a chunk",
        "Transfer-Encoding: chunked\r\n\r\na\r\nhalf",
        false,
    ),
    (
        "between chunks",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        false,
    ),
    (
        "within the trailers",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX: y\r\n",
        false,
    ),
    (
        "a bad chunk size",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
        false,
    ),
];

#[test]
fn what_an_origin_breaks_off_is_never_stored_and_shows() {
    let proxy = Proxy::start("");
    each(BROKEN, |(what, rest, resets)| {
        let origin = Origin::scripted(move |mut conn| {
            let _ = conn.request();
            conn.send(format!(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"x\"\r\n{rest}"
            ));
            if resets {
                conn.reset();
            }
        });
        for round in 1..=2 {
            let mut client = Client::of(&proxy);
            client.ask("GET", &origin.uri("/"), "");
            match client.try_response("GET") {
                Ok(response) => {
                    assert_eq!(
                        response.status, 502,
                        "{what}: the client can't tell: {response:?}"
                    );
                }
                Err(ended) => assert!(ended.is_over(), "{what}: {ended:?}"),
            }
            assert!(origin.count() >= round, "{what}: it wasn't stored");
            assert!(
                !origin.last().head.has("if-none-match"),
                "{what}: nor its validator"
            );
        }
    });
    // An HTTP/1.0 client can't be told by a length that isn't there, but by RST or by a short count.
    let origin = Origin::closing(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 9\r\n\r\nhalf",
    );
    let mut client = Client::of(&proxy);
    client.send(format!("GET {} HTTP/1.0\r\n\r\n", origin.uri("/")));
    assert!(!matches!(client.try_response("GET"), Ok(response) if response.status == 200));
}

#[test]
fn content_that_ends_with_the_connection_can_be_stored_when_it_ends_well() {
    let proxy = Proxy::start("");
    let well = Origin::closing("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\ncontent");
    for _ in 0..2 {
        assert_eq!(proxy.get(&well.uri("/")).text(), "content");
    }
    let badly = Origin::scripted(|mut conn| {
        let _ = conn.request();
        conn.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\nhalf");
        conn.reset();
    });
    for round in 1..=2 {
        let mut client = Client::of(&proxy);
        client.ask("GET", &badly.uri("/"), "");
        let _ = client.try_response("GET");
        assert!(badly.count() >= round, "a reset isn't an end");
    }
}

#[test]
fn clients_that_ask_at_once_share_one_fetch() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = Origin::gated(&gate, move |conn, _, gate| {
        conn.send(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nfirst",
        );
        gate.wait();
        conn.send(" half");
    });
    let mut clients: Vec<Client> = (0..6).map(|_| Client::of(&proxy)).collect();
    for client in &mut clients {
        client.ask("GET", &origin.uri("/"), "");
    }
    let framing: Vec<_> = clients
        .iter_mut()
        .map(|client| client.response_head("GET").framing)
        .collect();
    for client in &mut clients {
        assert_eq!(
            client.wire.some(5).unwrap(),
            b"first",
            "the growing content is read by all"
        );
    }
    assert!(
        framing
            .iter()
            .all(|framing| *framing == common::message::Framing::Length(10))
    );
    assert_eq!(origin.count(), 1);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.wire.exactly(5).unwrap(), b" half");
    }
    assert_eq!(origin.count(), 1);
}

#[test]
fn clients_that_ask_at_once_never_share_what_is_not_theirs() {
    let proxy = Proxy::start("");
    for (request, fields) in [
        ("", "Cache-Control: private"),
        ("", "Cache-Control: no-store"),
        ("", "Cache-Control: max-age=0"),
        ("", "Cache-Control: no-cache\r\nETag: \"x\""),
        ("", "Vary: X-Client\r\nCache-Control: max-age=60"),
        ("", "Vary: *"),
        ("Authorization: Basic {}\r\n", "Cache-Control: max-age=60"),
        ("Cache-Control: no-cache\r\n", "Cache-Control: max-age=60"),
        ("Cache-Control: no-store\r\n", "Cache-Control: max-age=60"),
        ("Range: bytes=-{}\r\n", "Cache-Control: max-age=60"),
    ] {
        let gate = Gate::new();
        let origin = Origin::gated(&gate, move |conn, request, gate| {
            gate.wait();
            let content = request.head.first("x-client").unwrap().to_owned();
            conn.send(ok(&format!("{fields}\r\n"), content));
        });
        let mut clients: Vec<Client> = (0..6).map(|_| Client::of(&proxy)).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            client.ask(
                "GET",
                &origin.uri("/"),
                &format!(
                    "X-Client: {number}\r\n{}",
                    request.replace("{}", &number.to_string())
                ),
            );
        }
        origin.wait_for(1);
        gate.open_for_all();
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(
                client.response("GET").text(),
                number.to_string(),
                "{request:?} {fields:?}"
            );
        }
    }
}

#[test]
fn a_change_during_a_fetch_is_not_undone_by_it() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = Origin::gated(&gate, move |conn, request, gate| {
        if request.method() == "POST" {
            conn.send(reply("200 OK", "", "changed"));
            return;
        }
        conn.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 8\r\n\r\ncont");
        gate.wait();
        conn.send("ents");
    });
    let uri = origin.uri("/");
    let mut early = Client::of(&proxy);
    early.ask("GET", &uri, "");
    early.response_head("GET");
    let post = proxy.request("POST", &uri, "Content-Length: 0\r\n");
    assert_eq!(post.text(), "changed");
    gate.open_for_all();
    assert_eq!(early.wire.exactly(8).unwrap(), b"contents");
    let asked = origin.count();
    assert!(
        !proxy.get(&uri).is_hit(),
        "what was fetched before the change is from before it"
    );
    assert_eq!(origin.count(), asked + 1);
}

#[test]
fn what_other_caches_say_is_kept() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| {
        ok(
            "Cache-Control: max-age=60\r\nCache-Status: nearer.example; hit; ttl=5\r\n",
            "content",
        )
    });
    for round in 0..2 {
        let response = proxy.get(&origin.uri("/"));
        let all = response.head.all("cache-status").join(", ");
        assert!(
            all.starts_with("nearer.example; hit; ttl=5, "),
            "RFC 9211 §2: {all}"
        );
        assert_eq!(response.is_hit(), round == 1, "{all}");
    }
}

#[test]
fn variants_of_one_uri_are_bounded() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| {
        let accept = request.head.first("accept").unwrap_or_default().to_owned();
        ok("Cache-Control: max-age=60\r\nVary: Accept\r\n", accept)
    });
    let mut client = Client::of(&proxy);
    for number in 0..300 {
        let accept = format!("Accept: a/{number}\r\n");
        for _ in 0..2 {
            let response = client.request("GET", &origin.uri("/"), &accept);
            assert_eq!(response.text(), format!("a/{number}"));
        }
    }
    let kept = objects(&proxy.store()).len();
    assert!(kept <= 130, "{kept} files for one URI");
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

#[test]
fn a_client_that_leaves_does_not_spoil_the_object() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = Origin::gated(&gate, move |conn, _, gate| {
        conn.send(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nfirst",
        );
        gate.wait();
        conn.send(" half");
    });
    let mut leaving = Client::of(&proxy);
    leaving.ask("GET", &origin.uri("/"), "");
    leaving.response_head("GET");
    let mut staying = Client::of(&proxy);
    staying.ask("GET", &origin.uri("/"), "");
    staying.response_head("GET");
    leaving.wire.reset();
    gate.open();
    assert_eq!(staying.wire.exactly(10).unwrap(), b"first half");
    assert_eq!(proxy.get(&origin.uri("/")).text(), "first half");
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_slow_client_holds_up_nobody() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh(common::pattern(24 << 20)));
    let mut slow = Client::of(&proxy);
    slow.ask("GET", &origin.uri("/"), "");
    let head = slow.response_head("GET");
    let quick = proxy.get(&origin.uri("/"));
    assert!(quick.content == common::pattern(24 << 20));
    let mut content = Vec::new();
    slow.content(head.framing, &mut |piece| content.extend_from_slice(piece))
        .unwrap();
    assert!(content == quick.content);
    assert_eq!(origin.count(), 1, "one fetch for both");
}

#[test]
fn a_restart_finds_everything() {
    let mut proxy = Proxy::with("").workers(2).start();
    let origin = Origin::answering(|request| {
        match request
            .target()
            .trim_start_matches("/kib/")
            .parse::<usize>()
        {
            Ok(kib) => fresh(common::pattern(kib << 10)),
            Err(_) => ok(
                "Cache-Control: max-age=60\r\nVary: Accept\r\nETag: \"e\"\r\n",
                request.head.first("accept").unwrap_or("none"),
            ),
        }
    });
    let sizes = [0_usize, 1, 63, 64, 65, 200, 5000];
    for kib in sizes {
        proxy.get(&origin.uri(&format!("/kib/{kib}")));
    }
    for accept in ["a", "b"] {
        proxy.request(
            "GET",
            &origin.uri("/vary"),
            &format!("Accept: {accept}\r\n"),
        );
    }
    let asked = origin.count();
    for _ in 0..2 {
        proxy.restart();
        for kib in sizes {
            let response = proxy.get(&origin.uri(&format!("/kib/{kib}")));
            assert!(response.is_hit(), "{kib} KiB: {}", response.cache_status());
            assert!(response.content == common::pattern(kib << 10), "{kib} KiB");
        }
        for accept in ["a", "b"] {
            let response = proxy.request(
                "GET",
                &origin.uri("/vary"),
                &format!("Accept: {accept}\r\n"),
            );
            assert_eq!(
                (response.text().as_str(), response.is_hit()),
                (accept, true)
            );
            assert_eq!(response.first("etag"), Some("\"e\""));
        }
    }
    assert_eq!(origin.count(), asked);
}

#[test]
fn what_was_served_is_stored_even_when_the_proxy_stops_at_once() {
    let mut proxy = Proxy::start("");
    let origin =
        Origin::answering(|request| fresh(common::pattern(request.target().len() * 40_000)));
    for path in ["/a", "/bb", "/ccc", "/dddd", "/eeeee"] {
        let first = proxy.get(&origin.uri(path));
        proxy.restart();
        let second = proxy.get(&origin.uri(path));
        assert!(second.is_hit(), "{path}: {}", second.cache_status());
        assert!(second.content == first.content, "{path}");
    }
}

/// Asks so many times, each time on a new connection that stays, so that every worker has its turn.
fn asked_of_all(proxy: &Proxy, uri: &str, fields: &str) -> Vec<Response> {
    let mut clients: Vec<Client> = (0..12).map(|_| Client::of(proxy)).collect();
    clients
        .iter_mut()
        .map(|client| client.request("GET", uri, fields))
        .collect()
}

#[test]
fn workers_share_the_store() {
    let proxy = Proxy::with("").workers(2).start();
    proxy.wait_for_workers(2);
    proxy.wait_for_line(&["worker 1 is ready"]);
    proxy.wait_for_line(&["worker 2 is ready"]);
    let origin = Origin::answering(|request| match request.method() {
        "GET" => fresh(request.target()),
        _ => reply("200 OK", "", "done"),
    });
    let cached = "Cache-Control: only-if-cached\r\n";
    for path in ["/one", "/two"] {
        let uri = origin.uri(path);
        proxy.get(&uri);
        let all_have_it = || {
            asked_of_all(&proxy, &uri, cached)
                .iter()
                .all(Response::is_hit)
        };
        wait_until("every worker finds it", PATIENCE, all_have_it);
        for worker in ["cacheproxy@1:", "cacheproxy@2:"] {
            proxy.wait_for_line(&[worker, path, " hit "]);
        }
        assert_eq!(origin.count_of(path), 1);
        // By now both have it in their memory; when one hears of a change, both know.
        proxy.request("POST", &uri, "Content-Length: 0\r\n");
        for response in asked_of_all(&proxy, &uri, cached) {
            assert_eq!(response.status, 504, "{path}: {}", response.cache_status());
        }
    }
}

#[test]
fn many_workers_and_clients_never_see_a_wrong_object() {
    let proxy = Proxy::with("store_size = \"2MiB\"\nmemory = \"256KiB\"\n")
        .workers(2)
        .start();
    let origin = Origin::answering(|request| {
        let mut content = request.target().as_bytes().to_vec();
        content.resize(20_000, b'.');
        let fields = [
            "Cache-Control: max-age=60\r\n",
            "Cache-Control: max-age=0\r\nETag: \"x\"\r\n",
        ];
        ok(fields[request.target().len() % 2], content)
    });
    std::thread::scope(|scope| {
        for number in 0..8_usize {
            let (proxy, origin) = (&proxy, &origin);
            scope.spawn(move || {
                let mut client = Client::of(proxy);
                for round in 0..120 {
                    let path = format!("/{}", (round * 7 + number * 13) % 150);
                    if round % 40 == 39 {
                        client.request("POST", &origin.uri(&path), "Content-Length: 0\r\n");
                        client = Client::of(proxy);
                    }
                    let response = client.get(&origin.uri(&path));
                    assert_eq!(response.content.len(), 20_000);
                    assert_eq!(response.text().trim_end_matches('.'), path);
                }
            });
        }
    });
}

/// The files of a store that hold responses, with their lengths.
fn objects(store: &std::path::Path) -> Vec<(std::path::PathBuf, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![store.join("v1")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => found.push((entry.path(), metadata.len())),
                Err(_) => {}
            }
        }
    }
    found
}

fn used(store: &std::path::Path) -> u64 {
    objects(store).iter().map(|object| object.1).sum()
}

#[test]
fn the_size_limit_holds() {
    const LIMIT: u64 = 8 << 20;
    let mut proxy = Proxy::start("store_size = \"8MiB\"\n");
    let origin = Origin::answering(|_| fresh(common::pattern(500_000)));
    let mut client = Client::of(&proxy);
    for number in 0..60 {
        let response = client.get(&origin.uri(&format!("/{number}")));
        assert_eq!(response.content.len(), 500_000);
        let now = used(&proxy.store());
        assert!(
            now <= LIMIT + 1_000_000,
            "{now} bytes after {number} objects"
        );
    }
    wait_until("eviction", PATIENCE, || used(&proxy.store()) <= LIMIT);
    let count = |proxy: &Proxy| {
        let asked = (0..60).map(|number| origin.uri(&format!("/{number}")));
        let fields = "Cache-Control: only-if-cached\r\n";
        asked
            .filter(|uri| proxy.request("GET", uri, fields).status == 200)
            .count()
    };
    let kept = count(&proxy);
    assert!((4..=16).contains(&kept), "{kept} objects kept");
    assert!(
        used(&proxy.store()) >= LIMIT / 4,
        "{} bytes kept",
        used(&proxy.store())
    );
    // The queue is rebuilt at a restart, and holds on.
    proxy.restart();
    assert!(count(&proxy) >= 4);
    for number in 100..130 {
        proxy.get(&origin.uri(&format!("/{number}")));
    }
    wait_until("eviction after a restart", PATIENCE, || {
        used(&proxy.store()) <= LIMIT
    });
}

#[test]
fn what_is_used_outlives_what_is_not() {
    let proxy = Proxy::start("store_size = \"4MiB\"\nmemory = \"0B\"\n");
    let origin = Origin::answering(|_| fresh(common::pattern(200_000)));
    for number in 0..60 {
        proxy.get(&origin.uri(&format!("/{number}")));
        proxy.get(&origin.uri("/popular"));
    }
    assert!(
        origin.count_of("/popular") <= 3,
        "{} fetches",
        origin.count_of("/popular")
    );
}

/// What happens to an object's file while the proxy is down, and how.
type Damage = (&'static str, fn(&mut Vec<u8>));

const DAMAGES: [Damage; 9] = [
    ("cut short by a byte", |file| {
        file.pop();
    }),
    ("cut in half", |file| file.truncate(file.len() / 2)),
    ("empty", Vec::clear),
    ("only the first bytes", |file| file.truncate(10)),
    ("longer", |file| file.extend_from_slice(b"more")),
    ("another first byte", |file| file[0] ^= 1),
    ("a bit flipped near the start", |file| file[40] ^= 1),
    ("all zero", |file| file.fill(0)),
    ("lengths of all ones", |file| {
        let end = file.len().min(64);
        file[8..end].fill(0xff);
    }),
];

fn damaged(length: usize, damages: &[Damage]) {
    let mut proxy = Proxy::start("");
    let origin = Origin::answering(move |_| fresh(common::pattern(length)));
    for (what, damage) in damages {
        let uri = origin.uri(&format!("/{}", what.replace(' ', "-")));
        let before = objects(&proxy.store());
        proxy.get(&uri);
        assert!(proxy.get(&uri).is_hit());
        let is_new = |object: &(std::path::PathBuf, u64)| {
            object.1 > length as u64 && !before.iter().any(|known| known.0 == object.0)
        };
        proxy.stop();
        let (path, _) = objects(&proxy.store())
            .into_iter()
            .find(is_new)
            .expect("an object's file");
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        proxy.start_again();
        // The supervisor looks through the store at first, and removes what is damaged, too.
        proxy.wait_for_line(&["the store holds"]);
        let asked = origin.count();
        let response = proxy.get(&uri);
        assert!(!response.is_hit(), "{what}: {}", response.cache_status());
        assert!(
            response.status == 200 && response.content == common::pattern(length),
            "{what}"
        );
        assert_eq!(origin.count(), asked + 1, "{what}");
        let again = proxy.get(&uri);
        assert!(again.is_hit(), "{what}: {}", again.cache_status());
        assert!(again.content == common::pattern(length), "{what}: replaced");
        // What is stored is in its file when the proxy has stopped.
        proxy.restart();
    }
}

#[test]
fn a_damaged_small_object_is_a_miss() {
    damaged(5_000, &DAMAGES);
    let flips: [Damage; 2] = [
        ("a bit flipped at the end", |file| {
            *file.last_mut().unwrap() ^= 1
        }),
        ("a bit flipped in the middle", |file| {
            let middle = file.len() / 2;
            file[middle] ^= 1;
        }),
    ];
    damaged(5_000, &flips);
}

#[test]
fn a_damaged_long_object_is_a_miss() {
    damaged(300_000, &DAMAGES);
}

#[test]
fn what_does_not_belong_in_the_store_is_no_trouble() {
    let mut proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh("content"));
    proxy.get(&origin.uri("/"));
    proxy.stop();
    let (path, _) = objects(&proxy.store())
        .into_iter()
        .find(|object| object.1 > 7)
        .unwrap();
    let folder = path.parent().unwrap();
    std::fs::write(folder.join("README"), "what is this?").unwrap();
    std::fs::create_dir(folder.join("folder")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).unwrap();
    // A folder where the object was.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    proxy.start_again();
    let response = proxy.get(&origin.uri("/"));
    assert_eq!(
        (response.text().as_str(), response.is_hit()),
        ("content", false)
    );
    assert_eq!(proxy.get(&origin.uri("/")).text(), "content");
}

#[test]
fn a_full_disk_is_said_once_and_fails_no_request() {
    // No disk has so much room, so the floor of free space is hit from the start.
    let proxy = Proxy::start("min_free_disk = \"1000000TiB\"\nmemory = \"0B\"\n");
    let origin = Origin::answering(|request| match request.target() {
        "/long" => fresh(common::pattern(1_000_000)),
        _ => fresh("content"),
    });
    for _ in 0..3 {
        assert_eq!(proxy.get(&origin.uri("/")).text(), "content");
        assert!(proxy.get(&origin.uri("/long")).content == common::pattern(1_000_000));
    }
    assert!(
        used(&proxy.store()) < 100_000,
        "{} bytes stored",
        used(&proxy.store())
    );
    let said = |line: &&String| line.to_lowercase().contains("free");
    wait_until("a word about it", PATIENCE, || {
        proxy.log().iter().filter(said).count() > 0
    });
    let log = proxy.log();
    assert!(log.iter().filter(said).count() <= 2, "{log:#?}");
}

#[test]
fn a_store_that_vanishes_fails_no_request() {
    let proxy = Proxy::start("memory = \"0B\"\n");
    let origin = Origin::answering(|_| fresh("content"));
    proxy.get(&origin.uri("/"));
    std::fs::remove_dir_all(proxy.store()).unwrap();
    for path in ["/", "/other", "/"] {
        let response = proxy.get(&origin.uri(path));
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "content"),
            "{path}"
        );
    }
    let mut client = Client::of(&proxy);
    client.ask("GET", &origin.uri("/long"), "");
    assert!(!matches!(
        client.try_response("GET"),
        Err(Ended::Late | Ended::Reset)
    ));
}
