//! Responses as they go to clients, and how their content is framed there.

use super::*;
use crate::http::head::Version;
use crate::http::target::NamedAs;
use crate::http::target::Uri;

const TO_CLIENT: ResponseAs<'_> = ResponseAs {
    framing: Framing::Length(3),
    keep_alive: true,
    client: Version::Http11,
    via: Some((Version::Http11, "me")),
    extra: &[],
    without: &[],
    named_as: None,
};

#[test]
fn responses() {
    check_response(
        &TO_CLIENT,
        &[
            (
                "HTTP/1.1 200 OK\nDate: d\nContent-Length: 3\nETag: \"a\"",
                "HTTP/1.1 200 OK\nDate: d\nETag: \"a\"\nContent-Length: 3\nVia: 1.1 me",
            ),
            // RFC 9112 §2.3, §4: our version, whatever came; the reason as it came.
            (
                "HTTP/1.0 599 Odd  one",
                "HTTP/1.1 599 Odd  one\nContent-Length: 3\nVia: 1.1 me",
            ),
            (
                "HTTP/1.1 200",
                "HTTP/1.1 200 \nContent-Length: 3\nVia: 1.1 me",
            ),
            // RFC 9110 §7.6.1: hop-by-hop fields; framing written anew.
            (
                "HTTP/1.1 200 OK\nConnection: close, X-Hop\nX-Hop: 1\nKeep-Alive: 5\n\
                 Transfer-Encoding: chunked\nTrailer: X\nUpgrade: h2c\nProxy-Authenticate: Basic\n\
                 Set-Cookie: a\nSet-Cookie: b",
                "HTTP/1.1 200 OK\nSet-Cookie: a\nSet-Cookie: b\nContent-Length: 3\nVia: 1.1 me",
            ),
        ],
    );
    check_response(
        &ResponseAs {
            via: None,
            extra: &[(b"Age", b"7"), (b"Cache-Status", b"me; hit")],
            without: &["age"],
            ..TO_CLIENT
        },
        &[(
            "HTTP/1.1 200 OK\nAge: 1\nCache-Status: other",
            "HTTP/1.1 200 OK\nCache-Status: other\nAge: 7\nCache-Status: me; hit\n\
             Content-Length: 3",
        )],
    );
}

#[test]
fn responses_to_what_was_named_through_http() {
    let named = NamedAs::ThroughHttp(Uri::parse(&"https://h/a/b".into()).unwrap());
    let how = ResponseAs {
        named_as: Some(&named),
        ..TO_CLIENT
    };
    check_response(
        &how,
        &[(
            "HTTP/1.1 302 Found\nLocation: /x\nX: /x\ncontent-location: https://i/y\n\
             Set-Cookie: a\nset-cookie2: b\nLink: </x>",
            "HTTP/1.1 302 Found\nLocation: http://HTTPS///h/x\nX: /x\n\
             content-location: http://HTTPS///i/y\nLink: </x>\nContent-Length: 3\nVia: 1.1 me",
        )],
    );
}

#[test]
fn framing_of_responses() {
    use Version::{Http10, Http11};
    let cases = [
        // framing, stays open, client, the lines that say so
        (Framing::Length(3), true, Http11, "Content-Length: 3"),
        (
            Framing::Length(3),
            false,
            Http11,
            "Content-Length: 3\nConnection: close",
        ),
        (
            Framing::Length(3),
            true,
            Http10,
            "Content-Length: 3\nConnection: keep-alive",
        ),
        (
            Framing::Length(3),
            false,
            Http10,
            "Content-Length: 3\nConnection: close",
        ),
        (Framing::Chunked, true, Http11, "Transfer-Encoding: chunked"),
        (Framing::UntilClose, true, Http11, "Connection: close"),
        (Framing::UntilClose, false, Http10, "Connection: close"),
    ];
    for (framing, keep_alive, client, lines) in cases {
        let how = ResponseAs {
            framing,
            keep_alive,
            client,
            via: None,
            ..TO_CLIENT
        };
        let expected = format!("HTTP/1.1 200 OK\n{lines}");
        check_response(&how, &[("HTTP/1.1 200 OK\nContent-Length: 9", &expected)]);
    }
    let chunked = ResponseAs {
        framing: Framing::Chunked,
        via: None,
        ..TO_CLIENT
    };
    check_response(
        &chunked,
        &[(
            "HTTP/1.1 200 OK\nTrailer: X",
            "HTTP/1.1 200 OK\nTrailer: X\nTransfer-Encoding: chunked",
        )],
    );
}

#[test]
fn responses_without_content() {
    let none = ResponseAs {
        framing: Framing::None,
        via: None,
        ..TO_CLIENT
    };
    check_response(
        &none,
        &[
            // RFC 9110 §8.6: to HEAD and in 304, the length of what isn't sent stays, if it is one.
            (
                "HTTP/1.1 200 OK\nContent-Length: 9",
                "HTTP/1.1 200 OK\nContent-Length: 9",
            ),
            (
                "HTTP/1.1 304 NM\nContent-Length: 9, 9",
                "HTTP/1.1 304 NM\nContent-Length: 9",
            ),
            ("HTTP/1.1 200 OK\nContent-Length: 9, 8", "HTTP/1.1 200 OK"),
            ("HTTP/1.1 200 OK\nContent-Length: x", "HTTP/1.1 200 OK"),
            (
                "HTTP/1.1 200 OK\nTransfer-Encoding: chunked",
                "HTTP/1.1 200 OK",
            ),
            // RFC 9110 §8.6: never in 1xx and 204.
            ("HTTP/1.1 204 NC\nContent-Length: 0", "HTTP/1.1 204 NC"),
            (
                "HTTP/1.1 103 EH\nContent-Length: 0\nLink: x",
                "HTTP/1.1 103 EH\nLink: x",
            ),
        ],
    );
    let closing = ResponseAs {
        keep_alive: false,
        ..none
    };
    check_response(
        &closing,
        &[
            ("HTTP/1.1 304 NM", "HTTP/1.1 304 NM\nConnection: close"),
            // The final response says what becomes of the connection.
            ("HTTP/1.1 100 C", "HTTP/1.1 100 C"),
        ],
    );
    check_response(
        &none,
        &[(
            "HTTP/1.1 101 SP\nConnection: upgrade\nUpgrade: websocket",
            "HTTP/1.1 101 SP\nUpgrade: websocket\nConnection: Upgrade",
        )],
    );
}

#[test]
fn framing_by_client() {
    use Version::{Http10, Http11};
    let table = [
        (Http11, Framing::None, Framing::None),
        (Http10, Framing::None, Framing::None),
        (Http11, Framing::Length(1), Framing::Length(1)),
        (Http10, Framing::Length(1), Framing::Length(1)),
        (Http11, Framing::Chunked, Framing::Chunked),
        (Http10, Framing::Chunked, Framing::UntilClose),
        (Http11, Framing::UntilClose, Framing::Chunked),
        (Http10, Framing::UntilClose, Framing::UntilClose),
    ];
    for (client, received, expected) in table {
        assert_eq!(
            framing_for(client, received),
            expected,
            "{client:?} {received:?}"
        );
    }
}
