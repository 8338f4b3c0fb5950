//! Several proxies on one database: what one stores is a hit on the other, what one makes invalid is gone from the other's memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::relay::Relay;
use super::stage::{name, proxy, stored, wait_until_stored};
use crate::common::origin::fresh;
use crate::common::postgres::Server;
use crate::common::{Client, Origin, Proxy, TIMEOUT, wait_until};

/// An origin whose content is the number of the request.
fn counting() -> Origin {
    let count = AtomicUsize::new(0);
    Origin::answering(move |_| fresh((count.fetch_add(1, Ordering::SeqCst) + 1).to_string()))
}

#[test]
fn what_one_stores_is_a_hit_on_the_other_at_once() {
    let server = Server::shared();
    let connection = server.database();
    let origin = counting();
    let (one, other) = (proxy(&connection), proxy(&connection));
    for number in 0..10 {
        let path = format!("/shared/{number}");
        let (from, to) = if number % 2 == 0 {
            (&one, &other)
        } else {
            (&other, &one)
        };
        let first = from.get(&origin.uri(&path));
        wait_until_stored(server, &connection, &path, 1);
        let second = to.get(&origin.uri(&path));
        assert!(
            second.is_hit() && second.content == first.content,
            "{number}: {}",
            second.cache_status()
        );
    }
}

#[test]
fn what_one_removes_is_gone_from_the_others_memory() {
    let server = Server::shared();
    let connection = server.database();
    let origin = counting();
    let (one, other) = (proxy(&connection), proxy(&connection));
    for method in ["PURGE", "POST", "PURGE"] {
        let uri = origin.uri("/removed");
        let old = one.get(&uri).text();
        wait_until_stored(server, &connection, "/removed", 1);
        for _ in 0..3 {
            assert_eq!(
                (one.get(&uri).text(), other.get(&uri).text()),
                (old.clone(), old.clone())
            );
        }
        assert_eq!(one.request(method, &uri, "").status, 200);
        assert_ne!(
            one.get(&uri).text(),
            old,
            "{method}: the one that removed it"
        );
        let mut asked = 0;
        wait_until("the other has it no more", Duration::from_secs(2), || {
            asked += 1;
            other.get(&uri).text() != old
        });
        eprintln!("{method}: gone from the other at request {asked}");
    }
}

#[test]
fn what_one_replaces_is_replaced_in_the_others_memory() {
    let server = Server::shared();
    let connection = server.database();
    let origin = counting();
    let (one, other) = (proxy(&connection), proxy(&connection));
    let uri = origin.uri("/replaced");
    one.get(&uri);
    wait_until_stored(server, &connection, "/replaced", 1);
    for _ in 0..3 {
        assert_eq!(other.get(&uri).text(), "1");
    }
    let newer = one
        .request("GET", &uri, "Cache-Control: no-cache\r\n")
        .text();
    assert_eq!(newer, "2");
    wait_until("the other has the newer one", TIMEOUT, || {
        other.get(&uri).text() == "2"
    });
    assert!(other.get(&uri).is_hit());
    assert_eq!(origin.count(), 2);
}

#[test]
fn what_was_removed_while_a_host_was_cut_off_is_not_served_when_it_is_back() {
    let server = Server::with().tcp().start();
    let connection = server.database();
    let relay = Relay::to(server.port());
    let far = server.connection_by("127.0.0.1", name(&connection));
    let far = far.replace(
        &format!("port={}", server.port()),
        &format!("port={}", relay.port()),
    );
    let far = format!("{far} sslmode=disable");
    let origin = counting();
    let (one, other) = (proxy(&connection), proxy(&far));
    for (path, cut) in [("/cut", true), ("/lost", false)] {
        let uri = origin.uri(path);
        let old = one.get(&uri).text();
        wait_until_stored(&server, &connection, path, 1);
        for _ in 0..3 {
            assert_eq!(other.get(&uri).text(), old);
        }
        if cut {
            relay.cut();
        } else {
            relay.lose();
        }
        assert_eq!(one.request("PURGE", &uri, "").status, 200);
        // Cut off, it can only know what it has in memory, or ask the origin: but it answers.
        assert_eq!(other.get(&uri).status, 200);
        relay.open();
        // What it hears of the database again comes after what it missed: something new is its first hit of another's.
        let news = origin.uri(&format!("{path}/news"));
        one.get(&news);
        wait_until_stored(&server, &connection, &format!("{path}/news"), 1);
        wait_until("the host is back", TIMEOUT * 2, || {
            other.get(&uri).text() != old
        });
        for _ in 0..20 {
            assert_ne!(other.get(&uri).text(), old);
        }
        // A worker that is still without the database asks the origin server.
        wait_until("every worker is back", TIMEOUT * 2, || {
            let log = other.log();
            let told = |what: &str| log.iter().filter(|line| line.contains(what)).count();
            told("going on without the database") == told(" is back after ")
        });
    }
}

#[test]
fn the_same_keys_are_stored_by_many_at_once_without_an_error() {
    let server = Server::shared();
    let connection = server.database();
    let origin = Arc::new(counting());
    let proxies: Vec<Proxy> = (0..3).map(|_| proxy(&connection)).collect();
    std::thread::scope(|scope| {
        for proxy in &proxies {
            for _ in 0..2 {
                let origin = origin.clone();
                scope.spawn(move || {
                    let mut client = Client::of(proxy);
                    for number in 0..60 {
                        let uri = origin.uri(&format!("/same/{}", number % 4));
                        let fields = if number % 3 == 0 {
                            "Cache-Control: no-cache\r\n"
                        } else {
                            ""
                        };
                        assert_eq!(client.request("GET", &uri, fields).status, 200);
                        if number % 10 == 9 {
                            client.request("PURGE", &uri, "");
                        }
                    }
                });
            }
        }
    });
    let uri = origin.uri("/same/0");
    wait_until("stored once", TIMEOUT, || {
        proxies[0].get(&uri);
        stored(server, &connection, "/same/0") == 1
    });
    for proxy in &proxies {
        let log = proxy.log();
        let bad = |line: &&String| line.contains(": error:") || line.contains(": warning:");
        let bad: Vec<&String> = log.iter().filter(bad).collect();
        assert!(bad.is_empty(), "{bad:#?}");
    }
}
