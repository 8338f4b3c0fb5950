//! What is being received, and what was received just now, is an entry of the cache for every kind of request, in all
//! workers: from its head on, and with no gap between the last byte and the name in the store.

use super::proxy;
use crate::common::origin::ok;
use crate::common::{Client, Gate, Origin, pattern};

const FIELDS: &str =
    "Cache-Control: max-age=600\r\nETag: \"a\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

/// A request that what is being received answers: method, fields, the status, the content if it is all there.
type Asked = (&'static str, &'static str, u16, Option<(usize, usize)>);

const ASKED: &[Asked] = &[
    ("GET", "If-None-Match: \"a\"\r\n", 304, Some((0, 0))),
    (
        "GET",
        "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        304,
        Some((0, 0)),
    ),
    (
        "GET",
        "Cache-Control: only-if-cached\r\nIf-None-Match: \"a\"\r\n",
        304,
        Some((0, 0)),
    ),
    ("HEAD", "", 200, Some((0, 0))),
    (
        "HEAD",
        "Cache-Control: only-if-cached\r\n",
        200,
        Some((0, 0)),
    ),
    ("HEAD", "If-None-Match: \"a\"\r\n", 304, Some((0, 0))),
    ("GET", "Range: bytes=100-199\r\n", 206, Some((100, 200))),
    (
        "GET",
        "Cache-Control: only-if-cached\r\nRange: bytes=0-0\r\n",
        206,
        Some((0, 1)),
    ),
    ("GET", "Cache-Control: only-if-cached\r\n", 200, None),
    ("GET", "If-None-Match: \"other\"\r\n", 200, None),
    ("GET", "Authorization: Basic YQ==\r\n", 200, None),
    ("GET", "", 200, None),
];

#[test]
fn from_its_head_on_for_every_kind_of_request_in_all_workers() {
    // (the length, which decides where it is kept)
    for length in [2_000, 3_000_000] {
        let content = pattern(length);
        let gate = Gate::new();
        let origin = Origin::gated(&gate, {
            let content = content.clone();
            move |conn, _, gate| {
                let whole = ok(FIELDS, &content);
                let (first, second) = whole.split_at(whole.len() - length / 2);
                conn.send(first);
                gate.wait();
                conn.send(second);
            }
        });
        let proxy = proxy();
        let uri = origin.uri("/one");
        let mut first = Client::asking(&proxy, &uri);
        first.response_head("GET");
        first.wire.exactly(length / 4).unwrap();
        let mut reading = Vec::new();
        // Each several times, so that all workers have some.
        for (method, fields, status, part) in ASKED.iter().cycle().take(ASKED.len() * 6) {
            let mut client = Client::of(&proxy);
            client.ask(method, &uri, fields);
            match part {
                Some((from, end)) => {
                    let response = client.response(method);
                    assert_eq!(response.status, *status, "{method} {fields}");
                    assert!(
                        response.is_hit(),
                        "{method} {fields}{:?}",
                        response.cache_status()
                    );
                    assert!(
                        response.content == content[*from..*end],
                        "{method} {fields}"
                    );
                    if *method == "HEAD" && *status == 200 {
                        let expected = Some(length.to_string());
                        assert_eq!(
                            response.head.first("content-length").map(str::to_owned),
                            expected
                        );
                    }
                }
                None => reading.push((client, fields)),
            }
        }
        assert_eq!(origin.count(), 1, "{length}");
        gate.open_for_all();
        for (client, fields) in &mut reading {
            let response = client.response("GET");
            assert_eq!(response.status, 200, "{fields}");
            assert!(response.content == content, "{fields}");
        }
        assert_eq!(origin.count(), 1, "{length}");
    }
}

#[test]
fn a_range_that_is_not_there_yet_is_asked_for() {
    let content = pattern(3_000_000);
    let gate = Gate::new();
    let origin = Origin::gated(&gate, {
        let content = content.clone();
        move |conn, request, gate| {
            if request.head.has("range") {
                let part = &content[2_999_000..];
                let fields = format!("{FIELDS}Content-Range: bytes 2999000-2999999/3000000\r\n");
                conn.send(crate::common::origin::reply(
                    "206 Partial Content",
                    &fields,
                    part,
                ));
                return;
            }
            let whole = ok(FIELDS, &content);
            conn.send(&whole[..whole.len() / 2]);
            gate.wait();
            conn.send(&whole[whole.len() / 2..]);
        }
    });
    let proxy = proxy();
    let uri = origin.uri("/one");
    let mut first = Client::asking(&proxy, &uri);
    first.response_head("GET");
    for _ in 0..6 {
        let late = proxy.request("GET", &uri, "Range: bytes=-1000\r\n");
        assert_eq!(late.status, 206);
        assert!(late.content == content[2_999_000..]);
    }
    let only = "Cache-Control: only-if-cached\r\nRange: bytes=2000000-2000009\r\n";
    assert_eq!(proxy.request("GET", &uri, only).status, 504);
    gate.open_for_all();
}

#[test]
fn there_is_no_gap_between_the_last_byte_and_the_store() {
    const ROUNDS: usize = 40;
    for length in [2_000, 600_000] {
        let content = pattern(length);
        let origin = Origin::answering({
            let content = content.clone();
            move |_| ok(FIELDS, &content)
        });
        let proxy = proxy();
        let mut first = Client::of(&proxy);
        let asked = ASKED
            .iter()
            .filter(|(_, fields, ..)| !fields.contains("Authorization"));
        let asked: Vec<_> = asked.collect();
        for round in 0..ROUNDS {
            let uri = origin.uri(&format!("/{round}"));
            let mut others: Vec<Client> = (0..4).map(|_| Client::of(&proxy)).collect();
            assert!(first.get(&uri).content == content);
            for (number, other) in others.iter_mut().enumerate() {
                let (method, fields, status, _) = asked[(round + number * 3) % asked.len()];
                let response = other.request(method, &uri, fields);
                assert_eq!(response.status, *status, "{method} {fields}{length}");
                assert!(
                    response.is_hit(),
                    "{method} {fields}{length} {}",
                    response.cache_status()
                );
            }
        }
        assert_eq!(origin.count(), ROUNDS, "{length}");
    }
}
