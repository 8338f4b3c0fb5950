//! Content is stored whole or not at all: long, empty, with trailers, broken off.

use crate::common;
use crate::common::origin::fresh;
use crate::common::{Client, Origin, Proxy, TIMEOUT, each, wait_until};

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
            // While it is on its way into the store it is sent as it came.
            wait_until("it is stored", TIMEOUT, || {
                proxy.get(&uri).head.has("content-length")
            });
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
            let mut client = Client::asking(&proxy, &origin.uri("/"));
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
        let mut client = Client::asking(&proxy, &badly.uri("/"));
        let _ = client.try_response("GET");
        assert!(badly.count() >= round, "a reset isn't an end");
    }
}
