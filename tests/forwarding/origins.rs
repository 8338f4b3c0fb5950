//! Connections to origin servers: shared, checked before they are used again, retried only where that is safe; and how
//! an address is found.

use crate::common::origin::{ok, passing};
use crate::common::{Client, Gate, Origin, Proxy, each};

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
