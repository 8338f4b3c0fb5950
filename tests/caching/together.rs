//! Clients that ask at once: they share a fetch where they may, and none of them disturbs the others.

use crate::common;
use crate::common::origin::{fresh, ok, reply};
use crate::common::{Client, Gate, Origin, Proxy};

#[test]
fn clients_that_ask_at_once_share_one_fetch() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = Origin::halved(&gate);
    let mut clients: Vec<Client> = (0..6).map(|_| Client::of(&proxy)).collect();
    for client in &mut clients {
        client.ask("GET", &origin.uri("/"), "");
    }
    let framing: Vec<_> = clients
        .iter_mut()
        .map(|client| client.response_head("GET").framing)
        .collect();
    for client in &mut clients {
        assert_eq!(
            client.wire.some(5).unwrap(),
            b"first",
            "the growing content is read by all"
        );
    }
    assert!(
        framing
            .iter()
            .all(|framing| *framing == common::message::Framing::Length(10))
    );
    assert_eq!(origin.count(), 1);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.wire.exactly(5).unwrap(), b" half");
    }
    assert_eq!(origin.count(), 1);
}

#[test]
fn clients_that_ask_at_once_never_share_what_is_not_theirs() {
    let proxy = Proxy::start("");
    for (request, fields) in [
        ("", "Cache-Control: private"),
        ("", "Cache-Control: no-store"),
        ("", "Cache-Control: max-age=0"),
        ("", "Cache-Control: no-cache\r\nETag: \"x\""),
        ("", "Vary: X-Client\r\nCache-Control: max-age=60"),
        ("", "Vary: *"),
        (
            "",
            "Set-Cookie: a=b\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT",
        ),
        ("Cookie: a={}\r\n", "ETag: \"x\""),
        (
            "Cookie: a={}\r\n",
            "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT",
        ),
        ("Authorization: Basic {}\r\n", "Cache-Control: max-age=60"),
        ("Cache-Control: no-store\r\n", "Cache-Control: max-age=60"),
        ("Range: bytes=-{}\r\n", "Cache-Control: max-age=60"),
    ] {
        let gate = Gate::new();
        let origin = Origin::gated(&gate, move |conn, request, gate| {
            gate.wait();
            let content = request.head.first("x-client").unwrap().to_owned();
            conn.send(ok(&format!("{fields}\r\n"), content));
        });
        let mut clients: Vec<Client> = (0..6).map(|_| Client::of(&proxy)).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            client.ask(
                "GET",
                &origin.uri("/"),
                &format!(
                    "X-Client: {number}\r\n{}",
                    request.replace("{}", &number.to_string())
                ),
            );
        }
        origin.wait_for(1);
        gate.open_for_all();
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(
                client.response("GET").text(),
                number.to_string(),
                "{request:?} {fields:?}"
            );
        }
    }
}

#[test]
fn a_change_during_a_fetch_is_not_undone_by_it() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = Origin::gated(&gate, move |conn, request, gate| {
        if request.method() == "POST" {
            conn.send(reply("200 OK", "", "changed"));
            return;
        }
        conn.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 8\r\n\r\ncont");
        gate.wait();
        conn.send("ents");
    });
    let uri = origin.uri("/");
    let mut early = Client::asking(&proxy, &uri);
    early.response_head("GET");
    let post = proxy.request("POST", &uri, "Content-Length: 0\r\n");
    assert_eq!(post.text(), "changed");
    gate.open_for_all();
    assert_eq!(early.wire.exactly(8).unwrap(), b"contents");
    let asked = origin.count();
    assert!(
        !proxy.get(&uri).is_hit(),
        "what was fetched before the change is from before it"
    );
    assert_eq!(origin.count(), asked + 1);
}

#[test]
fn a_client_that_leaves_does_not_spoil_the_object() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = Origin::halved(&gate);
    let mut leaving = Client::asking(&proxy, &origin.uri("/"));
    leaving.response_head("GET");
    let mut staying = Client::asking(&proxy, &origin.uri("/"));
    staying.response_head("GET");
    leaving.wire.reset();
    gate.open();
    assert_eq!(staying.wire.exactly(10).unwrap(), b"first half");
    assert_eq!(proxy.get(&origin.uri("/")).text(), "first half");
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_slow_client_holds_up_nobody() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh(common::pattern(24 << 20)));
    let mut slow = Client::asking(&proxy, &origin.uri("/"));
    let head = slow.response_head("GET");
    let quick = proxy.get(&origin.uri("/"));
    assert!(quick.content == common::pattern(24 << 20));
    let mut content = Vec::new();
    slow.content(head.framing, &mut |piece| content.extend_from_slice(piece))
        .unwrap();
    assert!(content == quick.content);
    assert_eq!(origin.count(), 1, "one fetch for both");
}
