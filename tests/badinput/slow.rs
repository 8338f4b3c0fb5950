//! Clients that drip, stall or never read: each is given up, and holds up nobody.

use std::time::{Duration, Instant};

use crate::common;
use crate::common::origin::{fresh, passing};
use crate::common::{Client, Ended, Gate, Origin, Proxy};

#[test]
fn clients_that_drip_are_408_and_hold_up_nobody() {
    let proxy = Proxy::start("[timeouts]\nclient_header = \"1s\"\n");
    let origin = Origin::answering(|_| fresh("origin"));
    let mut dripping: Vec<Client> = (0..30).map(|_| Client::of(&proxy)).collect();
    let head = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nX: ",
        origin.uri("/"),
        origin.authority()
    );
    for client in &mut dripping {
        client.send(&head);
    }
    // The others are served meanwhile.
    assert_eq!(proxy.get(&origin.uri("/")).text(), "origin");
    let first = &mut dripping[0];
    let begun = Instant::now();
    let mut writer = first.wire.writer();
    let dripped = std::thread::spawn(move || {
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(100));
            if std::io::Write::write_all(&mut writer, b"x").is_err() {
                return;
            }
        }
    });
    assert_eq!(first.response("GET").status, 408);
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    for client in &mut dripping[1..] {
        assert_eq!(client.response("GET").status, 408);
        assert!(client.rest().1.is_over());
    }
    proxy.wait_for_line(&["408"]);
    drop(dripping);
    dripped.join().unwrap();
    assert_eq!(proxy.get(&origin.uri("/")).text(), "origin");
}

/// Each within the limits; all of them together would take whatever memory there is.
#[test]
fn begun_heads_are_bounded_together() {
    let proxy = Proxy::start("memory = \"64KiB\"\n");
    let origin = Origin::answering(|_| fresh("origin"));
    let lines = ["a", "b", "c", "d"].map(|name| format!("X-{name}: {}\r\n", name.repeat(60_000)));
    let (host, lines) = (origin.authority(), lines.concat());
    let head = format!(
        "GET {} HTTP/1.1\r\nHost: {host}\r\n{lines}",
        origin.uri("/")
    );
    let mut clients: Vec<Client> = (0..60).map(|_| Client::of(&proxy)).collect();
    for client in &mut clients {
        client.send(&head);
    }
    proxy.wait_for_line(&["431"]);
    // Small ones are read as ever.
    assert_eq!(proxy.get(&origin.uri("/")).text(), "origin");
    let mut statuses = Vec::new();
    for client in &mut clients {
        client.send("\r\n");
        // Refused, it may have been closed before it was done.
        let response = client.try_response("GET");
        statuses.push(response.map_or(431, |response| response.status));
    }
    let of = |status| statuses.iter().filter(|it| **it == status).count();
    assert_eq!(of(200) + of(431), 60, "{statuses:?}");
    // 8 MiB have room for 34.
    assert!((1..=34).contains(&of(200)), "{statuses:?}");
    drop(clients);
    let mut client = Client::of(&proxy);
    client.send(format!("{head}\r\n"));
    assert_eq!(
        client.response("GET").text(),
        "origin",
        "there is room again"
    );
}

#[test]
fn a_client_that_never_speaks_is_closed_and_an_idle_one_is_not() {
    let proxy = Proxy::start("[timeouts]\nclient_header = \"1s\"\nworker_idle = \"10ms\"\n");
    let mut idle = Client::of(&proxy);
    assert_eq!(
        idle.request("OPTIONS", "http://a/", "Max-Forwards: 0\r\n")
            .status,
        200
    );
    proxy.wait_until_parked(&idle);
    let begun = Instant::now();
    let mut silent = Client::of(&proxy);
    assert!(silent.rest().1.is_over());
    assert!(
        begun.elapsed() >= Duration::from_millis(900),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        idle.request("OPTIONS", "http://a/", "Max-Forwards: 0\r\n")
            .status,
        200
    );
}

#[test]
fn a_client_whose_content_does_not_come_is_given_up() {
    let proxy = Proxy::start("[timeouts]\nbody_stall = \"1s\"\n");
    let origin = Origin::answering(|_| passing("origin"));
    let mut client = Client::of(&proxy);
    let (uri, authority) = (origin.uri("/"), origin.authority());
    client.send(format!(
        "POST {uri} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 9\r\n\r\n"
    ));
    assert_eq!(client.response("POST").status, 408);
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_client_that_never_reads_is_given_up() {
    let proxy = Proxy::start("[timeouts]\nbody_stall = \"1s\"\n");
    let closed = Gate::new();
    let origin = Origin::scripted({
        let closed = closed.clone();
        move |mut conn| {
            let _ = conn.request();
            conn.send(
                "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 100000000\r\n\r\n",
            );
            while conn.send([b'x'; 65536]) {}
            closed.open();
        }
    });
    let mut client = Client::asking(&proxy, &origin.uri("/"));
    client.response_head("GET");
    closed.wait();
    let mut length = 0;
    let ended = client.content(
        common::message::Framing::Length(100_000_000),
        &mut |piece| length += piece.len(),
    );
    assert!(
        matches!(ended, Err(Ended::Partial(_) | Ended::Reset)),
        "{ended:?} after {length}"
    );
}
