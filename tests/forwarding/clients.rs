//! Connections of clients: pipelined requests are answered in order, and an end in either direction is respected.

use crate::common::origin::{fresh, passing};
use crate::common::{Client, Ended, Gate, Origin, Proxy};

#[test]
fn pipelined_requests_are_answered_in_order() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = Origin::gated(&gate, move |conn, request, gate| {
        let path = request.target().to_owned();
        if path == "/slow" {
            gate.wait();
        }
        let bytes = if path.starts_with("/hit") {
            fresh(&path)
        } else {
            passing(&path)
        };
        conn.send(bytes);
    });
    let mut client = Client::of(&proxy);
    for number in 0..8 {
        client.get(&origin.uri(&format!("/hit/{number}")));
    }
    // The first is the slowest; the others are half hits, half misses.
    let mut paths = vec!["/slow".to_owned()];
    paths.extend((0..15).map(|number| match number % 2 {
        0 => format!("/hit/{}", number / 2),
        _ => format!("/miss/{number}"),
    }));
    let (uri, authority) = (origin.uri(""), origin.authority());
    let requests = paths
        .iter()
        .map(|path| format!("GET {uri}{path} HTTP/1.1\r\nHost: {authority}\r\n\r\n"))
        .collect::<Vec<_>>()
        .concat();
    client.send(&requests);
    origin.wait_for(9);
    gate.open();
    for path in &paths {
        let response = client.response("GET");
        assert_eq!(&response.text(), path);
        assert_eq!(
            response.is_hit(),
            path.starts_with("/hit"),
            "{path}: {:?}",
            response.head.fields
        );
    }
}

#[test]
fn a_deep_pipeline_of_hits_is_answered_whole() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh("content"));
    let mut client = Client::of(&proxy);
    client.get(&origin.uri("/"));
    let one = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n",
        origin.uri("/"),
        origin.authority()
    );
    let writer = std::thread::spawn({
        let mut writer = client.wire.writer();
        let requests = one.repeat(1000);
        move || std::io::Write::write_all(&mut writer, requests.as_bytes())
    });
    for number in 0..1000 {
        assert_eq!(client.response("GET").text(), "content", "{number}");
    }
    writer.join().unwrap().unwrap();
    assert_eq!(origin.count(), 1);
}

#[test]
fn pipelined_content_is_not_a_request() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| passing(&request.content));
    let (uri, authority) = (origin.uri("/"), origin.authority());
    let inner = format!("GET {uri}smuggled HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    let mut client = Client::of(&proxy);
    client.send(format!(
        "POST {uri} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {}\r\n\r\n{inner}POST {uri} \
         HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n0\r\n\r\nGET \
         {uri}last HTTP/1.1\r\nHost: {authority}\r\n\r\n",
        inner.len(),
        inner.len()
    ));
    assert_eq!(client.response("POST").text(), inner);
    assert_eq!(client.response("POST").text(), inner);
    assert_eq!(client.response("GET").text(), "");
    let targets: Vec<String> = origin
        .requests()
        .iter()
        .map(|r| r.target().to_owned())
        .collect();
    assert_eq!(targets, ["/", "/", "/last"]);
}

#[test]
fn a_client_that_half_closes_gets_its_answer() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = Origin::scripted({
        let gate = gate.clone();
        move |mut conn| {
            let _ = conn.request();
            gate.wait();
            conn.send(passing("late"));
            conn.hold();
        }
    });
    let mut client = Client::asking(&proxy, &origin.uri("/"));
    client.wire.half_close();
    origin.wait_for(1);
    gate.open();
    assert_eq!(client.response("GET").text(), "late");
    assert_eq!(client.rest().1, Ended::Closed);
}

#[test]
fn connection_close_of_a_client_is_respected() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("ok"));
    let mut client = Client::of(&proxy);
    let response = client.request("GET", &origin.uri("/"), "Connection: close\r\n");
    assert!(
        response.head.has_element("connection", "close"),
        "{:?}",
        response.head.fields
    );
    assert_eq!(client.rest(), (Vec::new(), Ended::Closed));
    proxy.get(&origin.uri("/"));
    assert_eq!(
        origin.connections(),
        1,
        "it is the client's connection that ends"
    );
}

#[test]
fn what_follows_a_closing_request_is_not_answered() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| passing(request.target()));
    let (uri, authority) = (origin.uri(""), origin.authority());
    let mut client = Client::of(&proxy);
    client.send(format!(
        "GET {uri}/one HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\nGET {uri}/two \
         HTTP/1.1\r\nHost: {authority}\r\n\r\n"
    ));
    assert_eq!(client.response("GET").text(), "/one");
    let (rest, end) = client.rest();
    assert!(
        rest.is_empty() && end.is_over(),
        "{end:?}: {}",
        String::from_utf8_lossy(&rest)
    );
    assert_eq!(origin.count_of("/two"), 0);
}
