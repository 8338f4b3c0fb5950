//! Stored parts (RFC 9111 §3.3, §3.4): ranges from them, more of them, wholes made of them.

use super::common::origin::{Received, ok, reply};
use super::common::{Origin, Proxy, each};
use super::fetched::served;
use super::{BEFORE, DIGITS, ask, settle};

/// The fields of a request, what the origin server is asked (nothing; `whole`; a Range, with `if` the If-Range
/// after it, with `unless` the If-None-Match), the status, `Content-Range` and the content. The step `change` is another representation from then on.
type Step = (&'static str, &'static str, u16, &'static str, &'static str);

/// A name, the fields of the representation, the steps.
type Row = (&'static str, &'static str, &'static [Step]);

const TAG: &str = "ETag: \"a\"";
const FAST: &str = "ETag: \"a\"\r\nCache-Control: max-age=60";
const AFTER: &str = "abcdefghij";
const CHANGE: Step = ("change", "", 0, "", "");

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // RFC 9111 §3.3: a range wholly within it
    ("the same range", FAST, &[
        ("Range: bytes=2-5", "bytes=2-5", 206, "bytes 2-5/10", "2345"),
        ("Range: bytes=2-5", "", 206, "bytes 2-5/10", "2345"),
    ]),
    ("a range within it", FAST, &[
        ("Range: bytes=2-5", "bytes=2-5", 206, "bytes 2-5/10", "2345"),
        ("Range: bytes=3-4", "", 206, "bytes 3-4/10", "34"),
        ("Range: bytes=-6", "bytes=6- if \"a\"", 206, "bytes 4-9/10", "456789"),
        ("Range: bytes=-1", "", 206, "bytes 9-9/10", "9"),
        ("Range: bytes=2-", "", 206, "bytes 2-9/10", "23456789"),
    ]),
    ("a suffix", FAST, &[
        ("Range: bytes=-5", "bytes=-5", 206, "bytes 5-9/10", "56789"),
        ("Range: bytes=6-8", "", 206, "bytes 6-8/10", "678"),
        ("Range: bytes=6-", "", 206, "bytes 6-9/10", "6789"),
        ("Range: bytes=-2", "", 206, "bytes 8-9/10", "89"),
    ]),
    ("several ranges within it", FAST, &[
        ("Range: bytes=2-8", "bytes=2-8", 206, "bytes 2-8/10", "2345678"),
        ("Range: bytes=2-3,4-5", "", 206, "bytes 2-5/10", "2345"),
    ]),
    ("beyond the end", FAST, &[
        ("Range: bytes=2-8", "bytes=2-8", 206, "bytes 2-8/10", "2345678"),
        ("Range: bytes=10-12", "", 416, "bytes */10", ""),
    ]),
    ("without a validator", "Cache-Control: max-age=60", &[
        ("Range: bytes=2-8", "bytes=2-8", 206, "bytes 2-8/10", "2345678"),
        ("Range: bytes=3-4", "", 206, "bytes 3-4/10", "34"),
        ("Range: bytes=3-9", "bytes=3-9", 206, "bytes 3-9/10", "3456789"),
        ("", "whole", 200, "", DIGITS),
    ]),
    ("with a weak validator", "Cache-Control: max-age=60\r\nETag: W/\"a\"", &[
        ("Range: bytes=0-8", "bytes=0-8", 206, "bytes 0-8/10", "012345678"),
        ("Range: bytes=3-4", "", 206, "bytes 3-4/10", "34"),
        ("", "whole", 200, "", DIGITS),
    ]),
    ("a stale one", "ETag: \"a\"\r\nCache-Control: max-age=0", &[
        ("Range: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        ("Range: bytes=1-2", "bytes=1-2 unless \"a\"", 206, "bytes 1-2/10", "12"),
        ("Range: bytes=1-2\r\nIf-Range: \"a\"", "bytes=1-2 if \"a\"", 206, "bytes 1-2/10", "12"),
        ("", "bytes=6- if \"a\"", 200, "", DIGITS),
    ]),
    ("a stale one by a weak validator", "ETag: W/\"a\"\r\nCache-Control: max-age=0", &[
        ("Range: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        ("Range: bytes=1-2", "bytes=1-2 unless W/\"a\"", 206, "bytes 1-2/10", "12"),
        ("", "whole", 200, "", DIGITS),
    ]),
    ("a stale one that changed", "ETag: \"a\"\r\nCache-Control: max-age=0", &[
        ("Range: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        CHANGE,
        ("Range: bytes=1-2", "bytes=1-2 unless \"a\"", 206, "bytes 1-2/10", "bc"),
        ("Range: bytes=1-2", "bytes=1-2 unless \"b\"", 206, "bytes 1-2/10", "bc"),
        ("Range: bytes=2-5", "bytes=3-5 if \"b\"", 206, "bytes 2-5/10", "cdef"),
    ]),
    ("no-store", "ETag: \"a\"\r\nCache-Control: no-store", &[
        ("Range: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        ("Range: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
    ]),
    ("no-store of the client", FAST, &[
        ("Range: bytes=0-5\r\nCache-Control: no-store", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        ("Range: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
    ]),
    ("only-if-cached", FAST, &[
        ("Range: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        ("Range: bytes=1-2\r\nCache-Control: only-if-cached", "", 206, "bytes 1-2/10", "12"),
        ("Range: bytes=1-7\r\nCache-Control: only-if-cached", "", 504, "", ""),
        ("Cache-Control: only-if-cached", "", 504, "", ""),
    ]),
    ("no-cache", FAST, &[
        ("Range: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        ("Range: bytes=0-5\r\nCache-Control: no-cache", "bytes=0-5 unless \"a\"", 206, "bytes 0-5/10", "012345"),
    ]),
    ("If-Range of the client may have brought too little", FAST, &[
        ("Range: bytes=2-5\r\nIf-Range: \"a\"", "bytes=2-5 if \"a\"", 206, "bytes 2-5/10", "2345"),
        ("Range: bytes=2-5", "bytes=2-5", 206, "bytes 2-5/10", "2345"),
        ("Range: bytes=2-3\r\nIf-Range: \"a\"", "", 206, "bytes 2-3/10", "23"),
        ("Range: bytes=2-3\r\nIf-Range: \"b\"", "bytes=2-3 if \"b\"", 200, "", DIGITS),
    ]),
    ("a condition of the client", FAST, &[
        ("Range: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        ("Range: bytes=0-3\r\nIf-None-Match: \"a\"", "", 304, "", ""),
        ("Range: bytes=0-3\r\nIf-None-Match: \"b\"", "", 206, "bytes 0-3/10", "0123"),
    ]),
    // §3.3, §3.4: completed
    ("the rest", FAST, &[
        ("Range: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        ("", "bytes=6- if \"a\"", 200, "", DIGITS),
        ("", "", 200, "", DIGITS),
        ("Range: bytes=4-7", "", 206, "bytes 4-7/10", "4567"),
    ]),
    ("the beginning", FAST, &[
        ("Range: bytes=-4", "bytes=-4", 206, "bytes 6-9/10", "6789"),
        ("", "bytes=0-5 if \"a\"", 200, "", DIGITS),
        ("", "", 200, "", DIGITS),
    ]),
    ("by a date", "Last-Modified: {before}\r\nCache-Control: max-age=60", &[
        ("Range: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        ("", "bytes=6- if {before}", 200, "", DIGITS),
        ("", "", 200, "", DIGITS),
    ]),
    ("by a client of the rest", FAST, &[
        ("Range: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        ("Range: bytes=3-", "bytes=6- if \"a\"", 206, "bytes 3-9/10", "3456789"),
        ("", "", 200, "", DIGITS),
    ]),
    ("both sides are lacking", FAST, &[
        ("Range: bytes=3-5", "bytes=3-5", 206, "bytes 3-5/10", "345"),
        ("", "whole", 200, "", DIGITS),
        ("", "", 200, "", DIGITS),
    ]),
    ("all of it asked as a range", FAST, &[
        ("Range: bytes=0-9", "bytes=0-9", 206, "bytes 0-9/10", DIGITS),
        ("", "", 200, "", DIGITS),
    ]),
    // §3.4: added to
    ("more", FAST, &[
        ("Range: bytes=2-3", "bytes=2-3", 206, "bytes 2-3/10", "23"),
        ("Range: bytes=3-6", "bytes=4-6 if \"a\"", 206, "bytes 3-6/10", "3456"),
        ("Range: bytes=1-2", "bytes=1-1 if \"a\"", 206, "bytes 1-2/10", "12"),
        ("Range: bytes=1-6", "", 206, "bytes 1-6/10", "123456"),
        ("Range: bytes=7-9", "bytes=7- if \"a\"", 206, "bytes 7-9/10", "789"),
        ("", "bytes=0-0 if \"a\"", 200, "", DIGITS),
    ]),
    ("apart, the longer one stays", FAST, &[
        ("Range: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        ("Range: bytes=8-9", "bytes=8-9", 206, "bytes 8-9/10", "89"),
        ("Range: bytes=0-5", "", 206, "bytes 0-5/10", "012345"),
    ]),
    ("apart, the longer one comes", FAST, &[
        ("Range: bytes=0-1", "bytes=0-1", 206, "bytes 0-1/10", "01"),
        ("Range: bytes=4-9", "bytes=4-9", 206, "bytes 4-9/10", "456789"),
        ("Range: bytes=4-9", "", 206, "bytes 4-9/10", "456789"),
        ("Range: bytes=0-1", "bytes=0-1", 206, "bytes 0-1/10", "01"),
    ]),
    // §3.4: nothing is combined without the validator
    ("changed, the whole is asked", FAST, &[
        ("Range: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        CHANGE,
        ("", "bytes=6- if \"a\"", 200, "", AFTER),
        ("Range: bytes=0-2", "", 206, "bytes 0-2/10", "abc"),
    ]),
    ("changed, a range is asked", FAST, &[
        ("Range: bytes=2-3", "bytes=2-3", 206, "bytes 2-3/10", "23"),
        CHANGE,
        ("Range: bytes=2-5", "bytes=4-5 if \"a\"", 200, "", AFTER),
        ("", "", 200, "", AFTER),
    ]),
    ("changed, another range is asked", FAST, &[
        ("Range: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        CHANGE,
        ("Range: bytes=8-9", "bytes=8-9", 206, "bytes 8-9/10", "ij"),
        ("Range: bytes=8-9", "", 206, "bytes 8-9/10", "ij"),
        ("", "bytes=0-7 if \"b\"", 200, "", AFTER),
    ]),
    ("heuristic freshness (9110 §15.1)", "Last-Modified: {before}", &[
        ("Range: bytes=2-3", "bytes=2-3", 206, "bytes 2-3/10", "23"),
        ("Range: bytes=2-3", "", 206, "bytes 2-3/10", "23"),
    ]),
    ("nothing but a validator", TAG, &[
        ("Range: bytes=0-3", "bytes=0-3", 206, "bytes 0-3/10", "0123"),
        ("", "bytes=4- if \"a\"", 200, "", DIGITS),
    ]),
    ("Vary", "ETag: \"a\"\r\nCache-Control: max-age=60\r\nVary: Foo", &[
        ("Foo: 1\r\nRange: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        ("Foo: 2\r\nRange: bytes=0-5", "bytes=0-5", 206, "bytes 0-5/10", "012345"),
        ("Foo: 1\r\nRange: bytes=1-2", "", 206, "bytes 1-2/10", "12"),
        ("Foo: 1", "bytes=6- if \"a\"", 200, "", DIGITS),
        ("Foo: 1", "", 200, "", DIGITS),
    ]),
];

#[test]
fn conversations() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| {
        let mut path = request.target()[1..].split('/');
        let number: usize = path.next().unwrap().parse().unwrap();
        let fields = ROWS[number].1.replace("{before}", BEFORE) + "\r\n";
        // The client says when it has changed.
        match request.head.has("x-changed") {
            false => served(request, &fields, DIGITS.as_bytes()),
            true => served(request, &fields.replace("\"a\"", "\"b\""), AFTER.as_bytes()),
        }
    });
    let numbered: Vec<_> = ROWS.iter().enumerate().collect();
    each(numbered.chunks(16), |chunk| {
        std::thread::scope(|scope| {
            for (number, row) in chunk {
                scope.spawn(|| converse(&proxy, &origin, *number, row));
            }
        });
    });
}

fn converse(proxy: &Proxy, origin: &Origin, number: usize, (name, _, steps): &Row) {
    let path = format!("/{number}");
    let mut changed = "";
    for (at, step) in steps.iter().enumerate() {
        if *step == CHANGE {
            changed = "X-Changed: 1\r\n";
            continue;
        }
        let (request, asked, status, range, content) = step;
        let before = origin.count_of(&path);
        let request = request.replace("{before}", BEFORE);
        let line = if request.is_empty() { "" } else { "\r\n" };
        let got = ask(proxy, origin, &path, &format!("{request}{line}{changed}"));
        let told = format!("{name}, step {at}: {got:?}");
        let now: Vec<_> = origin
            .requests()
            .into_iter()
            .filter(|request| request.target() == path)
            .skip(before)
            .collect();
        let seen: Vec<_> = now.iter().map(as_asked).collect();
        let asked = asked.replace("{before}", BEFORE);
        let asked = if asked.is_empty() {
            vec![]
        } else {
            vec![asked]
        };
        assert_eq!(seen, asked, "{told}");
        let said = got.first("content-range").unwrap_or_default();
        assert_eq!((got.status, said), (*status, *range), "{told}");
        assert!(
            matches!(status, 304 | 416 | 504) || got.text() == *content,
            "{told}"
        );
        assert_eq!(got.is_hit(), asked.is_empty() && *status != 504, "{told}");
        settle();
    }
}

/// The Range that the origin server got, and a condition.
pub fn as_asked(request: &Received) -> String {
    let range = request.head.first("range").unwrap_or("whole");
    let condition = |name| request.head.first(name);
    match (condition("if-range"), condition("if-none-match")) {
        (Some(condition), _) => format!("{range} if {condition}"),
        (None, Some(condition)) => format!("{range} unless {condition}"),
        (None, None) => range.to_owned(),
    }
}

/// §3.4: the fields of what was combined are the stored ones, updated.
#[test]
fn fields_of_a_whole_made_of_parts() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| {
        let first = request.head.first("range") == Some("bytes=0-5");
        let fields = match first {
            true => {
                "ETag: \"a\"\r\nCache-Control: max-age=60\r\nContent-Type: a/b\r\nX-Old: 1\r\nX-Both: 1\r\n"
            }
            false => "ETag: \"a\"\r\nCache-Control: max-age=90\r\nX-Both: 2\r\nX-New: 2\r\n",
        };
        served(request, fields, DIGITS.as_bytes())
    });
    ask(&proxy, &origin, "/", "Range: bytes=0-5\r\n");
    settle();
    for at in 0..2 {
        let got = ask(&proxy, &origin, "/", "");
        assert_eq!((got.status, got.text().as_str()), (200, DIGITS), "{at}");
        for (name, value) in [
            ("content-type", "a/b"),
            ("content-length", "10"),
            ("cache-control", "max-age=90"),
            ("x-old", "1"),
            ("x-both", "2"),
            ("x-new", "2"),
        ] {
            assert_eq!(got.head.all(name), [value], "{name} {at}");
        }
        assert!(!got.head.has("content-range"), "{got:?}");
        assert_eq!(
            got.cache_status().contains("fwd=partial; fwd-status=206"),
            at == 0,
            "{got:?}"
        );
        settle();
    }
}

/// An origin server that doesn't do what was asked: the whole is asked for once more, or its answer passed on.
#[test]
fn what_cannot_be_combined() {
    let proxy = Proxy::start("");
    let fields = "Cache-Control: max-age=60\r\nETag: \"a\"\r\n";
    let part = |fields: &str, range: &str, content: &str| {
        reply(
            "206 x",
            &format!("{fields}Content-Range: bytes {range}\r\n"),
            content,
        )
    };
    let origin = Origin::answering(move |request| {
        let other = fields.replace("\"a\"", "\"b\"");
        match (request.head.first("range"), request.target()) {
            (Some("bytes=0-3"), _) => part(fields, "0-3/10", "0123"),
            (None, "/length") => ok(&other, "0123456789ab"),
            (None, _) => ok(&other, AFTER),
            (Some(_), "/tag") => part(&other, "4-9/10", "efghij"),
            (Some(_), "/no-tag") => part("Cache-Control: max-age=60\r\n", "4-9/10", "efghij"),
            (Some(_), "/weak") => part("ETag: W/\"a\"\r\n", "4-9/10", "efghij"),
            (Some(_), "/first") => part(fields, "3-9/10", "defghij"),
            (Some(_), "/last") => part(fields, "4-8/10", "efghi"),
            (Some(_), "/length") => part(fields, "4-11/12", "456789ab"),
            (Some(_), "/unsatisfied") => reply("416 x", "Content-Range: bytes */3\r\n", ""),
            (Some(_), "/multipart") => reply(
                "206 x",
                "ETag: \"a\"\r\nContent-Type: multipart/byteranges; boundary=x\r\n",
                "--x--",
            ),
            (Some(_), path) => reply(&format!("{} x", &path[1..]), "", "trouble"),
        }
    });
    #[rustfmt::skip]
    let table = [
        ("/tag", 200, AFTER, 3),
        ("/no-tag", 200, AFTER, 3),
        ("/weak", 200, AFTER, 3),
        ("/first", 200, AFTER, 3),
        ("/last", 200, AFTER, 3),
        ("/length", 200, "0123456789ab", 3),
        ("/unsatisfied", 200, AFTER, 3),
        ("/multipart", 200, AFTER, 3),
        ("/404", 404, "trouble", 2),
        ("/500", 500, "trouble", 2),
        ("/503", 503, "trouble", 2),
    ];
    each(table, |(path, status, content, asked)| {
        ask(&proxy, &origin, path, "Range: bytes=0-3\r\n");
        settle();
        let got = ask(&proxy, &origin, path, "");
        assert_eq!(
            (got.status, got.text().as_str()),
            (status, content),
            "{path}"
        );
        assert_eq!(origin.count_of(path), asked, "{path}");
    });
}
