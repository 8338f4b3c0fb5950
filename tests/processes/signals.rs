//! SIGTERM, SIGINT, and SIGHUP, which reads the configuration again.

use std::time::{Duration, Instant};

use crate::common::origin::passing;
use crate::common::proxy::is_alive;
use crate::common::{Client, Ended, Gate, Origin, Proxy, TIMEOUT, wait_until};
use crate::{PARKING, holding};
use nix::sys::signal::Signal;

#[test]
fn sigterm_finishes_what_is_in_flight() {
    let mut proxy = Proxy::with(PARKING).workers(2).start();
    let gate = Gate::new();
    let origin = holding(&gate);
    let mut idle = Client::of(&proxy);
    idle.get(&origin.uri("/"));
    proxy.wait_until_parked(&idle);
    let mut busy = Client::asking(&proxy, &origin.uri("/hold"));
    origin.wait_for(2);
    proxy.signal(Signal::SIGTERM);
    assert_eq!(idle.rest().1, Ended::Closed);
    gate.open_for_all();
    assert_eq!(busy.response("GET").text(), "content");
    let status = proxy.wait_for_exit(TIMEOUT);
    assert!(status.success(), "{status}");
}

#[test]
fn sigterm_finishes_a_head_that_is_too_long_to_travel() {
    let mut proxy = Proxy::with(PARKING).workers(2).start();
    let origin = Origin::answering(|_| passing("content"));
    let mut client = Client::of(&proxy);
    let (uri, authority) = (origin.uri("/"), origin.authority());
    client.send(format!("GET {uri} HTTP/1.1\r\nHost: {authority}\r\n"));
    client.send(format!("X: {}\r\n", "x".repeat(50_000)));
    let worker = proxy.wait_until_together(std::slice::from_ref(&client));
    proxy.signal(Signal::SIGTERM);
    proxy.wait_for_line(&["drains"]);
    client.send("\r\n");
    assert_eq!(client.response("GET").text(), "content", "from {worker}");
    let status = proxy.wait_for_exit(TIMEOUT);
    assert!(status.success(), "{status}");
}

#[test]
fn sigterm_ends_in_bounded_time() {
    let mut proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = holding(&gate);
    let mut busy = Client::asking(&proxy, &origin.uri("/hold"));
    origin.wait_for(1);
    let workers = proxy.workers();
    let begun = Instant::now();
    proxy.signal(Signal::SIGTERM);
    proxy.wait_for_exit(Duration::from_secs(10));
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    wait_until("the workers' end", TIMEOUT, || {
        !workers.iter().any(|pid| is_alive(*pid))
    });
    assert!(busy.rest().1.is_over());
    gate.open_for_all();
}

#[test]
fn sigint_is_as_sigterm() {
    let mut proxy = Proxy::start("");
    proxy.signal(Signal::SIGINT);
    let status = proxy.wait_for_exit(TIMEOUT);
    assert!(status.success(), "{status}");
}

#[test]
fn a_reload_reaches_every_worker() {
    let proxy = Proxy::with("connect_ports = [443]\n").workers(2).start();
    let origin = Origin::answering(|_| passing("ok"));
    let authority = origin.authority();
    let connect = || Client::of(&proxy).request("CONNECT", &authority, "").status;
    proxy.wait_for_workers(2);
    let workers = proxy.workers();
    for _ in 0..4 {
        assert_eq!(connect(), 403);
    }
    proxy.write_config(&format!("connect_ports = [{}]\n", origin.address().port()));
    proxy.signal(Signal::SIGHUP);
    wait_until("the new settings", TIMEOUT, || connect() == 200);
    for _ in 0..6 {
        assert_eq!(connect(), 200, "in every worker at once");
    }
    assert_eq!(proxy.workers(), workers, "the same processes");
}

#[test]
fn a_bad_file_is_refused_and_the_old_settings_stay() {
    let proxy = Proxy::with("allow = [\"127.0.0.0/8\"]\n")
        .workers(2)
        .start();
    let origin = Origin::answering(|_| passing("ok"));
    proxy.wait_for_workers(2);
    for (bad, words) in [
        ("allow = [\"10.0.0.0/8\"]\nnonsense = 1\n", "nonsense"),
        ("allow = [\"10.0.0.0/33\"]\n", "allow"),
        ("allow = [\n", "cacheproxy.toml"),
    ] {
        proxy.write_config(bad);
        proxy.signal(Signal::SIGHUP);
        let line = proxy.wait_for_line(&[words]);
        assert!(line.contains("cacheproxy.toml"), "{line}");
        for _ in 0..4 {
            assert_eq!(proxy.get(&origin.uri("/")).text(), "ok", "{bad}");
        }
    }
    std::fs::remove_file(proxy.config_path()).unwrap();
    proxy.signal(Signal::SIGHUP);
    assert_eq!(proxy.get(&origin.uri("/")).text(), "ok", "without the file");
    // And a good one is taken after all.
    proxy.write_config("allow = [\"10.0.0.0/8\"]\n");
    proxy.signal(Signal::SIGHUP);
    wait_until("the new settings", TIMEOUT, || {
        proxy.get(&origin.uri("/")).status == 403
    });
}

#[test]
fn a_reload_disturbs_no_client() {
    let proxy = Proxy::with(PARKING).workers(2).start();
    let gate = Gate::new();
    let origin = holding(&gate);
    let mut idle = Client::of(&proxy);
    idle.get(&origin.uri("/"));
    let mut busy = Client::asking(&proxy, &origin.uri("/hold"));
    origin.wait_for(2);
    proxy.write_config("ttl = \"5m\"\n");
    for _ in 0..5 {
        proxy.signal(Signal::SIGHUP);
        assert_eq!(proxy.get(&origin.uri("/")).text(), "content");
    }
    gate.open_for_all();
    assert_eq!(busy.response("GET").text(), "content");
    assert_eq!(idle.get(&origin.uri("/")).text(), "content");
}
