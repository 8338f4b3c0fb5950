//! Range, If-Range and Content-Range as tables, one row per clause (RFC 9110 §13.1.5, §14).

use super::*;
use crate::cache::testing::{DATE, fields, request};

fn part(first: u64, len: u64) -> Selection {
    Selection::Part(ByteRange { first, len })
}

fn parts(parts: &[(u64, u64)]) -> Selection {
    let part = |&(first, len): &(u64, u64)| ByteRange { first, len };
    Selection::Parts(parts.iter().map(part).collect())
}

const WHOLE: Selection = Selection::Whole;
const NONE: Selection = Selection::Unsatisfiable;

#[test]
fn ranges() {
    let many = |count: u64| {
        let specs: Vec<_> = (0..count).map(|at| format!("{0}-{0}", at * 2)).collect();
        format!("bytes={}", specs.join(","))
    };
    let (most, more) = (many(MOST as u64), many(MOST as u64 + 1));
    let most_parts: Vec<_> = (0..MOST as u64).map(|at| (at * 2, 1)).collect();
    let backward_parts: Vec<_> = most_parts.iter().rev().copied().collect();
    let set = |spec: &dyn Fn(usize) -> String| {
        let specs: Vec<_> = (0..MOST).map(spec).collect();
        format!("bytes={}", specs.join(","))
    };
    let overlapping = set(&|at| format!("{at}-"));
    let backwards = set(&|at| format!("{0}-{0}", (MOST - 1 - at) * 2));
    let touching = set(&|at| format!("{0}-{0}", (at * 7) % MOST));
    let all_but_one = set(&|at| format!("{0}-{0}", (at + 1 + usize::from(at >= MOST - 2))));
    #[rustfmt::skip]
    let table: &[(&str, u64, Selection)] = &[
        // §14.1.2, the examples of a representation of 10000 bytes
        ("bytes=0-499", 10_000, part(0, 500)),
        ("bytes=500-999", 10_000, part(500, 500)),
        ("bytes=-500", 10_000, part(9_500, 500)),
        ("bytes=9500-", 10_000, part(9_500, 500)),
        ("bytes=0-0,-1", 10_000, parts(&[(0, 1), (9_999, 1)])),
        ("bytes= 0-999, 4500-5499, -1000", 10_000, parts(&[(0, 1_000), (4_500, 1_000), (9_000, 1_000)])),
        ("bytes=500-600,601-999", 10_000, part(500, 500)),
        ("bytes=500-700,601-999", 10_000, part(500, 500)),
        // §14.1.2: a last-pos beyond the end is the end
        ("bytes=0-", 10, part(0, 10)),
        ("bytes=0-9", 10, part(0, 10)),
        ("bytes=5-10", 10, part(5, 5)),
        ("bytes=5-99999999999999999999999", 10, part(5, 5)),
        ("bytes=9-", 10, part(9, 1)),
        ("bytes=0-0", 10, part(0, 1)),
        ("bytes=007-08", 10, part(7, 2)),
        // §14.1.2: a suffix longer than everything is everything
        ("bytes=-10", 10, part(0, 10)),
        ("bytes=-11", 10, part(0, 10)),
        ("bytes=-99999999999999999999999", 10, part(0, 10)),
        // §14.1.2: satisfiable or not
        ("bytes=10-", 10, NONE),
        ("bytes=10-20", 10, NONE),
        ("bytes=99999999999999999999999-", 10, NONE),
        ("bytes=18446744073709551615-", 10, NONE),
        ("bytes=18446744073709551615-18446744073709551615", 10, NONE),
        ("bytes=-0", 10, NONE),
        ("bytes=10-,-0", 10, NONE),
        ("bytes=10-20,0-1", 10, part(0, 2)),
        ("bytes=0-", 0, NONE),
        ("bytes=0-0", 0, NONE),
        ("bytes=-0", 0, NONE),
        ("bytes=-1", 0, WHOLE),
        // §14.1: names of units are case-insensitive; §14.2: unknown ones are ignored
        ("Bytes=0-1", 10, part(0, 2)),
        ("BYTES=0-1", 10, part(0, 2)),
        ("seconds=0-1", 10, WHOLE),
        ("byte=0-1", 10, WHOLE),
        ("bytes =0-1", 10, WHOLE),
        ("=0-1", 10, WHOLE),
        ("0-1", 10, WHOLE),
        ("bytes", 10, WHOLE),
        ("bytes=", 10, WHOLE),
        ("bytes=,", 10, WHOLE),
        ("", 10, WHOLE),
        // §14.1.1: one invalid spec makes all of it invalid
        ("bytes=1-0", 10, WHOLE),
        ("bytes=0-1,5-4", 10, WHOLE),
        ("bytes=-", 10, WHOLE),
        ("bytes=a-1", 10, WHOLE),
        ("bytes=0-b", 10, WHOLE),
        ("bytes=0", 10, WHOLE),
        ("bytes=0-1-2", 10, WHOLE),
        ("bytes=--1", 10, WHOLE),
        ("bytes=+0-1", 10, WHOLE),
        ("bytes=0 - 1", 10, WHOLE),
        ("bytes=0x0-0x1", 10, WHOLE),
        ("bytes=0-1;2-3", 10, WHOLE),
        ("bytes=0-1,x", 10, WHOLE),
        ("bytes=0.5-1", 10, WHOLE),
        // §5.6.1: lists may have empty members
        ("bytes=,0-1,,", 10, part(0, 2)),
        ("bytes=\t0-1 ,\t5-5", 10, parts(&[(0, 2), (5, 1)])),
        // §15.3.7.2: the order asked for, coalesced where the first of them stood
        ("bytes=8-9,0-1", 10, parts(&[(8, 2), (0, 2)])),
        ("bytes=-1,0-0", 10, parts(&[(9, 1), (0, 1)])),
        ("bytes=0-1,8-9,2-3", 10, parts(&[(0, 4), (8, 2)])),
        ("bytes=8-9,0-1,4-5,1-4", 10, parts(&[(8, 2), (0, 6)])),
        ("bytes=0-1,8-9,4-5,2-8", 10, part(0, 10)),
        ("bytes=0-,0-,0-,0-", 10, part(0, 10)),
        ("bytes=4-5,4-5", 10, part(4, 2)),
        ("bytes=0-5,1-2", 10, part(0, 6)),
        // §14.2: bounded
        (&most, 10_000, parts(&most_parts)),
        (&more, 10_000, WHOLE),
        // §17.15: many that overlap, or all in the wrong order
        (&overlapping, 10_000, part(0, 10_000)),
        (&backwards, 10_000, parts(&backward_parts)),
        (&touching, 10_000, part(0, 1_000)),
        (&all_but_one, 10_000, parts(&[(1, 998), (1_000, 2)])),
    ];
    for (range, length, expected) in table {
        let request = request("GET", &[("Range", range)]);
        let got = select(&request, 200, &fields(&[]), *length);
        assert_eq!(got, *expected, "{range} of {length}");
    }
}

/// §14.2: a set of ranges that would be mostly what is written around them.
#[test]
fn what_is_around_parts_is_bounded() {
    let specs: Vec<_> = (0..MOST).map(|at| format!("{0}-{0}", at * 2)).collect();
    let asked = format!("bytes={}", specs.join(","));
    let request = request("GET", &[("Range", &asked)]);
    for (media_type, expected) in [(100, MOST), (1_000, 0)] {
        let media_type = "x".repeat(media_type);
        let selected = fields(&[("Content-Type", &media_type)]);
        let got = match select(&request, 200, &selected, 10_000) {
            Selection::Parts(parts) => parts.len(),
            Selection::Whole | Selection::Part(_) | Selection::Unsatisfiable => 0,
        };
        assert_eq!(got, expected, "{media_type}");
    }
}

#[test]
fn requests_and_statuses() {
    let range = ("Range", "bytes=0-1");
    #[rustfmt::skip]
    let table: &[(&str, &[(&str, &str)], u16, Selection)] = &[
        ("GET", &[], 200, WHOLE),
        ("GET", &[range], 200, part(0, 2)),
        // §14.2: not of other methods, not of what isn't a 200
        ("HEAD", &[range], 200, WHOLE),
        ("POST", &[range], 200, WHOLE),
        ("GET", &[range], 404, WHOLE),
        ("GET", &[range], 203, WHOLE),
        ("GET", &[range], 301, WHOLE),
        // §5.3: not a list, so that several lines are malformed
        ("GET", &[range, ("Range", "bytes=4-5")], 200, WHOLE),
        // §13.1.5: nothing without Range
        ("GET", &[("If-Range", "\"a\"")], 200, WHOLE),
    ];
    for (method, lines, status, expected) in table {
        let got = select(&request(method, lines), *status, &fields(&[]), 10);
        assert_eq!(got, *expected, "{method} {lines:?} {status}");
    }
}

#[test]
fn if_range() {
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:35 GMT";
    #[rustfmt::skip]
    let table: &[(&[&str], &[(&str, &str)], bool)] = &[
        // an entity tag: strong comparison
        (&["\"a\""], &[("ETag", "\"a\"")], true),
        (&["\"a\""], &[("ETag", "\"b\"")], false),
        (&["\"a\""], &[("ETag", "\"A\"")], false),
        (&["W/\"a\""], &[("ETag", "W/\"a\"")], false),
        (&["W/\"a\""], &[("ETag", "\"a\"")], false),
        (&["\"a\""], &[("ETag", "W/\"a\"")], false),
        (&["\"a\""], &[], false),
        (&["\"a\", \"b\""], &[("ETag", "\"a\"")], false),
        (&["\"a\"", "\"a\""], &[("ETag", "\"a\"")], false),
        (&["\"\""], &[("ETag", "\"\"")], true),
        (&["\"a"], &[("ETag", "\"a\"")], false),
        (&["*"], &[("ETag", "\"a\"")], false),
        (&["a"], &[("ETag", "a")], false),
        (&["\"a\""], &[("ETag", "a")], false),
        (&["a"], &[("ETag", "\"a\"")], true),
        (&["b"], &[("ETag", "\"a\"")], false),
        (&["W/a"], &[("ETag", "\"a\"")], false),
        (&["a"], &[("ETag", "W/\"a\"")], false),
        (&[""], &[("ETag", "\"a\"")], false),
        // a date: exact match of a strong validator
        (&[BEFORE], &[("Last-Modified", BEFORE), ("Date", DATE)], true),
        (&[BEFORE], &[("Last-Modified", BEFORE), ("Date", DATE), ("ETag", "\"a\"")], true),
        (&["Sunday, 06-Nov-94 08:49:36 GMT"], &[("Last-Modified", BEFORE), ("Date", DATE)], true),
        (&[BEFORE], &[("Last-Modified", EARLIER), ("Date", DATE)], false),
        (&[EARLIER], &[("Last-Modified", BEFORE), ("Date", DATE)], false),
        (&[DATE], &[("Last-Modified", DATE), ("Date", DATE)], false),
        (&[DATE], &[("Last-Modified", DATE), ("Date", BEFORE)], false),
        (&[BEFORE], &[("Last-Modified", BEFORE)], false),
        (&[BEFORE], &[("Date", DATE)], false),
        (&[BEFORE], &[("ETag", "\"a\""), ("Date", DATE)], false),
        (&["soon"], &[("Last-Modified", "soon"), ("Date", DATE)], false),
    ];
    for (conditions, selected, holds) in table {
        let mut lines = vec![("Range", "bytes=0-1")];
        lines.extend(conditions.iter().map(|value| ("If-Range", *value)));
        let got = select(&request("GET", &lines), 200, &fields(selected), 10);
        let expected = if *holds { part(0, 2) } else { WHOLE };
        assert_eq!(got, expected, "{conditions:?} of {selected:?}");
    }
    // §13.2.2, §14.2: a condition that holds leaves an unsatisfiable range unsatisfiable.
    let lines = [("Range", "bytes=10-"), ("If-Range", "\"a\"")];
    let selected = |tag| fields(&[("ETag", tag)]);
    let request = request("GET", &lines);
    assert_eq!(select(&request, 200, &selected("\"a\""), 10), NONE);
    assert_eq!(select(&request, 200, &selected("\"b\""), 10), WHOLE);
}

#[test]
fn content_range() {
    // The examples of §14.4.
    let table = [
        (0, 500, "bytes 0-499/1234"),
        (500, 500, "bytes 500-999/1234"),
        (500, 734, "bytes 500-1233/1234"),
        (734, 500, "bytes 734-1233/1234"),
    ];
    for (first, len, expected) in table {
        assert_eq!(ByteRange { first, len }.content_range(1234), expected);
    }
    assert_eq!(unsatisfied_range(1234), "bytes */1234");
}

#[test]
fn near() {
    #[rustfmt::skip]
    let table = [
        ("bytes=0-", 0, true),
        ("bytes=1048576-", 0, true),
        ("bytes=1048577-", 0, false),
        ("bytes=1048577-", 1, true),
        ("bytes=99999999999999999999-", 0, false),
        ("bytes=0-499", 0, false),
        ("bytes=-5", 0, false),
        ("bytes=0-,5-", 0, false),
        ("bytes=x", 0, false),
    ];
    for (range, ready, expected) in table {
        let request = request("GET", &[("Range", range)]);
        assert_eq!(is_near(&request, ready), expected, "{range} {ready}");
    }
}

#[test]
fn there() {
    let table = [
        ("bytes=0-9", None, 10, true),
        ("bytes=9-9", None, 10, true),
        ("bytes=9-10", None, 10, false),
        ("bytes=0-", None, 10, false),
        ("bytes=-1", None, 10, false),
        ("bytes=0-1,2-3", None, 10, false),
        ("bytes=x", None, 10, false),
        ("bytes=0-9", Some(20), 10, true),
        ("bytes=9-10", Some(20), 10, false),
        ("bytes=5-", Some(10), 10, true),
        ("bytes=5-", Some(20), 10, false),
        ("bytes=5-99", Some(10), 10, true),
        ("bytes=-1", Some(10), 10, true),
        ("bytes=-1", Some(20), 10, false),
        // That there is nothing in it is known at once.
        ("bytes=20-", Some(20), 0, true),
        ("bytes=0-1,2-3", Some(20), 10, false),
        ("bytes=x", Some(20), 10, false),
    ];
    for (range, length, ready, expected) in table {
        let request = request("GET", &[("Range", range)]);
        let got = is_there(&request, length, ready);
        assert_eq!(got, expected, "{range} {length:?} {ready}");
    }
}

#[test]
fn the_whole_is_asked_without_the_range() {
    let lines = [
        ("range", "bytes=0-"),
        ("Accept", "*/*"),
        ("IF-RANGE", "\"a\""),
        ("X-Range", "y"),
    ];
    let whole = fields(&[("Accept", "*/*"), ("X-Range", "y")]);
    assert_eq!(without_range(&fields(&lines)), whole);
}

#[test]
fn asking_for_the_whole_leaves_other_requests_alone() {
    for (lines, expected) in [
        (&[("Range", "bytes=5-9")][..], &[][..]),
        (
            &[("If-Range", "\"a\""), ("Accept", "*/*")],
            &[("Accept", "*/*")],
        ),
        (&[("Accept", "*/*")], &[("Accept", "*/*")]),
    ] {
        let mut request = request("GET", lines);
        ask_for_the_whole(&mut request);
        assert_eq!(request.fields, fields(expected), "{lines:?}");
    }
}
