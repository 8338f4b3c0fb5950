//! Ranges of what isn't stored, or has to be validated: when the whole is fetched instead, when the
//! request goes on as it is.

use std::io::Write;

use super::common::origin::{Received, ok, reply};
use super::common::{Client, Gate, Origin, Proxy, date, each, pattern};
use super::{BEFORE, DIGITS, ask, have_stored};

/// What an origin server makes of ranges of some content: one range, If-Range by its tag.
pub fn served(request: &Received, fields: &str, content: &[u8]) -> Vec<u8> {
    let whole = || ok(fields, content);
    let tag = request.head.first("if-none-match");
    if tag.is_some_and(|tag| fields.contains(&format!("ETag: {tag}"))) {
        return reply("304 x", fields, "");
    }
    let Some(range) = request.head.first("range") else {
        return whole();
    };
    if request
        .head
        .first("if-range")
        .is_some_and(|tag| !fields.contains(tag))
    {
        return whole();
    }
    let (first, last) = range
        .strip_prefix("bytes=")
        .unwrap()
        .split_once('-')
        .unwrap();
    let len = content.len();
    let (first, end) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => (first, (last + 1).min(len)),
        (Ok(first), Err(_)) => (first, len),
        (Err(_), Ok(suffix)) => (len.saturating_sub(suffix), len),
        (Err(_), Err(_)) => return whole(),
    };
    if first >= end {
        return reply("416 x", &format!("Content-Range: bytes */{len}\r\n"), "");
    }
    let range = format!("Content-Range: bytes {first}-{}/{len}\r\n", end - 1);
    reply(
        "206 Partial Content",
        &(fields.to_owned() + &range),
        &content[first..end],
    )
}

/// What a range of something that isn't stored does: a name, the request's fields, the Range that the origin
/// server sees, status, Content-Range and content, and whether the whole is stored then.
type Row = (
    &'static str,
    &'static str,
    Option<&'static str>,
    u16,
    &'static str,
    &'static str,
    bool,
);

#[rustfmt::skip]
const MISSES: &[Row] = &[
    ("near the beginning", "Range: bytes=2-", None, 206, "bytes 2-9/10", "23456789", true),
    ("from the beginning", "Range: bytes=0-", None, 206, "bytes 0-9/10", DIGITS, true),
    ("with an If-Range that holds", "Range: bytes=2-\r\nIf-Range: \"a\"", None, 206, "bytes 2-9/10", "23456789", true),
    ("with an If-Range that does not", "Range: bytes=2-\r\nIf-Range: \"b\"", None, 200, "", DIGITS, true),
    ("beyond the end", "Range: bytes=10-", None, 416, "bytes */10", "", true),
    ("malformed", "Range: bytes=x", Some("bytes=x"), 200, "", DIGITS, false),
    ("the end", "Range: bytes=-3", Some("bytes=-3"), 206, "bytes 7-9/10", "789", false),
    ("far", "Range: bytes=2000000-", Some("bytes=2000000-"), 416, "bytes */10", "", false),
    ("some bytes", "Range: bytes=2-4", Some("bytes=2-4"), 206, "bytes 2-4/10", "234", false),
    ("with another condition", "Range: bytes=2-\r\nIf-None-Match: \"b\"", Some("bytes=2-"), 206, "bytes 2-9/10", "23456789", false),
    ("with no-store", "Range: bytes=2-\r\nCache-Control: no-store", Some("bytes=2-"), 206, "bytes 2-9/10", "23456789", false),
];

#[test]
fn of_what_is_not_stored() {
    let proxy = Proxy::start("");
    let fields = "Cache-Control: max-age=60\r\nETag: \"a\"\r\n";
    let origin = Origin::answering(move |request| match request.head.first("range") {
        Some("bytes=x") => ok(fields, DIGITS),
        _ => served(request, fields, DIGITS.as_bytes()),
    });
    each(MISSES.iter().enumerate(), |(number, row)| {
        let (name, request, asked, status, range, content, stored) = row;
        let path = format!("/{number}");
        let got = ask(&proxy, &origin, &path, &format!("{request}\r\n"));
        let told = format!("{name}: {got:?}");
        assert_eq!(
            (got.status, got.first("content-range").unwrap_or_default()),
            (*status, *range),
            "{told}"
        );
        assert!(*status == 416 || got.text() == *content, "{told}");
        assert!(!got.is_hit(), "{told}");
        let last = origin
            .requests()
            .into_iter()
            .rfind(|r| r.target() == path)
            .unwrap();
        assert_eq!(last.head.first("range"), *asked, "{told}");
        assert_eq!(
            last.head.has("if-range"),
            asked.is_some() && request.contains("If-Range"),
            "{told}"
        );
        if *stored {
            have_stored(&proxy, &origin, &path);
            assert_eq!(origin.count_of(&path), 1, "{told}");
            return;
        }
        let whole = ask(&proxy, &origin, &path, "");
        assert_eq!(
            (whole.status, whole.text().as_str()),
            (200, DIGITS),
            "{told}"
        );
    });
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
    let proxy = Proxy::start("");
    let stale = "Cache-Control: max-age=0\r\nETag: \"a\"\r\n";
    let origin = Origin::answering(move |request| {
        let same = request.head.first("if-none-match") == Some("\"a\"");
        assert!(!same || !(request.head.has("range") || request.head.has("if-range")));
        match (same, request.target()) {
            (true, "/same") => reply("304 x", "Cache-Control: max-age=60\r\nETag: \"a\"\r\n", ""),
            (true, "/error") => reply("500 x", "", "error"),
            (true, _) => ok("Cache-Control: max-age=60\r\nETag: \"b\"\r\n", "abcdefghij"),
            (false, "/behind") => ok(
                &stale.replace("0\r", "0, stale-while-revalidate=60\r"),
                DIGITS,
            ),
            (false, _) => ok(stale, DIGITS),
        }
    });
    #[rustfmt::skip]
    let table = [
        ("/same", "Range: bytes=2-3", 206, "bytes 2-3/10", "23"),
        ("/same", "Range: bytes=-2\r\nIf-Range: \"a\"", 206, "bytes 8-9/10", "89"),
        ("/changed/1", "Range: bytes=2-3", 206, "bytes 2-3/10", "cd"),
        ("/changed/2", "Range: bytes=2-\r\nIf-Range: \"a\"", 200, "", "abcdefghij"),
        ("/changed/3", "Range: bytes=-1\r\nIf-Range: \"b\"", 206, "bytes 9-9/10", "j"),
        ("/changed/4", "Range: bytes=10-", 416, "bytes */10", ""),
        ("/error", "Range: bytes=2-3", 206, "bytes 2-3/10", "23"),
        ("/behind", "Range: bytes=2-3", 206, "bytes 2-3/10", "23"),
    ];
    for (path, fields, status, range, content) in table {
        if origin.count_of(path) == 0 {
            assert_eq!(ask(&proxy, &origin, path, "").text(), DIGITS);
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        let got = ask(&proxy, &origin, path, &format!("{fields}\r\n"));
        let told = format!("{path} {fields}: {got:?}");
        assert_eq!(
            (got.status, got.first("content-range").unwrap_or_default()),
            (status, range),
            "{told}"
        );
        assert!(status == 416 || got.text() == content, "{told}");
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    for path in ["/changed/1", "/changed/2", "/changed/3", "/behind"] {
        assert_eq!(origin.count_of(path), 2, "{path}");
        let got = ask(&proxy, &origin, path, "");
        assert!(
            got.is_hit() && got.text() == "abcdefghij",
            "{path}: {got:?}"
        );
    }
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
