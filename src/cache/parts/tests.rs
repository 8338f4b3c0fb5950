//! Stored parts as tables, one row per clause (RFC 9111 §3.3, §3.4; RFC 9110 §14.4, §15.3.7.3).

use super::*;
use crate::cache::testing::{DATE, fields, lines, response, stored as meta};

const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

fn part(first: u64, len: u64) -> ByteRange {
    ByteRange { first, len }
}

fn held(first: u64, len: u64, length: u64) -> PartialContent {
    let part = part(first, len);
    PartialContent { part, length }
}

#[test]
fn parts_received() {
    let ten = Some(10);
    #[rustfmt::skip]
    let table: &[(u16, &[(&str, &str)], Option<u64>, Option<PartialContent>)] = &[
        // RFC 9110 §14.4
        (206, &[("Content-Range", "bytes 0-9/100")], ten, Some(held(0, 10, 100))),
        (206, &[("Content-Range", "bytes 90-99/100")], ten, Some(held(90, 10, 100))),
        (206, &[("Content-Range", "BYTES 0-9/10")], ten, Some(held(0, 10, 10))),
        (206, &[("Content-Range", "bytes 0-9/*")], ten, None),
        (206, &[("Content-Range", "bytes */100")], ten, None),
        (206, &[("Content-Range", "bytes 9-0/100")], ten, None),
        (206, &[("Content-Range", "bytes 0-9/9")], ten, None),
        (206, &[("Content-Range", "lines 0-9/100")], ten, None),
        (206, &[("Content-Range", "bytes=0-9/100")], ten, None),
        (206, &[("Content-Range", "bytes 0-9")], ten, None),
        (206, &[("Content-Range", "bytes -9/100")], ten, None),
        (206, &[("Content-Range", "bytes 0-99999999999999999999/100")], ten, None),
        (206, &[("Content-Range", "bytes 18446744073709551615-18446744073709551615/18446744073709551615")], ten, None),
        (206, &[("Content-Range", "bytes 0-9/100"), ("Content-Range", "bytes 0-9/100")], ten, None),
        (206, &[("Content-Range", "")], ten, None),
        (206, &[], ten, None),
        // content of another length
        (206, &[("Content-Range", "bytes 0-9/100")], Some(9), None),
        (206, &[("Content-Range", "bytes 0-9/100")], None, None),
        // §15.3.7.2
        (206, &[("Content-Range", "bytes 0-9/100"), ("Content-Type", "Multipart/Byteranges; boundary=x")], ten, None),
        (200, &[("Content-Range", "bytes 0-9/100")], ten, None),
    ];
    for (status, lines, content, expected) in table {
        let got = received(&response(*status, lines), *content);
        assert_eq!(got, *expected, "{status} {lines:?} {content:?}");
    }
}

#[test]
fn validators() {
    let (tag, other, weak) = (("ETag", "\"a\""), ("ETag", "\"b\""), ("ETag", "W/\"a\""));
    let (modified, date) = (("Last-Modified", BEFORE), ("Date", DATE));
    let (at_once, bare) = (("Last-Modified", DATE), ("ETag", "a"));
    #[rustfmt::skip]
    let table: &[(&[(&str, &str)], Option<&str>, &[(&str, &str)], bool)] = &[
        // RFC 9111 §3.4: a strong validator that both have
        (&[tag], Some("\"a\""), &[tag], true),
        (&[tag], Some("\"a\""), &[other], false),
        (&[tag], Some("\"a\""), &[weak], false),
        (&[tag], Some("\"a\""), &[], false),
        (&[weak], None, &[weak], false),
        (&[weak], None, &[tag], false),
        (&[bare], None, &[bare], false),
        (&[bare, modified, date], Some(BEFORE), &[modified, date, bare], true),
        (&[tag], Some("\"a\""), &[bare], false),
        (&[], None, &[], false),
        (&[tag, modified, date], Some("\"a\""), &[tag], true),
        (&[tag, modified, date], Some("\"a\""), &[modified, date], false),
        // RFC 9110 §8.8.2.2: a date that is strong
        (&[modified, date], Some(BEFORE), &[modified, date], true),
        (&[modified, date], Some(BEFORE), &[modified, date, tag], false),
        // a date beside tags that differ (SOURCE_DATE_EPOCH)
        (&[modified, date], Some(BEFORE), &[modified, date, weak], false),
        (&[weak, modified, date], Some(BEFORE), &[modified, date], false),
        (&[weak, modified, date], Some(BEFORE), &[modified, date, weak], true),
        (&[weak, modified, date], Some(BEFORE), &[modified, date, ("ETag", "W/\"b\"")], false),
        (&[weak, modified, date], Some(BEFORE), &[modified, date, tag], false),
        (&[bare, modified, date], Some(BEFORE), &[modified, date, ("ETag", "b")], false),
        (&[bare, modified, date], Some(BEFORE), &[modified, date, weak], true),
        (&[bare, modified, date], Some(BEFORE), &[modified, date], false),
        (&[modified, date], Some(BEFORE), &[modified, date, bare], false),
        // what is no entity tag
        (&[("ETag", "a b"), modified, date], Some(BEFORE), &[modified, date, ("ETag", "a b")], true),
        (&[("ETag", "a b"), modified, date], Some(BEFORE), &[modified, date, ("ETag", "a c")], false),
        (&[("ETag", "a b"), modified, date], Some(BEFORE), &[modified, date, bare], false),
        (&[modified, date], Some(BEFORE), &[modified], false),
        (&[modified, date], Some(BEFORE), &[at_once, date], false),
        (&[at_once, date], None, &[at_once, date], false),
        (&[modified], None, &[modified, date], false),
    ];
    for (ours, expected, theirs, shared) in table {
        let (ours, theirs) = (fields(ours), fields(theirs));
        let got = validator(&ours).map(|value| String::from_utf8_lossy(value).into_owned());
        assert_eq!(got.as_deref(), *expected, "{ours:?}");
        assert_eq!(
            share_validator(&ours, &theirs),
            *shared,
            "{ours:?} {theirs:?}"
        );
    }
}

#[test]
fn combining() {
    let tag = ("ETag", "\"a\"");
    #[rustfmt::skip]
    let table: &[(PartialContent, ByteRange, &[(&str, &str)], Option<u16>)] = &[
        // RFC 9110 §15.3.7.3: all of it is a 200
        (held(0, 10, 10), part(4, 6), &[tag, ("Content-Range", "bytes 4-9/10")], Some(200)),
        (held(0, 10, 10), part(0, 4), &[tag, ("Content-Range", "bytes 0-3/10")], Some(200)),
        (held(0, 6, 10), part(4, 2), &[tag, ("Content-Range", "bytes 4-5/10")], Some(206)),
        (held(4, 6, 10), part(4, 2), &[tag, ("Content-Range", "bytes 4-5/10")], Some(206)),
        // what doesn't fit
        (held(0, 10, 10), part(4, 6), &[tag, ("Content-Range", "bytes 4-8/10")], None),
        (held(0, 10, 10), part(4, 6), &[tag, ("Content-Range", "bytes 5-10/11")], None),
        (held(0, 10, 10), part(4, 6), &[tag, ("Content-Range", "bytes 4-9/11")], None),
        (held(0, 10, 10), part(4, 6), &[tag], None),
        // RFC 9111 §3.4
        (held(0, 10, 10), part(4, 6), &[("ETag", "\"b\""), ("Content-Range", "bytes 4-9/10")], None),
        (held(0, 10, 10), part(4, 6), &[("ETag", "W/\"a\""), ("Content-Range", "bytes 4-9/10")], None),
        (held(0, 10, 10), part(4, 6), &[("Content-Range", "bytes 4-9/10")], None),
    ];
    for (makes, asked, lines, expected) in table {
        let gap = Gap {
            asked: *asked,
            makes: *makes,
        };
        let response = response(206, lines);
        let got = gap.filled(
            &fields(&[tag]),
            &response,
            Some(asked.len),
            &TargetList::NONE,
        );
        let got = got.map(|head| head.status);
        assert_eq!(got, *expected, "{makes:?} {lines:?}");
    }
}

/// RFC 9111 §3.4: the fields of the new response take the place of the stored ones.
#[test]
fn fields_of_what_was_combined() {
    let old = fields(&[
        ("ETag", "\"a\""),
        ("Content-Type", "a/b"),
        ("X-Old", "1"),
        ("X-Both", "1"),
        ("Content-Digest", "x"),
        ("Content-Range", "bytes 0-3/10"),
    ]);
    let new = [
        ("ETag", "\"a\""),
        ("X-Both", "2"),
        ("X-New", "2"),
        ("Content-Digest", "y"),
        ("Content-Length", "2"),
        ("Content-Range", "bytes 4-5/10"),
    ];
    let response = response(206, &new);
    let gap = Gap {
        asked: part(4, 2),
        makes: held(0, 6, 10),
    };
    let got = gap.filled(&old, &response, Some(2), &TargetList::NONE);
    let expected = [
        "Content-Type: a/b",
        "X-Old: 1",
        "ETag: \"a\"",
        "X-Both: 2",
        "X-New: 2",
        "Content-Range: bytes 0-5/10",
    ];
    assert_eq!(lines(&got.unwrap().fields), expected);
}

#[test]
fn what_a_stored_response_has() {
    let range = ("Content-Range", "bytes 4-5/10");
    let table = [
        (200, None, 10, held(0, 10, 10)),
        (206, Some(range), 2, held(4, 2, 10)),
        // not what it says
        (206, Some(range), 3, held(0, 3, 3)),
        (200, Some(range), 2, held(0, 2, 2)),
    ];
    for (status, range, content, expected) in table {
        let meta = meta(status, range.as_slice());
        assert_eq!(super::stored(&meta, content), expected);
    }
}

#[test]
fn what_is_asked() {
    assert_eq!(part(4, 6).asked(10), "bytes=4-");
    assert_eq!(part(4, 5).asked(10), "bytes=4-8");
}

#[test]
fn a_part_lies_within_another() {
    let outer = held(4, 5, 10);
    assert_eq!(outer.within(part(6, 2)), part(2, 2));
    assert_eq!(outer.within(part(4, 5)), part(0, 5));
}

#[test]
fn the_rest_of_a_representation() {
    let (strong, weak) = (("ETag", "\"a\""), ("ETag", "W/\"a\""));
    let presented = [
        ("Accept", "*/*"),
        ("RANGE", "bytes=0-"),
        ("If-None-Match", "\"x\""),
    ];
    #[rustfmt::skip]
    let table: &[(&[(&str, &str)], Option<u64>, &[&str])] = &[
        (&[strong], None, &["Accept: */*", "Range: bytes=5-", "If-Range: \"a\""]),
        (&[strong], Some(9), &["Accept: */*", "Range: bytes=5-8", "If-Range: \"a\""]),
        (&[weak], Some(9), &["Accept: */*", "Range: bytes=5-8"]),
    ];
    for (ours, end, expected) in table {
        let asked = ask_for_rest(&fields(&presented), &fields(ours), 5, *end);
        assert_eq!(lines(&asked), *expected, "{ours:?} {end:?}");
    }
    // RFC 9110 §13.1.5: a 206 under If-Range should be of the same; one that says that it isn't counts as that.
    let (modified, later) = (("Last-Modified", BEFORE), ("Last-Modified", DATE));
    let date = ("Date", "Mon, 07 Nov 1994 08:49:37 GMT");
    let (bare, other) = (("ETag", "a"), ("ETag", "b"));
    #[rustfmt::skip]
    let table: &[(&[(&str, &str)], &[(&str, &str)], bool)] = &[
        (&[strong], &[strong], false),
        (&[strong], &[("ETag", "\"b\"")], true),
        (&[strong], &[weak], true),
        (&[strong], &[], false),
        (&[strong, modified, date], &[strong, later, date], false),
        (&[strong, modified, date], &[later, date], true),
        (&[modified, date], &[], false),
        (&[modified, date], &[modified, date], false),
        (&[modified, date], &[later, date], true),
        (&[modified, date], &[modified, date, other], true),
        (&[bare, modified, date], &[bare, modified, date], false),
        (&[bare, modified, date], &[other, modified, date], true),
        (&[bare, modified, date], &[modified, date], true),
        (&[weak, modified, date], &[("ETag", "W/\"b\""), modified, date], true),
        (&[weak, modified, date], &[], true),
    ];
    for (ours, theirs, expected) in table {
        let got = is_of_another(&fields(ours), &fields(theirs));
        assert_eq!(got, *expected, "{ours:?} {theirs:?}");
    }
}
