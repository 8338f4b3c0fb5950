//! Clients that leave: where nothing is being kept, the origin server's connection is closed at once.

use std::time::{Duration, Instant};

use crate::common::{Client, Conn, Gate, Origin, Proxy, TIMEOUT, each};

/// The longest that an origin may have to wait for it.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Says these, and opens the gate when the proxy ends the connection.
fn telling(says: &'static str, gone: &Gate) -> Origin {
    let gone = gone.clone();
    Origin::scripted(move |mut conn: Conn| {
        let _ = conn.head();
        conn.send(says);
        conn.wire.allow(TIMEOUT);
        if conn.wire.rest().1.is_over() {
            gone.open();
        }
    })
}

#[test]
fn a_client_that_leaves_is_heard_of_at_the_origin_at_once() {
    let proxy = Proxy::start("");
    let get = "GET {u} HTTP/1.1\r\nHost: {a}\r\n\r\n";
    let half = "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 10\r\n\r\nhalf";
    let post = "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 4\r\n\r\nhalf";
    let chunked =
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let old = "GET {u} HTTP/1.0\r\n\r\n";
    let connect = "CONNECT {a} HTTP/1.1\r\nHost: {a}\r\n\r\nhello\r\n\r\n";
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n";
    let events = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
                  Transfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n";
    let until_close = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n\r\none\n";
    let rows = [
        ("awaiting a head", get, "", ""),
        ("after an interim response", get, hints, "103"),
        ("a silent stream", get, events, "one\n"),
        ("a silent stream until close", get, until_close, "one\n"),
        ("a silent stream, HTTP/1.0", old, events, "one\n"),
        ("an upload", half, "", ""),
        ("a chunked upload", chunked, "", ""),
        ("an upload with a response", half, events, "one\n"),
        ("a chunked upload with a response", chunked, events, "one\n"),
        ("an upload after an interim response", half, hints, "103"),
        ("after an upload", post, "", ""),
        ("after an upload, amid a response", post, events, "one\n"),
        ("a tunnel", connect, "bytes", "bytes"),
    ];
    let rows = rows.map(|row| [(row, true), (row, false)]);
    each(rows.concat(), |((what, request, says, seen), reset)| {
        let gone = Gate::new();
        let origin = telling(says, &gone);
        let proxy = match what {
            "a tunnel" => {
                &Proxy::start(&format!("connect_ports = [{}]\n", origin.address().port()))
            }
            _ => &proxy,
        };
        let mut client = Client::of(proxy);
        let request = request.replace("{u}", &origin.uri("/"));
        client.send(request.replace("{a}", &origin.authority()));
        origin.wait_for(1);
        if !seen.is_empty() {
            client.wire.allow(TIMEOUT);
            client.wire.until(seen.as_bytes()).unwrap();
        }
        let left = Instant::now();
        match reset {
            true => client.wire.reset(),
            false => drop(client),
        }
        gone.wait();
        let took = left.elapsed();
        assert!(took < AT_ONCE, "{what}, reset {reset}: {took:?}");
    });
}

#[test]
fn a_client_of_1_0_that_leaves_before_a_head_is_given_up() {
    let proxy = Proxy::start("");
    let gone = Gate::new();
    let origin = telling("", &gone);
    let mut client = Client::of(&proxy);
    client.send(format!("GET {} HTTP/1.0\r\n\r\n", origin.uri("/")));
    origin.wait_for(1);
    drop(client);
    gone.wait();
}
