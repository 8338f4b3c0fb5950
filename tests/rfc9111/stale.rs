//! RFC 9111 §4.2.4, §4.3.3 and RFC 5861: stale responses served, and when not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::common::origin::ok;
use super::common::{Client, Gate, Origin, PATIENCE, Proxy, wait_until};
use super::row::{Row, hold};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // The origin cannot be reached.
    ("disconnected", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET", "close", "stale 0 | 200")]),
    ("disconnected, must-revalidate", &[("GET", "200 | Cache-Control: max-age=0, must-revalidate | ETag: \"a\"", "miss"), ("GET", "close", "failed | 502")]),
    ("disconnected, proxy-revalidate", &[("GET", "200 | Cache-Control: max-age=0, proxy-revalidate | ETag: \"a\"", "miss"), ("GET", "close", "failed | 502")]),
    ("disconnected, s-maxage", &[("GET", "200 | Cache-Control: s-maxage=0 | ETag: \"a\"", "miss"), ("GET", "close", "failed | 502")]),
    ("disconnected, no-cache", &[("GET", "200 | Cache-Control: no-cache | ETag: \"a\"", "miss"), ("GET", "close", "failed | 502")]),
    ("disconnected, the request's no-cache", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("GET | Cache-Control: no-cache", "close", "failed | 502")]),
    ("disconnected, nothing stored", &[("GET", "close", "failed | 502")]),
    ("disconnected, HEAD", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("HEAD", "close", "stale 0 | 200 | Content-Length: 8")]),
    ("disconnected, then connected", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET", "close", "stale 0"), ("GET", "304", "validated 0")]),
    ("disconnected, a condition", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET | If-None-Match: \"a\"", "close", "stale 0 | 304")]),
    // 5xx instead of a validation (§4.3.3).
    ("503", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET", "503", "stale 0 | 200 | cs fwd-status=503")]),
    ("500, 502, 504", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET", "500", "stale 0 | 200"), ("GET", "502", "stale 0"), ("GET", "504", "stale 0")]),
    ("503, must-revalidate", &[("GET", "200 | Cache-Control: max-age=0, must-revalidate | ETag: \"a\"", "miss"), ("GET", "503", "replaced | 503")]),
    ("503, no-cache", &[("GET", "200 | Cache-Control: no-cache | ETag: \"a\"", "miss"), ("GET", "503", "replaced | 503")]),
    ("501 is an answer", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET", "501", "replaced | 501")]),
    ("404 is an answer", &[("GET", "200 | Cache-Control: max-age=0, stale-if-error=60 | ETag: \"a\"", "miss"), ("GET", "404", "replaced | 404")]),
    // RFC 5861 §4.
    ("stale-if-error", &[("GET", "200 | Cache-Control: max-age=0, stale-if-error=60", "miss"), ("GET", "503", "stale 0 | 200")]),
    ("stale-if-error, disconnected", &[("GET", "200 | Cache-Control: max-age=0, stale-if-error=60", "miss"), ("GET", "close", "stale 0 | 200")]),
    ("stale-if-error that ran out", &[("GET", "200 | Cache-Control: max-age=0, stale-if-error=10 | Age: 20 | ETag: \"a\"", "miss"), ("GET", "503", "replaced | 503")]),
    ("stale-if-error against must-revalidate", &[("GET", "200 | Cache-Control: max-age=0, stale-if-error=60, must-revalidate | ETag: \"a\"", "miss"), ("GET", "503", "replaced | 503")]),
    ("the request's stale-if-error", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET | Cache-Control: stale-if-error=60", "503", "stale 0 | 200")]),
    // RFC 5861 §3.
    ("stale-while-revalidate", &[
        ("GET", "200 | Cache-Control: max-age=0, stale-while-revalidate=60 | ETag: \"a\"", "miss"),
        ("GET", "200 | Cache-Control: max-age=60 | ETag: \"b\"", "behind 0 | 200"), ("GET", "", "hit 1 | ETag: \"b\"")]),
    ("stale-while-revalidate, 304", &[
        ("GET", "200 | Cache-Control: max-age=0, stale-while-revalidate=60 | ETag: \"a\"", "miss"),
        ("GET", "304 | Cache-Control: max-age=60", "behind 0 | asked If-None-Match: \"a\""), ("GET", "", "hit 0 | Cache-Control: max-age=60")]),
    ("stale-while-revalidate without a validator", &[
        ("GET", "200 | Cache-Control: max-age=0, stale-while-revalidate=60", "miss"),
        ("GET", "200 | Cache-Control: max-age=60", "behind 0"), ("GET", "", "hit 1")]),
    ("stale-while-revalidate, a condition of the client", &[
        ("GET", "200 | Cache-Control: max-age=0, stale-while-revalidate=60", "miss"),
        ("GET | If-None-Match: \"z\"", "200 | Cache-Control: max-age=60", "behind 0 | 200 | asked !If-None-Match"), ("GET", "", "hit 1")]),
    ("stale-while-revalidate, HEAD", &[
        ("GET", "200 | Cache-Control: max-age=0, stale-while-revalidate=60 | ETag: \"a\"", "miss"),
        ("HEAD", "304 | Cache-Control: max-age=60", "behind 0 | 200"), ("GET", "", "hit 0")]),
    ("stale-while-revalidate, an error behind", &[
        ("GET", "200 | Cache-Control: max-age=0, stale-while-revalidate=60 | ETag: \"a\"", "miss"), ("GET", "503", "behind 0"), ("GET", "304", "behind 0")]),
    ("stale-while-revalidate that ran out", &[
        ("GET", "200 | Cache-Control: max-age=0, stale-while-revalidate=10 | Age: 20 | ETag: \"a\"", "miss"), ("GET", "304", "validated 0")]),
    ("stale-while-revalidate against must-revalidate", &[
        ("GET", "200 | Cache-Control: max-age=0, stale-while-revalidate=60, must-revalidate | ETag: \"a\"", "miss"), ("GET", "304", "validated 0")]),
    ("stale-while-revalidate, no-cache asked", &[
        ("GET", "200 | Cache-Control: max-age=0, stale-while-revalidate=60 | ETag: \"a\"", "miss"), ("GET | Cache-Control: no-cache", "304", "validated 0")]),
    ("stale-while-revalidate, only-if-cached", &[
        ("GET", "200 | Cache-Control: max-age=0, stale-while-revalidate=60 | ETag: \"a\"", "miss"), ("GET | Cache-Control: only-if-cached", "", "hit 0")]),
];

#[test]
fn section_4_2_4() {
    hold("", ROWS);
}

#[test]
fn stale_while_revalidate_asks_once_and_holds_nobody_up() {
    let proxy = Proxy::start("");
    let (gate, held) = (Gate::new(), Arc::new(AtomicBool::new(false)));
    let origin = Origin::answering({
        let (gate, held) = (gate.clone(), held.clone());
        move |_| {
            let first = !held.swap(true, Ordering::SeqCst);
            if !first {
                gate.wait();
            }
            let age = if first {
                "max-age=0, stale-while-revalidate=60"
            } else {
                "max-age=60"
            };
            ok(
                &format!("Cache-Control: {age}\r\n"),
                if first { "old" } else { "new" },
            )
        }
    });
    let uri = origin.uri("/");
    assert_eq!(proxy.get(&uri).text(), "old");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let mut clients: Vec<_> = (0..8).map(|_| Client::of(&proxy)).collect();
    for client in &mut clients {
        client.ask("GET", &uri, "");
    }
    for client in &mut clients {
        let response = client.response("GET");
        assert!(response.is_hit(), "{}", response.cache_status());
        assert_eq!(response.text(), "old");
    }
    origin.wait_for(2);
    gate.open_for_all();
    wait_until("the new content", PATIENCE, || {
        proxy.get(&uri).text() == "new"
    });
    assert_eq!(origin.count(), 2);
}
