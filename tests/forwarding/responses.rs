//! A response as a client gets it: its fields and content, without what belonged to the connection.

use crate::common::message::Framing;
use crate::common::origin::passing;
use crate::common::{Client, Ended, Origin, Proxy, each};

/// A response's change on its way.
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
