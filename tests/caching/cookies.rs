//! What a response brings for one client is given to no other, however that comes by the rest: from a fetch of that
//! client's, in its own worker or another, from a validation, or from the store.

use std::time::Duration;

use crate::common::origin::{ok, reply};
use crate::common::{Client, Gate, Origin, Proxy, TIMEOUT, wait_until};

const WORKERS: usize = 3;

fn proxy() -> Proxy {
    let proxy = Proxy::with("").workers(WORKERS).start();
    wait_until("workers are ready", TIMEOUT, || {
        let log = proxy.log();
        log.iter().filter(|line| line.contains("is ready")).count() == WORKERS
    });
    proxy
}

/// The number of these clients that are given a cookie. All of them get the content.
fn given_cookies(clients: &mut [Client]) -> usize {
    let given = clients.iter_mut().map(|client| {
        let response = client.response("GET");
        assert_eq!(response.text(), "content");
        usize::from(response.head.has("set-cookie"))
    });
    given.sum()
}

fn asking(proxy: &Proxy, uri: &str) -> Vec<Client> {
    (0..20).map(|_| Client::asking(proxy, uri)).collect()
}

#[test]
fn who_joins_a_fetch_gets_no_cookie_of_it() {
    let gate = Gate::new();
    let origin = Origin::gated(&gate, |conn, request, gate| {
        gate.wait();
        let cookie = "Cache-Control: max-age=1\r\nETag: \"a\"\r\nSet-Cookie: a=b\r\n";
        conn.send(match request.head.has("if-none-match") {
            true => reply("304 Not Modified", cookie, ""),
            false => ok(cookie, "content"),
        });
    });
    let proxy = proxy();
    let uri = origin.uri("/one");
    // Fetched, then validated, by one of them for all.
    for requests in [1, 2] {
        let mut clients = asking(&proxy, &uri);
        origin.wait_for(requests);
        proxy.wait_until_together(&clients);
        gate.open();
        assert_eq!(given_cookies(&mut clients), 1, "{requests}");
        assert_eq!(origin.count(), requests);
        // Until it is in the store of all, then until it is stale.
        std::thread::sleep(Duration::from_millis(2200));
    }
}

#[test]
fn who_reads_along_sees_the_head_as_it_will_be_stored() {
    let gate = Gate::new();
    let origin = Origin::gated(&gate, |conn, _, gate| {
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60, private=\"X-A, X-T\"\r\nSet-Cookie: a=b\r\n\
                    X-A: 1\r\nX-B: 2\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ncontent\r\n";
        conn.send(head);
        gate.wait();
        conn.send("0\r\nX-T: 1\r\nX-U: 2\r\n\r\n");
    });
    let proxy = Proxy::start("");
    let (uri, trailers) = (origin.uri("/one"), "TE: trailers\r\nConnection: TE\r\n");
    let mut clients: Vec<Client> = (0..3).map(|_| Client::of(&proxy)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.ask("GET", &uri, trailers);
        let head = client.response_head("GET").head;
        let own = number == 0;
        assert_eq!((head.has("set-cookie"), head.has("x-a")), (own, own));
        assert_eq!(head.first("x-b"), Some("2"));
        assert!(head.has("date"));
    }
    gate.open_for_all();
    for client in &mut clients {
        let (rest, _) = client.rest();
        let rest = String::from_utf8(rest).unwrap();
        assert!(rest.contains("X-U: 2") && !rest.contains("X-T"), "{rest}");
    }
    let stored = Client::of(&proxy).request("GET", &uri, trailers);
    assert!(stored.is_hit() && !stored.head.has("set-cookie") && !stored.head.has("x-a"));
    assert_eq!(stored.trailers, [("X-U".to_owned(), "2".to_owned())]);
    assert_eq!(origin.count(), 1);
}
