//! Trailers pass both ways, but not those that would frame or route.

use crate::common::message::Framing;
use crate::common::{Client, Origin, Proxy};

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
