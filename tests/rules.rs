//! The operator's rules by URI pattern, seen from outside.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use common::origin::{fresh, ok, reply};
use common::{Origin, Proxy, TIMEOUT, date, each, wait_until};

/// A rule for everything that this origin has under a path.
fn rule(origin: &Origin, path: &str, says: &str) -> String {
    format!("[[rule]]\nmatch = \"{}*\"\n{says}\n", origin.uri(path))
}

#[test]
fn what_is_bypassed_is_never_cached() {
    let origin = Origin::answering(|_| fresh("x"));
    let proxy = Proxy::start(&rule(&origin, "/no/", "bypass = true"));
    for (path, requests) in [("/no/a", 3), ("/yes/a", 1)] {
        for _ in 0..3 {
            let response = proxy.get(&origin.uri(path));
            let told = response.head.first("cache-status").unwrap();
            assert_eq!(told.contains("fwd=bypass"), requests == 3, "{told}");
        }
        assert_eq!(origin.count_of(path), requests, "{path}");
    }
    let only = proxy.request(
        "GET",
        &origin.uri("/no/a"),
        "Cache-Control: only-if-cached\r\n",
    );
    assert_eq!(only.status, 504);
}

#[test]
fn ignored_parameters_make_no_other_response() {
    let origin = Origin::answering(|request| fresh(request.target()));
    let proxy = Proxy::start(&rule(&origin, "/", "ignore_query = [\"utm_*\", \"ref\"]"));
    // What is asked for, and the request whose response it gets.
    let rows = [
        ("/a?utm_source=1&b=2", "/a?utm_source=1&b=2"),
        ("/a?b=2", "/a?utm_source=1&b=2"),
        ("/a?b=2&ref=x&utm_", "/a?utm_source=1&b=2"),
        ("/a?b=3&ref=x", "/a?b=3&ref=x"),
        ("/a?ref", "/a?ref"),
        ("/a", "/a?ref"),
    ];
    each(rows, |(asked, answered)| {
        assert_eq!(proxy.get(&origin.uri(asked)).text(), answered, "{asked}");
    });
    assert_eq!(origin.count(), 3);
    // RFC 9111 §4.4: an unsafe request makes what is stored for any of them invalid.
    proxy.request("DELETE", &origin.uri("/a?b=2&utm_medium=3"), "");
    assert_eq!(proxy.get(&origin.uri("/a?b=2")).text(), "/a?b=2");
}

#[test]
fn cookies_make_no_other_response_where_a_rule_says_so() {
    let origin = Origin::answering(|_| {
        let fields = format!("Last-Modified: {}\r\nSet-Cookie: a=b\r\n", date(-864_000));
        ok(&fields, "x")
    });
    let proxy = Proxy::start(&rule(&origin, "/all/", "ignore_cookies = true"));
    for (path, requests) in [("/all/a", 1), ("/own/a", 3)] {
        for number in 0..3 {
            let response = proxy.request("GET", &origin.uri(path), "Cookie: a=b\r\n");
            let own = number == 0 || requests == 3;
            assert_eq!(response.head.has("set-cookie"), own, "{path} {number}");
        }
        assert_eq!(origin.count_of(path), requests, "{path}");
    }
}

#[test]
fn staleness_has_defaults() {
    let broken = Arc::new(AtomicBool::new(false));
    let origin = Origin::answering({
        let broken = broken.clone();
        move |request| match (broken.load(SeqCst), request.target()) {
            (true, _) => reply("503 Service Unavailable", "", "broken"),
            (false, "/must") => ok("Cache-Control: max-age=1, must-revalidate\r\n", "old"),
            (false, _) => ok("Cache-Control: max-age=1\r\n", "old"),
        }
    });
    let config = format!(
        "stale_if_error = \"1h\"\n{}{}",
        rule(&origin, "/never/", "stale_if_error = \"0s\""),
        rule(&origin, "/meanwhile", "stale_while_revalidate = \"1h\""),
    );
    let proxy = Proxy::start(&config);
    let paths = ["/a", "/must", "/never/a", "/meanwhile"];
    for path in paths {
        assert_eq!(proxy.get(&origin.uri(path)).text(), "old", "{path}");
    }
    broken.store(true, SeqCst);
    std::thread::sleep(Duration::from_millis(2100));
    // RFC 5861 §3, §4: stale while it is validated, or when that fails.
    let rows = [
        ("/a", 200, "old"),
        ("/must", 503, "broken"),
        ("/never/a", 503, "broken"),
        ("/meanwhile", 200, "old"),
    ];
    each(rows, |(path, status, text)| {
        let response = proxy.get(&origin.uri(path));
        assert_eq!(
            (response.status, response.text().as_str()),
            (status, text),
            "{path}"
        );
    });
    wait_until("the validation in the background", TIMEOUT, || {
        origin.count_of("/meanwhile") == 2
    });
}
