//! Stored parts (RFC 9111 §3.3, §3.4): ranges from them, more of them, wholes made of them.

use super::common::Origin;
use super::common::conversation::{Step, hold, hold_as, served, settle, start};
use super::{DIGITS, ask};

#[test]
fn conversations() {
    hold("", include_str!("parts.txt"));
}

/// §3.4: the fields of what was combined are the stored ones, updated.
#[test]
fn fields_of_a_whole_made_of_parts() {
    let proxy = start("");
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
    settle(&proxy);
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
        settle(&proxy);
    }
}

/// An origin server that doesn't do what was asked: the whole is asked for once more, or its answer passed on.
#[test]
fn what_cannot_be_combined() {
    const FIRST: &str =
        "206 | Cache-Control: max-age=60 | ETag: \"a\" | Content-Range: bytes 0-3/10 | =0123";
    hold_as("", include_str!("uncombined.txt"), |script| {
        let first = Step::of("GET | Range: bytes=0-3", FIRST, "bytes 0-3/10=0123");
        [vec![first], script.steps.clone()].concat()
    });
}
