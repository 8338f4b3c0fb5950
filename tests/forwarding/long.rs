//! Long contents pass both ways in bounded memory.

use std::time::Duration;

use crate::common::message::Framing;
use crate::common::origin::passing;
use crate::common::{Client, Expected, Origin, Proxy, TIMEOUT, send_pattern, wait_until};
use crate::{MIB, common};

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
    let mut client = Client::asking(&proxy, &origin.uri("/"));
    let head = client.response_head("GET");
    let now = || sent.load(std::sync::atomic::Ordering::SeqCst);
    let mut last = (now(), std::time::Instant::now());
    wait_until("the origin is held back", TIMEOUT, || {
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
