//! Ranges of what is stored whole: the origin server hears of none of them.

use super::common::byteranges::byteranges;
use super::common::conversation::{Step, hold_as, served, settle, start};
use super::common::origin::{ok, reply};
use super::common::{Client, Origin, Proxy, each, pattern};
use super::{DIGITS, ask, have_stored};

/// A small response is stored, a range of it asked for, and the connection goes on with nothing left over.
#[test]
fn of_small_content() {
    hold_as("", include_str!("stored.txt"), |script| {
        let row = &script.steps[0];
        let max_age = if row.says.contains("Date:") {
            9_999_999_999_u64
        } else {
            60
        };
        let says = format!(
            "200 | Cache-Control: max-age={max_age} | {} | ={DIGITS}",
            row.says
        );
        let mut expects = format!("hit | {}", row.expects);
        if row.expects.starts_with("206") {
            // §15.3.7: what a 200 would have said.
            let tag = if row.says.contains("ETag") {
                "has ETag"
            } else {
                "!ETag"
            };
            expects += &format!(" | has Date | has Age | has Cache-Control | {tag}");
            if row.says.starts_with("Content-Type") {
                expects += &format!(" | each {}", row.says);
            }
        }
        vec![
            Step::of("GET", &says, &format!("miss | ={DIGITS}")),
            Step::of(&row.sends, "", &expects),
            Step::of("GET", "", &format!("hit | 200 | ={DIGITS}")),
        ]
    });
}

#[test]
fn head_knows_no_ranges() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| ok("Cache-Control: max-age=60\r\n", DIGITS));
    have_stored(&proxy, &origin, "/");
    let got = proxy.request("HEAD", &origin.uri("/"), "Range: bytes=0-1\r\n");
    assert_eq!((got.status, got.first("content-length")), (200, Some("10")));
    assert!(got.is_hit() && !got.head.has("content-range"), "{got:?}");
}

/// §15.3.7: the fields of the representation are those of the 200, those of the whole content aren't there.
#[test]
fn fields_of_a_part() {
    let proxy = Proxy::start("");
    let fields = "Cache-Control: max-age=60\r\nContent-Type: a/b\r\nContent-Encoding: x\r\n\
        Content-Digest: sha-256=:x:\r\nRepr-Digest: sha-256=:y:\r\nContent-MD5: z\r\nContent-Location: /c\r\n\
        Expires: 0\r\nVary: Foo\r\nAccept-Ranges: bytes\r\nX-Other: 1\r\nAge: 3\r\n";
    let origin = Origin::answering(move |_| ok(fields, DIGITS));
    have_stored(&proxy, &origin, "/");
    for range in ["bytes=0-1", "bytes=0-0,-1"] {
        let got = ask(&proxy, &origin, "/", &format!("Range: {range}\r\n"));
        assert_eq!(got.status, 206);
        for (name, there) in [
            ("cache-control", true),
            ("content-location", true),
            ("content-encoding", true),
            ("expires", true),
            ("vary", true),
            ("repr-digest", true),
            ("x-other", true),
            ("content-digest", false),
            ("content-md5", false),
        ] {
            assert_eq!(got.head.has(name), there, "{name} of {range}");
        }
        assert_eq!(got.head.all("age").len(), 1);
    }
}

/// Only a 200 has ranges (§14.2).
#[test]
fn other_statuses_have_no_ranges() {
    let proxy = Proxy::start("");
    let fields = "Cache-Control: max-age=60\r\n";
    let origin = Origin::answering(move |request| {
        let status = format!("{} x", &request.target()[1..]);
        reply(&status, fields, DIGITS)
    });
    for status in [203_u16, 300, 301, 404, 410] {
        let path = format!("/{status}");
        have_stored(&proxy, &origin, &path);
        let got = ask(&proxy, &origin, &path, "Range: bytes=0-1\r\n");
        assert_eq!((got.status, got.text().as_str()), (status, DIGITS));
        assert!(got.is_hit());
    }
}

/// Content that is sent from its file.
#[test]
fn of_large_content() {
    const LEN: usize = 3_000_001;
    let content = pattern(LEN);
    let proxy = Proxy::start("");
    let origin = Origin::answering({
        let content = content.clone();
        move |_| {
            ok(
                "Cache-Control: max-age=60\r\nContent-Type: a/b\r\n",
                &content,
            )
        }
    });
    have_stored(&proxy, &origin, "/");
    #[rustfmt::skip]
    let table: &[(&str, &[(usize, usize)])] = &[
        ("bytes=0-0", &[(0, 1)]),
        ("bytes=0-", &[(0, LEN)]),
        ("bytes=4096-8191", &[(4096, 8192)]),
        ("bytes=2999999-", &[(LEN - 2, LEN)]),
        ("bytes=-1", &[(LEN - 1, LEN)]),
        ("bytes=1-2000000", &[(1, 2_000_001)]),
        ("bytes=100-,0-1", &[(100, LEN), (0, 2)]),
        ("bytes=0-99,500000-1500000,-7", &[(0, 100), (500_000, 1_500_001), (LEN - 7, LEN)]),
    ];
    let mut client = Client::of(&proxy);
    each(table, |(range, expected)| {
        let mut client = Client::of(&proxy);
        let got = client.request("GET", &origin.uri("/"), &format!("Range: {range}\r\n"));
        assert_eq!(got.status, 206, "{range}");
        let range_of = |(first, end): (usize, usize)| format!("bytes {first}-{}/{LEN}", end - 1);
        if let [(first, end)] = *expected {
            assert_eq!(
                got.first("content-range"),
                Some(range_of((*first, *end)).as_str())
            );
            assert!(got.content == content[*first..*end], "{range}");
        } else {
            let found = byteranges(&got);
            assert_eq!(found.len(), expected.len(), "{range}");
            for (part, at) in found.iter().zip(*expected) {
                assert_eq!(part.media_type, "a/b", "{range}");
                assert_eq!(part.range, range_of(*at), "{range}");
                assert!(part.content == content[at.0..at.1], "{range}");
            }
        }
    });
    let got = client.request("GET", &origin.uri("/"), "Range: bytes=3000001-\r\n");
    assert_eq!(got.first("content-range"), Some("bytes */3000001"));
    assert_eq!(origin.count(), 1);
}

/// As zchunk asks: hundreds of ranges in one request, from memory, from a file, and from a stored part. A set of more than
/// anyone needs is ignored (§14.2).
#[test]
fn many_ranges() {
    const LEN: usize = 1_200_000;
    let proxy = start("");
    let content = pattern(LEN);
    let fields = "Cache-Control: max-age=60\r\nETag: \"a\"\r\nContent-Type: a/b\r\n";
    let origin = Origin::answering({
        let content = content.clone();
        move |request| match request.target() {
            "/part" => served(request, fields, &content),
            "/memory" => ok(fields, &content[..9_000]),
            _ => ok(fields, &content),
        }
    });
    have_stored(&proxy, &origin, "/memory");
    have_stored(&proxy, &origin, "/file");
    ask(
        &proxy,
        &origin,
        "/part",
        &format!("Range: bytes=1-{}\r\n", LEN - 1),
    );
    settle(&proxy);
    // (ranges, bytes of each, bytes between their beginnings, whether they are answered)
    let sets = [
        (32, 1, 2, true),
        (33, 1, 2, true),
        (700, 7, 12, true),
        (1_000, 1, 2, true),
        (1_001, 1, 2, false),
    ];
    for path in ["/memory", "/file", "/part"] {
        for (count, len, apart, answered) in sets {
            let ranges: Vec<_> = (0..count)
                .map(|at| (1 + at * apart, at * apart + len))
                .collect();
            let specs: Vec<_> = (ranges.iter())
                .map(|(first, last)| format!("{first}-{last}"))
                .collect();
            let asked = format!("Range: bytes={}\r\n", specs.join(","));
            let got = ask(&proxy, &origin, path, &asked);
            let what = format!("{path} {count}");
            if !answered {
                assert_eq!(got.status, 200, "{what}");
                continue;
            }
            assert!(got.status == 206 && got.is_hit(), "{what} {got:?}");
            let found = byteranges(&got);
            assert_eq!(found.len(), count, "{what}");
            let length = if path == "/memory" { 9_000 } else { LEN };
            for (part, (first, last)) in found.iter().zip(ranges) {
                assert_eq!(
                    part.range,
                    format!("bytes {first}-{last}/{length}"),
                    "{what}"
                );
                assert!(part.content == content[first..=last], "{what}");
            }
        }
    }
}
