//! Origin servers that are slow for some URIs, and answer others: they don't hang for those who ask for others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::origin::ok;
use crate::common::{Client, Gate, Origin, Proxy, Response, TIMEOUT, wait_until};

const CONFIG: &str =
    "[timeouts]\norigin_hang = \"1s\"\nconnect = \"20s\"\norigin_response = \"20s\"\n";
const STALE: &str = "Cache-Control: max-age=0\r\nETag: \"a\"\r\n";

fn is_stale(response: &Response) -> bool {
    response.cache_status().contains("detail=origin-hung")
}

/// An origin server that says what it has at once, until all of the first `stored` are; then what is slow waits for the gate,
/// `/hints` after an interim response.
fn slow(gate: &Gate, stored: usize) -> Origin {
    let asked = AtomicUsize::new(0);
    Origin::gated(gate, move |conn, request, gate| {
        if asked.fetch_add(1, Ordering::SeqCst) >= stored {
            if request.target() == "/hints" {
                conn.send("HTTP/1.1 103 Early Hints\r\n\r\n");
            }
            if request.target() != "/fast" {
                gate.wait();
            }
        }
        conn.send(ok(STALE, "content"));
    })
}

#[test]
fn a_slow_uri_leaves_others_alone() {
    let gate = Gate::new();
    let proxy = Proxy::with(CONFIG).workers(2).start();
    let paths = ["/fast", "/slow1", "/slow2", "/slow3"];
    let origin = slow(&gate, paths.len());
    for path in paths {
        assert!(
            proxy
                .get(&origin.uri(path))
                .cache_status()
                .contains("; stored")
        );
    }
    let asks_fast_for = |time: Duration| {
        let begun = Instant::now();
        while begun.elapsed() < time {
            let response = proxy.get(&origin.uri("/fast"));
            assert!(!is_stale(&response), "{:?}", begun.elapsed());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let no_cache = "Cache-Control: no-cache\r\n";
    let mut waiting: Vec<Client> = (0..3).map(|_| Client::of(&proxy)).collect();
    for (client, path) in waiting.iter_mut().zip(&paths[1..]) {
        client.ask("GET", &origin.uri(path), no_cache);
    }
    asks_fast_for(Duration::from_millis(1600));
    // Who asks for what is slow has the stale answer all the same.
    let mut own = Client::asking(&proxy, &origin.uri("/slow1"));
    asks_fast_for(Duration::from_millis(1600));
    assert!(is_stale(&own.response("GET")));
    gate.open_for_all();
}

#[test]
fn whatever_begins_to_answer_ends_the_memory() {
    let (gate, proxy) = (Gate::new(), Proxy::start(CONFIG));
    let origin = slow(&gate, 2);
    for path in ["/fast", "/slow"] {
        proxy.get(&origin.uri(path));
    }
    assert!(is_stale(&proxy.get(&origin.uri("/slow"))));
    assert!(is_stale(&proxy.get(&origin.uri("/slow"))));
    let mut client = Client::asking(&proxy, &origin.uri("/hints"));
    assert_eq!(client.response("GET").status, 103);
    assert!(!is_stale(&proxy.get(&origin.uri("/fast"))));
    gate.open_for_all();
}

#[test]
fn a_try_of_what_is_slow_keeps_nobody_from_trying() {
    let (gate, proxy) = (Gate::new(), Proxy::start(CONFIG));
    let origin = slow(&gate, 2);
    for path in ["/fast", "/slow"] {
        proxy.get(&origin.uri(path));
    }
    // Found out, and tried.
    for _ in 0..3 {
        assert!(is_stale(&proxy.get(&origin.uri("/slow"))));
    }
    origin.wait_for(4);
    let begun = Instant::now();
    wait_until("it is tried", TIMEOUT, || {
        !is_stale(&proxy.get(&origin.uri("/fast")))
    });
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    gate.open_for_all();
}

#[test]
fn a_request_that_is_made_once_more_may_hang_too() {
    let (gate, proxy) = (Gate::new(), Proxy::start(CONFIG));
    let asked = AtomicUsize::new(0);
    let origin = Origin::gated(&gate, move |conn, _, gate| {
        let answer = match asked.fetch_add(1, Ordering::SeqCst) {
            0 => ok(STALE, "content"),
            1 => b"HTTP/1.1 304 Not Modified\r\nETag: \"b\"\r\n\r\n".to_vec(),
            _ => return gate.wait(),
        };
        conn.send(answer);
    });
    proxy.get(&origin.uri("/"));
    let begun = Instant::now();
    assert!(is_stale(&proxy.get(&origin.uri("/"))));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(origin.count(), 3);
    gate.open_for_all();
}
