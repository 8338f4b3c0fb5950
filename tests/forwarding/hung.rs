//! Origin servers that hang, by name and address: where a host has several, the others are asked; names that aren't resolved.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use crate::common::nameserver::NameServer;
use crate::common::namespace::is_inside;
use crate::common::origin::ok;
use crate::common::{Client, Conn, Origin, Proxy, Response, TIMEOUT, wait_until};

const CONFIG: &str = "[timeouts]\norigin_hang = \"1s\"\n";
const AT_ONCE: Duration = Duration::from_millis(800);
const STALE: &str = "Cache-Control: max-age=0\r\nETag: \"a\"\r\n";

fn timed(proxy: &Proxy, uri: &str) -> (Response, Duration) {
    let begun = Instant::now();
    (proxy.get(uri), begun.elapsed())
}

fn is_stale(response: &Response) -> bool {
    response.cache_status().contains("detail=origin-hung")
}

/// An origin server on two addresses, the first `hanging` of which that were asked hang.
fn on_two_addresses(hanging: &Arc<AtomicUsize>) -> (Origin, Origin) {
    let asked = Arc::new(AtomicUsize::new(0));
    let serve = |name: &'static str| {
        let (hanging, asked) = (hanging.clone(), asked.clone());
        let place = std::sync::Mutex::new(None);
        move |mut conn: Conn| {
            while conn.request().is_ok() {
                let mut place = place.lock().unwrap();
                let place = *place.get_or_insert_with(|| asked.fetch_add(1, Ordering::SeqCst));
                if place < hanging.load(Ordering::SeqCst) {
                    return conn.hold();
                }
                conn.send(ok(STALE, name));
            }
        }
    };
    let one = Origin::on(TcpListener::bind("192.0.2.1:0").unwrap(), serve("one"));
    let there = ("192.0.2.2", one.address().port());
    let other = Origin::on(TcpListener::bind(there).unwrap(), serve("other"));
    (one, other)
}

#[test]
fn the_other_address_of_a_host_is_asked() {
    if !is_inside("hung::the_other_address_of_a_host_is_asked") {
        return;
    }
    let _names = NameServer::start();
    let hanging = Arc::new(AtomicUsize::new(0));
    let (one, other) = on_two_addresses(&hanging);
    let proxy = Proxy::with(CONFIG).workers(2).start();
    let uri = |path: &str| format!("http://two.test:{}{path}", one.address().port());
    let first = proxy.get(&uri("/a")).text();
    let second = if first == "one" { "other" } else { "one" };
    for path in ["/b", "/c", "/d"] {
        assert_eq!(proxy.get(&uri(path)).text(), first, "{path}");
    }
    hanging.store(1, Ordering::SeqCst);
    let (response, took) = timed(&proxy, &uri("/a"));
    assert!(is_stale(&response) && took > AT_ONCE, "{took:?}");
    for path in ["/b", "/new", "/b"] {
        let (response, took) = timed(&proxy, &uri(path));
        let status = response.cache_status();
        assert_eq!(response.text(), second, "{path}: {status} {took:?}");
        assert!(!is_stale(&response) && took < AT_ONCE, "{path}: {took:?}");
    }
    hanging.store(2, Ordering::SeqCst);
    let (response, took) = timed(&proxy, &uri("/c"));
    assert!(is_stale(&response) && took > AT_ONCE, "{took:?}");
    let (response, took) = timed(&proxy, &uri("/d"));
    assert!(is_stale(&response) && took < AT_ONCE, "{took:?}");
    drop(other);
}

#[test]
fn a_name_that_is_not_resolved_hangs() {
    if !is_inside("hung::a_name_that_is_not_resolved_hangs") {
        return;
    }
    let names = NameServer::start();
    let origin = Origin::answering(|_| ok(STALE, "old"));
    let mut proxy = Proxy::start(CONFIG);
    let uri = |path: &str| format!("http://good.test:{}{path}", origin.address().port());
    for path in ["/a", "/b"] {
        assert_eq!(proxy.get(&uri(path)).text(), "old");
    }
    names.fall_silent();
    proxy.restart();
    let (response, took) = timed(&proxy, &uri("/a"));
    assert!(is_stale(&response) && took > AT_ONCE, "{took:?}");
    let (response, took) = timed(&proxy, &uri("/b"));
    assert!(is_stale(&response) && took < AT_ONCE, "{took:?}");
    assert_eq!(names.count("good.test"), 2);
}

#[test]
fn connections_of_the_pool_that_were_lost_are_not_used_again() {
    let lost = Arc::new(AtomicBool::new(false));
    let (told, both) = (lost.clone(), Barrier::new(2));
    let origin = Origin::scripted(move |mut conn| {
        while let Ok(request) = conn.request() {
            if told.load(Ordering::SeqCst) && conn.number < 2 {
                return conn.hold();
            }
            if request.target() != "/again" {
                both.wait();
            }
            conn.send(ok(STALE, format!("on {}", conn.number)));
        }
    });
    let proxy = Proxy::start(CONFIG);
    let mut clients = ["/a", "/b"].map(|path| Client::asking(&proxy, &origin.uri(path)));
    for client in &mut clients {
        client.response("GET");
    }
    let stored = proxy.get(&origin.uri("/again")).text();
    assert_eq!(origin.connections(), 2);
    lost.store(true, Ordering::SeqCst);
    for is_first in [true, false] {
        let (response, took) = timed(&proxy, &origin.uri("/again"));
        assert!(is_stale(&response) && response.text() == stored);
        assert_eq!(took > AT_ONCE, is_first, "{took:?}");
    }
    wait_until("it answers on a new connection", TIMEOUT, || {
        proxy.get(&origin.uri("/again")).text() == "on 2"
    });
}
