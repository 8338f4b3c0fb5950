//! Classes of files that rules know: `kept` ones are never stale, `versioned` ones are validated now and then.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::common::conversation::{served, settle};
use crate::common::origin::{ok, reply};
use crate::common::{Client, Origin, Proxy, Response, TIMEOUT, wait_until};

/// An origin server with one file, which has these fields and its version as its ETag and content. It is published anew
/// by [`Mirror::publish`].
struct Mirror {
    origin: Origin,
    version: Arc<AtomicUsize>,
}

impl Mirror {
    fn with(fields: &'static str) -> Mirror {
        let version = Arc::new(AtomicUsize::new(1));
        let current = version.clone();
        let origin = Origin::answering(move |request| {
            let tag = format!("\"{}\"", current.load(SeqCst));
            let fields = format!("ETag: {tag}\r\n{fields}");
            match request.head.first("if-none-match") == Some(&tag) {
                true => reply("304 Not Modified", &fields, ""),
                false => ok(&fields, current.load(SeqCst).to_string()),
            }
        });
        Mirror { origin, version }
    }

    fn publish(&self) {
        self.version.fetch_add(1, SeqCst);
    }
}

/// A GET by a client with this User-Agent, with more fields.
fn get(proxy: &Proxy, uri: &str, agent: &str, fields: &str) -> Response {
    let fields = format!("User-Agent: {agent}\r\n{fields}");
    Client::of(proxy).request("GET", uri, &fields)
}

/// A GET by a client that never asked before.
fn other(proxy: &Proxy, uri: &str) -> Response {
    static CLIENTS: AtomicUsize = AtomicUsize::new(0);
    let agent = format!("other/{}", CLIENTS.fetch_add(1, SeqCst));
    get(proxy, uri, &agent, "")
}

#[test]
fn what_is_kept_is_never_stale_and_answers_max_age_0() {
    let proxy = Proxy::start("max_ttl = \"1s\"\n");
    for path in ["/dists/x/by-hash/SHA256/0123", "/v2/a/blobs/sha256:0123"] {
        for fields in [
            "Age: 99999999999\r\n",
            "Cache-Control: max-age=0, must-revalidate\r\n",
            "Cache-Control: no-cache\r\n",
            "Expires: 0\r\n",
        ] {
            let mirror = Mirror::with(fields);
            let uri = mirror.origin.uri(path);
            get(&proxy, &uri, "apt", "");
            mirror.publish();
            for asked in ["", "Cache-Control: max-age=0\r\n"] {
                let response = get(&proxy, &uri, "apt", asked);
                let told = response.cache_status();
                assert!(response.is_hit(), "{fields} {asked}: {told}");
                assert_eq!(response.text(), "1");
            }
            assert_eq!(mirror.origin.count(), 1, "{fields}");
            let asked = "Cache-Control: no-cache\r\n";
            assert_eq!(get(&proxy, &uri, "apt", asked).text(), "2", "{fields}");
        }
    }
}

#[test]
fn nothing_else_is_kept() {
    let proxy = Proxy::start("");
    for (status, fields) in [
        ("404 Not Found", ""),
        ("200 OK", "Cache-Control: no-store\r\n"),
        ("200 OK", "Cache-Control: private\r\n"),
        ("503 Service Unavailable", ""),
        ("302 Found", "Location: /x\r\n"),
        ("301 Moved Permanently", "Location: /x\r\n"),
        ("308 Permanent Redirect", "Location: /x\r\n"),
        ("300 Multiple Choices", ""),
        ("204 No Content", ""),
    ] {
        let content = if status.starts_with("204") { "" } else { "x" };
        let origin = Origin::answering(move |_| reply(status, fields, content));
        let uri = origin.uri("/by-hash/SHA256/0123");
        for round in 1..=2 {
            assert!(!proxy.get(&uri).is_hit(), "{status} {fields}");
            assert_eq!(origin.count(), round, "{status} {fields}");
        }
    }
}

/// Content that ends with the connection may have been cut short: such a file is versioned, in the store too.
#[test]
fn what_may_have_been_cut_short_is_not_kept() {
    let mut proxy = Proxy::start("");
    let whole = Arc::new(AtomicUsize::new(0));
    let origin = Origin::scripted({
        let whole = whole.clone();
        move |mut conn| {
            let Ok(request) = conn.request() else { return };
            let content = ["cut", "cut and mended"][whole.load(SeqCst)];
            let length = match request.target().contains("length") {
                true => format!("Connection: close\r\nContent-Length: {}\r\n", content.len()),
                false => String::new(),
            };
            conn.send(format!("HTTP/1.0 200 OK\r\n{length}\r\n{content}"));
        }
    });
    let (short, known) = (
        origin.uri("/by-hash/SHA256/01"),
        origin.uri("/by-hash/SHA256/length"),
    );
    for uri in [&short, &known] {
        assert_eq!(other(&proxy, uri).text(), "cut");
        let hit = other(&proxy, uri);
        assert!(hit.is_hit() && !hit.head.has("connection"), "{hit:?}");
    }
    proxy.restart();
    for uri in [&short, &known] {
        assert!(other(&proxy, uri).is_hit());
    }
    assert_eq!(origin.count(), 2);
    whole.store(1, SeqCst);
    let asked = "Cache-Control: max-age=0\r\n";
    assert_eq!(get(&proxy, &known, "apt", asked).text(), "cut");
    assert_eq!(get(&proxy, &short, "apt", asked).text(), "cut and mended");
    assert_eq!(origin.count(), 3);
    wait_until("the new one is stored", TIMEOUT, || {
        other(&proxy, &short).text() == "cut and mended"
    });
}

/// What apt does when a hash is wrong.
#[test]
fn a_versioned_file_is_validated_before_the_same_client_gets_it_again() {
    let proxy = Proxy::start("");
    for fields in ["", "Cache-Control: max-age=86400\r\n"] {
        let mirror = Mirror::with(fields);
        let (origin, uri) = (&mirror.origin, mirror.origin.uri("/pool/a_1.deb"));
        assert_eq!(get(&proxy, &uri, "apt", "").text(), "1");
        mirror.publish();
        // Others, and requests for a part of it or its head, as of a resumed download.
        assert!(get(&proxy, &uri, "curl", "").is_hit());
        let mut elsewhere = Client::from(IpAddr::from([127, 0, 0, 2]), &proxy);
        let response = elsewhere.request("GET", &uri, "User-Agent: apt\r\n");
        assert!(response.is_hit());
        assert_eq!(get(&proxy, &uri, "apt", "Range: bytes=0-0\r\n").status, 206);
        let head = Client::of(&proxy).request("HEAD", &uri, "User-Agent: apt\r\n");
        assert!(head.is_hit());
        assert_eq!(origin.count(), 1);
        // It was published anew: it comes at once.
        let again = get(&proxy, &uri, "apt", "");
        assert_eq!((again.text().as_str(), origin.count()), ("2", 2));
        let told = again.cache_status();
        assert!(
            told.contains("fwd=request") && told.contains("detail=asked-again"),
            "{told}"
        );
        assert_eq!(origin.last().head.first("if-none-match"), Some("\"1\""));
        // At most once a minute, whoever asks.
        mirror.publish();
        for agent in ["apt", "curl", "apt"] {
            let response = get(&proxy, &uri, agent, "");
            assert!(response.is_hit() && response.text() == "2", "{agent}");
        }
        assert_eq!(origin.count(), 2);
    }
}

#[test]
fn a_versioned_file_that_holds_is_sent_again_from_the_store() {
    let mirror = Mirror::with("");
    let uri = mirror.origin.uri("/a.rpm");
    let proxy = Proxy::with("").workers(3).start();
    for number in 1..=2 {
        assert_eq!(get(&proxy, &uri, "dnf", "").text(), "1");
        assert_eq!(mirror.origin.count(), number);
    }
    // Whichever worker is asked.
    for _ in 0..20 {
        assert!(get(&proxy, &uri, "dnf", "").is_hit());
    }
    assert_eq!(mirror.origin.count(), 2);
}

#[test]
fn who_asks_again_gets_what_is_stored_where_it_cannot_be_validated() {
    let mirror = Mirror::with("");
    let uri = mirror.origin.uri("/a.whl");
    let proxy = Proxy::start("");
    get(&proxy, &uri, "pip", "");
    drop(mirror);
    for _ in 0..2 {
        let again = get(&proxy, &uri, "pip", "");
        assert_eq!((again.status, again.text().as_str()), (200, "1"));
    }
    // Without a validator it would be fetched anew, however large it is.
    let plain = Origin::answering(|_| ok("", "1"));
    for _ in 0..3 {
        get(&proxy, &plain.uri("/b.whl"), "pip", "");
    }
    assert_eq!(plain.count(), 1);
    // The origin server said that it doesn't change.
    let immutable = Mirror::with("Cache-Control: max-age=60, immutable\r\n");
    for _ in 0..3 {
        get(&proxy, &immutable.origin.uri("/c.crate"), "cargo", "");
    }
    assert_eq!(immutable.origin.count(), 1);
}

/// A mirror that is asked too often, or that refuses for another reason.
#[test]
fn a_refusal_is_no_answer_for_who_asks_again() {
    let proxy = Proxy::start("");
    for (status, expected) in [
        ("429 Too Many Requests", 200),
        ("403 Forbidden", 200),
        ("401 Unauthorized", 200),
        ("500 Internal Server Error", 200),
        ("501 Not Implemented", 200),
        ("503 Service Unavailable", 200),
        ("404 Not Found", 404),
        ("410 Gone", 410),
        ("302 Found", 302),
    ] {
        let origin = Origin::answering(move |request| match request.head.has("if-none-match") {
            true => reply(status, "Location: /x\r\n", "no"),
            false => ok("ETag: \"a\"\r\nCache-Control: stale-if-error=0\r\n", "1"),
        });
        let uri = origin.uri("/a.deb");
        get(&proxy, &uri, "apt", "");
        let again = get(&proxy, &uri, "apt", "");
        assert_eq!((again.status, origin.count()), (expected, 2), "{status}");
        let told = again.cache_status();
        assert!(told.contains("detail=asked-again"), "{status}: {told}");
        assert!(
            told.contains(&format!("fwd-status={}", &status[..3])),
            "{told}"
        );
        if expected == 200 {
            assert_eq!(again.text(), "1");
            assert!(other(&proxy, &uri).is_hit(), "{status}");
        }
    }
}

/// A stored part of a file like all of it.
#[test]
fn a_part_of_a_versioned_file_is_validated_behind_the_answer() {
    let proxy = Proxy::start("purge_allow = [\"127.0.0.0/8\"]\n");
    let version = Arc::new(AtomicUsize::new(0));
    let origin = Origin::answering({
        let version = version.clone();
        move |request| {
            let (tag, content) = [("1", "0123456789"), ("2", "abcdefghij")][version.load(SeqCst)];
            let fields = format!("ETag: \"{tag}\"\r\nAge: 200000\r\n");
            served(request, &fields, content.as_bytes())
        }
    });
    let uri = origin.uri("/a.deb");
    let range = "Range: bytes=2-5\r\n";
    assert_eq!(get(&proxy, &uri, "apt", range).text(), "2345");
    settle(&proxy);
    version.store(1, SeqCst);
    wait_until("it is validated", TIMEOUT, || {
        let part = get(&proxy, &uri, "apt", "Range: bytes=3-4\r\n");
        assert_eq!(part.status, 206);
        origin.count() == 2
    });
    let asked = origin.last();
    assert_eq!(asked.head.first("if-none-match"), Some("\"1\""));
    assert_eq!(asked.head.first("range"), Some("bytes=3-4"));
    wait_until("the new one is stored", TIMEOUT, || {
        get(&proxy, &uri, "apt", "Range: bytes=3-4\r\n").text() == "de"
    });
    // Once a day.
    for _ in 0..5 {
        assert!(get(&proxy, &uri, "apt", "Range: bytes=4-4\r\n").is_hit());
    }
    assert_eq!(origin.count(), 2);
}

#[test]
fn a_versioned_file_is_validated_behind_the_answer_once_a_day() {
    let proxy = Proxy::start("");
    // Its age may stay what it was, as where another cache is between.
    let mirror = Mirror::with("Age: 90000\r\n");
    let (origin, uri) = (&mirror.origin, mirror.origin.uri("/a.deb"));
    get(&proxy, &uri, "one", "");
    mirror.publish();
    let response = get(&proxy, &uri, "two", "");
    assert!(response.is_hit() && response.text() == "1");
    wait_until("it is validated", TIMEOUT, || {
        // Once it is in the store.
        other(&proxy, &uri);
        origin.count() == 2
    });
    assert_eq!(origin.last().head.first("if-none-match"), Some("\"1\""));
    wait_until("the new one is stored", TIMEOUT, || {
        other(&proxy, &uri).text() == "2"
    });
    mirror.publish();
    for _ in 0..10 {
        let response = other(&proxy, &uri);
        assert!(response.is_hit() && response.text() == "2");
    }
    // Nor where the answer to that was an error.
    let failing = Origin::answering(|request| match request.head.has("if-none-match") {
        true => reply("500 Internal Server Error", "", ""),
        false => ok("ETag: \"a\"\r\nAge: 90000\r\n", "1"),
    });
    let uri = failing.uri("/b.deb");
    wait_until("it is validated", TIMEOUT, || {
        assert_eq!(other(&proxy, &uri).text(), "1");
        failing.count() == 2
    });
    for _ in 0..10 {
        assert_eq!(other(&proxy, &uri).text(), "1");
    }
    assert_eq!((origin.count(), failing.count()), (2, 2));
}

#[test]
fn a_rule_without_a_class_has_only_its_ttl() {
    let proxy = Proxy::start("[[rule]]\nmatch = \"*.deb\"\nttl = \"30d\"\n");
    let mirror = Mirror::with("Age: 90000\r\n");
    for number in 0..3 {
        let response = get(&proxy, &mirror.origin.uri("/a.deb"), "apt", "");
        assert_eq!(response.is_hit(), number > 0);
    }
    assert_eq!(mirror.origin.count(), 1);
}
