//! Ranges of what is stored whole: the origin server hears of none of them.

use super::common::origin::{ok, reply};
use super::common::{Client, Origin, Proxy, each, pattern};
use super::{BEFORE, DIGITS, EARLIER, ask, byteranges, have_stored};

/// A name, fields of the stored response, fields of the request, the status, and `Content-Range` with the content,
/// one to each part.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    u16,
    &'static [(&'static str, &'static str)],
);

const WHOLE: &[(&str, &str)] = &[("", DIGITS)];

#[rustfmt::skip]
const SMALL: &[Row] = &[
    ("§14.1.2 first and last", "", "Range: bytes=2-4", 206, &[("bytes 2-4/10", "234")]),
    ("§14.1.2 no last", "", "Range: bytes=7-", 206, &[("bytes 7-9/10", "789")]),
    ("§14.1.2 a last beyond the end", "", "Range: bytes=8-99", 206, &[("bytes 8-9/10", "89")]),
    ("§14.1.2 a suffix", "", "Range: bytes=-3", 206, &[("bytes 7-9/10", "789")]),
    ("§14.1.2 a suffix longer than all", "", "Range: bytes=-30", 206, &[("bytes 0-9/10", DIGITS)]),
    ("§14.1.2 the first byte", "", "Range: bytes=0-0", 206, &[("bytes 0-0/10", "0")]),
    ("§14.1.2 all", "", "Range: bytes=0-", 206, &[("bytes 0-9/10", DIGITS)]),
    ("§14.1 a unit in capitals", "", "Range: BYTES=0-1", 206, &[("bytes 0-1/10", "01")]),
    ("§14.2 another unit", "", "Range: lines=0-1", 200, WHOLE),
    ("§14.2 malformed", "", "Range: bytes=1-0", 200, WHOLE),
    ("§14.2 two lines", "", "Range: bytes=0-1\r\nRange: bytes=4-5", 200, WHOLE),
    // §14.4, §15.5.17
    ("§15.5.17 beyond the end", "", "Range: bytes=10-", 416, &[("bytes */10", "")]),
    ("§15.5.17 no bytes", "", "Range: bytes=-0", 416, &[("bytes */10", "")]),
    ("§15.5.17 one that is there is enough", "", "Range: bytes=10-,3-3", 206, &[("bytes 3-3/10", "3")]),
    // §14.6, §15.3.7.2
    ("§15.3.7.2 two", "Content-Type: a/b", "Range: bytes=0-1,8-9", 206, &[("bytes 0-1/10", "01"), ("bytes 8-9/10", "89")]),
    ("§15.3.7.2 in the order asked for", "Content-Type: a/b; c=\"d\"", "Range: bytes=-1,4-5,0-0", 206, &[("bytes 9-9/10", "9"), ("bytes 4-5/10", "45"), ("bytes 0-0/10", "0")]),
    ("§15.3.7.2 without Content-Type", "", "Range: bytes=0-0,-1", 206, &[("bytes 0-0/10", "0"), ("bytes 9-9/10", "9")]),
    ("§15.3.7.2 those that overlap are one", "", "Range: bytes=2-5,4-6,8-8", 206, &[("bytes 2-6/10", "23456"), ("bytes 8-8/10", "8")]),
    ("§15.3.7.2 one that remains is no multipart", "", "Range: bytes=2-5,4-6", 206, &[("bytes 2-6/10", "23456")]),
    // §13.1.5 an entity tag
    ("§13.1.5 the same tag", "ETag: \"a\"", "Range: bytes=2-\r\nIf-Range: \"a\"", 206, &[("bytes 2-9/10", "23456789")]),
    ("§13.1.5 another tag", "ETag: \"a\"", "Range: bytes=2-\r\nIf-Range: \"b\"", 200, WHOLE),
    ("§13.1.5 a weak tag", "ETag: W/\"a\"", "Range: bytes=2-\r\nIf-Range: W/\"a\"", 200, WHOLE),
    ("§13.1.5 a weak tag of ours", "ETag: W/\"a\"", "Range: bytes=2-\r\nIf-Range: \"a\"", 200, WHOLE),
    ("§13.1.5 several parts", "ETag: \"a\"", "Range: bytes=0-0,9-9\r\nIf-Range: \"a\"", 206, &[("bytes 0-0/10", "0"), ("bytes 9-9/10", "9")]),
    ("§13.1.5 it holds, the range does not", "ETag: \"a\"", "Range: bytes=10-\r\nIf-Range: \"a\"", 416, &[("bytes */10", "")]),
    ("§13.1.5 neither holds", "ETag: \"a\"", "Range: bytes=10-\r\nIf-Range: \"b\"", 200, WHOLE),
    ("§13.1.5 without Range", "ETag: \"a\"", "If-Range: \"a\"", 200, WHOLE),
    // §13.1.5 a date
    ("§13.1.5 the same date", "Last-Modified: {before}", "Range: bytes=2-3\r\nIf-Range: {before}", 206, &[("bytes 2-3/10", "23")]),
    ("§13.1.5 an earlier date", "Last-Modified: {before}", "Range: bytes=2-3\r\nIf-Range: {earlier}", 200, WHOLE),
    ("§13.1.5 a later date", "Last-Modified: {earlier}", "Range: bytes=2-3\r\nIf-Range: {before}", 200, WHOLE),
    ("§13.1.5 a weak date", "Last-Modified: {before}\r\nDate: {before}", "Range: bytes=2-3\r\nIf-Range: {before}", 200, WHOLE),
    // §13.2.2: what comes before
    ("§13.2.2 If-None-Match holds", "ETag: \"a\"", "Range: bytes=2-\r\nIf-None-Match: \"b\"", 206, &[("bytes 2-9/10", "23456789")]),
    ("§13.2.2 If-None-Match does not hold", "ETag: \"a\"", "Range: bytes=2-\r\nIf-None-Match: \"a\"", 304, &[("", "")]),
    ("§13.2.2 nor with If-Range", "ETag: \"a\"", "Range: bytes=2-\r\nIf-None-Match: \"a\"\r\nIf-Range: \"a\"", 304, &[("", "")]),
    ("§13.2.2 If-Modified-Since holds", "Last-Modified: {before}", "Range: bytes=2-2\r\nIf-Modified-Since: {earlier}", 206, &[("bytes 2-2/10", "2")]),
    ("§13.2.2 If-Modified-Since does not hold", "Last-Modified: {before}", "Range: bytes=2-2\r\nIf-Modified-Since: {before}", 304, &[("", "")]),
    // RFC 9111 §5.2.1
    ("9111 §5.2.1.7 only-if-cached", "", "Range: bytes=2-2\r\nCache-Control: only-if-cached", 206, &[("bytes 2-2/10", "2")]),
    ("9111 §5.2.1.1 max-age", "", "Range: bytes=2-2\r\nCache-Control: max-age=9", 206, &[("bytes 2-2/10", "2")]),
    // apt, curl and others as they are
    ("apt resumes", "Last-Modified: {before}\r\nAccept-Ranges: bytes", "Range: bytes=4-\r\nIf-Range: {before}", 206, &[("bytes 4-9/10", "456789")]),
    ("apt has an older one", "Last-Modified: {before}", "Range: bytes=4-\r\nIf-Range: {earlier}", 200, WHOLE),
    ("apt has all of it", "Last-Modified: {before}", "Range: bytes=10-\r\nIf-Range: {before}", 416, &[("bytes */10", "")]),
    ("curl -C -", "", "Range: bytes=6-", 206, &[("bytes 6-9/10", "6789")]),
    ("zsync", "", "Range: bytes=0-1,4-5,8-9", 206, &[("bytes 0-1/10", "01"), ("bytes 4-5/10", "45"), ("bytes 8-9/10", "89")]),
];

fn with_dates(text: &str) -> String {
    let text = text
        .replace("{before}", BEFORE)
        .replace("{earlier}", EARLIER);
    if text.is_empty() { text } else { text + "\r\n" }
}

#[test]
fn of_small_content() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| {
        let number: usize = request.target()[1..].parse().unwrap();
        let fields = with_dates(SMALL[number].1);
        if fields.contains("Date:") {
            let fresh =
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=9999999999\r\nContent-Length: 10\r\n";
            return format!("{fresh}{fields}\r\n{DIGITS}").into_bytes();
        }
        ok(&format!("Cache-Control: max-age=60\r\n{fields}"), DIGITS)
    });
    each(
        SMALL.iter().enumerate(),
        |(number, (name, fields, request, status, expected))| {
            let path = format!("/{number}");
            have_stored(&proxy, &origin, &path);
            let mut client = Client::of(&proxy);
            let got = client.request("GET", &origin.uri(&path), &with_dates(request));
            let told = format!("{name}: {got:?}");
            assert_eq!(got.status, *status, "{told}");
            assert!(got.is_hit(), "{told}");
            if let [(range, content)] = expected {
                assert_eq!(
                    got.first("content-range").unwrap_or_default(),
                    *range,
                    "{told}"
                );
                assert!(*status == 416 || got.text() == *content, "{told}");
            } else {
                let media_type = fields.strip_prefix("Content-Type: ").unwrap_or_default();
                let expected = expected.iter().map(|(range, content)| {
                    (
                        media_type.to_owned(),
                        (*range).to_owned(),
                        content.as_bytes().to_vec(),
                    )
                });
                assert_eq!(byteranges(&got), expected.collect::<Vec<_>>(), "{told}");
            }
            if *status == 206 {
                // §15.3.7: what a 200 would have said.
                assert!(got.head.has("date") && got.age().is_some(), "{told}");
                assert!(got.head.has("cache-control"), "{told}");
                let tag = fields.contains("ETag");
                assert_eq!(got.head.has("etag"), tag, "{told}");
            }
            // The connection goes on with nothing left over.
            assert_eq!(client.get(&origin.uri(&path)).text(), DIGITS, "{told}");
            let asked = origin.count_of(&path);
            assert_eq!(asked, 1, "{told}");
        },
    );
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
                assert_eq!(
                    (&*part.0, part.1.clone()),
                    ("a/b", range_of(*at)),
                    "{range}"
                );
                assert!(part.2 == content[at.0..at.1], "{range}");
            }
        }
    });
    let got = client.request("GET", &origin.uri("/"), "Range: bytes=3000001-\r\n");
    assert_eq!(got.first("content-range"), Some("bytes */3000001"));
    assert_eq!(origin.count(), 1);
}

/// A set of more ranges than anyone needs is ignored (§14.2).
#[test]
fn many_ranges() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| ok("Cache-Control: max-age=60\r\n", pattern(1000)));
    have_stored(&proxy, &origin, "/");
    let set = |count: usize| {
        let ranges: Vec<_> = (0..count).map(|at| format!("{0}-{0}", at * 3)).collect();
        format!("Range: bytes={}\r\n", ranges.join(","))
    };
    let got = ask(&proxy, &origin, "/", &set(32));
    assert_eq!((got.status, byteranges(&got).len()), (206, 32));
    let got = ask(&proxy, &origin, "/", &set(33));
    assert_eq!((got.status, got.content.len()), (200, 1000));
}
