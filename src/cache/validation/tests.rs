//! Tables of conditions, 304 responses and updates: one row per clause of RFC 9111 §3.2 and §4.3.
#![allow(clippy::type_complexity)]

use super::*;
use std::time::Duration;

use crate::cache::provenance::BootTime;
use crate::cache::testing::{DATE, NOW, TIMES, fields, lines, response, stored};

type Lines<'a> = &'a [(&'a str, &'a str)];

const EARLIER: &str = "Sun, 06 Nov 1994 07:00:00 GMT";
const LATER: &str = "Sun, 06 Nov 1994 09:00:00 GMT";

#[test]
fn conditions_we_send() {
    let none_match = "If-None-Match: \"a\"".to_string();
    let since = format!("If-Modified-Since: {DATE}");
    #[rustfmt::skip]
    let table: &[(Lines, &[&str])] = &[
        (&[], &[]),
        (&[("ETag", "\"a\"")], &[&none_match]),
        (&[("ETag", "W/\"a\"")], &["If-None-Match: W/\"a\""]),
        (&[("Last-Modified", DATE)], &[&since]),
        (&[("Last-Modified", DATE), ("ETag", "\"a\"")], &[&none_match, &since]),
        // As it is, where the origin server leaves the quotes out.
        (&[("ETag", "a"), ("Last-Modified", "x")], &["If-None-Match: a"]),
        (&[("ETag", "W/a")], &["If-None-Match: W/a"]),
        (&[("ETag", "*")], &[]),
        (&[("ETag", "a,b")], &[]),
        (&[("ETag", "\"a")], &[]),
        (&[("Date", DATE)], &[]),
    ];
    for (stored, expected) in table {
        let stored = fields(stored);
        let sent: Vec<String> = conditional_fields(&stored)
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
            .collect();
        assert_eq!(sent, *expected, "{stored:?}");
        assert_eq!(has_validator(&stored), !expected.is_empty());
    }
}

#[test]
fn which_stored_response_a_304_is_about() {
    #[rustfmt::skip]
    let table: &[(Lines, Lines, bool)] = &[
        // An entity tag has to be the same, by weak comparison, as that of If-None-Match is.
        (&[("ETag", "\"a\"")], &[("ETag", "\"a\"")], true),
        (&[("ETag", "\"b\"")], &[("ETag", "\"a\"")], false),
        (&[("ETag", "\"a\"")], &[("ETag", "W/\"a\"")], true),
        (&[("ETag", "\"b\"")], &[("ETag", "W/\"a\"")], false),
        (&[("ETag", "a")], &[("ETag", "a")], true),
        (&[("ETag", "a")], &[("ETag", "\"a\"")], true),
        (&[("ETag", "\"a\"")], &[("ETag", "a")], true),
        (&[("ETag", "b")], &[("ETag", "a")], false),
        (&[("ETag", "\"a\"")], &[], false),
        (&[("ETag", "\"b\""), ("Last-Modified", DATE)], &[("Last-Modified", DATE)], false),
        (&[("ETag", "\"a\""), ("Last-Modified", DATE)], &[("ETag", "\"a\""), ("Last-Modified", EARLIER)], true),
        (&[("ETag", "\"b\""), ("Last-Modified", DATE)], &[("ETag", "\"a\""), ("Last-Modified", DATE)], false),
        // With the same one, or none, Last-Modified is of no account: servers have it each of their own.
        (&[("ETag", "\"a\""), ("Last-Modified", LATER)], &[("ETag", "\"a\""), ("Last-Modified", DATE)], true),
        (&[("Last-Modified", LATER)], &[("ETag", "\"a\""), ("Last-Modified", DATE)], true),
        (&[("Last-Modified", EARLIER)], &[("ETag", "W/\"a\""), ("Last-Modified", DATE)], true),
        (&[("Last-Modified", EARLIER)], &[("ETag", "a"), ("Last-Modified", DATE)], true),
        (&[("ETag", "W/\"a\"")], &[("ETag", "W/\"a\"")], true),
        (&[("ETag", "W/\"a\"")], &[("ETag", "\"a\"")], true),
        (&[("ETag", "W/\"b\"")], &[("ETag", "W/\"a\"")], false),
        (&[("Last-Modified", DATE)], &[("Last-Modified", DATE)], true),
        (&[("Last-Modified", "Sunday, 06-Nov-94 08:49:37 GMT")], &[("Last-Modified", DATE)], true),
        (&[("Last-Modified", DATE)], &[("Last-Modified", EARLIER)], false),
        (&[("Last-Modified", DATE)], &[("ETag", "\"a\"")], true),
        // Without any, it answers what was asked.
        (&[], &[("ETag", "\"a\"")], true),
        (&[], &[], true),
    ];
    for (new, stored, expected) in table {
        assert_eq!(
            identifies(&fields(new), &fields(stored)),
            *expected,
            "{new:?} {stored:?}"
        );
    }
}

#[test]
fn heads_that_agree() {
    let kept: Lines = &[("ETag", "\"a\""), ("Last-Modified", DATE)];
    #[rustfmt::skip]
    let table: &[(Lines, bool)] = &[
        (&[], true),
        (&[("ETag", "\"a\""), ("Last-Modified", DATE), ("Content-Length", "5")], true),
        (&[("ETag", "\"b\"")], false),
        (&[("ETag", "W/\"a\"")], false),
        (&[("Last-Modified", EARLIER)], false),
        // Servers have it each of their own.
        (&[("ETag", "\"a\""), ("Last-Modified", EARLIER)], true),
        (&[("ETag", "\"a\""), ("Last-Modified", LATER), ("Content-Length", "6")], false),
        (&[("Content-Length", "6")], false),
        (&[("Transfer-Encoding", "identity"), ("Content-Length", "6")], false),
    ];
    for (head, expected) in table {
        assert_eq!(
            head_agrees(&fields(head), &fields(kept), 5),
            *expected,
            "{head:?}"
        );
    }
    assert!(!head_agrees(&fields(&[("ETag", "\"a\"")]), &fields(&[]), 5));
    for tag in ["a", "W/\"a\""] {
        let both = |date| fields(&[("ETag", tag), ("Last-Modified", date)]);
        assert!(head_agrees(&both(DATE), &both(DATE), 5), "{tag}");
        assert!(!head_agrees(&both(LATER), &both(DATE), 5), "{tag}");
    }
}

#[test]
fn updates() {
    #[rustfmt::skip]
    let table: &[(Lines, Lines, &[&str])] = &[
        (&[("A", "1")], &[], &["A: 1"]),
        (&[("A", "1")], &[("A", "2")], &["A: 2"]),
        (&[("A", "1")], &[("a", "2")], &["a: 2"]),
        (&[("A", "1")], &[("B", "2")], &["A: 1", "B: 2"]),
        (&[("A", "1"), ("A", "2")], &[("A", "3")], &["A: 3"]),
        (&[("A", "1")], &[("A", "2"), ("A", "3")], &["A: 2", "A: 3"]),
        (&[("Cache-Control", "max-age=1"), ("Expires", DATE)], &[("Cache-Control", "max-age=9")], &["Expires: Sun, 06 Nov 1994 08:49:37 GMT", "Cache-Control: max-age=9"]),
        // Fields that the RFC has updated like any other.
        (&[("Content-Type", "a/b")], &[("Content-Type", "c/d")], &["Content-Type: c/d"]),
        (&[("Content-Location", "/a")], &[("Content-Location", "/b")], &["Content-Location: /b"]),
        // What a 304 has for one client alone.
        (&[("A", "1")], &[("Set-Cookie", "a=2"), ("Set-Cookie2", "b"), ("A", "2")], &["A: 2"]),
        // Exceptions of §3.2 and §3.1.
        (&[], &[("Content-Length", "0")], &[]),
        (&[("Content-Encoding", "gzip")], &[("Content-Encoding", "br")], &["Content-Encoding: gzip"]),
        (&[], &[("Content-Range", "bytes 0-1/2"), ("Transfer-Encoding", "chunked"), ("Keep-Alive", "x")], &[]),
        (&[("A", "1")], &[("Connection", "a"), ("A", "2")], &["A: 1"]),
        (&[], &[("Proxy-Authenticate", "x"), ("Proxy-Authentication-Info", "x")], &[]),
        (&[("A", "1")], &[("Cache-Control", "private=\"a\""), ("A", "2")], &["Cache-Control: private=\"a\""]),
        // §3.2, but for one that would go back.
        (&[("Last-Modified", DATE)], &[("Last-Modified", LATER)], &["Last-Modified: Sun, 06 Nov 1994 09:00:00 GMT"]),
        (&[("Last-Modified", DATE)], &[("Last-Modified", EARLIER), ("A", "1")], &["Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", "A: 1"]),
        (&[("Last-Modified", DATE)], &[("Last-Modified", "Sunday, 06-Nov-94 08:49:37 GMT")], &["Last-Modified: Sunday, 06-Nov-94 08:49:37 GMT"]),
        (&[("Last-Modified", "x")], &[("Last-Modified", EARLIER)], &["Last-Modified: Sun, 06 Nov 1994 07:00:00 GMT"]),
        (&[("Last-Modified", DATE)], &[("Last-Modified", "x")], &["Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"]),
        (&[("A", "1")], &[("Last-Modified", EARLIER)], &["A: 1", "Last-Modified: Sun, 06 Nov 1994 07:00:00 GMT"]),
        // An Age of before the validation says nothing any more.
        (&[("Age", "50")], &[], &[]),
        (&[("Age", "50")], &[("Age", "3")], &["Age: 3"]),
    ];
    for (stored, new, expected) in table {
        let updated = update(&fields(stored), &fields(new), &TargetList::NONE);
        assert_eq!(lines(&updated), *expected, "{stored:?} {new:?}");
    }
}

#[test]
fn a_refreshed_response_counts_from_its_validation() {
    let old = stored(
        200,
        &[("Date", EARLIER), ("Age", "9"), ("Foo", "1"), ("Vary", "a")],
    );
    let new = response(304, &[("Foo", "2"), ("Cache-Control", "max-age=5")]);
    let received = BootTime {
        boot: [8; 16],
        millis: 5,
    };
    let times = FetchTimes {
        request: NOW + Duration::from_millis(500),
        response: NOW + Duration::from_secs(1),
        received,
    };
    let meta = refreshed(
        &old,
        &fields(&[]),
        &new,
        times,
        &TargetList::NONE,
        StoredFor::All,
    );
    #[rustfmt::skip]
    let expected = ["Vary: a", "Foo: 2", "Cache-Control: max-age=5", "Date: Sun, 06 Nov 1994 08:49:38 GMT"];
    assert_eq!(lines(&meta.fields), expected);
    assert_eq!(
        (meta.request_time, meta.response_time),
        (
            NOW + Duration::from_millis(500),
            NOW + Duration::from_secs(1)
        )
    );
    assert_eq!((meta.status, meta.variant), (200, old.variant));
    assert_eq!(meta.provenance.received, received);
}

#[test]
fn a_changed_vary_chooses_the_variant_anew() {
    let table: &[(&str, &str)] = &[
        ("a", "a: 1\n"),
        ("b", "b: 2\n"),
        ("A, b", "a: 1\nb: 2\n"),
        ("*", "a: 1\n"),
    ];
    let presented = fields(&[("A", "1"), ("B", "2")]);
    let mut old = stored(200, &[("Vary", "a")]);
    old.variant = vary::variant_of(&["a"], &presented);
    for (vary, expected) in table {
        let meta = refreshed(
            &old,
            &presented,
            &response(304, &[("Vary", vary)]),
            TIMES,
            &TargetList::NONE,
            StoredFor::All,
        );
        assert_eq!(meta.variant.text(), expected, "{vary}");
    }
    // Where it names the same fields, it is still the variant that it was.
    let meta = refreshed(
        &old,
        &fields(&[("A", "9")]),
        &response(304, &[("Vary", "A")]),
        TIMES,
        &TargetList::NONE,
        StoredFor::All,
    );
    assert_eq!(meta.variant, old.variant);
}

#[test]
fn conditions_of_clients() {
    use Condition::{NotModified, Send};
    let tagged: Lines = &[("ETag", "\"a\""), ("Last-Modified", DATE)];
    let weak: Lines = &[("ETag", "W/\"a\"")];
    let bare_tag: Lines = &[("ETag", "a")];
    let dated: Lines = &[("Last-Modified", DATE)];
    let bare: Lines = &[("Date", DATE)];
    #[rustfmt::skip]
    let table: &[(Method, Lines, Lines, Condition)] = &[
        (Method::Get, &[], tagged, Send),
        // RFC 9110 §13.1.2
        (Method::Get, &[("If-None-Match", "\"a\"")], tagged, NotModified),
        (Method::Head, &[("If-None-Match", "\"a\"")], tagged, NotModified),
        (Method::Get, &[("If-None-Match", "W/\"a\"")], tagged, NotModified),
        (Method::Get, &[("If-None-Match", "\"a\"")], weak, NotModified),
        (Method::Get, &[("If-None-Match", "\"b\", \"a\"")], tagged, NotModified),
        (Method::Get, &[("If-None-Match", "\"b\""), ("If-None-Match", "\"a\"")], tagged, NotModified),
        (Method::Get, &[("If-None-Match", "\"b\"")], tagged, Send),
        (Method::Get, &[("If-None-Match", "\"A\"")], tagged, Send),
        // Without quotes as with them.
        (Method::Get, &[("If-None-Match", "a")], tagged, NotModified),
        (Method::Get, &[("If-None-Match", "b, W/a")], tagged, NotModified),
        (Method::Get, &[("If-None-Match", "a")], weak, NotModified),
        (Method::Get, &[("If-None-Match", "a")], bare_tag, NotModified),
        (Method::Get, &[("If-None-Match", "\"a\"")], bare_tag, NotModified),
        (Method::Get, &[("If-None-Match", "b")], bare_tag, Send),
        (Method::Get, &[("If-None-Match", "")], tagged, Send),
        (Method::Get, &[("If-None-Match", "*")], tagged, NotModified),
        (Method::Get, &[("If-None-Match", "*")], bare, NotModified),
        (Method::Get, &[("If-None-Match", "\"a\"")], bare, Send),
        // RFC 9110 §13.1.3
        (Method::Get, &[("If-Modified-Since", DATE)], dated, NotModified),
        (Method::Head, &[("If-Modified-Since", DATE)], dated, NotModified),
        (Method::Get, &[("If-Modified-Since", LATER)], dated, NotModified),
        (Method::Get, &[("If-Modified-Since", EARLIER)], dated, Send),
        (Method::Get, &[("If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT")], dated, NotModified),
        (Method::Get, &[("If-Modified-Since", "x")], dated, Send),
        (Method::Get, &[("If-Modified-Since", DATE), ("If-Modified-Since", DATE)], dated, Send),
        // §4.3.2: Date stands in for Last-Modified.
        (Method::Get, &[("If-Modified-Since", DATE)], bare, NotModified),
        (Method::Get, &[("If-Modified-Since", EARLIER)], bare, Send),
        // RFC 9110 §13.2.2: entity tags decide alone.
        (Method::Get, &[("If-None-Match", "\"b\""), ("If-Modified-Since", DATE)], tagged, Send),
        (Method::Get, &[("If-None-Match", "\"a\""), ("If-Modified-Since", EARLIER)], tagged, NotModified),
        (Method::Get, &[("If-None-Match", "x"), ("If-Modified-Since", DATE)], tagged, Send),
        // Not a cache's to evaluate.
        (Method::Get, &[("If-Match", "\"b\""), ("If-Unmodified-Since", EARLIER)], tagged, Send),
        (Method::Post, &[("If-None-Match", "\"a\"")], tagged, Send),
    ];
    for (method, request, kept, expected) in table {
        let condition = client_condition(method, &fields(request), &stored(200, kept));
        assert_eq!(condition, *expected, "{method:?} {request:?} {kept:?}");
        let condition = client_condition(method, &fields(request), &stored(404, kept));
        assert_eq!(condition, Send, "only of 200 and 206 (§4.3.2)");
    }
}

#[test]
fn fields_of_our_own_304() {
    #[rustfmt::skip]
    let table: &[(Lines, &[&str])] = &[
        (&[("Date", "d"), ("ETag", "\"a\""), ("Vary", "v"), ("Expires", "e"), ("Cache-Control", "c"), ("Content-Location", "l")],
         &["Date: d", "ETag: \"a\"", "Vary: v", "Expires: e", "Cache-Control: c", "Content-Location: l"]),
        (&[("Content-Type", "a/b"), ("Content-Encoding", "gzip")], &[]),
        // Left in for the client whose request brought it.
        (&[("Foo", "1"), ("Set-Cookie", "a=b")], &["Set-Cookie: a=b"]),
        (&[("Last-Modified", "m"), ("ETag", "\"a\"")], &["ETag: \"a\""]),
        (&[("Last-Modified", "m")], &["Last-Modified: m"]),
    ];
    for (stored, expected) in table {
        assert_eq!(
            lines(&not_modified_fields(&fields(stored), &TargetList::NONE)),
            *expected,
            "{stored:?}"
        );
    }
}
