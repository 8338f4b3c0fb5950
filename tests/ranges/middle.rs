//! A stored part in the middle (RFC 9111 §3.3, §3.4): what is missing before it and after it is asked for, and all of it is
//! one answer, of one representation.

use super::common::conversation::{as_asked, served, settle, start};
use super::common::origin::{Received, reply};
use super::common::{Client, Gate, Origin, TIMEOUT, pattern, wait_until};
use super::{DIGITS, ask, have_stored};

const LEN: usize = 3_000_000;
const FIRST: usize = 1_000_000;
const END: usize = 1_900_000;
const FIELDS: &str = "ETag: \"a\"\r\nCache-Control: max-age=60\r\n";

fn asked(origin: &Origin) -> Vec<String> {
    origin.requests().iter().map(as_asked).collect()
}

/// The part, as it was asked for.
fn middle() -> String {
    format!("bytes={FIRST}-{}", END - 1)
}

/// What is asked for to complete it.
fn both_sides() -> [String; 2] {
    [
        format!("bytes=0-{} if \"a\"", FIRST - 1),
        format!("bytes={END}- if \"a\""),
    ]
}

/// Clients read it as it grows; it outlives the proxy.
#[test]
fn it_is_completed_in_order() {
    let content = pattern(LEN);
    let mut proxy = start("");
    let gate = Gate::new();
    let origin = Origin::scripted({
        let (content, gate) = (content.clone(), gate.clone());
        move |mut conn| {
            while let Ok(request) = conn.request() {
                let all = served(&request, FIELDS, &content);
                let is_first = request
                    .head
                    .first("range")
                    .is_some_and(|range| range.starts_with("bytes=0-"));
                if !is_first {
                    conn.send(all);
                    continue;
                }
                conn.send(&all[..all.len() - FIRST / 2]);
                gate.wait();
                conn.send(&all[all.len() - FIRST / 2..]);
            }
        }
    });
    ask(&proxy, &origin, "/", &format!("Range: {}\r\n", middle()));
    settle(&proxy);
    proxy.restart();
    let mut clients: Vec<_> = (0..2)
        .map(|_| Client::asking(&proxy, &origin.uri("/")))
        .collect();
    for client in &mut clients {
        let head = client.response_head("GET");
        let length = LEN.to_string();
        assert_eq!(
            (head.status, head.first("content-length")),
            (200, Some(length.as_str()))
        );
        assert!(!head.head.has("content-range"), "{head:?}");
        assert!(client.wire.exactly(FIRST / 2).unwrap() == content[..FIRST / 2]);
    }
    gate.open();
    for client in &mut clients {
        assert!(client.wire.exactly(LEN - FIRST / 2).unwrap() == content[FIRST / 2..]);
    }
    have_stored(&proxy, &origin, "/");
    assert!(proxy.get(&origin.uri("/")).content == content);
    let [before, after] = both_sides();
    assert_eq!(asked(&origin), [middle(), before, after]);
}

/// §3.4: when what comes after it is of another representation, or can't be had, the whole is taken anew.
#[test]
fn nothing_is_mixed() {
    const NEW: &str = "abcdefghij";
    const OTHER: &str = "ETag: \"b\"\r\nCache-Control: max-age=60\r\n";
    let proxy = start("");
    let origin = Origin::scripted(|mut conn| {
        while let Ok(request) = conn.request() {
            let part = |fields: &str, range: &str, content: &str| {
                let fields = format!("{fields}Content-Range: bytes {range}\r\n");
                reply("206 x", &fields, content)
            };
            let all = match (request.head.first("range"), request.target()) {
                (Some("bytes=6-"), "/changed") => served(&request, OTHER, NEW.as_bytes()),
                (Some("bytes=6-"), "/another-tag") => part(OTHER, "6-9/10", "ghij"),
                (Some("bytes=6-"), "/no-tag") => part("", "6-9/10", "ghij"),
                (Some("bytes=6-"), "/another-range") => part(FIELDS, "5-9/10", "56789"),
                (Some("bytes=6-"), "/another-length") => part(FIELDS, "6-10/11", "6789a"),
                (Some("bytes=6-"), "/unsatisfied") => {
                    reply("416 x", "Content-Range: bytes */3\r\n", "")
                }
                (Some("bytes=6-"), "/gone") => reply("404 x", "", "none"),
                (Some("bytes=6-"), "/trouble") => reply("503 x", "", "none"),
                (Some("bytes=6-"), "/closed") => return,
                (Some(_), _) => served(&request, FIELDS, DIGITS.as_bytes()),
                (None, _) => served(&request, OTHER, NEW.as_bytes()),
            };
            conn.send(all);
        }
    });
    let paths = [
        ("/changed", 1),
        ("/another-tag", 2),
        ("/no-tag", 2),
        ("/another-range", 2),
        ("/another-length", 2),
        ("/unsatisfied", 2),
        ("/gone", 2),
        ("/trouble", 2),
        ("/closed", 2),
    ];
    for (path, after) in paths {
        let got = ask(&proxy, &origin, path, "Range: bytes=3-5\r\n");
        assert_eq!(got.text(), "345", "{path}");
        settle(&proxy);
        let got = ask(&proxy, &origin, path, "");
        assert_eq!((got.status, got.text().as_str()), (200, NEW), "{path}");
        assert_eq!(got.first("etag"), Some("\"b\""), "{path}");
        let of_path = |request: &&Received| request.target() == path;
        let requests = origin.requests();
        let asked: Vec<_> = requests.iter().filter(of_path).map(as_asked).collect();
        assert_eq!(asked[..2], ["bytes=3-5", "bytes=0-2 if \"a\""], "{path}");
        // On a connection that was used before, one that closes is asked once more.
        let mut then = asked[2..].to_vec();
        then.dedup();
        assert_eq!(then, ["bytes=6- if \"a\"", "whole"][..after], "{path}");
        have_stored(&proxy, &origin, path);
        assert_eq!(ask(&proxy, &origin, path, "").text(), NEW, "{path}");
    }
}

/// What comes after it has to wait, and may be given up meanwhile: it is asked for once more, for one client too.
#[test]
fn the_end_may_be_given_up_while_it_waits() {
    let content = pattern(LEN);
    let proxy = start("");
    let origin = Origin::scripted({
        let content = content.clone();
        move |mut conn| {
            while let Ok(request) = conn.request() {
                let all = served(&request, FIELDS, &content);
                if request.head.first("range") == Some(&format!("bytes={END}-")) {
                    // The first 1000 bytes of it.
                    conn.send(&all[..all.len() - (LEN - END) + 1_000]);
                    return;
                }
                conn.send(all);
            }
        }
    });
    ask(&proxy, &origin, "/", &format!("Range: {}\r\n", middle()));
    let stored = format!("Cache-Control: only-if-cached\r\nRange: {}\r\n", middle());
    crate::common::wait_until("the part is stored", crate::common::TIMEOUT, || {
        ask(&proxy, &origin, "/", &stored).status == 206
    });
    let got = proxy.get(&origin.uri("/"));
    assert!(got.status == 200 && got.content == content);
    have_stored(&proxy, &origin, "/");
    let [before, after] = both_sides();
    let again = format!("bytes={}- if \"a\"", END + 1_000);
    assert_eq!(asked(&origin), [middle(), before, after, again]);
}

/// What breaks off before it leaves the longer part.
#[test]
fn the_beginning_may_break_off() {
    let content = pattern(LEN);
    let proxy = start("");
    let origin = Origin::scripted({
        let content = content.clone();
        move |mut conn| {
            while let Ok(request) = conn.request() {
                let all = served(&request, FIELDS, &content);
                let is_first = request
                    .head
                    .first("range")
                    .is_some_and(|range| range.starts_with("bytes=0-"));
                if is_first {
                    conn.send(&all[..all.len() - FIRST / 2]);
                    return;
                }
                conn.send(all);
            }
        }
    });
    ask(&proxy, &origin, "/", &format!("Range: {}\r\n", middle()));
    let within = format!(
        "Range: bytes={FIRST}-{}\r\nCache-Control: only-if-cached\r\n",
        END - 1
    );
    let is_there = || {
        let got = ask(&proxy, &origin, "/", &within);
        got.status == 206 && got.content == content[FIRST..END]
    };
    settle(&proxy);
    wait_until("the middle is there", TIMEOUT, is_there);
    let mut client = Client::asking(&proxy, &origin.uri("/"));
    assert!(client.try_response("GET").is_err());
    wait_until("the middle is still there", TIMEOUT, is_there);
}
