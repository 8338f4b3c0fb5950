//! Hostile requests: malformed, too large, broken off, or no requests at all. Each is refused, and what follows it
//! is never taken for a request where its end is in doubt.

use crate::common::origin::passing;
use crate::common::{Client, Origin, Proxy, each};
use crate::content::{CHUNKS, LENGTH};
use crate::fields::{FIELDS, HOST};
use crate::target::{REQUEST_LINE, TARGET};
use crate::{Declined, Gets, Refused, RefusedOrClosed, common};

/// Sends one hostile request and what follows it, and holds what it gets.
fn hostile(proxy: &Proxy, origins: [&Origin; 2], what: &str, bytes: &[u8], gets: Gets) {
    let mut client = Client::of(proxy);
    client.send(bytes);
    let smuggled = || origins.map(|origin| origin.count_of("/smuggled"));
    let before = smuggled();
    let (uri, authority) = (origins[0].uri("/smuggled"), origins[0].authority());
    client.send(format!("GET {uri} HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
    let (statuses, may_close, may_persist) = match gets {
        Refused(statuses) => (statuses, false, false),
        RefusedOrClosed(statuses) => (statuses, true, false),
        Declined(statuses) => (statuses, false, true),
    };
    match client.try_response("GET") {
        Ok(response) => {
            assert!(
                statuses.contains(&response.status),
                "{what}: {} {}",
                response.status,
                response.text()
            );
            assert!(!response.content.is_empty(), "{what}: it says why");
            assert!(response.content.len() < 4096, "{what}: a short body");
            if may_persist && !response.head.has_element("connection", "close") {
                assert_eq!(
                    client.response("GET").status,
                    200,
                    "{what}: the next request"
                );
                return;
            }
            let (rest, end) = client.rest();
            assert!(
                rest.is_empty(),
                "{what}: then {}",
                String::from_utf8_lossy(&rest)
            );
            assert!(end.is_over(), "{what}: the connection stays open");
        }
        Err(ended) => assert!(may_close && ended.is_over(), "{what}: {ended:?}"),
    }
    assert_eq!(smuggled(), before, "{what}: smuggled");
}

#[test]
fn hostile_requests_are_refused() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("origin"));
    let other = Origin::answering(|_| passing("other"));
    let rows = [&REQUEST_LINE[..], &TARGET, &HOST, &FIELDS, &LENGTH, &CHUNKS].concat();
    each(rows, |(what, request, gets)| {
        let request = request
            .replace("{u}", &origin.uri("/"))
            .replace("{a}", &origin.authority())
            .replace("{o}", &other.authority());
        // Characters are bytes here, so that a row can hold any byte.
        let bytes: Vec<u8> = request.chars().map(|c| c as u32 as u8).collect();
        hostile(&proxy, [&origin, &other], what, &bytes, gets);
    });
    assert_eq!(
        proxy.get(&origin.uri("/")).text(),
        "origin",
        "the proxy still serves"
    );
    assert_eq!(proxy.workers().len(), 1);
}

#[test]
fn oversize_requests_are_refused() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("origin"));
    let (uri, authority) = (origin.uri("/"), origin.authority());
    let long = "x".repeat(200_000);
    let rows: [(&str, String, Gets); 8] = [
        (
            "a long target",
            format!("GET {uri}{long} HTTP/1.1\r\nHost: {authority}\r\n\r\n"),
            Refused(&[414]),
        ),
        (
            "a long target that never ends",
            format!("GET {uri}{long}"),
            Refused(&[414]),
        ),
        (
            "a long method",
            format!("{long} {uri} HTTP/1.1\r\nHost: {authority}\r\n\r\n"),
            Refused(&[400, 414, 501]),
        ),
        (
            "a long value",
            format!("GET {uri} HTTP/1.1\r\nHost: {authority}\r\nX: {long}\r\n\r\n"),
            Refused(&[431]),
        ),
        (
            "a long name",
            format!("GET {uri} HTTP/1.1\r\nHost: {authority}\r\n{long}: x\r\n\r\n"),
            Refused(&[400, 431]),
        ),
        (
            "many fields",
            format!(
                "GET {uri} HTTP/1.1\r\nHost: {authority}\r\n{}\r\n",
                "X: y\r\n".repeat(10_000)
            ),
            Refused(&[431]),
        ),
        (
            "many empty lines",
            "\r\n".repeat(100_000),
            RefusedOrClosed(&[400, 431]),
        ),
        (
            "a long chunk extension",
            format!(
                "POST {uri} HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n2;{long}"
            ),
            RefusedOrClosed(&[400, 431]),
        ),
    ];
    each(rows, |(what, request, gets)| {
        // What is refused before it was read whole may end in a reset that takes the answer along; the
        // proxy has to read on for a while, so that an ordinary client gets it.
        hostile(&proxy, [&origin, &origin], what, request.as_bytes(), gets);
    });
    let trailers = format!(
        "POST {uri} HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{}\r\n",
        "X: y\r\n".repeat(20_000)
    );
    hostile(
        &proxy,
        [&origin, &origin],
        "many trailers",
        trailers.as_bytes(),
        RefusedOrClosed(&[400, 431]),
    );
    assert_eq!(proxy.get(&uri).text(), "origin");
    assert!(proxy.worker_peak() < 64 << 20);
}

#[test]
fn a_request_that_breaks_off_reaches_nobody() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("origin"));
    let (uri, authority) = (origin.uri("/"), origin.authority());
    let whole = format!("GET {uri} HTTP/1.1\r\nHost: {authority}\r\nX: y\r\n\r\n");
    for cut in (1..whole.len()).step_by(7) {
        let mut client = Client::of(&proxy);
        client.send(&whole[..cut]);
        client.wire.half_close();
        let (_, end) = client.rest();
        assert!(end.is_over(), "cut at {cut}: {end:?}");
    }
    assert_eq!(origin.count(), 0);
    // Content that breaks off: the origin must be able to tell.
    let mut client = Client::of(&proxy);
    client.send(format!(
        "POST {uri} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 9\r\n\r\nhalf"
    ));
    client.wire.half_close();
    assert!(client.rest().1.is_over());
    assert_eq!(origin.count(), 0, "only whole requests are recorded");
    assert_eq!(proxy.get(&uri).text(), "origin");
}

#[test]
fn random_bytes_are_refused() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("origin"));
    let bytes = common::pattern(40_000);
    for start in 0..40_usize {
        let mut client = Client::of(&proxy);
        client.send(&bytes[start * 997..start * 997 + 500]);
        client.wire.half_close();
        let (answer, end) = client.rest();
        assert!(end.is_over(), "{start}: {end:?}");
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
            "{start}"
        );
    }
    assert_eq!(proxy.get(&origin.uri("/")).text(), "origin");
}
