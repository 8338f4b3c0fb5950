//! The proxy's own answers, and whose name it leaves in Via.

use crate::common::origin::passing;
use crate::common::{Client, Origin, Proxy};

#[test]
fn via_is_appended_and_a_loop_refused() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("ok"));
    proxy.request(
        "GET",
        &origin.uri("/"),
        "Via: 1.0 fred, 1.1 example.com\r\n",
    );
    let via = origin.last().head.all("via").join(", ");
    let own = via
        .strip_prefix("1.0 fred, 1.1 example.com, ")
        .expect(&via)
        .to_owned();
    assert!(own.starts_with("1.1 "), "{own}");

    let looped = proxy.request(
        "GET",
        &origin.uri("/"),
        &format!("Via: 1.1 other, {own}\r\n"),
    );
    assert_eq!(looped.status, 508, "{}", looped.text());
    assert!(!looped.content.is_empty(), "it says why");
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_last_recipient_answers_itself() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("origin"));
    for method in ["OPTIONS", "TRACE"] {
        let response = proxy.request(method, &origin.uri("/"), "Max-Forwards: 0\r\n");
        assert_ne!(response.text(), "origin", "{method}");
        assert_eq!(
            origin.count(),
            0,
            "{method} with Max-Forwards: 0 (RFC 9110 §7.6.2)"
        );
    }
    let response = proxy.request("GET", &origin.uri("/"), "Max-Forwards: 0\r\n");
    assert_eq!(
        response.text(),
        "origin",
        "Max-Forwards is for OPTIONS and TRACE only"
    );
}

#[test]
fn the_proxy_answers_for_itself() {
    let proxy = Proxy::start("");
    let own = proxy.address();
    let mut client = Client::of(&proxy);
    client.send(format!("GET / HTTP/1.1\r\nHost: {own}\r\n\r\n"));
    let page = client.response("GET");
    assert!(page.status < 500 && !page.content.is_empty(), "{page:?}");
    assert!(
        page.text().to_lowercase().contains("proxy"),
        "{}",
        page.text()
    );

    client.send(format!("GET /nothing/here HTTP/1.1\r\nHost: {own}\r\n\r\n"));
    assert_eq!(client.response("GET").status, 404);

    client.send(format!("OPTIONS * HTTP/1.1\r\nHost: {own}\r\n\r\n"));
    let options = client.response("OPTIONS");
    assert!((200..300).contains(&options.status), "{options:?}");

    client.send(format!("HEAD / HTTP/1.1\r\nHost: {own}\r\n\r\n"));
    assert_eq!(
        client.response("HEAD").status,
        page.status,
        "HEAD is as GET, without content"
    );
    client.send(format!("GET / HTTP/1.1\r\nHost: {own}\r\n\r\n"));
    assert_eq!(client.response("GET").status, page.status);
}
