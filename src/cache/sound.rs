//! Metadata that was kept outside of this process, in a file, a row or an archive: it is used only if it could have come
//! from the network (RFC 9110 §5, RFC 9112 §4), with what is never stored left out (RFC 9111 §3.1).
//!
//! Damage is found by checksums; this finds what somebody else wrote.

use super::extent::Extent;
use super::key::{Key, Variant};
use super::stored::{Meta, UNTIL_CLOSE};
use crate::http::connection::is_hop_by_hop;
use crate::http::date::LAST;
use crate::http::parse::may_be_a_head;
use crate::http::syntax::{is_field_text, is_token};
use crate::http::target::Uri;

/// Refuses metadata that no response could have led to; says what is wrong with it.
pub fn check(meta: &Meta) -> Result<(), &'static str> {
    match is_key(&meta.key) {
        true => check_of_own_key(meta),
        false => Err("its key is not a method and a URI"),
    }
}

/// The same of what is stored under a key that was made of a request's URI.
pub fn check_of_own_key(meta: &Meta) -> Result<(), &'static str> {
    let is_part = meta.extent != Extent::Whole;
    if !matches!(meta.status, 200..=303 | 305..=999) || is_part != (meta.status == 206) {
        Err("its status is none that is stored")
    } else if is_part != meta.key.is_for_part()
        || meta.extent != Extent::of(meta.status, &meta.fields)
    {
        Err("it is not the part that its Content-Range says")
    } else if !is_field_text(&meta.reason) {
        Err("its reason phrase has bytes that none has")
    } else if meta.request_time.seconds() > LAST || meta.response_time.seconds() > LAST {
        Err("its times are none")
    } else if !is_variant(meta) {
        Err("its variant is none that its Vary field makes")
    } else {
        let lines = meta.fields.iter().filter(|line| *line != UNTIL_CLOSE);
        check_fields(lines, meta.key.is_for_head())?;
        check_fields(meta.trailers.iter(), false)
    }
}

fn is_key(key: &Key) -> bool {
    let uri = key.uri().map(|uri| key.text().slice_ref(uri));
    let parsed = uri.map(|uri| (Uri::parse(&uri), uri));
    // Only its normal form is a key.
    matches!(parsed, Some((Ok(parsed), uri)) if parsed.as_bytes() == &uri)
}

fn is_variant(meta: &Meta) -> bool {
    let text = meta.variant.text();
    let is_line = |line: &[u8]| !line.is_empty() && is_field_text(line);
    let lines = text.strip_suffix(b"\n").unwrap_or(b"\n");
    let has_lines = lines.split(|byte| *byte == b'\n').all(is_line);
    let varies = meta.selecting().map(|names| !names.is_empty());
    varies == Some(meta.variant != Variant::none()) && (text.is_empty() || has_lines)
}

fn check_fields<'a>(
    lines: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    for_head: bool,
) -> Result<(), &'static str> {
    if !may_be_a_head(lines.clone()) {
        return Err("its fields are more than a head may have");
    }
    for (name, value) in lines {
        let framing = !for_head && name.eq_ignore_ascii_case(b"content-length");
        if !is_token(name) || !is_field_text(value) {
            return Err("its fields have bytes that none has");
        } else if framing || is_hop_by_hop(name) {
            return Err("its fields have one that is never stored");
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::type_complexity)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::cache::provenance::Provenance;
    use crate::cache::testing::fields;
    use crate::cache::time::Timestamp;
    use crate::http::fields::Fields;

    fn meta() -> Meta {
        Meta {
            key: Key::new("GET http://a.example/"),
            variant: Variant::none(),
            request_time: Timestamp::from_millis(1),
            response_time: Timestamp::from_millis(2),
            local: false,
            extent: Extent::Whole,
            provenance: Provenance::default(),
            status: 200,
            reason: Bytes::from_static(b"OK"),
            fields: fields(&[("ETag", "\"1\""), ("X", ""), ("Y", "caf\u{e9}\ta")]),
            trailers: fields(&[("Digest", "x")]),
        }
    }

    fn part() -> Meta {
        Meta {
            key: meta().key.part(),
            status: 206,
            extent: Extent::Part {
                first: 10,
                length: 20,
            },
            fields: fields(&[("Content-Range", "bytes 10-14/20")]),
            ..meta()
        }
    }

    fn of(lines: &[(&[u8], &[u8])]) -> Fields {
        lines.iter().copied().collect()
    }

    #[test]
    fn what_could_have_come_from_the_network() {
        let keys = [
            "HEAD https://a.example:8443/x?y",
            "GET-part http://a.example/",
        ];
        let mut good: Vec<Meta> = keys
            .map(|key| Meta {
                key: Key::new(key),
                ..meta()
            })
            .to_vec();
        good.push(meta());
        good[0].fields = fields(&[("Content-Length", "5")]);
        good[1] = part();
        good.push(meta().until_close());
        good.push(Meta {
            variant: Variant::new("a: 1\nb\n"),
            fields: fields(&[("Vary", "a, b")]),
            ..meta()
        });
        for meta in good {
            assert_eq!(check(&meta), Ok(()), "{meta:?}");
        }
    }

    #[test]
    fn what_could_not() {
        let bad_lines: &[(&[u8], &[u8])] = &[
            (b"", b"x"),
            (b"a b", b"x"),
            (b"a:", b"x"),
            (b"A\r\nB", b"x"),
            (b"A\0", b"x"),
            (b"caf\xe9", b"x"),
            (b"A", b"x\r\nSet-Cookie: y"),
            (b"A", b"x\ny"),
            (b"A", b"x\0"),
            (b"A", b"x\x7f"),
            (b"Content-Length", b"5"),
            (b"transfer-encoding", b"chunked"),
            (b"Connection", b"keep-alive"),
            (b"connection", b"close, x"),
            (b"Upgrade", b"h2c"),
            (b"Vary", b"*"),
            (b"Vary", b"a"),
        ];
        let bad = Meta {
            trailers: of(&[UNTIL_CLOSE]),
            ..meta()
        };
        assert!(check(&bad).is_err());
        for line in bad_lines {
            let bad = Meta {
                fields: of(&[(b"ETag", b"\"1\""), *line]),
                ..meta()
            };
            assert!(check(&bad).is_err(), "{line:?}");
            let bad = Meta {
                trailers: of(&[*line]),
                ..meta()
            };
            assert!(check(&bad).is_err() || line.0 == b"Vary", "{line:?}");
        }
        let large = vec![b'x'; 263_000];
        let name = |number: usize| format!("X-{number}");
        let names: Vec<String> = (0..1004).map(name).collect();
        let many = names.iter().map(|name| (name.as_bytes(), &b"1"[..]));
        let changes: [(&str, &dyn Fn(&mut Meta)); 16] = [
            ("larger", &|meta| meta.fields = of(&[(b"A", &large)])),
            ("more", &|meta| meta.fields = many.clone().collect()),
            ("larger trailers", &|meta| {
                meta.trailers = of(&[(b"A", &large)]);
            }),
            ("no URI", &|meta| meta.key = Key::new("GET a")),
            ("method", &|meta| {
                meta.key = Key::new("POST http://a.example/")
            }),
            ("normal form", &|meta| {
                meta.key = Key::new("GET http://A.example/");
            }),
            ("line in key", &|meta| {
                meta.key = Key::new("GET http://a.example/\r\nX: y");
            }),
            ("interim", &|meta| meta.status = 199),
            ("304", &|meta| meta.status = 304),
            ("206", &|meta| meta.status = 206),
            ("status", &|meta| meta.status = 1000),
            ("reason", &|meta| {
                meta.reason = Bytes::from_static(b"OK\r\nX: y");
            }),
            ("request time", &|meta| {
                meta.request_time = Timestamp::from_millis(u64::MAX);
            }),
            ("response time", &|meta| {
                meta.response_time = Timestamp::from_seconds(LAST + 1);
            }),
            ("variant", &|meta| meta.variant = Variant::new("a: 1\n")),
            ("lines of a variant", &|meta| {
                meta.fields = fields(&[("Vary", "a")]);
                meta.variant = Variant::new("a: 1\n\0\n");
            }),
        ];
        let mut last = meta();
        last.request_time = Timestamp::from_seconds(LAST);
        last.response_time = Timestamp::from_seconds(LAST);
        assert_eq!(check(&last), Ok(()));
        for (what, change) in changes {
            let mut bad = meta();
            change(&mut bad);
            assert!(check(&bad).is_err(), "{what}");
        }
    }

    #[test]
    fn parts_that_are_none() {
        let changes: [(&str, &dyn Fn(&mut Meta)); 6] = [
            ("part of GET's", &|meta| meta.key = self::meta().key),
            ("whole as a part", &|meta| {
                *meta = Meta {
                    key: part().key,
                    ..self::meta()
                };
            }),
            ("200", &|meta| meta.status = 200),
            ("another part", &|meta| {
                meta.extent = Extent::Part {
                    first: 1,
                    length: 20,
                };
            }),
            ("the whole", &|meta| meta.extent = Extent::Whole),
            ("without its range", &|meta| meta.fields = fields(&[])),
        ];
        for (what, change) in changes {
            let mut bad = part();
            change(&mut bad);
            assert!(check(&bad).is_err(), "{what}");
        }
    }
}
