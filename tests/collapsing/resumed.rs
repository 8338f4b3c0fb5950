//! Content that stalls or breaks off while others read along: they all go on by one range request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use crate::common::origin::{Conn, ok, reply};
use crate::common::{Client, Origin, Proxy, pattern};

const LENGTH: usize = 3_000_000;
const ETAG: &str = "Cache-Control: max-age=600\r\nETag: \"a\"\r\n";

/// The end of the first response's content.
#[derive(Debug, Clone, Copy)]
enum End {
    Stalls,
    Closes,
}

/// Sends the beginning of the content, which then ends so, and what a range asks for whole.
fn breaking(end: End, fields: &'static str) -> (Origin, Arc<AtomicUsize>) {
    let content = pattern(LENGTH);
    let whole_requests = Arc::new(AtomicUsize::new(0));
    let origin = Origin::scripted({
        let whole_requests = whole_requests.clone();
        move |mut conn| {
            while let Ok(request) = conn.request() {
                if let Some(range) = request.head.first("range") {
                    assert_eq!(request.head.first("if-range"), Some("\"a\""));
                    let first: usize = range
                        .trim_matches(|c: char| !c.is_ascii_digit())
                        .parse()
                        .unwrap();
                    let said = format!(
                        "{fields}Content-Range: bytes {first}-{}/{LENGTH}\r\n",
                        LENGTH - 1
                    );
                    conn.send(reply("206 Partial Content", &said, &content[first..]));
                } else if whole_requests.fetch_add(1, SeqCst) == 0 {
                    let whole = ok(fields, &content);
                    conn.send(&whole[..whole.len() - LENGTH / 2]);
                    return finish(conn, end);
                } else {
                    conn.send(ok(fields, &content));
                }
            }
        }
    });
    (origin, whole_requests)
}

fn finish(mut conn: Conn, end: End) {
    match end {
        End::Stalls => conn.hold(),
        // Those who read along have asked by then.
        End::Closes => std::thread::sleep(Duration::from_millis(1500)),
    }
}

#[test]
fn all_who_read_along_go_on_by_one_range_request() {
    for end in [End::Stalls, End::Closes] {
        let (origin, whole_requests) = breaking(end, ETAG);
        let proxy = Proxy::start("[timeouts]\ncollapsed_wait = \"500ms\"\n");
        let uri = origin.uri("/one");
        let mut first = Client::asking(&proxy, &uri);
        first.response_head("GET");
        let mut others: Vec<Client> = (0..5).map(|_| Client::asking(&proxy, &uri)).collect();
        for other in &mut others {
            assert!(other.response("GET").content == pattern(LENGTH), "{end:?}");
        }
        assert!(
            first.wire.exactly(LENGTH).unwrap() == pattern(LENGTH),
            "{end:?}"
        );
        assert_eq!(whole_requests.load(SeqCst), 1, "{end:?}");
        assert_eq!(origin.count(), 2, "{end:?}");
        // And it is stored whole.
        let stored = proxy.get(&uri);
        assert!(
            stored.is_hit() && stored.content == pattern(LENGTH),
            "{end:?}"
        );
    }
}

#[test]
fn what_is_stuck_is_joined_by_nobody() {
    // Without a validator it can't go on.
    let (origin, whole_requests) = breaking(End::Stalls, "Cache-Control: max-age=600\r\n");
    let proxy = Proxy::start("[timeouts]\ncollapsed_wait = \"300ms\"\n");
    let uri = origin.uri("/one");
    let mut first = Client::asking(&proxy, &uri);
    first.response_head("GET");
    first.wire.exactly(LENGTH / 2).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    assert!(proxy.get(&uri).content == pattern(LENGTH));
    assert_eq!(whole_requests.load(SeqCst), 2);
}

#[test]
fn what_the_origin_server_does_not_continue_is_joined_by_nobody() {
    let content = pattern(LENGTH);
    let seen = AtomicUsize::new(0);
    let origin = Origin::scripted(move |mut conn| {
        while let Ok(request) = conn.request() {
            // It ignores Range.
            let whole = ok(ETAG, &content);
            if seen.fetch_add(1, SeqCst) == 0 || request.head.has("range") {
                conn.send(&whole[..whole.len() - LENGTH / 2]);
                return conn.hold();
            }
            conn.send(whole);
        }
    });
    let proxy = Proxy::start("[timeouts]\ncollapsed_wait = \"300ms\"\n");
    let uri = origin.uri("/one");
    let mut first = Client::asking(&proxy, &uri);
    first.response_head("GET");
    let joined = Client::asking(&proxy, &uri);
    origin.wait_for(2);
    std::thread::sleep(Duration::from_millis(600));
    assert!(proxy.get(&uri).content == pattern(LENGTH));
    drop(joined);
}

/// Two clients read content that breaks off in the middle. Of a response with these fields, what is left comes in a 206
/// with those: it isn't gone on with.
fn is_cut_off(ours: String, theirs: String) {
    let what = format!("{ours} {theirs}");
    let origin = Origin::scripted(move |mut conn| {
        while let Ok(request) = conn.request() {
            if !request.head.has("range") {
                let whole = ok(&ours, "o".repeat(1_000));
                conn.send(&whole[..whole.len() - 500]);
                return finish(conn, End::Closes);
            }
            let said = format!("{theirs}Content-Range: bytes 500-999/1000\r\n");
            conn.send(reply("206 Partial Content", &said, "n".repeat(500)));
        }
    });
    let proxy = Proxy::start("");
    let uri = origin.uri("/one");
    let mut first = Client::asking(&proxy, &uri);
    first.response_head("GET");
    let mut second = Client::asking(&proxy, &uri);
    second.response_head("GET");
    for client in [&mut first, &mut second] {
        assert!(client.wire.exactly(1_000).is_err(), "{what}");
    }
    let asked = origin.requests();
    assert!(asked.iter().any(|request| request.head.has("range")));
}

/// One date, as of files whose dates are set by SOURCE_DATE_EPOCH, and another entity tag.
#[test]
fn another_representation_of_the_same_date_is_not_gone_on_with() {
    for (tag, other) in [("abc", "def"), ("W/\"1\"", "W/\"2\""), ("abc", "")] {
        let fields = |tag: &str| {
            let tag = match tag {
                "" => String::new(),
                tag => format!("ETag: {tag}\r\n"),
            };
            format!(
                "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nCache-Control: max-age=600\r\n{tag}"
            )
        };
        is_cut_off(fields(tag), fields(other));
    }
}

/// Whose beginning all may have, and whose rest is for one client alone.
#[test]
fn a_rest_that_forbids_storing_is_not_gone_on_with() {
    for control in ["private", "no-store"] {
        let fields = |control: &str| format!("ETag: \"a\"\r\nCache-Control: {control}\r\n");
        is_cut_off(fields("max-age=600"), fields(control));
    }
}
