//! Streams that are silent for longer than content may stall: they go on while both sides are there.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::{Client, Gate, Origin, Proxy, each};

const SHORT: &str = "[timeouts]\nbody_stall = \"1s\"\norigin_response = \"1s\"\n";
const LONGER: Duration = Duration::from_millis(2200);

#[test]
fn a_stream_that_is_silent_goes_on() {
    let proxy = Proxy::start(SHORT);
    let rows = [
        "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n|4\r\ntwo\n\r\n0\r\n\r\n",
        "Cache-Control: no-store\r\n\r\none\n|two\n",
        "Cache-Control: no-store\r\nContent-Length: 8\r\n\r\none\n|two\n",
        "Cache-Control: max-age=60\r\nETag: \"a\"\r\nContent-Length: 8\r\n\r\none\n|two\n",
    ];
    let rows = rows
        .into_iter()
        .flat_map(|answer| [(answer, "GET"), (answer, "POST")]);
    std::thread::scope(|scope| {
        for (answer, method) in rows {
            let proxy = &proxy;
            scope.spawn(move || {
                let (first, second) = answer.split_once('|').unwrap();
                let origin = Origin::scripted(move |mut conn| {
                    if conn.request().is_ok() {
                        conn.send(format!("HTTP/1.1 200 OK\r\n{first}"));
                        sleep(LONGER);
                        conn.send(second);
                    }
                });
                let fields = if method == "POST" {
                    "Content-Length: 0\r\n"
                } else {
                    ""
                };
                let response = Client::of(proxy).request(method, &origin.uri("/"), fields);
                assert_eq!(response.text(), "one\ntwo\n", "{method} {answer}");
            });
        }
    });
}

#[test]
fn an_origin_that_is_silent_while_several_read_is_given_up() {
    let proxy = Proxy::start(SHORT);
    let gate = Gate::new();
    let origin = Origin::halved(&gate);
    let uri = origin.uri("/");
    let mut first = Client::asking(&proxy, &uri);
    first.response_head("GET");
    // Alone it may wait.
    assert!(first.is_quiet(LONGER) || !first.wire.is_drained());
    let begun = Instant::now();
    let mut second = Client::asking(&proxy, &uri);
    second.response_head("GET");
    for client in [&mut first, &mut second] {
        assert!(client.rest().1.is_over());
    }
    let took = begun.elapsed();
    assert!(
        took > Duration::from_millis(900),
        "it has its time from then on: {took:?}"
    );
    assert!(took < Duration::from_secs(8), "{took:?}");
    gate.open();
}

#[test]
fn dead_peers_are_looked_for() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = Origin::halved(&gate);
    let mut client = Client::asking(&proxy, &origin.uri("/"));
    client.response_head("GET");
    let to_origin = origin.address().port();
    each([client.port(), to_origin], |port| {
        assert!(has_keepalive(port), "{port}");
    });
    gate.open();
}

/// True when the kernel's timer for a connection to this port is that of keepalives (proc(5), net/tcp).
fn has_keepalive(peer: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let established = format!(":{peer:04X} 01 ");
    let mut lines = table.lines().filter(|line| line.contains(&established));
    lines.any(|line| line.split_whitespace().nth(5).unwrap().starts_with("02:"))
}
