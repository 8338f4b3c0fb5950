//! Hostile origin servers: what they send is a 502 and is never stored, and how much of it is read has bounds.

use crate::common::origin::passing;
use crate::common::{Client, Origin, Proxy, each};

/// A hostile origin's octets; then it closes.
const GARBAGE: [(&str, &str); 25] = [
    ("nothing", ""),
    ("garbage", "\u{0}\u{1}\u{2}garbage\r\n\r\n"),
    ("HTML without a head", "<html>hello</html>\r\n\r\n"),
    ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    ("a request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("half a status line", "HTTP/1.1 20"),
    ("half a head", "HTTP/1.1 200 OK\r\nContent-Le"),
    (
        "a version of another kind",
        "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "a status of two digits",
        "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "a status of four digits",
        "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "a status that is no number",
        "HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "status 099",
        "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "lengths that differ",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    ),
    (
        "a list of lengths that differ",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok",
    ),
    (
        "a length that is no number",
        "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
    ),
    (
        "a negative length",
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    ),
    (
        "a length beyond 64 bits",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok",
    ),
    (
        "an empty length",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok",
    ),
    (
        "an unknown coding",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ),
    (
        "a bad chunk size at once",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
    ),
    (
        "a chunk size beyond 64 bits",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nok\r\n0\r\n\r\n",
    ),
    ("100 and nothing more", "HTTP/1.1 100 Continue\r\n\r\n"),
    (
        "100 with a length and a body",
        "HTTP/1.1 100 Continue\r\nContent-Length: 20\r\n\r\n12345678901234567890",
    ),
    (
        "a space before the colon of a length",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\nContent-Length: 1\r\n\r\nok",
    ),
    (
        "no HTTP/1.1 but a status",
        "200 OK\r\nContent-Length: 2\r\n\r\nok",
    ),
];

#[test]
fn hostile_origins_are_502_and_never_stored() {
    let proxy = Proxy::start("ttl = \"1h\"\n");
    let good = Origin::answering(|_| passing("good"));
    each(GARBAGE, |(what, response)| {
        let mut client = Client::of(&proxy);
        let bytes: Vec<u8> = response.chars().map(|c| c as u32 as u8).collect();
        let origin = Origin::closing(bytes);
        for round in 1..=2 {
            client.ask("GET", &origin.uri("/"), "");
            let mut got = client.try_response("GET");
            while matches!(&got, Ok(interim) if interim.status < 200) {
                got = client.try_response("GET");
            }
            match got {
                Ok(response) => {
                    assert_eq!(response.status, 502, "{what}: {response:?}");
                    assert!(!response.content.is_empty(), "{what}: it says why");
                    if response.head.has_element("connection", "close") {
                        client = Client::of(&proxy);
                    }
                }
                Err(ended) => {
                    assert!(ended.is_over(), "{what}: {ended:?}");
                    assert!(what.contains("chunk"), "{what}: {ended:?} instead of 502");
                    client = Client::of(&proxy);
                }
            }
            assert!(origin.count() >= round, "{what}: it was stored");
        }
        assert_eq!(proxy.get(&good.uri("/")).text(), "good", "after {what}");
    });
    assert_eq!(proxy.workers().len(), 1);
}

#[test]
fn an_origin_s_head_has_bounds() {
    let proxy = Proxy::start("");
    let good = Origin::answering(|_| passing("good"));
    let rows = [
        format!("HTTP/1.1 200 {}\r\n\r\n", "x".repeat(300_000)),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(300_000)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(50_000)),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000),
    ];
    for (number, row) in rows.into_iter().enumerate() {
        let origin = Origin::closing(row);
        let mut client = Client::asking(&proxy, &origin.uri("/"));
        let mut got = client.try_response("GET");
        while matches!(&got, Ok(interim) if interim.status < 200) {
            got = client.try_response("GET");
        }
        match got {
            Ok(response) => assert_eq!(response.status, 502, "row {number}"),
            Err(ended) => assert!(ended.is_over(), "row {number}: {ended:?}"),
        }
    }
    assert_eq!(proxy.get(&good.uri("/")).text(), "good");
    assert!(proxy.worker_peak() < 64 << 20);
}
