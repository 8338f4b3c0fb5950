//! Tunnels, seen from outside: CONNECT and Upgrade (RFC 9110 §7.8, §9.3.6).
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::origin::passing;
use common::{Client, Conn, Ended, Expected, Origin, Proxy, TIMEOUT, send_pattern};

/// Sends back what comes, and closes after the peer did.
fn echo(mut conn: Conn) {
    loop {
        conn.wire.allow(TIMEOUT * 4);
        match conn.wire.some(64 * 1024) {
            Ok(bytes) => {
                if !conn.send(bytes) {
                    return;
                }
            }
            Err(ended) => {
                if ended == Ended::Closed {
                    conn.send("bye");
                }
                return;
            }
        }
    }
}

fn allowing(origin: &Origin) -> String {
    format!("connect_ports = [{}]\n", origin.address().port())
}

#[track_caller]
fn connected(proxy: &Proxy, origin: &Origin) -> Client {
    let mut client = Client::of(proxy);
    let authority = origin.authority();
    client.send(format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"
    ));
    let response = client.response("CONNECT");
    assert_eq!(response.status, 200, "{response:?}");
    client
}

#[test]
fn connect_makes_a_tunnel_with_half_close() {
    let origin = Origin::scripted(echo);
    let proxy = Proxy::start(&allowing(&origin));
    let mut client = connected(&proxy, &origin);
    for text in ["hello", "\0\r\n\r\n\x16\x03\x01"] {
        client.send(text);
        assert_eq!(client.wire.exactly(text.len()).unwrap(), text.as_bytes());
    }
    client.wire.half_close();
    assert_eq!(
        client.rest(),
        (b"bye".to_vec(), Ended::Closed),
        "the other direction stays open"
    );
}

#[test]
fn an_origin_that_closes_its_half_still_reads() {
    let heard = common::Gate::new();
    let origin = Origin::scripted({
        let heard = heard.clone();
        move |mut conn| {
            conn.send("first");
            conn.wire.half_close();
            if conn.wire.exactly(6) == Ok(b"second".to_vec()) {
                heard.open();
            }
            conn.hold();
        }
    });
    let proxy = Proxy::start(&allowing(&origin));
    let mut client = connected(&proxy, &origin);
    assert_eq!(client.rest(), (b"first".to_vec(), Ended::Closed));
    client.send("second");
    heard.wait();
}

#[test]
fn bytes_that_come_with_the_head_enter_the_tunnel() {
    let origin = Origin::scripted(echo);
    let proxy = Proxy::start(&allowing(&origin));
    let mut client = Client::of(&proxy);
    let authority = origin.authority();
    client.send(format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\nearly"
    ));
    assert_eq!(client.response("CONNECT").status, 200);
    assert_eq!(client.wire.exactly(5).unwrap(), b"early");
}

#[test]
fn the_host_field_of_a_connect_makes_no_difference() {
    let origin = Origin::scripted(echo);
    let proxy = Proxy::start(&allowing(&origin));
    for host in ["", "Host:\r\n", "Host: other.example:1\r\n", "Host: h\r\n"] {
        for version in ["1.1", "1.0"] {
            let mut client = Client::of(&proxy);
            let authority = origin.authority();
            client.send(format!("CONNECT {authority} HTTP/{version}\r\n{host}\r\n"));
            assert_eq!(client.response("CONNECT").status, 200, "{host}");
            client.send("hello");
            assert_eq!(client.wire.exactly(5).unwrap(), b"hello");
        }
    }
}

#[test]
fn an_origin_that_speaks_first_is_heard() {
    let origin = Origin::scripted(|mut conn| {
        conn.send("220 ready");
        conn.hold();
    });
    let proxy = Proxy::start(&allowing(&origin));
    let mut client = connected(&proxy, &origin);
    assert_eq!(client.wire.exactly(9).unwrap(), b"220 ready");
}

#[test]
fn much_data_passes_both_ways_at_once() {
    const LONG: u64 = 48 << 20;
    let origin = Origin::scripted(echo);
    let proxy = Proxy::start(&allowing(&origin));
    let mut client = connected(&proxy, &origin);
    let mut writer = client.wire.writer();
    let sending = std::thread::spawn(move || {
        send_pattern(
            &mut |piece| std::io::Write::write_all(&mut writer, piece).is_ok(),
            LONG,
        );
    });
    let mut expected = Expected::new();
    client
        .content(common::message::Framing::Length(LONG), &mut |piece| {
            expected.take(piece)
        })
        .unwrap();
    sending.join().unwrap();
    assert_eq!(expected.seen(), LONG);
    client.wire.half_close();
    assert_eq!(client.rest(), (b"bye".to_vec(), Ended::Closed));
    let peak = proxy.worker_peak();
    assert!(peak < 64 << 20, "a worker used {} MiB", peak >> 20);
}

#[test]
fn a_client_that_resets_ends_the_tunnel() {
    let ended = common::Gate::new();
    let origin = Origin::scripted({
        let ended = ended.clone();
        move |mut conn| {
            conn.send("x");
            conn.hold();
            ended.open();
        }
    });
    let proxy = Proxy::start(&allowing(&origin));
    let mut client = connected(&proxy, &origin);
    client.wire.exactly(1).unwrap();
    client.wire.reset();
    ended.wait();
}

#[test]
fn an_origin_that_resets_ends_the_tunnel() {
    let origin = Origin::scripted(|mut conn| {
        let _ = conn.wire.exactly(1);
        conn.reset();
    });
    let proxy = Proxy::start(&allowing(&origin));
    let mut client = connected(&proxy, &origin);
    client.send("x");
    assert!(client.rest().1.is_over());
}

#[test]
fn a_silent_tunnel_ends_in_time() {
    let origin = Origin::scripted(echo);
    let config = format!("{}[timeouts]\ntunnel_idle = \"1s\"\n", allowing(&origin));
    let proxy = Proxy::start(&config);
    let mut client = connected(&proxy, &origin);
    client.send("x");
    assert_eq!(client.wire.exactly(1).unwrap(), b"x");
    let (_, end) = client.rest();
    assert!(end.is_over(), "{end:?}");
}

/// CONNECT requests that make no tunnel: `{a}` is an origin whose port isn't allowed, `{dead}` an
/// authority with an allowed port where nothing listens.
const REFUSED: [(&str, &str, &[u16]); 11] = [
    (
        "a port that isn't allowed",
        "CONNECT {a} HTTP/1.1\r\nHost: {a}\r\n\r\n",
        &[403],
    ),
    (
        "port 25",
        "CONNECT 127.0.0.1:25 HTTP/1.1\r\nHost: 127.0.0.1:25\r\n\r\n",
        &[403],
    ),
    (
        "nobody listens",
        "CONNECT {dead} HTTP/1.1\r\nHost: {dead}\r\n\r\n",
        &[502, 503],
    ),
    (
        "no port",
        "CONNECT 127.0.0.1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        &[400],
    ),
    (
        "an empty port",
        "CONNECT 127.0.0.1: HTTP/1.1\r\nHost: 127.0.0.1:\r\n\r\n",
        &[400],
    ),
    (
        "port 0",
        "CONNECT 127.0.0.1:0 HTTP/1.1\r\nHost: 127.0.0.1:0\r\n\r\n",
        &[400, 403],
    ),
    (
        "port 65979",
        "CONNECT 127.0.0.1:65979 HTTP/1.1\r\nHost: 127.0.0.1:65979\r\n\r\n",
        &[400],
    ),
    (
        "no host",
        "CONNECT :443 HTTP/1.1\r\nHost: :443\r\n\r\n",
        &[400],
    ),
    (
        "userinfo",
        "CONNECT u:p@127.0.0.1:443 HTTP/1.1\r\nHost: 127.0.0.1:443\r\n\r\n",
        &[400],
    ),
    (
        "absolute-form",
        "CONNECT http://{a}/ HTTP/1.1\r\nHost: {a}\r\n\r\n",
        &[400],
    ),
    (
        "origin-form",
        "CONNECT / HTTP/1.1\r\nHost: {a}\r\n\r\n",
        &[400],
    ),
];

#[test]
fn connect_is_refused_with_the_reason() {
    let origin = Origin::scripted(echo);
    let dead = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let proxy = Proxy::start(&format!("connect_ports = [{}, 443]\n", dead.port()));
    for (what, request, expected) in REFUSED {
        let here = request
            .replace("{a}", &origin.authority())
            .replace("{dead}", &dead.to_string());
        let mut client = Client::of(&proxy);
        client.send(here);
        let response = client.try_response("CONNECT");
        let response = response.unwrap_or_else(|ended| panic!("{what}: {ended:?}"));
        assert!(
            expected.contains(&response.status),
            "{what}: {} {}",
            response.status,
            response.text()
        );
        assert!(!response.content.is_empty(), "{what}: it says why");
    }
    assert_eq!(origin.connections(), 0);
}

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: \
                         13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn upgrade_becomes_a_tunnel_after_101() {
    let origin = Origin::scripted(|mut conn| {
        let head = conn.head().unwrap();
        assert!(
            head.has_element("connection", "upgrade"),
            "{:?}",
            head.fields
        );
        assert!(
            head.has_element("upgrade", "websocket"),
            "{:?}",
            head.fields
        );
        conn.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: \
                   websocket\r\nSec-WebSocket-Accept: x\r\nSet-Cookie: a\r\n\r\nfirst frame",
        );
        echo(conn);
    });
    let proxy = Proxy::start("");
    let mut client = Client::of(&proxy);
    let response = client.request("GET", &origin.uri("/chat"), WEBSOCKET);
    assert_eq!(response.status, 101);
    assert!(
        response.head.has_element("connection", "upgrade"),
        "{:?}",
        response.head.fields
    );
    assert_eq!(response.first("upgrade"), Some("websocket"));
    assert_eq!(response.first("sec-websocket-accept"), Some("x"));
    assert_eq!(response.first("set-cookie"), Some("a"));
    assert_eq!(client.wire.exactly(11).unwrap(), b"first frame");
    client.send("ping");
    assert_eq!(client.wire.exactly(4).unwrap(), b"ping");
    client.wire.half_close();
    assert_eq!(client.rest(), (b"bye".to_vec(), Ended::Closed));
    assert_eq!(
        origin.last().head.first("sec-websocket-key"),
        Some("dGhlIHNhbXBsZSBub25jZQ==")
    );
}

#[test]
fn an_upgrade_that_the_origin_ignores_is_an_ordinary_exchange() {
    let origin = Origin::answering(|_| passing("plain"));
    let proxy = Proxy::start("");
    let mut client = Client::of(&proxy);
    for _ in 0..2 {
        let response = client.request("GET", &origin.uri("/"), WEBSOCKET);
        assert_eq!((response.status, response.text().as_str()), (200, "plain"));
        assert_eq!(client.get(&origin.uri("/")).text(), "plain");
    }
}

#[test]
fn a_101_that_nobody_asked_for_is_502() {
    let origin = Origin::scripted(|mut conn| {
        let _ = conn.request();
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
        conn.hold();
    });
    let proxy = Proxy::start("");
    assert_eq!(proxy.get(&origin.uri("/")).status, 502);
}

#[test]
fn an_upgrade_is_never_answered_from_the_cache() {
    let origin = Origin::answering(|request| match request.head.has("upgrade") {
        true => common::origin::fresh("upgrade asked"),
        false => common::origin::fresh("plain"),
    });
    let proxy = Proxy::start("");
    assert_eq!(proxy.get(&origin.uri("/")).text(), "plain");
    assert!(proxy.get(&origin.uri("/")).is_hit());
    assert_eq!(
        proxy.request("GET", &origin.uri("/"), WEBSOCKET).text(),
        "upgrade asked"
    );
}

#[test]
fn tunnels_go_to_port_80_by_default() {
    let proxy = Proxy::start("");
    // Browsers' and Node's ws:// URIs come so. Nothing need be there.
    for (port, is_refused) in [(80, false), (443, false), (81, true), (8080, true)] {
        let mut client = Client::of(&proxy);
        client.send(format!(
            "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        ));
        let response = client.response("CONNECT");
        assert_eq!(response.status == 403, is_refused, "{port}: {response:?}");
    }
}

#[test]
fn tunnels_do_not_hold_up_other_clients() {
    let tunnelled = Origin::scripted(echo);
    let origin = Origin::answering(|_| passing("ok"));
    let proxy = Proxy::start(&allowing(&tunnelled));
    let mut tunnels: Vec<Client> = (0..20).map(|_| connected(&proxy, &tunnelled)).collect();
    assert_eq!(proxy.get(&origin.uri("/")).text(), "ok");
    for tunnel in &mut tunnels {
        tunnel.send("x");
        tunnel.wire.allow(Duration::from_secs(10));
        assert_eq!(tunnel.wire.exactly(1).unwrap(), b"x");
    }
}
