//! Collapsed forwarding across workers: clients of all workers that ask for what one of them is fetching
//! make one request to the origin server (RFC 9111 §4, RFC 5861 §3, RFC 9211 §2.6).
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod company;
mod leaving;
mod received;
mod resumed;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use common::origin::{fresh, ok, reply};
use common::{Client, Gate, Origin, Proxy, TIMEOUT, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const WORKERS: usize = 4;

fn proxy() -> Proxy {
    let config = "purge_allow = [\"127.0.0.1\"]\n";
    let proxy = Proxy::with(config).workers(WORKERS).start();
    wait_until("workers are ready", TIMEOUT, || {
        let log = proxy.log();
        log.iter().filter(|line| line.contains("is ready")).count() == WORKERS
    });
    proxy
}

/// So many clients that have asked for this URI.
fn asking(proxy: &Proxy, count: usize, uri: &str) -> Vec<Client> {
    let ask = |_| Client::asking(proxy, uri);
    (0..count).map(ask).collect()
}

#[test]
fn two_hundred_clients_of_four_workers_make_one_request() {
    let gate = Gate::new();
    // (the length, which decides whether it fits into the memory tier)
    for length in [11, 3_000_000] {
        let content = common::pattern(length);
        let origin = Origin::held(&gate, {
            let content = content.clone();
            move || fresh(&content)
        });
        let proxy = proxy();
        let mut clients = asking(&proxy, 200, &origin.uri("/one"));
        origin.wait_for(1);
        proxy.wait_until_together(&clients);
        gate.open();
        let mut collapsed = 0;
        for client in &mut clients {
            let response = client.response("GET");
            assert_eq!(response.status, 200, "{length}");
            assert!(response.content == content, "{length}");
            // Those whose request is looked at late find what came.
            let joined = response.is_hit() || response.cache_status().contains("collapsed");
            collapsed += usize::from(joined);
        }
        assert_eq!(origin.count(), 1, "{length}");
        assert!(collapsed >= 150, "{collapsed} of 199 joined, {length}");
        // Each connection goes on where it is now.
        for client in &mut clients {
            assert!(client.get(&origin.uri("/one")).is_hit(), "{length}");
        }
    }
}

#[test]
fn what_may_not_be_reused_is_fetched_for_each_at_once() {
    const CLIENTS: usize = 24;
    let rows = [
        "Cache-Control: no-store\r\n",
        "Cache-Control: private\r\n",
        "Vary: *\r\nCache-Control: max-age=60\r\n",
    ];
    for fields in rows {
        let (first, rest) = (Gate::new(), Gate::new());
        let origin = Origin::scripted({
            let (first, rest) = (first.clone(), rest.clone());
            let seen = std::sync::atomic::AtomicUsize::new(0);
            move |mut conn| {
                while conn.request().is_ok() {
                    match seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                        0 => first.wait(),
                        _ => rest.wait(),
                    }
                    conn.send(ok(fields, "own"));
                }
            }
        });
        let proxy = proxy();
        let mut clients = asking(&proxy, CLIENTS, &origin.uri("/own"));
        origin.wait_for(1);
        proxy.wait_until_together(&clients);
        assert_eq!(origin.count(), 1, "{fields}: one was asked for all");
        first.open();
        // None of them is answered before all have asked.
        origin.wait_for(CLIENTS);
        rest.open_for_all();
        for client in &mut clients {
            assert_eq!(client.response("GET").text(), "own", "{fields}");
        }
        assert_eq!(origin.count(), CLIENTS, "{fields}");
    }
}

#[test]
fn what_turned_out_not_reusable_is_not_waited_for() {
    const CLIENTS: usize = 50;
    let rows = [
        ("", "Cache-Control: no-store\r\n"),
        ("", "Cache-Control: no-cache\r\nETag: \"a\"\r\n"),
        ("Authorization: a\r\n", "Cache-Control: max-age=60\r\n"),
    ];
    for (presented, fields) in rows {
        let (own, shared) = (Gate::new(), Gate::new());
        let reusable = Arc::new(AtomicBool::new(false));
        let (waiting, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let origin = Origin::scripted({
            let (own, shared, reusable) = (own.clone(), shared.clone(), reusable.clone());
            let (waiting, most) = (waiting.clone(), most.clone());
            move |mut conn| {
                while conn.request().is_ok() {
                    most.fetch_max(waiting.fetch_add(1, SeqCst) + 1, SeqCst);
                    let answer = match reusable.load(SeqCst) {
                        true => {
                            shared.wait();
                            ok("Cache-Control: public, max-age=60\r\n", "all")
                        }
                        false => {
                            own.wait();
                            ok(fields, "own")
                        }
                    };
                    waiting.fetch_sub(1, SeqCst);
                    conn.send(answer);
                }
            }
        });
        let proxy = proxy();
        let uri = origin.uri("/own");
        let ask = |count| {
            let ask = |_| {
                let mut client = Client::of(&proxy);
                client.ask("GET", &uri, presented);
                client
            };
            (0..count).map(ask).collect::<Vec<Client>>()
        };
        own.open();
        assert_eq!(ask(1)[0].response("GET").text(), "own", "{fields}");
        // None is answered before all have asked.
        let mut clients = ask(CLIENTS);
        origin.wait_for(1 + CLIENTS);
        own.open_for_all();
        for client in &mut clients {
            assert_eq!(client.response("GET").text(), "own", "{fields}");
        }
        assert_eq!(most.load(SeqCst), CLIENTS, "at a time, {fields}");
        // One answer for all, and it is as if the others had never been.
        reusable.store(true, SeqCst);
        shared.open();
        let all = ask(1)[0].response("GET");
        assert!(all.cache_status().contains("stored"), "{fields}");
        proxy.request("PURGE", &uri, "");
        let mut clients = ask(CLIENTS);
        origin.wait_for(3 + CLIENTS);
        proxy.wait_until_together(&clients);
        shared.open();
        for client in &mut clients {
            assert_eq!(client.response("GET").text(), "all", "{fields}");
        }
        assert_eq!(origin.count(), 3 + CLIENTS, "{fields}");
    }
}

#[test]
fn an_error_to_one_validation_is_the_answer_to_all_who_wait() {
    let gate = Gate::new();
    let origin = Origin::gated(&gate, |conn, request, gate| {
        if request.head.has("if-none-match") {
            gate.wait();
            conn.send(reply("503 Service Unavailable", "", "down"));
        } else {
            let fields = "Cache-Control: max-age=1, stale-if-error=600\r\nETag: \"a\"\r\n";
            conn.send(ok(fields, "content"));
        }
    });
    let proxy = proxy();
    let uri = origin.uri("/stale");
    assert_eq!(proxy.get(&uri).text(), "content");
    // Until it is in the store of all, then until it is stale.
    std::thread::sleep(Duration::from_millis(2200));
    let mut clients = asking(&proxy, 40, &uri);
    origin.wait_for(2);
    proxy.wait_until_together(&clients);
    gate.open_for_all();
    for client in &mut clients {
        assert_eq!(client.response("GET").text(), "content");
    }
    assert_eq!(origin.count(), 2);
}

#[test]
fn a_condition_of_one_client_s_keeps_nobody_from_joining() {
    let gate = Gate::new();
    let origin = Origin::halved(&gate);
    let proxy = proxy();
    let uri = origin.uri("/one");
    let mut first = Client::of(&proxy);
    first.ask("GET", &uri, "If-None-Match: \"other\"\r\n");
    first.response_head("GET");
    // Its response is being stored by now: it is the others' too, in all workers.
    let mut others = asking(&proxy, 20, &uri);
    proxy.wait_until_together(&others);
    gate.open_for_all();
    for client in &mut others {
        assert_eq!(client.response("GET").text(), "first half");
    }
    assert_eq!(first.wire.exactly(10).unwrap(), b"first half");
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_worker_killed_while_fetching_frees_its_keys() {
    let gate = Gate::new();
    let origin = Origin::held(&gate, || fresh("content"));
    let proxy = proxy();
    let uri = origin.uri("/one");
    let clients = asking(&proxy, 8, &uri);
    origin.wait_for(1);
    let fetching = proxy.wait_until_together(&clients);
    kill(Pid::from_raw(fetching), Signal::SIGKILL).unwrap();
    // Until that is seen, each worker that is sent to the dead one may fetch for itself.
    common::wait_until("it has a successor", Duration::from_secs(10), || {
        let log = proxy.log();
        let ready = log.iter().filter(|line| line.contains("is ready"));
        ready.count() == 5
    });
    // What was in flight there is lost; all that follow are served, by one more fetch.
    let mut others = asking(&proxy, 40, &uri);
    origin.wait_for(2);
    proxy.wait_until_together(&others);
    gate.open_for_all();
    for client in &mut others {
        assert_eq!(client.response("GET").text(), "content");
    }
    assert_eq!(origin.count(), 2);
}

#[test]
fn what_was_pipelined_goes_along() {
    let gate = Gate::new();
    let origin = Origin::gated(&gate, move |conn, request, gate| {
        if request.target().ends_with("slow") {
            gate.wait();
        }
        let content = request.target().to_owned();
        conn.send(fresh(content));
    });
    let proxy = proxy();
    let (slow, quick) = (origin.uri("/slow"), origin.uri("/quick"));
    let first = asking(&proxy, 1, &slow);
    origin.wait_for(1);
    let host = origin.authority();
    let get = |uri: &str| format!("GET {uri} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let pipeline = [get(&quick), get(&slow), get(&quick), get(&slow)].concat();
    let mut clients: Vec<Client> = (0..8).map(|_| Client::of(&proxy)).collect();
    for client in &mut clients {
        client.send(&pipeline);
        // What came before isn't held back.
        assert_eq!(client.response("GET").text(), "/quick");
    }
    proxy.wait_until_together(&clients);
    gate.open_for_all();
    for client in &mut clients {
        for expected in ["/slow", "/quick", "/slow"] {
            assert_eq!(client.response("GET").text(), expected);
        }
    }
    drop(first);
    assert_eq!(origin.count_of("/slow"), 1);
    assert_eq!(origin.count_of("/quick"), 1);
}

#[test]
fn stale_responses_are_validated_once_for_all_workers() {
    // (fields, whether the clients are answered before the origin server is)
    let rows = [
        ("Cache-Control: max-age=1, stale-while-revalidate=60", true),
        ("Cache-Control: max-age=1", false),
    ];
    for (fields, meanwhile) in rows {
        let gate = Gate::new();
        let origin = Origin::gated(&gate, move |conn, request, gate| {
            let fields = format!("{fields}\r\nETag: \"a\"\r\n");
            if request.head.has("if-none-match") {
                gate.wait();
                let fields = "Cache-Control: max-age=60\r\nETag: \"a\"\r\n";
                conn.send(reply("304 Not Modified", fields, ""));
            } else {
                conn.send(ok(&fields, "content"));
            }
        });
        let proxy = proxy();
        let uri = origin.uri("/stale");
        assert_eq!(proxy.get(&uri).text(), "content");
        // Until it is in the store of all, then until it is stale.
        std::thread::sleep(Duration::from_millis(2200));
        let mut clients = asking(&proxy, 40, &uri);
        if !meanwhile {
            origin.wait_for(2);
            proxy.wait_until_together(&clients);
            gate.open_for_all();
        }
        for client in &mut clients {
            assert_eq!(client.response("GET").text(), "content", "{fields}");
        }
        gate.open_for_all();
        wait_until("it is fresh again", TIMEOUT, || {
            proxy.get(&uri).cache_parameter("ttl").is_some_and(|ttl| {
                let ttl: i64 = ttl.parse().unwrap();
                ttl > 0
            })
        });
        assert_eq!(origin.count(), 2, "{fields}");
    }
}
