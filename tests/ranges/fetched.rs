//! Ranges of what isn't stored, or has to be validated: when the whole is fetched instead, when the
//! request goes on as it is.

use std::io::Write;

use super::common::conversation::{BEFORE, hold};
use super::common::origin::{ok, reply};
use super::common::{Client, Gate, Origin, Proxy, date, pattern};
use super::{DIGITS, ask, have_stored};

#[test]
fn of_what_is_not_stored() {
    hold("", include_str!("misses.txt"));
}

/// Whatever isn't a 200 is passed on as it is, and a range of what may not be stored is served all the same.
#[test]
fn of_what_may_not_be_stored() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| match request.target() {
        "/404" => reply("404 x", "Cache-Control: max-age=60\r\n", "none"),
        "/503" => reply("503 x", "", "none"),
        // More than what is kept of it at a time.
        "/large" => ok("Cache-Control: no-store\r\n", pattern(2_000_000)),
        _ => ok("Cache-Control: no-store\r\n", DIGITS),
    });
    let got = ask(&proxy, &origin, "/large", "Range: bytes=1000000-\r\n");
    assert_eq!(
        got.first("content-range"),
        Some("bytes 1000000-1999999/2000000")
    );
    assert!(got.content == pattern(2_000_000)[1_000_000..]);
    let table = [
        ("/404", 404, "none"),
        ("/503", 503, "none"),
        ("/200", 206, "456789"),
    ];
    for (path, status, content) in table {
        let got = ask(&proxy, &origin, path, "Range: bytes=4-\r\n");
        assert_eq!((got.status, got.text().as_str()), (status, content));
    }
}

/// Without a length there is no Content-Range to say, until the content has come to its end.
#[test]
fn of_content_whose_length_is_not_known() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| {
        let head =
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}a\r\n{DIGITS}\r\n0\r\n\r\n").into_bytes()
    });
    let got = ask(&proxy, &origin, "/", "Range: bytes=4-\r\n");
    let range = got.first("content-range").map(str::to_owned);
    match got.status {
        200 => assert_eq!((got.text().as_str(), range), (DIGITS, None)),
        206 => assert_eq!(
            (got.text(), range),
            ("456789".into(), Some("bytes 4-9/10".into()))
        ),
        other => panic!("{other}"),
    }
    have_stored(&proxy, &origin, "/");
    let got = ask(&proxy, &origin, "/", "Range: bytes=4-\r\n");
    assert_eq!((got.status, got.text().as_str()), (206, "456789"));
}

/// Clients of ranges read one fetch as it grows.
#[test]
fn of_growing_content() {
    const LEN: usize = 2_000_000;
    let content = pattern(LEN);
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = Origin::scripted({
        let (content, gate) = (content.clone(), gate.clone());
        move |mut conn| {
            while conn.request().is_ok() {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nDate: {}\r\nLast-Modified: {BEFORE}\r\nCache-Control: max-age=60\r\nContent-Length: {LEN}\r\n\r\n",
                    date(0)
                );
                conn.send(head);
                conn.send(&content[..LEN / 2]);
                gate.wait();
                conn.send(&content[LEN / 2..]);
            }
        }
    });
    let table = [
        (0, "Range: bytes=0-\r\n".to_owned()),
        (100, "Range: bytes=100-\r\n".to_owned()),
        (
            700_001,
            format!("Range: bytes=700001-\r\nIf-Range: {BEFORE}\r\n"),
        ),
        (LEN - 1, format!("Range: bytes={}-\r\n", LEN - 1)),
    ];
    let mut clients = Vec::new();
    for (first, fields) in &table {
        let mut client = Client::of(&proxy);
        client.ask("GET", &origin.uri("/"), fields);
        let head = client.response_head("GET");
        let range = format!("bytes {first}-{}/{LEN}", LEN - 1);
        assert_eq!(
            (head.status, head.first("content-range")),
            (206, Some(range.as_str()))
        );
        if *first < LEN / 2 {
            // What is there is sent.
            let some = client.wire.exactly(LEN / 2 - first).unwrap();
            assert!(some == content[*first..LEN / 2]);
        }
        clients.push((client, *first));
    }
    // What is all there is sent to whoever asks for no more.
    let got = ask(&proxy, &origin, "/", "Range: bytes=10-99\r\n");
    assert!(got.status == 206 && got.content == content[10..100]);
    assert_eq!(origin.count(), 1, "one fetch serves them all");
    gate.open();
    for (mut client, first) in clients {
        let seen = first.max(LEN / 2);
        assert!(
            client.wire.exactly(LEN - seen).unwrap() == content[seen..],
            "from {first}"
        );
    }
    have_stored(&proxy, &origin, "/");
    assert_eq!(origin.count(), 1);
}

/// A range of something that has to be validated: what goes to the origin server has no Range (RFC 9111
/// §4.3.1), as its answer is about the whole.
#[test]
fn of_what_has_to_be_validated() {
    hold("", include_str!("validated.txt"));
}

/// A client that has its range leaves; a pipelined one gets its next answer.
#[test]
fn a_connection_goes_on_after_a_part() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| ok("Cache-Control: max-age=60\r\n", DIGITS));
    let uri = origin.uri("/");
    let mut client = Client::of(&proxy);
    let mut batch = Vec::new();
    for range in [
        "bytes=5-",
        "bytes=0-1",
        "bytes=0-0,9-9",
        "bytes=10-",
        "bytes=-1",
    ] {
        write!(
            batch,
            "GET {uri} HTTP/1.1\r\nHost: {}\r\nRange: {range}\r\n\r\n",
            origin.authority()
        )
        .unwrap();
    }
    client.send(batch);
    let got: Vec<_> = (0..5).map(|_| client.response("GET")).collect();
    let statuses: Vec<_> = got.iter().map(|response| response.status).collect();
    assert_eq!(statuses, [206, 206, 206, 416, 206]);
    assert_eq!(
        (got[0].text(), got[1].text(), got[4].text()),
        ("56789".into(), "01".into(), "9".into())
    );
}
