//! A request as the origin server gets it: its target, fields and content, trailers and Via.

use crate::common::origin::passing;
use crate::common::{Client, Origin, Proxy, each};

/// A request's change on its way.
struct Forwarded {
    what: &'static str,
    /// As sent; `{a}` is the origin's authority.
    request: &'static str,
    /// The request line that the origin gets.
    line: &'static str,
    /// Field lines that it gets.
    with: &'static [&'static str],
    /// Fields that it doesn't get.
    without: &'static [&'static str],
    /// The content that it gets.
    content: &'static str,
}

const PLAIN: Forwarded = Forwarded {
    what: "",
    request: "",
    line: "GET / HTTP/1.1",
    with: &[],
    without: &[],
    content: "",
};

const FORWARDED: [Forwarded; 24] = [
    Forwarded {
        what: "absolute-form becomes origin-form",
        request: "GET http://{a}/a/b?c=d&e=/f HTTP/1.1\r\nHost: {a}\r\n\r\n",
        line: "GET /a/b?c=d&e=/f HTTP/1.1",
        with: &["Host: {a}"],
        ..PLAIN
    },
    Forwarded {
        what: "an empty path becomes /",
        request: "GET http://{a} HTTP/1.1\r\nHost: {a}\r\n\r\n",
        ..PLAIN
    },
    Forwarded {
        what: "an empty path with a query",
        request: "GET http://{a}?q=1 HTTP/1.1\r\nHost: {a}\r\n\r\n",
        line: "GET /?q=1 HTTP/1.1",
        ..PLAIN
    },
    Forwarded {
        what: "escapes and dot segments are the origin's business",
        request: "GET http://{a}/%7ea/../b//c%2f HTTP/1.1\r\nHost: {a}\r\n\r\n",
        line: "GET /%7ea/../b//c%2f HTTP/1.1",
        ..PLAIN
    },
    Forwarded {
        what: "the scheme in capitals",
        request: "GET HTTP://{a}/x HTTP/1.1\r\nHost: {a}\r\n\r\n",
        line: "GET /x HTTP/1.1",
        ..PLAIN
    },
    Forwarded {
        what: "1.0 without Host: Host comes from the target URI",
        request: "GET http://{a}/x HTTP/1.0\r\n\r\n",
        line: "GET /x HTTP/1.1",
        with: &["Host: {a}"],
        ..PLAIN
    },
    Forwarded {
        what: "userinfo isn't sent",
        request: "GET http://user:secret@{a}/x HTTP/1.1\r\nHost: {a}\r\n\r\n",
        line: "GET /x HTTP/1.1",
        with: &["Host: {a}"],
        without: &["authorization"],
        ..PLAIN
    },
    Forwarded {
        what: "an empty line before the request line",
        request: "\r\nGET http://{a}/x HTTP/1.1\r\nHost: {a}\r\n\r\n",
        line: "GET /x HTTP/1.1",
        ..PLAIN
    },
    Forwarded {
        what: "fields of the connection stop here",
        request: "GET http://{a}/ HTTP/1.1\r\nHost: {a}\r\nConnection: keep-alive\r\nKeep-Alive: \
                  timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nUpgrade: \
                  h2c\r\nProxy-Authorization: Basic eDp5\r\n\r\n",
        without: &[
            "keep-alive",
            "proxy-connection",
            "te",
            "upgrade",
            "proxy-authorization",
        ],
        ..PLAIN
    },
    Forwarded {
        what: "fields named in Connection stop here",
        request: "GET http://{a}/ HTTP/1.1\r\nHost: {a}\r\nConnection: close, X-One\r\nX-One: \
                  1\r\nConnection: x-TWO\r\nX-Two: 2\r\nX-Three: 3\r\n\r\n",
        with: &["X-Three: 3"],
        without: &["x-one", "x-two"],
        ..PLAIN
    },
    Forwarded {
        what: "Connection can't take Host away",
        request: "GET http://{a}/ HTTP/1.1\r\nHost: {a}\r\nConnection: host\r\n\r\n",
        with: &["Host: {a}"],
        ..PLAIN
    },
    Forwarded {
        what: "Connection can't take the framing away",
        request: "POST http://{a}/ HTTP/1.1\r\nHost: {a}\r\nConnection: \
                  content-length\r\nContent-Length: 3\r\n\r\nabc",
        line: "POST / HTTP/1.1",
        with: &["Content-Length: 3"],
        content: "abc",
        ..PLAIN
    },
    Forwarded {
        what: "end-to-end fields pass unchanged, in order",
        request: "GET http://{a}/ HTTP/1.1\r\nHost: {a}\r\nX-Custom:  two  words \r\nAccept: \
                  a/b\r\nAccept: c/d\r\nx-empty:\r\nAuthorization: Basic eDp5\r\n\r\n",
        with: &[
            "X-Custom: two  words",
            "Accept: a/b",
            "Accept: c/d",
            "x-empty: ",
            "Authorization: Basic eDp5",
        ],
        ..PLAIN
    },
    Forwarded {
        what: "content by length",
        request: "POST http://{a}/ HTTP/1.1\r\nHost: {a}\r\nContent-Length: 5\r\n\r\nhello",
        line: "POST / HTTP/1.1",
        with: &["Content-Length: 5"],
        without: &["transfer-encoding"],
        content: "hello",
    },
    Forwarded {
        what: "empty content by length",
        request: "PUT http://{a}/ HTTP/1.1\r\nHost: {a}\r\nContent-Length: 0\r\n\r\n",
        line: "PUT / HTTP/1.1",
        with: &["Content-Length: 0"],
        ..PLAIN
    },
    Forwarded {
        what: "chunked content is framed anew",
        request: "POST http://{a}/ HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: \
                  chunked\r\n\r\n2;x=\"y\"\r\nhe\r\n0003\r\nllo\r\n0\r\n\r\n",
        line: "POST / HTTP/1.1",
        with: &["Transfer-Encoding: chunked"],
        without: &["content-length"],
        content: "hello",
    },
    Forwarded {
        what: "the coding's name in capitals",
        request: "POST http://{a}/ HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: \
                  Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
        line: "POST / HTTP/1.1",
        content: "0123456789",
        ..PLAIN
    },
    Forwarded {
        what: "content of a GET",
        request: "GET http://{a}/ HTTP/1.1\r\nHost: {a}\r\nContent-Length: 2\r\n\r\nok",
        content: "ok",
        ..PLAIN
    },
    Forwarded {
        what: "any method that is a token",
        request: "M-SEARCH http://{a}/x HTTP/1.1\r\nHost: {a}\r\n\r\n",
        line: "M-SEARCH /x HTTP/1.1",
        ..PLAIN
    },
    Forwarded {
        what: "methods are case-sensitive",
        request: "get http://{a}/x HTTP/1.1\r\nHost: {a}\r\n\r\n",
        line: "get /x HTTP/1.1",
        ..PLAIN
    },
    Forwarded {
        what: "OPTIONS of a resource",
        request: "OPTIONS http://{a}/x HTTP/1.1\r\nHost: {a}\r\n\r\n",
        line: "OPTIONS /x HTTP/1.1",
        ..PLAIN
    },
    Forwarded {
        what: "OPTIONS with an empty path becomes asterisk-form (RFC 9112 §3.2.4)",
        request: "OPTIONS http://{a} HTTP/1.1\r\nHost: {a}\r\n\r\n",
        line: "OPTIONS * HTTP/1.1",
        with: &["Host: {a}"],
        ..PLAIN
    },
    Forwarded {
        what: "Max-Forwards of OPTIONS counts down (RFC 9110 §7.6.2)",
        request: "OPTIONS http://{a}/ HTTP/1.1\r\nHost: {a}\r\nMax-Forwards: 3\r\n\r\n",
        line: "OPTIONS / HTTP/1.1",
        with: &["Max-Forwards: 2"],
        ..PLAIN
    },
    Forwarded {
        what: "a future minor version is 1.1 to the origin",
        request: "GET http://{a}/ HTTP/1.9\r\nHost: {a}\r\n\r\n",
        ..PLAIN
    },
];

#[test]
fn requests_are_forwarded_as_the_rfcs_say() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("ok"));
    each(&FORWARDED, |row| {
        let what = row.what;
        let here = |text: &str| text.replace("{a}", &origin.authority());
        let before = origin.count();
        let mut client = Client::of(&proxy);
        client.send(here(row.request));
        let response = client.try_response(row.request.split(' ').next().unwrap());
        let response = response.unwrap_or_else(|ended| panic!("{what}: {ended:?}"));
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "ok"),
            "{what}"
        );
        assert_eq!(origin.count(), before + 1, "{what}: asked once");
        let received = origin.last();
        assert_eq!(received.head.line, row.line, "{what}");
        assert_eq!(received.content, row.content.as_bytes(), "{what}");
        for line in row.with {
            let line = here(line);
            let (name, value) = line.split_once(": ").unwrap();
            assert!(
                received.head.all(name).contains(&value),
                "{what}: no {line:?} in {:?}",
                received.head.fields
            );
        }
        for name in row.without {
            assert!(
                !received.head.has(name),
                "{what}: {name} in {:?}",
                received.head.fields
            );
        }
        assert_eq!(received.head.all("host").len(), 1, "{what}: one Host");
        let via = received.head.all("via").join(", ");
        let version = if row.request.contains("HTTP/1.0") {
            "1.0 "
        } else {
            "1."
        };
        assert!(via.starts_with(version), "{what}: Via is {via:?}");
    });
}
