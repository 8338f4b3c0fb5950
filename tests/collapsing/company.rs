//! Whoever waits for another's fetch isn't worse off than alone: one that hangs gets company, a failure is that of the
//! client that asked, what looks personal waits for nobody, and what nobody waits for any more ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use crate::common::origin::{fresh, ok, passing};
use crate::common::{Client, Gate, Origin, Proxy, TIMEOUT, pattern, wait_until};

/// A proxy with one worker, whose waiting clients ask themselves after this time.
pub(super) fn patient(wait: &str) -> Proxy {
    Proxy::start(&format!("[timeouts]\ncollapsed_wait = \"{wait}\"\n"))
}

/// Answers all but the first requests, of which it counts those whose connection ended.
pub(super) fn hanging(first: usize, answer: &'static str) -> (Origin, Arc<AtomicUsize>) {
    let (seen, ended) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let origin = Origin::scripted({
        let ended = ended.clone();
        move |mut conn| {
            while conn.request().is_ok() {
                if seen.fetch_add(1, SeqCst) < first {
                    conn.hold();
                    ended.fetch_add(1, SeqCst);
                    return;
                }
                conn.send(fresh(answer));
            }
        }
    });
    (origin, ended)
}

#[test]
fn a_fetch_that_hangs_gets_company_whose_answer_is_for_all() {
    let (origin, ended) = hanging(1, "content");
    let proxy = patient("300ms");
    let mut clients: Vec<Client> = (0..5)
        .map(|_| Client::asking(&proxy, &origin.uri("/one")))
        .collect();
    for client in &mut clients {
        assert_eq!(client.response("GET").text(), "content");
    }
    assert_eq!(origin.count(), 2);
    // Nobody waits for the first any more.
    wait_until("the first fetch ends", TIMEOUT, || ended.load(SeqCst) == 1);
}

#[test]
fn interim_responses_renew_the_wait_of_all_who_wait() {
    let origin = Origin::scripted(|mut conn| {
        while conn.request().is_ok() {
            for _ in 0..12 {
                conn.send("HTTP/1.1 102 Processing\r\n\r\n");
                std::thread::sleep(Duration::from_millis(250));
            }
            conn.send(fresh("content"));
        }
    });
    let times = "connect = \"1s\"\norigin_response = \"1s\"\ncollapsed_wait = \"300ms\"\n";
    let proxy = Proxy::start(&format!("[timeouts]\n{times}"));
    let mut clients: Vec<Client> = (0..7)
        .map(|_| Client::asking(&proxy, &origin.uri("/one")))
        .collect();
    for client in &mut clients {
        let mut response = client.response("GET");
        while response.status < 200 {
            response = client.response("GET");
        }
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "content")
        );
    }
    assert!(origin.count() <= 4, "{}", origin.count());
}

#[test]
fn what_hangs_ends_while_the_other_answer_is_still_being_sent() {
    let (gate, seen) = (Gate::new(), AtomicUsize::new(0));
    let ended = Arc::new(AtomicUsize::new(0));
    let origin = Origin::gated(&gate, {
        let ended = ended.clone();
        move |conn, _, gate| {
            if seen.fetch_add(1, SeqCst) == 0 {
                conn.hold();
                ended.fetch_add(1, SeqCst);
                return;
            }
            let whole = fresh(pattern(100_000));
            conn.send(&whole[..50_000]);
            gate.wait();
            conn.send(&whole[50_000..]);
        }
    });
    let proxy = patient("200ms");
    let uri = origin.uri("/one");
    let mut clients: Vec<Client> = (0..3).map(|_| Client::asking(&proxy, &uri)).collect();
    origin.wait_for(2);
    wait_until("the first fetch ends", TIMEOUT, || ended.load(SeqCst) == 1);
    gate.open_for_all();
    for client in &mut clients {
        assert!(client.response("GET").content == pattern(100_000));
    }
    assert_eq!(origin.count(), 2);
}

#[test]
fn four_at_most_ask_at_once() {
    let (origin, _) = hanging(usize::MAX, "");
    let proxy = patient("50ms");
    let clients: Vec<Client> = (0..12)
        .map(|_| Client::asking(&proxy, &origin.uri("/one")))
        .collect();
    // After 50, 150 and 350 ms.
    origin.wait_for(4);
    std::thread::sleep(Duration::from_millis(1600));
    assert_eq!(origin.count(), 4);
    drop(clients);
}

#[test]
fn a_failure_is_that_of_the_client_that_asked() {
    let gate = Gate::new();
    let origin = Origin::gated(&gate, |conn, request, gate| {
        if request.head.has("x-disliked") {
            gate.wait();
            conn.send("HTTP/1.1 nonsense\r\n\r\n");
        } else {
            conn.send(fresh("content"));
        }
    });
    let proxy = patient("60s");
    let uri = origin.uri("/one");
    let mut disliked = Client::of(&proxy);
    disliked.ask("GET", &uri, "X-Disliked: 1\r\n");
    origin.wait_for(1);
    let mut others: Vec<Client> = (0..8).map(|_| Client::asking(&proxy, &uri)).collect();
    proxy.wait_until_together(&others);
    for other in &mut others {
        assert!(other.is_quiet(Duration::from_millis(20)));
    }
    gate.open();
    assert_eq!(disliked.response("GET").status, 502);
    for other in &mut others {
        assert_eq!(other.response("GET").text(), "content");
    }
    assert!(
        origin.count() <= 3,
        "the next asks, and one beside it: {}",
        origin.count()
    );
}

#[test]
fn an_answer_that_turns_out_to_be_for_all_reaches_those_who_wait() {
    let seen = AtomicUsize::new(0);
    let origin = Origin::scripted(move |mut conn| {
        while conn.request().is_ok() {
            if seen.fetch_add(1, SeqCst) == 0 {
                return conn.hold();
            }
            let whole = fresh(pattern(100_000));
            conn.send(&whole[..50_000]);
            // Its end would be heard of, too.
            std::thread::sleep(Duration::from_secs(3));
            conn.send(&whole[50_000..]);
        }
    });
    let proxy = patient("60s");
    let uri = origin.uri("/one");
    let mut waiting: Vec<Client> = (0..3).map(|_| Client::asking(&proxy, &uri)).collect();
    origin.wait_for(1);
    proxy.wait_until_together(&waiting);
    let mut personal = Client::of(&proxy);
    personal.ask("GET", &uri, "Cookie: a=b\r\n");
    personal.response_head("GET");
    for client in &mut waiting {
        // Before the content is whole.
        client.wire.allow(Duration::from_secs(2));
        client.response_head("GET");
    }
    assert_eq!(origin.count(), 2);
}

#[test]
fn what_looks_personal_or_is_new_with_a_query_waits_for_nobody() {
    // (what the request has, its target)
    let rows = [
        ("Authorization: Basic YQ==\r\n", "/one"),
        ("Cookie: a=b\r\n", "/one"),
        ("Accept: text/event-stream\r\n", "/one"),
        ("", "/one?a=1"),
    ];
    for (fields, target) in rows {
        let gate = Gate::new();
        let origin = Origin::held(&gate, || fresh("content"));
        let proxy = patient("60s");
        let mut clients: Vec<Client> = (0..3).map(|_| Client::of(&proxy)).collect();
        for client in &mut clients {
            client.ask("GET", &origin.uri(target), fields);
        }
        origin.wait_for(3);
        gate.open_for_all();
        for client in &mut clients {
            assert_eq!(client.response("GET").text(), "content", "{fields}{target}");
        }
    }
}

#[test]
fn a_query_whose_path_is_known_to_be_for_all_waits() {
    let gate = Gate::new();
    let origin = Origin::held(&gate, || fresh("content"));
    let proxy = patient("60s");
    gate.open();
    assert_eq!(proxy.get(&origin.uri("/one?a=1")).text(), "content");
    let uri = origin.uri("/one?a=2");
    let mut clients: Vec<Client> = (0..8).map(|_| Client::asking(&proxy, &uri)).collect();
    origin.wait_for(2);
    proxy.wait_until_together(&clients);
    for client in &mut clients {
        assert!(client.is_quiet(Duration::from_millis(20)));
    }
    gate.open_for_all();
    for client in &mut clients {
        assert_eq!(client.response("GET").text(), "content");
    }
    assert_eq!(origin.count(), 2);
}

#[test]
fn who_asks_for_what_holds_now_joins_what_begins_after_it_came() {
    for directive in ["no-cache", "max-age=0"] {
        let gate = Gate::new();
        let origin = Origin::gated(&gate, |conn, _, gate| {
            gate.wait();
            conn.send(ok("Cache-Control: max-age=60\r\n", "content"));
        });
        let proxy = patient("60s");
        let mut clients: Vec<Client> = (0..12).map(|_| Client::of(&proxy)).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            let fields = format!("Cache-Control: {directive}\r\n");
            client.ask("GET", &origin.uri("/one"), &fields);
            if number == 0 {
                origin.wait_for(1);
            }
        }
        proxy.wait_until_together(&clients);
        for client in &mut clients {
            assert!(client.is_quiet(Duration::from_millis(20)), "{directive}");
        }
        gate.open_for_all();
        for client in &mut clients {
            assert_eq!(client.response("GET").text(), "content", "{directive}");
        }
        assert_eq!(origin.count(), 2, "{directive}");
    }
}

#[test]
fn of_two_variants_each_is_fetched_once() {
    let gate = Gate::new();
    let origin = Origin::gated(&gate, |conn, request, gate| {
        gate.wait();
        let content = request.head.first("x-kind").unwrap().to_owned();
        conn.send(ok("Cache-Control: max-age=60\r\nVary: X-Kind\r\n", content));
    });
    let proxy = patient("60s");
    let mut clients: Vec<Client> = (0..12).map(|_| Client::of(&proxy)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let fields = format!("X-Kind: {}\r\n", number % 2);
        client.ask("GET", &origin.uri("/one"), &fields);
    }
    origin.wait_for(1);
    proxy.wait_until_together(&clients);
    for client in &mut clients {
        assert!(client.is_quiet(Duration::from_millis(20)));
    }
    gate.open_for_all();
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.response("GET").text(), (number % 2).to_string());
    }
    assert_eq!(origin.count(), 2);
}

#[test]
fn an_answer_for_one_alone_keeps_nobody_waiting() {
    let gate = Gate::new();
    let origin = Origin::gated(&gate, |conn, _, gate| {
        gate.wait();
        conn.send(passing("own"));
    });
    let proxy = patient("60s");
    let uri = origin.uri("/own");
    let mut clients: Vec<Client> = (0..6).map(|_| Client::asking(&proxy, &uri)).collect();
    origin.wait_for(1);
    gate.open();
    origin.wait_for(6);
    gate.open_for_all();
    for client in &mut clients {
        assert_eq!(client.response("GET").text(), "own");
    }
}
