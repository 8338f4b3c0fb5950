//! Heads as they go out, as whole texts, by the clauses of RFC 9110 §7.6 and RFC 9112 §3.2.

mod responses;

use bytes::BytesMut;

use super::*;
use crate::http::framing::Framing;
use crate::http::head::{RequestHead, ResponseHead};
use crate::http::parse::{HeadLimits, SectionScan, parse_request, parse_response};
use crate::http::target::{Target, TargetUri};

const PLAIN: RequestAs<'_> = RequestAs {
    framing: Framing::None,
    pseudonym: "me",
    extra: &[],
    without: &[],
    upgrade: false,
};

/// Lines joined by CRLF, ended by an empty one.
fn wire(text: &str) -> BytesMut {
    let mut bytes = BytesMut::new();
    for line in text.lines() {
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn request(text: &str) -> RequestHead {
    let parsed = parse_request(
        &mut wire(text),
        &mut SectionScan::default(),
        &HeadLimits::default(),
    );
    parsed.unwrap().unwrap()
}

fn response(text: &str) -> ResponseHead {
    let parsed = parse_response(
        &mut wire(text),
        &mut SectionScan::default(),
        &HeadLimits::default(),
    );
    parsed.unwrap().unwrap()
}

fn sent(text: &str, how: &RequestAs<'_>) -> String {
    let head = request(text);
    let Ok(Target::Absolute(TargetUri { uri, .. })) = Target::of(&head) else {
        panic!("no URI in {text}");
    };
    let mut out = BytesMut::new();
    write_request(&mut out, &head, &uri, how);
    String::from_utf8(out.to_vec()).unwrap()
}

fn answered(text: &str, how: &ResponseAs<'_>) -> String {
    let head = response(text);
    let mut out = BytesMut::new();
    write_response_head(&mut out, head.status, &head.reason, &head.fields, how);
    String::from_utf8(out.to_vec()).unwrap()
}

fn check_request(how: &RequestAs<'_>, table: &[(&str, &str)]) {
    for (text, expected) in table {
        let expected = String::from_utf8(wire(expected).to_vec()).unwrap();
        assert_eq!(sent(text, how), expected, "{text}");
    }
}

fn check_response(how: &ResponseAs<'_>, table: &[(&str, &str)]) {
    for (text, expected) in table {
        let expected = String::from_utf8(wire(expected).to_vec()).unwrap();
        assert_eq!(answered(text, how), expected, "{text}");
    }
}

#[test]
fn requests() {
    check_request(
        &PLAIN,
        &[
            // RFC 9112 §3.2.1, §3.2.2: origin-form, and Host first, made from the target URI.
            (
                "GET HTTP://H.Example:80?q HTTP/1.1\nAccept: */*\nHost: h.example\nX: y",
                "GET /?q HTTP/1.1\nHost: h.example\nAccept: */*\nX: y\nVia: 1.1 me",
            ),
            (
                "GET http://u:p@h:81/a HTTP/1.1\nHost: h:81",
                "GET /a HTTP/1.1\nHost: h:81\nVia: 1.1 me",
            ),
            // RFC 9112 §3.2.4: OPTIONS for a server as a whole.
            (
                "OPTIONS http://h HTTP/1.1\nHost: h",
                "OPTIONS * HTTP/1.1\nHost: h\nVia: 1.1 me",
            ),
            (
                "OPTIONS http://h/ HTTP/1.1\nHost: h",
                "OPTIONS / HTTP/1.1\nHost: h\nVia: 1.1 me",
            ),
            (
                "OPTIONS http://h?q HTTP/1.1\nHost: h",
                "OPTIONS /?q HTTP/1.1\nHost: h\nVia: 1.1 me",
            ),
            // RFC 9112 §2.3: our version; RFC 9110 §7.6.3: the received one in Via, after others.
            (
                "GET http://h/ HTTP/1.0\nVia: 1.0 a, 1.1 b",
                "GET / HTTP/1.1\nHost: h\nVia: 1.0 a, 1.1 b\nVia: 1.0 me",
            ),
            // RFC 9110 §7.6.1: hop-by-hop fields and those named in Connection.
            (
                "GET http://h/ HTTP/1.1\nHost: h\nConnection: close, X-Hop, Host\nX-Hop: 1\n\
                 Keep-Alive: 5\nProxy-Connection: keep-alive\nProxy-Authorization: Basic eA==\n\
                 Upgrade: h2c\nTE: gzip\nAuthorization: Basic eA==",
                "GET / HTTP/1.1\nHost: h\nAuthorization: Basic eA==\nVia: 1.1 me",
            ),
            // RFC 9110 §10.1.4: only trailers are taken care of.
            (
                "GET http://h/ HTTP/1.1\nHost: h\nTE: gzip, trailers\nConnection: TE",
                "GET / HTTP/1.1\nHost: h\nTE: trailers\nConnection: TE\nVia: 1.1 me",
            ),
            // Framing is written anew, here as none.
            (
                "GET http://h/ HTTP/1.1\nHost: h\nContent-Length: 5\nTrailer: X",
                "GET / HTTP/1.1\nHost: h\nVia: 1.1 me",
            ),
            // RFC 9110 §10.1.1: Expect goes on.
            (
                "PUT http://h/ HTTP/1.1\nHost: h\nExpect: 100-continue",
                "PUT / HTTP/1.1\nHost: h\nExpect: 100-continue\nVia: 1.1 me",
            ),
            // RFC 9110 §7.6.2: one hop fewer, for OPTIONS and TRACE only.
            (
                "TRACE http://h/ HTTP/1.1\nHost: h\nMax-Forwards: 10",
                "TRACE / HTTP/1.1\nHost: h\nMax-Forwards: 9\nVia: 1.1 me",
            ),
            (
                "OPTIONS http://h/ HTTP/1.1\nHost: h\nMax-Forwards: x",
                "OPTIONS / HTTP/1.1\nHost: h\nMax-Forwards: x\nVia: 1.1 me",
            ),
            (
                "GET http://h/ HTTP/1.1\nHost: h\nMax-Forwards: 10",
                "GET / HTTP/1.1\nHost: h\nMax-Forwards: 10\nVia: 1.1 me",
            ),
        ],
    );
}

#[test]
fn content_of_requests() {
    let text = "POST http://h/ HTTP/1.1\nHost: h\nContent-Length: 05\nTrailer: X";
    let table = [
        (Framing::Length(5), "Content-Length: 5\n"),
        (Framing::Chunked, "Transfer-Encoding: chunked\n"),
    ];
    for (framing, line) in table {
        let chunked = framing == Framing::Chunked;
        let trailer = if chunked { "Trailer: X\n" } else { "" };
        let expected = format!("POST / HTTP/1.1\nHost: h\n{trailer}{line}Via: 1.1 me");
        check_request(&RequestAs { framing, ..PLAIN }, &[(text, &expected)]);
    }
}

#[test]
fn requests_for_validation() {
    let text = "GET http://h/ HTTP/1.1\nHost: h\nIf-None-Match: \"c\"\nIf-Modified-Since: x\n\
                If-Range: \"c\"\nAccept: a\nRange: bytes=0-";
    let ours = (&b"If-None-Match"[..], &b"\"s\""[..]);
    check_request(
        &RequestAs {
            extra: &[ours],
            without: &["Range"],
            ..PLAIN
        },
        &[(
            text,
            "GET / HTTP/1.1\nHost: h\nAccept: a\nIf-None-Match: \"s\"\nVia: 1.1 me",
        )],
    );
    check_request(
        &RequestAs {
            extra: &[(b"Accept", b"b")],
            ..PLAIN
        },
        &[(
            text,
            "GET / HTTP/1.1\nHost: h\nIf-None-Match: \"c\"\nIf-Modified-Since: x\n\
             If-Range: \"c\"\nRange: bytes=0-\nAccept: b\nVia: 1.1 me",
        )],
    );
}

#[test]
fn requests_to_upgrade() {
    let text = "GET http://h/ HTTP/1.1\nHost: h\nConnection: Upgrade, X-A\nX-A: 1\n\
                Upgrade: websocket\nSec-WebSocket-Key: k\nTE: trailers";
    check_request(
        &RequestAs {
            upgrade: true,
            ..PLAIN
        },
        &[(
            text,
            "GET / HTTP/1.1\nHost: h\nSec-WebSocket-Key: k\nTE: trailers\nUpgrade: websocket\n\
             Connection: TE, Upgrade\nVia: 1.1 me",
        )],
    );
    // Only what isn't declined here, and nothing that belongs to the rest.
    let text = "GET http://h/ HTTP/1.1\nHost: h\nConnection: Upgrade, HTTP2-Settings\n\
                Upgrade: h2c, websocket, TLS/1.2\nUpgrade: x/1\nHTTP2-Settings: AAMAAABk";
    check_request(
        &RequestAs {
            upgrade: true,
            ..PLAIN
        },
        &[(
            text,
            "GET / HTTP/1.1\nHost: h\nUpgrade: websocket\nUpgrade: x/1\nConnection: Upgrade\nVia: 1.1 me",
        )],
    );
    check_request(
        &PLAIN,
        &[(
            "GET http://h/ HTTP/1.1\nHost: h\nConnection: Upgrade\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk",
            "GET / HTTP/1.1\nHost: h\nVia: 1.1 me",
        )],
    );
}

#[test]
fn loops() {
    let table = [
        ("", false),
        ("Via: 1.1 me", true),
        ("Via: 1.0 ME (a comment)", true),
        ("Via: HTTP/1.1 me", true),
        ("Via: 1.1 a, 1.1\tme, 1.1 b", true),
        ("Via: 1.1 a\nVia: 1.1  me", true),
        ("Via: 1.1 mee", false),
        ("Via: 1.1 a (me)", false),
        ("Via: me", false),
        ("Via: 1.1 a me", false),
        ("X-Via: 1.1 me", false),
    ];
    for (lines, looped) in table {
        let head = request(
            &format!("GET / HTTP/1.1\n{lines}")
                .trim_end()
                .replace("\n\n", "\n"),
        );
        assert_eq!(via_has_loop(&head.fields, "me"), looped, "{lines}");
    }
}

#[test]
fn requests_that_end_here() {
    let table = [
        ("OPTIONS", "Max-Forwards: 0", true),
        ("TRACE", "Max-Forwards: 00", true),
        ("TRACE", "Max-Forwards: 1", false),
        ("TRACE", "Max-Forwards: -0", false),
        ("TRACE", "X: 0", false),
        ("GET", "Max-Forwards: 0", false),
    ];
    for (method, line, ends) in table {
        let head = request(&format!("{method} http://h/ HTTP/1.1\n{line}"));
        assert_eq!(ends_here(&head), ends, "{method} {line}");
    }
}

/// A strict peer takes what goes out for the same message.
#[test]
fn what_is_written_is_read_back() {
    let text = "GET http://h/a HTTP/1.1\nHost: h\nA: \nB: c";
    let mut out = BytesMut::from(sent(text, &PLAIN).as_bytes());
    let again = parse_request(
        &mut out,
        &mut SectionScan::default(),
        &HeadLimits::default(),
    );
    let again = again.unwrap().unwrap();
    assert_eq!(again.fields.first("b"), Some(&b"c"[..]));
    assert_eq!(again.fields.first("a"), Some(&b""[..]));
    assert!(out.is_empty());
}
