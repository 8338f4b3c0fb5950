//! Forwarding, seen from outside: what an origin receives of a request, what a client receives of a
//! response, and how connections are kept on both sides (RFC 9110 §7, RFC 9112 §3–§9).
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::message::Framing;
use common::origin::{fresh, ok, passing};
use common::{
    Client, Ended, Expected, Gate, Origin, PATIENCE, Proxy, each, send_pattern, wait_until,
};

const MIB: u64 = 1 << 20;

/// What becomes of a request on its way.
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

#[test]
fn via_is_appended_and_a_loop_refused() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("ok"));
    proxy.request(
        "GET",
        &origin.uri("/"),
        "Via: 1.0 fred, 1.1 example.com\r\n",
    );
    let via = origin.last().head.all("via").join(", ");
    let own = via
        .strip_prefix("1.0 fred, 1.1 example.com, ")
        .expect(&via)
        .to_owned();
    assert!(own.starts_with("1.1 "), "{own}");

    let looped = proxy.request(
        "GET",
        &origin.uri("/"),
        &format!("Via: 1.1 other, {own}\r\n"),
    );
    assert_eq!(looped.status, 508, "{}", looped.text());
    assert!(!looped.content.is_empty(), "it says why");
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_last_recipient_answers_itself() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("origin"));
    for method in ["OPTIONS", "TRACE"] {
        let response = proxy.request(method, &origin.uri("/"), "Max-Forwards: 0\r\n");
        assert_ne!(response.text(), "origin", "{method}");
        assert_eq!(
            origin.count(),
            0,
            "{method} with Max-Forwards: 0 (RFC 9110 §7.6.2)"
        );
    }
    let response = proxy.request("GET", &origin.uri("/"), "Max-Forwards: 0\r\n");
    assert_eq!(
        response.text(),
        "origin",
        "Max-Forwards is for OPTIONS and TRACE only"
    );
}

#[test]
fn the_proxy_answers_for_itself() {
    let proxy = Proxy::start("");
    let own = proxy.address();
    let mut client = Client::of(&proxy);
    client.send(format!("GET / HTTP/1.1\r\nHost: {own}\r\n\r\n"));
    let page = client.response("GET");
    assert!(page.status < 500 && !page.content.is_empty(), "{page:?}");
    assert!(
        page.text().to_lowercase().contains("proxy"),
        "{}",
        page.text()
    );

    client.send(format!("GET /nothing/here HTTP/1.1\r\nHost: {own}\r\n\r\n"));
    assert_eq!(client.response("GET").status, 404);

    client.send(format!("OPTIONS * HTTP/1.1\r\nHost: {own}\r\n\r\n"));
    let options = client.response("OPTIONS");
    assert!((200..300).contains(&options.status), "{options:?}");

    client.send(format!("HEAD / HTTP/1.1\r\nHost: {own}\r\n\r\n"));
    assert_eq!(
        client.response("HEAD").status,
        page.status,
        "HEAD is as GET, without content"
    );
    client.send(format!("GET / HTTP/1.1\r\nHost: {own}\r\n\r\n"));
    assert_eq!(client.response("GET").status, page.status);
}

#[test]
fn trailers_pass_both_ways() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTrailer: X-Sum\r\nTransfer-Encoding: \
          chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n"
            .to_vec()
    });
    let mut client = Client::of(&proxy);
    client.send(format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nTE: trailers\r\nTransfer-Encoding: \
         chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Check: yes\r\n\r\n",
        origin.uri("/"),
        origin.authority()
    ));
    let response = client.response("POST");
    assert_eq!(response.framing, Framing::Chunked);
    assert_eq!(response.trailers, [("X-Sum".to_owned(), "42".to_owned())]);
    assert_eq!(
        origin.last().trailers,
        [("X-Check".to_owned(), "yes".to_owned())]
    );
}

/// What becomes of a response on its way.
struct Answered {
    what: &'static str,
    response: &'static str,
    closes: bool,
    with: &'static [&'static str],
    without: &'static [&'static str],
    content: &'static str,
}

const ANSWERED: [Answered; 10] = [
    Answered {
        what: "by length",
        response: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nX-A: 2\r\n\r\nok",
        closes: false,
        with: &["X-A: 1", "X-A: 2", "Content-Length: 2"],
        without: &["transfer-encoding"],
        content: "ok",
    },
    Answered {
        what: "chunked",
        response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        closes: false,
        with: &[],
        without: &["content-length"],
        content: "ok",
    },
    Answered {
        what: "until the origin closes",
        response: "HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nok",
        closes: true,
        with: &["X-A: 1"],
        without: &[],
        content: "ok",
    },
    Answered {
        what: "from a 1.0 origin",
        response: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        closes: true,
        with: &["Content-Length: 2"],
        without: &[],
        content: "ok",
    },
    Answered {
        what: "fields of the connection stop here",
        response: "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: \
                   timeout=9\r\nProxy-Connection: close\r\nUpgrade: h2c\r\nContent-Length: \
                   2\r\n\r\nok",
        closes: true,
        with: &[],
        without: &["x-hop", "keep-alive", "proxy-connection", "upgrade"],
        content: "ok",
    },
    Answered {
        what: "an unknown status and an empty reason",
        response: "HTTP/1.1 299 \r\nContent-Length: 2\r\n\r\nok",
        closes: false,
        with: &[],
        without: &[],
        content: "ok",
    },
    Answered {
        what: "204",
        response: "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
        closes: false,
        with: &["X-A: 1"],
        without: &["content-length", "transfer-encoding"],
        content: "",
    },
    Answered {
        what: "304 to what wasn't stored",
        response: "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 1000\r\n\r\n",
        closes: false,
        with: &["ETag: \"x\""],
        without: &[],
        content: "",
    },
    Answered {
        what: "obs-fold becomes a space (RFC 9112 §5.2)",
        response: "HTTP/1.1 200 OK\r\nX-Fold: a\r\n  b\r\nContent-Length: 2\r\n\r\nok",
        closes: false,
        with: &["X-Fold: a b"],
        without: &[],
        content: "ok",
    },
    Answered {
        what: "the same Content-Length twice in one field (RFC 9110 §8.6)",
        response: "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        closes: false,
        with: &["Content-Length: 2"],
        without: &[],
        content: "ok",
    },
];

#[test]
fn responses_are_forwarded_as_the_rfcs_say() {
    let proxy = Proxy::start("");
    each(&ANSWERED, |row| {
        let what = row.what;
        let origin = Origin::scripted(move |mut conn| {
            while conn.request().is_ok() && conn.send(row.response) && !row.closes {}
        });
        let mut client = Client::of(&proxy);
        // A condition lets a 304 through; twice on one connection shows where each ends.
        for _ in 0..2 {
            client.ask("GET", &origin.uri("/"), "If-None-Match: \"x\"\r\n");
            let response = client.try_response("GET");
            let response = response.unwrap_or_else(|ended| panic!("{what}: {ended:?}"));
            assert_eq!(response.text(), row.content, "{what}");
            assert_eq!(response.version, "HTTP/1.1", "{what}");
            for line in row.with {
                let (name, value) = line.split_once(": ").unwrap();
                // What replaces an obs-fold is any number of spaces.
                let single = |text: &&str| {
                    text.split(' ')
                        .filter(|word| !word.is_empty())
                        .eq(value.split(' '))
                };
                let values = response.head.all(name);
                assert!(
                    values.iter().any(single),
                    "{what}: {:?}",
                    response.head.fields
                );
            }
            for name in row.without {
                let fields = &response.head.fields;
                assert!(!response.head.has(name), "{what}: {name} in {fields:?}");
            }
            assert!(
                response.head.has("via"),
                "{what}: {:?}",
                response.head.fields
            );
            assert!(response.head.has("date"), "{what}: RFC 9110 §6.6.1");
            assert!(response.head.has("cache-status"), "{what}");
            if response.framing == Framing::UntilClose
                || response.head.has_element("connection", "close")
            {
                client = Client::of(&proxy);
            }
        }
    });
}

#[test]
fn head_has_no_content_and_keeps_the_connection() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| match request.method() {
        "HEAD" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n".to_vec(),
        _ => passing("ok"),
    });
    let mut client = Client::of(&proxy);
    for _ in 0..3 {
        let head = client.request("HEAD", &origin.uri("/h"), "");
        assert_eq!(
            (head.status, head.first("content-length")),
            (200, Some("100"))
        );
        assert_eq!(client.get(&origin.uri("/g")).text(), "ok");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn http_1_0_clients_get_what_they_understand() {
    let proxy = Proxy::start("");
    let chunked = Origin::answering(|_| {
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: \
          chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n"
            .to_vec()
    });
    let mut client = Client::of(&proxy);
    client.send(format!("GET {} HTTP/1.0\r\n\r\n", chunked.uri("/")));
    let response = client.response("GET");
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    assert_ne!(response.framing, Framing::Chunked, "RFC 9112 §6.1");
    let (rest, end) = client.rest();
    assert_eq!(
        (rest.as_slice(), end),
        (b"".as_slice(), Ended::Closed),
        "1.0 doesn't persist unasked"
    );

    let origin = Origin::answering(|_| passing("ok"));
    let mut client = Client::of(&proxy);
    for _ in 0..2 {
        client.send(format!(
            "GET {} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            origin.uri("/")
        ));
        let response = client.response("GET");
        assert_eq!(response.text(), "ok");
        if !response.head.has_element("connection", "keep-alive") {
            // Closing is allowed too, and then it must close.
            assert_eq!(client.rest().1, Ended::Closed);
            client = Client::of(&proxy);
        }
    }
}

#[test]
fn expect_100_continue_goes_to_the_origin_and_back() {
    let proxy = Proxy::start("");
    let origin = Origin::scripted(|mut conn| {
        while let Ok(head) = conn.head() {
            if head.line.contains("/refuse") {
                conn.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
                return;
            }
            conn.send("HTTP/1.1 100 Continue\r\n\r\n");
            let content = conn.wire.exactly(5).unwrap();
            conn.send(passing(content));
        }
    });
    let head = |path: &str| {
        format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
            origin.uri(path),
            origin.authority()
        )
    };
    let mut client = Client::of(&proxy);
    client.send(head("/take"));
    assert_eq!(client.response("POST").status, 100);
    client.send("hello");
    let response = client.response("POST");
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
    assert!(origin.last().head.has_element("expect", "100-continue"));

    let mut client = Client::of(&proxy);
    client.send(head("/refuse"));
    assert_eq!(client.response("POST").status, 417, "before any content");
}

#[test]
fn content_that_does_not_wait_for_100_continue_passes_too() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| passing(&request.content));
    let mut client = Client::of(&proxy);
    client.send(format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        origin.uri("/"),
        origin.authority()
    ));
    let mut response = client.response("POST");
    if response.status == 100 {
        response = client.response("POST");
    }
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
}

#[test]
fn interim_responses_pass() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = Origin::gated(&gate, move |conn, _, gate| {
        conn.send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n");
        gate.wait();
        conn.send("HTTP/1.1 102 Processing\r\n\r\n");
        conn.send(fresh("done"));
    });
    let mut client = Client::of(&proxy);
    client.ask("GET", &origin.uri("/"), "");
    let hints = client.response("GET");
    assert_eq!(
        (hints.status, hints.first("link")),
        (103, Some("</style.css>"))
    );
    gate.open();
    assert_eq!(client.response("GET").status, 102);
    assert_eq!(client.response("GET").text(), "done");
    let hit = client.get(&origin.uri("/"));
    assert_eq!(
        (hit.text().as_str(), hit.is_hit()),
        ("done", true),
        "{:?}",
        hit.head.fields
    );
}

#[test]
fn origin_connections_persist_and_are_shared() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| match request.target() {
        "/close" => ok("Cache-Control: no-store\r\nConnection: close\r\n", "x"),
        _ => passing("x"),
    });
    let mut client = Client::of(&proxy);
    for _ in 0..20 {
        client.get(&origin.uri("/"));
    }
    for _ in 0..20 {
        proxy.get(&origin.uri("/"));
    }
    assert_eq!(
        origin.connections(),
        1,
        "one after another needs one connection"
    );
    proxy.get(&origin.uri("/close"));
    proxy.get(&origin.uri("/"));
    assert_eq!(origin.connections(), 2, "Connection: close is respected");
}

#[test]
fn a_pooled_connection_that_the_origin_closed_is_not_used() {
    let proxy = Proxy::start("");
    let (closed, origin) = {
        let closed = Gate::new();
        let origin = Origin::scripted({
            let closed = closed.clone();
            move |mut conn| {
                if conn.request().is_ok() {
                    conn.send(passing("ok"));
                }
                drop(conn);
                closed.open();
            }
        });
        (closed, origin)
    };
    let post = |client: &mut Client| {
        client.send(format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\n\r\nhi",
            origin.uri("/"),
            origin.authority()
        ));
        client.response("POST")
    };
    let mut client = Client::of(&proxy);
    for _ in 0..5 {
        assert_eq!(post(&mut client).status, 200);
        closed.wait();
    }
    assert_eq!(origin.count(), 5);
}

#[test]
fn a_stale_pooled_connection_is_retried_for_safe_methods_only() {
    // The first connection answers once and then closes on whatever comes: too late to have seen it.
    let stale = || {
        Origin::scripted(|mut conn| {
            let first = conn.number == 0;
            let mut answered = false;
            while conn.request().is_ok() {
                if first && answered {
                    return;
                }
                answered = true;
                conn.send(passing("ok"));
            }
        })
    };
    let proxy = Proxy::start("");
    let rows = [
        ("GET", "", 3),
        ("HEAD", "", 3),
        ("POST", "hi", 2),
        ("PATCH", "hi", 2),
    ];
    for (method, content, asked) in rows {
        let origin = stale();
        assert_eq!(proxy.get(&origin.uri("/")).status, 200);
        let mut client = Client::of(&proxy);
        let length = match content.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        let (uri, authority) = (origin.uri("/"), origin.authority());
        client.send(format!(
            "{method} {uri} HTTP/1.1\r\nHost: {authority}\r\n{length}\r\n{content}"
        ));
        // The origin's answer to HEAD has content; a client would close, and so does this one.
        let status = client.response_head(method).status;
        // What may not be repeated goes over a new connection, or fails.
        let failed = status == 502 && asked == 2;
        assert!(status == 200 || failed, "{method}: {status}");
        assert_eq!(origin.count(), asked, "{method}: {:?}", origin.requests());
    }
}

#[test]
fn a_new_connection_that_closes_without_an_answer_is_502() {
    let proxy = Proxy::start("");
    let origin = Origin::scripted(|mut conn| {
        let _ = conn.request();
    });
    assert_eq!(proxy.get(&origin.uri("/")).status, 502);
    assert!(origin.count() <= 2, "{} attempts", origin.count());
}

/// A method, and a response that is followed by another that nobody asked for.
const TOO_MUCH: [(&str, &str); 6] = [
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    (
        "GET",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ),
    ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
    (
        "GET",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
    ),
    ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
    ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
];

#[test]
fn what_an_origin_sends_too_much_is_nobodys_answer() {
    let proxy = Proxy::start("");
    each(TOO_MUCH, |(method, first)| {
        let origin = Origin::answering(move |request| match request.target() {
            "/first" => {
                let evil =
                    "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nevil";
                [first, evil].concat().into_bytes()
            }
            _ => passing("good"),
        });
        let mut client = Client::of(&proxy);
        client.request(method, &origin.uri("/first"), "If-None-Match: \"x\"\r\n");
        for _ in 0..3 {
            assert_eq!(
                client.get(&origin.uri("/second")).text(),
                "good",
                "{method} {first:?}"
            );
        }
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = Origin::gated(&gate, move |conn, request, gate| {
        let path = request.target().to_owned();
        if path == "/slow" {
            gate.wait();
        }
        let bytes = if path.starts_with("/hit") {
            fresh(&path)
        } else {
            passing(&path)
        };
        conn.send(bytes);
    });
    let mut client = Client::of(&proxy);
    for number in 0..8 {
        client.get(&origin.uri(&format!("/hit/{number}")));
    }
    // The first is the slowest; the others are half hits, half misses.
    let mut paths = vec!["/slow".to_owned()];
    paths.extend((0..15).map(|number| match number % 2 {
        0 => format!("/hit/{}", number / 2),
        _ => format!("/miss/{number}"),
    }));
    let (uri, authority) = (origin.uri(""), origin.authority());
    let requests = paths
        .iter()
        .map(|path| format!("GET {uri}{path} HTTP/1.1\r\nHost: {authority}\r\n\r\n"))
        .collect::<Vec<_>>()
        .concat();
    client.send(&requests);
    origin.wait_for(9);
    gate.open();
    for path in &paths {
        let response = client.response("GET");
        assert_eq!(&response.text(), path);
        assert_eq!(
            response.is_hit(),
            path.starts_with("/hit"),
            "{path}: {:?}",
            response.head.fields
        );
    }
}

#[test]
fn a_deep_pipeline_of_hits_is_answered_whole() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh("content"));
    let mut client = Client::of(&proxy);
    client.get(&origin.uri("/"));
    let one = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n",
        origin.uri("/"),
        origin.authority()
    );
    let writer = std::thread::spawn({
        let mut writer = client.wire.writer();
        let requests = one.repeat(1000);
        move || std::io::Write::write_all(&mut writer, requests.as_bytes())
    });
    for number in 0..1000 {
        assert_eq!(client.response("GET").text(), "content", "{number}");
    }
    writer.join().unwrap().unwrap();
    assert_eq!(origin.count(), 1);
}

#[test]
fn pipelined_content_is_not_a_request() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| passing(&request.content));
    let (uri, authority) = (origin.uri("/"), origin.authority());
    let inner = format!("GET {uri}smuggled HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    let mut client = Client::of(&proxy);
    client.send(format!(
        "POST {uri} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {}\r\n\r\n{inner}POST {uri} \
         HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n0\r\n\r\nGET \
         {uri}last HTTP/1.1\r\nHost: {authority}\r\n\r\n",
        inner.len(),
        inner.len()
    ));
    assert_eq!(client.response("POST").text(), inner);
    assert_eq!(client.response("POST").text(), inner);
    assert_eq!(client.response("GET").text(), "");
    let targets: Vec<String> = origin
        .requests()
        .iter()
        .map(|r| r.target().to_owned())
        .collect();
    assert_eq!(targets, ["/", "/", "/last"]);
}

#[test]
fn a_client_that_half_closes_gets_its_answer() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = Origin::scripted({
        let gate = gate.clone();
        move |mut conn| {
            let _ = conn.request();
            gate.wait();
            conn.send(passing("late"));
            conn.hold();
        }
    });
    let mut client = Client::of(&proxy);
    client.ask("GET", &origin.uri("/"), "");
    client.wire.half_close();
    origin.wait_for(1);
    gate.open();
    assert_eq!(client.response("GET").text(), "late");
    assert_eq!(client.rest().1, Ended::Closed);
}

#[test]
fn connection_close_of_a_client_is_respected() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("ok"));
    let mut client = Client::of(&proxy);
    let response = client.request("GET", &origin.uri("/"), "Connection: close\r\n");
    assert!(
        response.head.has_element("connection", "close"),
        "{:?}",
        response.head.fields
    );
    assert_eq!(client.rest(), (Vec::new(), Ended::Closed));
    proxy.get(&origin.uri("/"));
    assert_eq!(
        origin.connections(),
        1,
        "it is the client's connection that ends"
    );
}

#[test]
fn an_early_answer_to_unfinished_content_reaches_the_client() {
    let proxy = Proxy::start("");
    let origin = Origin::scripted(|mut conn| {
        let _ = conn.head();
        conn.send(
            "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig",
        );
        conn.hold();
    });
    let mut client = Client::of(&proxy);
    let (uri, authority) = (origin.uri("/"), origin.authority());
    client.send(format!(
        "POST {uri} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 1000000\r\n\r\nbegin"
    ));
    let response = client.response("POST");
    assert_eq!((response.status, response.text().as_str()), (413, "big"));
    // What follows can't be told from content, so nothing after it may be taken for a request.
    client.send(format!(
        "GET {uri}smuggled HTTP/1.1\r\nHost: {authority}\r\n\r\n"
    ));
    assert!(client.rest().1.is_over());
    assert_eq!(origin.count_of("/smuggled"), 0);
}

#[test]
fn long_contents_pass_down_in_bounded_memory() {
    let proxy = Proxy::start("");
    const LONG: u64 = 200 * MIB;
    let origin = Origin::scripted(|mut conn| {
        while let Ok(request) = conn.request() {
            let chunked = request.target() == "/chunked";
            let framing = if chunked {
                "Transfer-Encoding: chunked".to_owned()
            } else {
                format!("Content-Length: {LONG}")
            };
            conn.send(format!(
                "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n{framing}\r\n\r\n"
            ));
            send_pattern(
                &mut |piece| {
                    if !chunked {
                        return conn.send(piece);
                    }
                    let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
                    chunk.extend_from_slice(piece);
                    chunk.extend_from_slice(b"\r\n");
                    conn.send(chunk)
                },
                LONG,
            );
            if chunked {
                conn.send("0\r\n\r\n");
            }
        }
    });
    let mut client = Client::of(&proxy);
    for path in ["/length", "/chunked"] {
        client.ask("GET", &origin.uri(path), "");
        let head = client.response_head("GET");
        let mut expected = Expected::new();
        client
            .content(head.framing, &mut |piece| expected.take(piece))
            .unwrap();
        assert_eq!(expected.seen(), LONG, "{path}");
    }
    let peak = proxy.worker_peak();
    assert!(peak < 64 * MIB, "a worker used {} MiB", peak / MIB);
}

#[test]
fn long_contents_pass_up_in_bounded_memory() {
    let proxy = Proxy::start("");
    const LONG: u64 = 200 * MIB;
    let origin = Origin::scripted(|mut conn| {
        while let Ok(head) = conn.head() {
            let framing = Framing::of_request(&head).unwrap();
            let mut expected = Expected::new();
            let read = common::message::read_content(&mut conn.wire, framing, &mut |piece| {
                expected.take(piece);
            });
            if read.is_ok() {
                conn.send(passing(expected.seen().to_string()));
            }
        }
    });
    let mut client = Client::of(&proxy);
    let (uri, authority) = (origin.uri("/"), origin.authority());
    client.send(format!(
        "PUT {uri} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {LONG}\r\n\r\n"
    ));
    send_pattern(&mut |piece| client.wire.send(piece).is_ok(), LONG);
    assert_eq!(client.response("PUT").text(), LONG.to_string());
    let peak = proxy.worker_peak();
    assert!(peak < 64 * MIB, "a worker used {} MiB", peak / MIB);
}

#[test]
fn a_client_that_does_not_read_costs_no_memory() {
    let proxy = Proxy::start("");
    const LONG: u64 = 100 * MIB;
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let origin = Origin::scripted({
        let sent = sent.clone();
        move |mut conn| {
            if conn.request().is_err() {
                return;
            }
            conn.send(format!(
                "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: {LONG}\r\n\r\n"
            ));
            send_pattern(
                &mut |piece| {
                    sent.fetch_add(piece.len() as u64, std::sync::atomic::Ordering::SeqCst);
                    conn.send(piece)
                },
                LONG,
            );
            conn.hold();
        }
    });
    let mut client = Client::of(&proxy);
    client.ask("GET", &origin.uri("/"), "");
    let head = client.response_head("GET");
    let now = || sent.load(std::sync::atomic::Ordering::SeqCst);
    let mut last = (now(), std::time::Instant::now());
    wait_until("the origin is held back", PATIENCE, || {
        if now() != last.0 {
            last = (now(), std::time::Instant::now());
        }
        last.1.elapsed() > Duration::from_millis(300)
    });
    assert!(now() < LONG, "everything was taken from the origin");
    let peak = proxy.worker_peak();
    assert!(peak < 64 * MIB, "a worker used {} MiB", peak / MIB);
    let mut expected = Expected::new();
    client
        .content(head.framing, &mut |piece| expected.take(piece))
        .unwrap();
    assert_eq!(expected.seen(), LONG);
}

#[test]
fn what_follows_a_closing_request_is_not_answered() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| passing(request.target()));
    let (uri, authority) = (origin.uri(""), origin.authority());
    let mut client = Client::of(&proxy);
    client.send(format!(
        "GET {uri}/one HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\nGET {uri}/two \
         HTTP/1.1\r\nHost: {authority}\r\n\r\n"
    ));
    assert_eq!(client.response("GET").text(), "/one");
    let (rest, end) = client.rest();
    assert!(
        rest.is_empty() && end.is_over(),
        "{end:?}: {}",
        String::from_utf8_lossy(&rest)
    );
    assert_eq!(origin.count_of("/two"), 0);
}

#[test]
fn trailers_that_would_frame_or_route_are_dropped() {
    // RFC 9110 §6.5.1: framing, routing and authentication aren't for trailers.
    let proxy = Proxy::start("");
    let forbidden =
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: x\r\nConnection: close\r\n";
    let origin = Origin::answering(move |_| {
        format!(
            "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: \
             chunked\r\n\r\n1\r\na\r\n0\r\n{forbidden}X-Sum: 1\r\n\r\n"
        )
        .into_bytes()
    });
    let mut client = Client::of(&proxy);
    client.send(format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nTE: trailers\r\nTransfer-Encoding: \
         chunked\r\n\r\n1\r\na\r\n0\r\n{forbidden}X-Sum: 1\r\n\r\n",
        origin.uri("/"),
        origin.authority()
    ));
    let response = client.response("POST");
    for trailers in [response.trailers, origin.last().trailers] {
        for (name, _) in &trailers {
            assert!(name.eq_ignore_ascii_case("x-sum"), "{trailers:?}");
        }
    }
}

#[test]
fn ipv6_literals_are_hosts() {
    let proxy = Proxy::start("");
    let listener = std::net::TcpListener::bind("[::1]:0").unwrap();
    let origin = Origin::on(listener, |mut conn| {
        while conn.request().is_ok() && conn.send(passing("six")) {}
    });
    let authority = origin.authority();
    assert_eq!(proxy.get(&origin.uri("/")).text(), "six");
    assert_eq!(origin.last().head.all("host"), [authority]);
}

#[test]
fn names_resolve_and_both_address_families_are_tried() {
    // The name has an IPv6 address on most machines, where nothing listens.
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("ok"));
    let port = origin.address().port();
    let response = proxy.get(&format!("http://localhost:{port}/"));
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    assert_eq!(
        origin.last().head.all("host"),
        [format!("localhost:{port}")]
    );
}
