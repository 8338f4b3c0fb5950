//! Long heads: as much of them as the settings allow passes both ways, and is stored.

use crate::common::long_heads::{long_heads_are_stored, numbered};
use crate::common::origin::ok;
use crate::common::{Client, Origin, Proxy, each};

/// Responses of old and sloppy origin servers with the content "hello" and the field `X: a b`.
const SLOPPY: [&str; 9] = [
    "HTTP/1.0 200 OK\nCache-Control: max-age=600\nX: a b\n\nhello",
    "HTTP/1.1 200\nCache-Control: max-age=600\nX: a\x01b\nContent-Length: 5\n\nhello",
    "HTTP/1.1 200 O\x1bK\r\nCache-Control: max-age=600\r\nX: a\0b\x7f\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nCache-Control : max-age=600\r\nX: a\rb\r\nno colon\r\n: x\r\nY Z: 1\r\n\r\nhello",
    "ICY 200 OK\r\nCache-Control: max-age=600\r\nX:a b\r\n\r\nhello",
    "HTTP/1.0  200\tOK\r\nCache-Control: max-age=600\r\nX: a b\r\nTransfer-Encoding: chunked\r\n\r\n\
     0000000000000000000005\nhello\n0\n\n",
    "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nX: a b\r\nTransfer-Encoding: identity, chunked\r\n\
     Content-Length: 15\r\n\r\n5 ;\"\r\nhello\r\n0\r\nX-Sum\x01: 1\r\nnone\r\n\r\n",
    "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nX: a b\r\nTransfer-Encoding: chunked\r\n\
     Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\r\nX\r\n\r\nHTTP/1.1 200 OK\r\n\
     Cache-Control: max-age=600\r\nX: a b\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
];

#[test]
fn sloppy_responses_are_stored_clean() {
    let mut proxy = Proxy::start("");
    let origins = SLOPPY.map(Origin::closing);
    for (round, hit) in [(1, false), (2, true), (3, true)] {
        for (origin, sloppy) in origins.iter().zip(SLOPPY) {
            // Of an interim response nothing is to be seen by HTTP/1.0.
            let mut client = Client::of(&proxy);
            client.send(format!("GET {} HTTP/1.0\r\n\r\n", origin.uri("/")));
            let response = client.response("GET");
            assert_eq!(response.text(), "hello", "{round}: {sloppy}");
            assert_eq!(response.status, 200, "{round}: {sloppy}");
            assert_eq!(response.first("x"), Some("a b"), "{round}: {sloppy}");
            assert_eq!(response.is_hit(), hit, "{round}: {sloppy}");
            assert!(response.first("transfer-encoding").is_none(), "{sloppy}");
            let cached =
                proxy.request("GET", &origin.uri("/"), "Cache-Control: only-if-cached\r\n");
            assert_eq!(cached.text(), "hello", "{round}: {sloppy}");
        }
        if round == 2 {
            proxy.restart();
        }
    }
}

#[test]
fn long_heads_pass_both_ways_and_are_stored() {
    long_heads_are_stored(Proxy::start(""), || {});
}

#[test]
fn settings_limit_heads() {
    let proxy = Proxy::start(
        "max_header_line = \"1KiB\"\nmax_header_size = \"4KiB\"\nmax_header_fields = 20\n",
    );
    let origin = Origin::answering(|request| {
        let length = request.head.first("length").unwrap_or("0");
        let lines = request.head.first("lines").unwrap_or("0");
        let value = "v".repeat(length.parse().unwrap());
        ok(
            &format!("X: {value}\r\n{}", numbered(lines.parse().unwrap())),
            "ok",
        )
    });
    let rows = [
        (
            "a target",
            "/".to_owned() + &"t".repeat(900),
            String::new(),
            200,
        ),
        (
            "a longer target",
            "/".to_owned() + &"t".repeat(1024),
            String::new(),
            414,
        ),
        (
            "a line",
            "/a".into(),
            format!("X: {}\r\n", "x".repeat(1021)),
            200,
        ),
        (
            "a longer line",
            "/b".into(),
            format!("X: {}\r\n", "x".repeat(1022)),
            431,
        ),
        ("lines", "/c".into(), numbered(17), 200),
        ("more lines", "/d".into(), numbered(20), 431),
        (
            "a head",
            "/e".into(),
            format!("X: {}\r\n", "x".repeat(900)).repeat(4),
            200,
        ),
        (
            "a longer head",
            "/f".into(),
            format!("X: {}\r\n", "x".repeat(900)).repeat(5),
            431,
        ),
        (
            "a line of a response",
            "/g".into(),
            "Length: 1021\r\n".into(),
            200,
        ),
        (
            "a longer line of a response",
            "/h".into(),
            "Length: 1022\r\n".into(),
            502,
        ),
        (
            "lines of a response",
            "/i".into(),
            "Lines: 17\r\n".into(),
            200,
        ),
        (
            "more lines of a response",
            "/j".into(),
            "Lines: 21\r\n".into(),
            502,
        ),
    ];
    each(rows, |(what, path, fields, expected)| {
        let response = Client::of(&proxy).request("GET", &origin.uri(&path), &fields);
        assert_eq!(response.status, expected, "{what}: {}", response.text());
    });
}
