//! Hop-by-hop fields and persistence, by the clauses of RFC 9110 §7.6.1 and RFC 9112 §9.3.

use bytes::Bytes;

use super::*;
use crate::http::head::Method;

/// Field lines from text: one a line.
fn fields(text: &str) -> Fields {
    text.lines()
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.as_bytes(), value.trim().as_bytes())
        })
        .collect()
}

fn request(version: Version, text: &str) -> RequestHead {
    RequestHead {
        method: Method::Get,
        target: Bytes::from_static(b"/"),
        version,
        fields: fields(text),
    }
}

#[test]
fn fields_that_end_here() {
    let table = [
        // Always (RFC 9110 §7.6.1, §11.7, appendix of old practice).
        ("", "Connection", true),
        ("", "keep-alive", true),
        ("", "PROXY-CONNECTION", true),
        ("", "TE", true),
        ("", "Transfer-Encoding", true),
        ("", "Upgrade", true),
        ("", "HTTP2-Settings", true),
        ("", "Proxy-Authorization", true),
        ("", "Proxy-Authenticate", true),
        ("", "Proxy-Authentication-Info", true),
        ("", "Accept", false),
        ("", "Trailer", false),
        ("", "", false),
        // Those that Connection names, in any case and on any line.
        ("Connection: X-A", "x-a", true),
        ("Connection: close, x-a", "X-A", true),
        ("Connection: close\nConnection: ,X-A,", "X-A", true),
        ("Connection: X-A", "X-AB", false),
        ("Connection: X-A X-B", "X-A", false),
        ("Connection: close, keep-alive", "Close", false),
        ("Connection: Cookie", "Cookie", true),
        ("X: Connection", "X", false),
        // But not those that every recipient needs.
        ("Connection: Host", "Host", false),
        ("Connection: Content-Length", "Content-Length", false),
        ("Connection: cache-control", "Cache-Control", false),
        ("Connection: Authorization", "Authorization", false),
        ("Connection: Via, Vary, Age", "vary", false),
        ("Connection: Transfer-Encoding", "Transfer-Encoding", true),
    ];
    for (text, name, dropped) in table {
        let fields = fields(text);
        let drops = HopByHop::of(&fields).drops(name.as_bytes());
        assert_eq!(drops, dropped, "{name} with {text}");
    }
}

#[test]
fn persistence() {
    use Version::{Http10, Http11};
    let table = [
        // fields, of an HTTP/1.1 and of an HTTP/1.0 message
        ("", true, false),
        ("Connection: close", false, false),
        ("Connection: Close", false, false),
        ("Connection: x, close", false, false),
        ("Connection: x\nConnection: close", false, false),
        ("Connection: keep-alive", true, true),
        ("Connection: Keep-Alive, x", true, true),
        ("Connection: keep-alive, close", false, false),
        ("Connection: closed", true, false),
        ("Keep-Alive: 5", true, false),
        ("Proxy-Connection: keep-alive", true, false),
        ("Proxy-Connection: close", true, false),
    ];
    for (text, new, old) in table {
        assert_eq!(persists(Http11, &fields(text)), new, "{text}");
        assert_eq!(persists(Http10, &fields(text)), old, "{text}");
        assert_eq!(client_persists(&request(Http11, text)), new, "{text}");
        // RFC 9112 §9.3: never with an HTTP/1.0 client.
        assert!(!client_persists(&request(Http10, text)), "{text}");
        let response = |version| ResponseHead {
            status: 200,
            version,
            reason: Bytes::new(),
            fields: fields(text),
            has_lost_field: false,
        };
        assert_eq!(origin_persists(&response(Http11)), new, "{text}");
        assert_eq!(origin_persists(&response(Http10)), old, "{text}");
    }
}

#[test]
fn upgrades() {
    let table = [
        // (RFC 9110 §7.8)
        ("Upgrade: websocket\nConnection: Upgrade", true),
        ("Upgrade: websocket\nConnection: keep-alive, upgrade", true),
        ("Upgrade: websocket", false),
        ("Connection: upgrade", false),
        ("Upgrade: \nConnection: upgrade", false),
        // Offers that are declined here.
        ("Upgrade: h2c\nConnection: Upgrade, HTTP2-Settings", false),
        ("Upgrade: H2C , \nConnection: upgrade", false),
        ("Upgrade: TLS/1.2\nConnection: Upgrade", false),
        ("Upgrade: h2c, tls/1.3, TLS\nConnection: Upgrade", false),
        ("Upgrade: h2c\nUpgrade: TLS/1.0\nConnection: Upgrade", false),
        ("Upgrade: h2c, websocket\nConnection: Upgrade", true),
        (
            "Upgrade: h2c\nUpgrade: websocket\nConnection: Upgrade",
            true,
        ),
        ("Upgrade: h2\nConnection: Upgrade", true),
        ("Upgrade: foo/2\nConnection: Upgrade", true),
        ("Expect: 100-continue", false),
    ];
    for (text, upgrade) in table {
        assert_eq!(
            wants_upgrade(&request(Version::Http11, text)),
            upgrade,
            "{text}"
        );
        assert!(!wants_upgrade(&request(Version::Http10, text)), "{text}");
    }
}

#[test]
fn trailers_that_may_go_on() {
    for name in ["Server-Timing", "ETag", "Digest", "X-Checksum"] {
        assert!(may_be_trailer(name.as_bytes()), "{name}");
    }
    for name in [
        "Transfer-Encoding",
        "content-length",
        "HOST",
        "Cache-Control",
        "Authorization",
        "Set-Cookie",
        "Content-Encoding",
        "Content-Type",
        "Content-Range",
        "Trailer",
        "Connection",
        "TE",
    ] {
        assert!(!may_be_trailer(name.as_bytes()), "{name}");
    }
}
