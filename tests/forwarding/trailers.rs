//! Trailers pass both ways, but not those that would frame or route.

use crate::common::message::Framing;
use crate::common::{Client, Origin, Proxy, pattern};

#[test]
fn trailers_pass_both_ways() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTrailer: X-Sum\r\nTransfer-Encoding: \
          chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n"
            .to_vec()
    });
    let mut client = Client::of(&proxy);
    client.send(format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nTE: trailers\r\nTransfer-Encoding: \
         chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Check: yes\r\n\r\n",
        origin.uri("/"),
        origin.authority()
    ));
    let response = client.response("POST");
    assert_eq!(response.framing, Framing::Chunked);
    assert_eq!(response.trailers, [("X-Sum".to_owned(), "42".to_owned())]);
    assert_eq!(
        origin.last().trailers,
        [("X-Check".to_owned(), "yes".to_owned())]
    );
}

#[test]
fn trailers_that_would_frame_or_route_are_dropped() {
    // RFC 9110 §6.5.1: framing, routing and authentication aren't for trailers.
    let proxy = Proxy::start("");
    let forbidden =
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: x\r\nConnection: close\r\n";
    let origin = Origin::answering(move |_| {
        format!(
            "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: \
             chunked\r\n\r\n1\r\na\r\n0\r\n{forbidden}X-Sum: 1\r\n\r\n"
        )
        .into_bytes()
    });
    let mut client = Client::of(&proxy);
    client.send(format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nTE: trailers\r\nTransfer-Encoding: \
         chunked\r\n\r\n1\r\na\r\n0\r\n{forbidden}X-Sum: 1\r\n\r\n",
        origin.uri("/"),
        origin.authority()
    ));
    let response = client.response("POST");
    for trailers in [response.trailers, origin.last().trailers] {
        for (name, _) in &trailers {
            assert!(name.eq_ignore_ascii_case("x-sum"), "{trailers:?}");
        }
    }
}

#[test]
fn what_has_such_trailers_is_a_hit_all_the_same() {
    let mut proxy = Proxy::start("");
    let origin = Origin::answering(|_| {
        let head =
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nTransfer-Encoding: chunked\r\n\r\n";
        let trailers = "0\r\nContent-Length: 5\r\nConnection: close\r\nX-Sum: 1\r\n\r\n";
        let content = pattern(300_000);
        [
            head.as_bytes(),
            b"493e0\r\n",
            &content,
            b"\r\n",
            trailers.as_bytes(),
        ]
        .concat()
    });
    assert!(!proxy.get(&origin.uri("/")).is_hit());
    proxy.restart();
    let response = proxy.request("GET", &origin.uri("/"), "TE: trailers\r\n");
    assert!(response.is_hit(), "{}", response.cache_status());
    assert_eq!(response.trailers, [("X-Sum".to_owned(), "1".to_owned())]);
    assert!(response.content == pattern(300_000));
}
