//! Hostile and broken peers: each gets a clear answer or a closed connection, nobody else notices, and
//! nothing of theirs becomes somebody's object.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::origin::{fresh, passing};
use common::{Client, Ended, Gate, Origin, Proxy, each};

/// What a hostile request gets.
#[derive(Debug, Clone, Copy)]
enum Gets {
    /// One of these statuses, a reason, and a closed connection.
    Refused(&'static [u16]),
    /// One of these statuses or a closed connection without an answer.
    RefusedOrClosed(&'static [u16]),
    /// One of these statuses and a reason; its end is beyond doubt, so the connection may persist.
    Declined(&'static [u16]),
}
use Gets::{Declined, Refused, RefusedOrClosed};

const BAD: Gets = Refused(&[400]);
const NO: Gets = Declined(&[400]);

/// Each begins after the connection is made; `{a}` is the origin's authority, `{u}` its URI `/`, `{o}`
/// another origin's authority. A request for `{u}smuggled` follows each; where the end of the first is in
/// doubt it must never reach an origin.
const HOSTILE: [(&str, &str, Gets); 105] = [
    // The request line (RFC 9112 §3).
    (
        "no version",
        "GET {u}\r\nHost: {a}\r\n\r\n",
        RefusedOrClosed(&[400, 505]),
    ),
    ("nothing but a method", "GET\r\nHost: {a}\r\n\r\n", BAD),
    ("an empty method", " {u} HTTP/1.1\r\nHost: {a}\r\n\r\n", BAD),
    (
        "a method that isn't a token",
        "G(T {u} HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a method in quotes",
        "\"GET\" {u} HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "two spaces before the target",
        "GET  {u} HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "two spaces after the target",
        "GET {u}  HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a tab between the parts",
        "GET\t{u}\tHTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a space after the version",
        "GET {u} HTTP/1.1 \r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a space in the target",
        "GET {u}a b HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a tab in the target",
        "GET {u}a\tb HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a control character in the target",
        "GET {u}a\u{1}b HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "NUL in the target",
        "GET {u}a\0b HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "DEL in the target",
        "GET {u}a\u{7f}b HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a fragment in the target",
        "GET {u}a#b HTTP/1.1\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "HTTP/2.0",
        "GET {u} HTTP/2.0\r\nHost: {a}\r\n\r\n",
        Refused(&[505]),
    ),
    (
        "the HTTP/2 preface",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        Refused(&[400, 505]),
    ),
    (
        "HTTP/0.9 in full",
        "GET {u} HTTP/0.9\r\nHost: {a}\r\n\r\n",
        Refused(&[400, 505]),
    ),
    (
        "a version in small letters",
        "GET {u} http/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a version without a minor",
        "GET {u} HTTP/1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a version of two digits",
        "GET {u} HTTP/1.10\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "another protocol",
        "GET {u} RTSP/1.0\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a bare LF after the request line",
        "GET {u} HTTP/1.1\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a bare CR in the request line",
        "GET {u}\r HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a response",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        BAD,
    ),
    (
        "a TLS ClientHello",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
    ("SSH", "SSH-2.0-OpenSSH_9.2\r\n\r\n", BAD),
    (
        "SOCKS4",
        "\u{4}\u{1}\0P\u{7f}\0\0\u{1}\0\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
    // The target (RFC 9112 §3.2).
    (
        "another scheme",
        "GET ftp://{a}/ HTTP/1.1\r\nHost: {a}\r\n\r\n",
        Declined(&[400, 501]),
    ),
    (
        "file:",
        "GET file:///etc/passwd HTTP/1.1\r\nHost: {a}\r\n\r\n",
        Declined(&[400, 501]),
    ),
    ("no scheme", "GET {a}/ HTTP/1.1\r\nHost: {a}\r\n\r\n", NO),
    (
        "authority-form of a GET",
        "GET {a} HTTP/1.1\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "asterisk-form of a GET",
        "GET * HTTP/1.1\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "an empty authority",
        "GET http:/// HTTP/1.1\r\nHost: \r\n\r\n",
        NO,
    ),
    (
        "one slash after the scheme",
        "GET http:/{a}/ HTTP/1.1\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "an empty host with a port",
        "GET http://:80/ HTTP/1.1\r\nHost: :80\r\n\r\n",
        NO,
    ),
    (
        "a port that is no number",
        "GET http://127.0.0.1:http/ HTTP/1.1\r\nHost: 127.0.0.1:http\r\n\r\n",
        NO,
    ),
    (
        "a port that is too large",
        "GET http://127.0.0.1:65536/ HTTP/1.1\r\nHost: 127.0.0.1:65536\r\n\r\n",
        NO,
    ),
    (
        "port 0",
        "GET http://127.0.0.1:0/ HTTP/1.1\r\nHost: 127.0.0.1:0\r\n\r\n",
        Declined(&[400, 403, 502]),
    ),
    (
        "a backslash in the authority",
        "GET http://{a}\\@x/ HTTP/1.1\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "an unclosed IPv6 literal",
        "GET http://[::1/ HTTP/1.1\r\nHost: [::1\r\n\r\n",
        NO,
    ),
    (
        "no IPv6 literal at all",
        "GET http://[zz]/ HTTP/1.1\r\nHost: [zz]\r\n\r\n",
        NO,
    ),
    (
        "a quote in the host",
        "GET http://a\"b/ HTTP/1.1\r\nHost: a\"b\r\n\r\n",
        NO,
    ),
    (
        "a percent-escaped NUL in the host",
        "GET http://a%00b/ HTTP/1.1\r\nHost: a%00b\r\n\r\n",
        Declined(&[400, 502]),
    ),
    // Host (RFC 9112 §3.2).
    ("1.1 without Host", "GET {u} HTTP/1.1\r\n\r\n", NO),
    ("origin-form without Host", "GET / HTTP/1.1\r\n\r\n", NO),
    (
        "two Host fields",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "two Host fields in 1.0",
        "GET {u} HTTP/1.0\r\nHost: {a}\r\nHost: {o}\r\n\r\n",
        NO,
    ),
    (
        "a list of hosts",
        "GET {u} HTTP/1.1\r\nHost: {a}, {o}\r\n\r\n",
        NO,
    ),
    (
        "a Host that differs",
        "GET {u} HTTP/1.1\r\nHost: {o}\r\n\r\n",
        NO,
    ),
    (
        "a Host that differs in the port",
        "GET {u} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        NO,
    ),
    ("an empty Host", "GET {u} HTTP/1.1\r\nHost:\r\n\r\n", NO),
    (
        "a Host with userinfo",
        "GET {u} HTTP/1.1\r\nHost: x@{a}\r\n\r\n",
        NO,
    ),
    (
        "a Host with a path",
        "GET {u} HTTP/1.1\r\nHost: {a}/\r\n\r\n",
        NO,
    ),
    (
        "a Host with a space",
        "GET {u} HTTP/1.1\r\nHost: {a} x\r\n\r\n",
        NO,
    ),
    // Fields (RFC 9112 §5).
    (
        "a space before the colon",
        "GET {u} HTTP/1.1\r\nHost : {a}\r\n\r\n",
        BAD,
    ),
    (
        "a tab before the colon",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX\t: y\r\n\r\n",
        BAD,
    ),
    (
        "Content-Length with a space before the colon",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length : 5\r\n\r\nhello",
        BAD,
    ),
    (
        "no colon",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX-Field\r\n\r\n",
        BAD,
    ),
    (
        "an empty name",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\n: x\r\n\r\n",
        BAD,
    ),
    (
        "a name that isn't a token",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX(: y\r\n\r\n",
        BAD,
    ),
    (
        "a name that isn't ASCII",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX\u{e9}: y\r\n\r\n",
        BAD,
    ),
    (
        "obs-fold",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX: y\r\n z\r\n\r\n",
        BAD,
    ),
    (
        "obs-fold with a tab",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX: y\r\n\tz\r\n\r\n",
        BAD,
    ),
    (
        "a first field that begins with a space",
        "GET {u} HTTP/1.1\r\n X: y\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a bare LF between fields",
        "GET {u} HTTP/1.1\r\nHost: {a}\nX: y\r\n\r\n",
        BAD,
    ),
    (
        "a bare LF at the end of the head",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\n\n",
        BAD,
    ),
    ("only bare LF", "GET {u} HTTP/1.1\nHost: {a}\n\n", BAD),
    (
        "a bare CR in a value",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX: y\rz\r\n\r\n",
        BAD,
    ),
    (
        "a bare CR before the end of a value",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX: y\r\r\n\r\n",
        BAD,
    ),
    (
        "NUL in a value",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX: y\0z\r\n\r\n",
        BAD,
    ),
    (
        "a control character in a value",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX: y\u{1}z\r\n\r\n",
        BAD,
    ),
    // The length of the content (RFC 9112 §6).
    (
        "Content-Length twice, different",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        BAD,
    ),
    (
        "Content-Length twice, equal",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        BAD,
    ),
    (
        "a list of lengths",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 5, 5\r\n\r\nhello",
        BAD,
    ),
    (
        "a list of different lengths",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 5, 6\r\n\r\nhello",
        BAD,
    ),
    (
        "a negative length",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: -1\r\n\r\n",
        BAD,
    ),
    (
        "a length with a sign",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: +5\r\n\r\nhello",
        BAD,
    ),
    (
        "a length in hexadecimal",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 0x5\r\n\r\nhello",
        BAD,
    ),
    (
        "a length with a space inside",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 1 1\r\n\r\nhello",
        BAD,
    ),
    (
        "a length that is no number",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: five\r\n\r\nhello",
        BAD,
    ),
    (
        "an empty length",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length:\r\n\r\n",
        BAD,
    ),
    (
        "a length beyond 64 bits",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
        BAD,
    ),
    (
        "length and chunked",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        BAD,
    ),
    (
        "chunked and length",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        BAD,
    ),
    (
        "chunked isn't last",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "chunked twice",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        BAD,
    ),
    (
        "chunked twice in two fields",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        BAD,
    ),
    (
        "identity",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: identity\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "an unknown coding",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: rot13\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "an unknown coding before chunked",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: rot13, chunked\r\n\r\n0\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "an almost-chunked coding",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "chunked with a vertical tab",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "an empty Transfer-Encoding",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding:\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "chunked in quotes",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "chunked in 1.0",
        "POST {u} HTTP/1.0\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        BAD,
    ),
    // Chunks (RFC 9112 §7.1): the head was good, so the answer may also come from a spoilt exchange.
    (
        "a chunk size that is no number",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "an empty chunk size",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "a negative chunk size",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "a chunk size with 0x",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "a chunk size beyond 64 bits",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nab\r\n0\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "a bare LF after a chunk size",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "a bare LF in a chunk extension",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n2;\nab\r\n0\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "a longer chunk than its size",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "a malformed trailer",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : y\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
];

/// Sends one hostile request and what follows it, and holds what it gets.
fn hostile(proxy: &Proxy, origins: [&Origin; 2], what: &str, bytes: &[u8], gets: Gets) {
    let mut client = Client::of(proxy);
    client.send(bytes);
    let smuggled = || origins.map(|origin| origin.count_of("/smuggled"));
    let before = smuggled();
    let (uri, authority) = (origins[0].uri("/smuggled"), origins[0].authority());
    client.send(format!("GET {uri} HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
    let (statuses, may_close, may_persist) = match gets {
        Refused(statuses) => (statuses, false, false),
        RefusedOrClosed(statuses) => (statuses, true, false),
        Declined(statuses) => (statuses, false, true),
    };
    match client.try_response("GET") {
        Ok(response) => {
            assert!(
                statuses.contains(&response.status),
                "{what}: {} {}",
                response.status,
                response.text()
            );
            assert!(!response.content.is_empty(), "{what}: it says why");
            assert!(response.content.len() < 4096, "{what}: a short body");
            if may_persist && !response.head.has_element("connection", "close") {
                assert_eq!(
                    client.response("GET").status,
                    200,
                    "{what}: the next request"
                );
                return;
            }
            let (rest, end) = client.rest();
            assert!(
                rest.is_empty(),
                "{what}: then {}",
                String::from_utf8_lossy(&rest)
            );
            assert!(end.is_over(), "{what}: the connection stays open");
        }
        Err(ended) => assert!(may_close && ended.is_over(), "{what}: {ended:?}"),
    }
    assert_eq!(smuggled(), before, "{what}: smuggled");
}

#[test]
fn hostile_requests_are_refused() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("origin"));
    let other = Origin::answering(|_| passing("other"));
    each(HOSTILE, |(what, request, gets)| {
        let request = request
            .replace("{u}", &origin.uri("/"))
            .replace("{a}", &origin.authority())
            .replace("{o}", &other.authority());
        // Characters are bytes here, so that a row can hold any byte.
        let bytes: Vec<u8> = request.chars().map(|c| c as u32 as u8).collect();
        hostile(&proxy, [&origin, &other], what, &bytes, gets);
    });
    assert_eq!(
        proxy.get(&origin.uri("/")).text(),
        "origin",
        "the proxy still serves"
    );
    assert_eq!(proxy.workers().len(), 1);
}

#[test]
fn oversize_requests_are_refused() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("origin"));
    let (uri, authority) = (origin.uri("/"), origin.authority());
    let long = "x".repeat(200_000);
    let rows: [(&str, String, Gets); 8] = [
        (
            "a long target",
            format!("GET {uri}{long} HTTP/1.1\r\nHost: {authority}\r\n\r\n"),
            Refused(&[414]),
        ),
        (
            "a long target that never ends",
            format!("GET {uri}{long}"),
            Refused(&[414]),
        ),
        (
            "a long method",
            format!("{long} {uri} HTTP/1.1\r\nHost: {authority}\r\n\r\n"),
            Refused(&[400, 414, 501]),
        ),
        (
            "a long value",
            format!("GET {uri} HTTP/1.1\r\nHost: {authority}\r\nX: {long}\r\n\r\n"),
            Refused(&[431]),
        ),
        (
            "a long name",
            format!("GET {uri} HTTP/1.1\r\nHost: {authority}\r\n{long}: x\r\n\r\n"),
            Refused(&[400, 431]),
        ),
        (
            "many fields",
            format!(
                "GET {uri} HTTP/1.1\r\nHost: {authority}\r\n{}\r\n",
                "X: y\r\n".repeat(10_000)
            ),
            Refused(&[431]),
        ),
        (
            "many empty lines",
            "\r\n".repeat(100_000),
            RefusedOrClosed(&[400, 431]),
        ),
        (
            "a long chunk extension",
            format!(
                "POST {uri} HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n2;{long}"
            ),
            RefusedOrClosed(&[400, 431]),
        ),
    ];
    each(rows, |(what, request, gets)| {
        // What is refused before it was read whole may end in a reset that takes the answer along; the
        // proxy has to read on for a while, so that an ordinary client gets it.
        hostile(&proxy, [&origin, &origin], what, request.as_bytes(), gets);
    });
    let trailers = format!(
        "POST {uri} HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{}\r\n",
        "X: y\r\n".repeat(20_000)
    );
    hostile(
        &proxy,
        [&origin, &origin],
        "many trailers",
        trailers.as_bytes(),
        RefusedOrClosed(&[400, 431]),
    );
    assert_eq!(proxy.get(&uri).text(), "origin");
    assert!(proxy.worker_peak() < 64 << 20);
}

#[test]
fn a_request_that_breaks_off_reaches_nobody() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("origin"));
    let (uri, authority) = (origin.uri("/"), origin.authority());
    let whole = format!("GET {uri} HTTP/1.1\r\nHost: {authority}\r\nX: y\r\n\r\n");
    for cut in (1..whole.len()).step_by(7) {
        let mut client = Client::of(&proxy);
        client.send(&whole[..cut]);
        client.wire.half_close();
        let (_, end) = client.rest();
        assert!(end.is_over(), "cut at {cut}: {end:?}");
    }
    assert_eq!(origin.count(), 0);
    // Content that breaks off: the origin must be able to tell.
    let mut client = Client::of(&proxy);
    client.send(format!(
        "POST {uri} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 9\r\n\r\nhalf"
    ));
    client.wire.half_close();
    assert!(client.rest().1.is_over());
    assert_eq!(origin.count(), 0, "only whole requests are recorded");
    assert_eq!(proxy.get(&uri).text(), "origin");
}

#[test]
fn random_bytes_are_refused() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("origin"));
    let bytes = common::pattern(40_000);
    for start in 0..40_usize {
        let mut client = Client::of(&proxy);
        client.send(&bytes[start * 997..start * 997 + 500]);
        client.wire.half_close();
        let (answer, end) = client.rest();
        assert!(end.is_over(), "{start}: {end:?}");
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
            "{start}"
        );
    }
    assert_eq!(proxy.get(&origin.uri("/")).text(), "origin");
}

/// What a hostile origin sends; then it closes.
const GARBAGE: [(&str, &str); 37] = [
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
    ("ICY", "ICY 200 OK\r\n\r\nmusic"),
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
    ("a bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    (
        "a bare CR in a value",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "NUL in a value",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "NUL in the reason",
        "HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "no colon",
        "HTTP/1.1 200 OK\r\nX\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "an empty name",
        "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "a name that isn't a token",
        "HTTP/1.1 200 OK\r\nX(: x\r\nContent-Length: 2\r\n\r\nok",
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
        "length and chunked",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ),
    (
        "chunked twice",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ),
    (
        "an unknown coding",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ),
    (
        "chunked in 1.0",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ),
    (
        "a bad chunk size at once",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
    ),
    (
        "a chunk size beyond 64 bits",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nok\r\n0\r\n\r\n",
    ),
    (
        "a bare LF in the chunks",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n",
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
        let mut client = Client::of(&proxy);
        client.ask("GET", &origin.uri("/"), "");
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

#[test]
fn origins_that_hang_are_504_in_bounded_time() {
    let proxy = Proxy::start("[timeouts]\norigin_response = \"1s\"\nbody_stall = \"1s\"\n");
    let silent = Origin::scripted(|mut conn| {
        let _ = conn.request();
        conn.hold();
    });
    let dripping = Origin::scripted(|mut conn| {
        let _ = conn.request();
        // Each byte comes in time; all of them together don't.
        for byte in b"HTTP/1.1 200 OK\r\nX-Drip: a very long and very slow field\r\n"
            .iter()
            .cycle()
        {
            std::thread::sleep(Duration::from_millis(50));
            if !conn.send([*byte]) {
                return;
            }
        }
    });
    let stalling = Origin::scripted(|mut conn| {
        let _ = conn.request();
        conn.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhalf");
        conn.hold();
    });
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for (what, origin) in [("silent", &silent), ("dripping", &dripping)] {
            let proxy = &proxy;
            scope.spawn(move || {
                let response = proxy.get(&origin.uri("/"));
                assert!(
                    [504, 502].contains(&response.status),
                    "{what}: {}",
                    response.status
                );
                assert!(
                    what == "dripping" || response.status == 504,
                    "{what}: {}",
                    response.status
                );
            });
        }
        scope.spawn(|| {
            let mut client = Client::of(&proxy);
            client.ask("GET", &stalling.uri("/"), "");
            let ended = client
                .try_response("GET")
                .expect_err("half the content isn't a response");
            assert!(ended.is_over(), "{ended:?}");
        });
    });
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn origins_that_are_not_there_are_502() {
    let proxy = Proxy::start("");
    let dead = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let response = proxy.get(&format!("http://{dead}/"));
    assert!([502, 503].contains(&response.status), "{}", response.status);
    assert!(!response.content.is_empty());
    for name in [
        "nonexistent.invalid",
        "a.very.long.name.that.does.not.exist.invalid",
        "-.invalid",
    ] {
        let response = proxy.get(&format!("http://{name}/"));
        assert!(
            [400, 502, 503, 504].contains(&response.status),
            "{name}: {}",
            response.status
        );
        assert!(!response.content.is_empty(), "{name}");
    }
    let long = "a".repeat(300);
    let response = proxy.get(&format!("http://{long}.invalid/"));
    assert!(
        [400, 502].contains(&response.status),
        "a name too long: {}",
        response.status
    );
}

#[test]
fn an_origin_whose_connection_is_never_made_is_504() {
    let proxy = Proxy::start("[timeouts]\nconnect = \"1s\"\n");
    // A queue that is full takes no more connections, and doesn't refuse them.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let wait = Duration::from_millis(200);
    let held: Vec<_> = (0..3)
        .filter_map(|_| std::net::TcpStream::connect_timeout(&address, wait).ok())
        .collect();
    let begun = Instant::now();
    let response = proxy.get(&format!("http://{address}/"));
    assert!([504, 502].contains(&response.status), "{}", response.status);
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    drop(held);
}

#[test]
fn clients_that_drip_are_408_and_hold_up_nobody() {
    let proxy = Proxy::start("[timeouts]\nclient_header = \"1s\"\n");
    let origin = Origin::answering(|_| fresh("origin"));
    let mut dripping: Vec<Client> = (0..30).map(|_| Client::of(&proxy)).collect();
    let head = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nX: ",
        origin.uri("/"),
        origin.authority()
    );
    for client in &mut dripping {
        client.send(&head);
    }
    // The others are served meanwhile.
    assert_eq!(proxy.get(&origin.uri("/")).text(), "origin");
    let first = &mut dripping[0];
    let begun = Instant::now();
    let mut writer = first.wire.writer();
    let dripped = std::thread::spawn(move || {
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(100));
            if std::io::Write::write_all(&mut writer, b"x").is_err() {
                return;
            }
        }
    });
    assert_eq!(first.response("GET").status, 408);
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    for client in &mut dripping[1..] {
        assert_eq!(client.response("GET").status, 408);
        assert!(client.rest().1.is_over());
    }
    proxy.wait_for_line(&["408"]);
    drop(dripping);
    dripped.join().unwrap();
    assert_eq!(proxy.get(&origin.uri("/")).text(), "origin");
}

#[test]
fn a_client_whose_content_stalls_is_given_up() {
    let proxy = Proxy::start("[timeouts]\nbody_stall = \"1s\"\n");
    let origin = Origin::answering(|_| passing("origin"));
    let mut client = Client::of(&proxy);
    let (uri, authority) = (origin.uri("/"), origin.authority());
    client.send(format!(
        "POST {uri} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 9\r\n\r\nhalf"
    ));
    match client.try_response("POST") {
        Ok(response) => assert!([400, 408].contains(&response.status), "{}", response.status),
        Err(ended) => assert!(ended.is_over(), "{ended:?}"),
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn clients_that_are_not_allowed_are_403() {
    let proxy = Proxy::start("allow = [\"10.0.0.0/8\"]\n");
    let origin = Origin::answering(|_| passing("origin"));
    let port = origin.address().port();
    let response = proxy.get(&origin.uri("/"));
    assert_eq!(response.status, 403, "{}", response.text());
    assert!(!response.content.is_empty());
    let connect = Client::of(&proxy).request("CONNECT", &format!("127.0.0.1:{port}"), "");
    assert_eq!(connect.status, 403);
    assert_eq!(origin.connections(), 0);
}

/// An address of this machine that isn't loopback, when it has one.
fn outside() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Connecting a datagram socket sends nothing; it only picks the address.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[test]
fn the_network_may_not_reach_loopback() {
    let Some(outside) = outside() else { return };
    let setup = Proxy::with("allow = [\"0.0.0.0/0\"]\nconnect_ports = [\"1-65535\"]\n");
    let proxy = setup.listen(&format!("{outside}:0")).start();
    let origin = Origin::answering(|_| passing("secret"));
    let port = origin.address().port();
    // The name is allowed; what it resolves to isn't.
    for host in [
        "127.0.0.1",
        "127.1.2.3",
        "localhost",
        "[::1]",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
    ] {
        let uri = format!("http://{host}:{port}/");
        let response = proxy.get(&uri);
        assert!(
            [403, 400].contains(&response.status),
            "{host}: {} {}",
            response.status,
            response.text()
        );
        let connect = Client::of(&proxy).request("CONNECT", &format!("{host}:{port}"), "");
        assert!(
            [403, 400].contains(&connect.status),
            "CONNECT {host}: {}",
            connect.status
        );
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn credentials_in_uris_are_masked_in_the_log() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("origin"));
    let authority = origin.authority();
    let mut client = Client::of(&proxy);
    client.send(format!(
        "GET http://user:hidden-word@{authority}/seen HTTP/1.1\r\nHost: {authority}\r\n\r\n"
    ));
    let _ = client.try_response("GET");
    proxy.wait_for_line(&["/seen"]);
    assert!(
        !proxy.log().iter().any(|line| line.contains("hidden-word")),
        "{:#?}",
        proxy.log()
    );
}

#[test]
fn log_lines_can_not_be_forged() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("origin"));
    let (uri, authority) = (origin.uri("/path"), origin.authority());
    let mut client = Client::of(&proxy);
    client.send(format!(
        "GET {uri}\x1b[31m HTTP/1.1\r\nHost: {authority}\r\n\r\nGET {uri} HTTP/1.1\r\n\r\n"
    ));
    let _ = client.rest();
    proxy.get(&uri);
    proxy.wait_for_line(&["/path", "200"]);
    assert!(
        !proxy.log().iter().any(|line| line.contains('\x1b')),
        "{:#?}",
        proxy.log()
    );
}

#[test]
fn each_request_leaves_a_line() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh("content"));
    let mut client = Client::of(&proxy);
    client.get(&origin.uri("/one"));
    proxy.wait_for_line(&["GET", &origin.uri("/one"), "200", "miss"]);
    client.get(&origin.uri("/one"));
    proxy.wait_for_line(&["GET", &origin.uri("/one"), "200", "hit"]);
    Client::of(&proxy).send("GET nonsense\r\n\r\n");
    proxy.wait_for_line(&["400"]);

    let quiet = Proxy::start("access_log = false\n");
    quiet.get(&origin.uri("/two"));
    quiet.get(&origin.uri("/two"));
    assert!(
        !quiet.log().iter().any(|line| line.contains("/two")),
        "{:#?}",
        quiet.log()
    );
}

#[test]
fn a_client_that_never_reads_is_given_up() {
    let proxy = Proxy::start("[timeouts]\nbody_stall = \"1s\"\n");
    let closed = Gate::new();
    let origin = Origin::scripted({
        let closed = closed.clone();
        move |mut conn| {
            let _ = conn.request();
            conn.send(
                "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 100000000\r\n\r\n",
            );
            while conn.send([b'x'; 65536]) {}
            closed.open();
        }
    });
    let mut client = Client::of(&proxy);
    client.ask("GET", &origin.uri("/"), "");
    client.response_head("GET");
    closed.wait();
    let mut length = 0;
    let ended = client.content(
        common::message::Framing::Length(100_000_000),
        &mut |piece| length += piece.len(),
    );
    assert!(
        matches!(ended, Err(Ended::Partial(_) | Ended::Reset)),
        "{ended:?} after {length}"
    );
}
