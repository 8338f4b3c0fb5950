//! RFC 9111 §4.3 and §3.2, RFC 9110 §8.8 and §13: validation by the proxy, conditions of clients.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::common::conversation::{hold, settle, start};
use super::common::origin::ok;
use super::common::{Client, Origin, Proxy, date};

#[test]
fn section_4_3_of_the_proxy_itself() {
    hold("", include_str!("validation.txt"));
}

#[test]
fn section_4_3_2_of_clients() {
    hold("", include_str!("conditions.txt"));
}

#[test]
fn a_304_about_something_else_updates_nothing() {
    let proxy = start("");
    let answers = AtomicUsize::new(0);
    let origin = Origin::answering(move |_| match answers.fetch_add(1, Ordering::SeqCst) {
        0 => ok(
            "Cache-Control: max-age=0\r\nETag: \"a\"\r\nX-A: 1\r\n",
            "one",
        ),
        1 => format!(
            "HTTP/1.1 304 x\r\nDate: {}\r\nETag: \"z\"\r\nX-A: 2\r\n\r\n",
            date(0)
        )
        .into_bytes(),
        _ => ok(
            "Cache-Control: max-age=60\r\nETag: \"b\"\r\nX-A: 3\r\n",
            "two",
        ),
    });
    assert_eq!(proxy.get(&origin.uri("/")).text(), "one");
    settle(&proxy);
    let second = proxy.get(&origin.uri("/"));
    assert_eq!(
        (second.text().as_str(), second.first("x-a")),
        ("two", Some("3"))
    );
    let requests = origin.requests();
    assert!(requests[1].head.has("if-none-match") && !requests[2].head.has("if-none-match"));
    let third = proxy.get(&origin.uri("/"));
    assert_eq!(
        (third.text().as_str(), third.first("etag")),
        ("two", Some("\"b\""))
    );
    assert_eq!(origin.count(), 3);
}

#[test]
fn a_conditional_reload_is_seen_by_who_asks_next() {
    let proxy = Proxy::start("");
    let answers = AtomicUsize::new(0);
    let origin = Origin::answering(move |_| {
        let number = answers.fetch_add(1, Ordering::SeqCst);
        let fields = format!("Cache-Control: max-age=60\r\nETag: \"{number}\"\r\n");
        ok(&fields, format!("answer {number}"))
    });
    let uri = origin.uri("/");
    let mut client = Client::of(&proxy);
    assert_eq!(client.get(&uri).text(), "answer 0");
    for number in 1..20 {
        let reload = "Cache-Control: no-cache\r\nIf-None-Match: \"x\"\r\n";
        let reloaded = client.request("GET", &uri, reload);
        assert_eq!(reloaded.text(), format!("answer {number}"));
        assert_eq!(
            client.get(&uri).text(),
            reloaded.text(),
            "RFC 9111 §4: the most recent"
        );
    }
}
