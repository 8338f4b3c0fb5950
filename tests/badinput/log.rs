//! The log under bad input, which can't do this to it: show credentials, forge lines, go without one.

use crate::common::origin::{fresh, passing};
use crate::common::{Client, Origin, Proxy};

#[test]
fn credentials_in_uris_are_masked_in_the_log() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("origin"));
    let authority = origin.authority();
    let mut client = Client::of(&proxy);
    client.send(format!(
        "GET http://user:hidden-word@{authority}/seen HTTP/1.1\r\nHost: {authority}\r\n\r\n"
    ));
    let _ = client.try_response("GET");
    proxy.wait_for_line(&["/seen"]);
    assert!(
        !proxy.log().iter().any(|line| line.contains("hidden-word")),
        "{:#?}",
        proxy.log()
    );
}

#[test]
fn log_lines_can_not_be_forged() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("origin"));
    let (uri, authority) = (origin.uri("/path"), origin.authority());
    let mut client = Client::of(&proxy);
    client.send(format!(
        "GET {uri}\x1b[31m HTTP/1.1\r\nHost: {authority}\r\n\r\nGET {uri} HTTP/1.1\r\n\r\n"
    ));
    let _ = client.rest();
    proxy.get(&uri);
    proxy.wait_for_line(&["/path", "200"]);
    assert!(
        !proxy.log().iter().any(|line| line.contains('\x1b')),
        "{:#?}",
        proxy.log()
    );
}

#[test]
fn each_request_leaves_a_line() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh("content"));
    let mut client = Client::of(&proxy);
    client.get(&origin.uri("/one"));
    proxy.wait_for_line(&["GET", &origin.uri("/one"), "200", "miss"]);
    client.get(&origin.uri("/one"));
    proxy.wait_for_line(&["GET", &origin.uri("/one"), "200", "hit"]);
    Client::of(&proxy).send("GET nonsense\r\n\r\n");
    proxy.wait_for_line(&["400"]);

    let quiet = Proxy::start("access_log = false\n");
    quiet.get(&origin.uri("/two"));
    quiet.get(&origin.uri("/two"));
    assert!(
        !quiet.log().iter().any(|line| line.contains("/two")),
        "{:#?}",
        quiet.log()
    );
}
