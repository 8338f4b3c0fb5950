//! Entity tags (RFC 9110 §8.8.3): reading one or a list of them, and comparing.
//!
//! Some origin servers and clients leave the quotes out. In a response such a tag is taken for a weak one, since nobody
//! knows what it promises; in a request for the one with quotes. The comparison that a precondition needs, and the
//! meaning of its outcome, are decided where stored responses are validated.

use super::fields::Fields;
use super::syntax::trim;

/// An entity tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityTag<'a> {
    /// It is marked weak.
    pub weak: bool,
    /// The text between the quotes, or without any.
    pub opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// The entity tag that is the whole of a response's ETag.
    pub fn parse(value: &'a [u8]) -> Option<EntityTag<'a>> {
        let value = trim(value);
        quoted(value).or_else(|| {
            let tag = unquoted(value)?;
            Some(EntityTag { weak: true, ..tag })
        })
    }

    /// The entity tag that is the whole of a request's If-Range, or a member of If-None-Match.
    pub fn presented(value: &'a [u8]) -> Option<EntityTag<'a>> {
        let value = trim(value);
        quoted(value).or_else(|| unquoted(value))
    }

    /// Strong comparison (RFC 9110 §8.8.3.2): neither is weak and both are the same.
    pub fn strong_eq(&self, other: &EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Weak comparison (RFC 9110 §8.8.3.2): the same but for the mark.
    pub fn weak_eq(&self, other: &EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }
}

/// The value of If-Match or If-None-Match (RFC 9110 §13.1.1, §13.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityTags<'a> {
    /// `*`
    Any,
    /// A list. Members that are not entity tags are left out: they match nothing.
    List(Vec<EntityTag<'a>>),
}

impl<'a> EntityTags<'a> {
    /// The tags on the lines of a field; nothing when there are none.
    pub fn of(fields: &'a Fields, name: &'a str) -> Option<EntityTags<'a>> {
        let mut lines = fields.all(name).peekable();
        lines.peek()?;
        let mut tags = Vec::new();
        for line in lines {
            if trim(line) == b"*" {
                return Some(EntityTags::Any);
            }
            read_list(line, &mut tags);
        }
        Some(EntityTags::List(tags))
    }

    /// True when a member is `tag` by weak comparison; `*` is every tag.
    pub fn weak_match(&self, tag: &EntityTag<'_>) -> bool {
        match self {
            EntityTags::Any => true,
            EntityTags::List(tags) => tags.iter().any(|own| own.weak_eq(tag)),
        }
    }
}

/// Not the list rule of other fields: an opaque tag may have commas and backslashes, which mean
/// nothing in it.
fn read_list<'a>(mut rest: &'a [u8], tags: &mut Vec<EntityTag<'a>>) {
    loop {
        while let [b' ' | b'\t' | b',', more @ ..] = rest {
            rest = more;
        }
        if rest.is_empty() {
            return;
        }
        let after = match split_tag(rest) {
            Some((tag, more)) if matches!(trim(more), [] | [b',', ..]) => {
                tags.push(tag);
                more
            }
            Some((_, more)) => more,
            None => {
                let end = memchr::memchr(b',', rest).unwrap_or(rest.len());
                tags.extend(unquoted(trim(&rest[..end])));
                rest
            }
        };
        let comma = memchr::memchr(b',', after).unwrap_or(after.len());
        rest = &after[comma..];
    }
}

fn quoted(value: &[u8]) -> Option<EntityTag<'_>> {
    match split_tag(value) {
        Some((tag, [])) => Some(tag),
        _ => None,
    }
}

/// A tag whose quotes were left out. Without them a comma ends it, and `*` is no tag.
fn unquoted(value: &[u8]) -> Option<EntityTag<'_>> {
    let (weak, opaque) = match value {
        [b'W', b'/', rest @ ..] => (true, rest),
        _ => (false, value),
    };
    let valid =
        !matches!(opaque, [] | b"*") && opaque.iter().all(|&byte| is_etagc(byte) && byte != b',');
    valid.then_some(EntityTag { weak, opaque })
}

/// True for a byte of an opaque tag (`etagc`).
fn is_etagc(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)
}

/// The entity tag that `text` begins with, and what follows it.
fn split_tag(text: &[u8]) -> Option<(EntityTag<'_>, &[u8])> {
    let (weak, quoted) = match text {
        [b'W', b'/', b'"', rest @ ..] => (true, rest),
        [b'"', rest @ ..] => (false, rest),
        _ => return None,
    };
    let end = memchr::memchr(b'"', quoted)?;
    let opaque = &quoted[..end];
    let valid = opaque.iter().copied().all(is_etagc);
    valid.then(|| (EntityTag { weak, opaque }, &quoted[end + 1..]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn strong(opaque: &str) -> EntityTag<'_> {
        EntityTag {
            weak: false,
            opaque: opaque.as_bytes(),
        }
    }

    fn weak(opaque: &str) -> EntityTag<'_> {
        EntityTag {
            weak: true,
            opaque: opaque.as_bytes(),
        }
    }

    #[test]
    fn one_tag() {
        let table = [
            (r#""xyzzy""#, Some(strong("xyzzy"))),
            (r#"W/"xyzzy""#, Some(weak("xyzzy"))),
            (r#""""#, Some(strong(""))),
            (r#" "a" "#, Some(strong("a"))),
            (r#""a,b\""#, Some(strong(r"a,b\"))),
            (r#""W/""#, Some(strong("W/"))),
            ("\"\u{e9}\"", Some(strong("\u{e9}"))),
            (r#"w/"xyzzy""#, None),
            (r#"W/ "xyzzy""#, None),
            (r#""open"#, None),
            (r#"open""#, None),
            (r#"o"pen"#, None),
            (r#""a" "b""#, None),
            (r#""a b""#, None),
            ("\"a\tb\"", None),
            ("\"a\u{7f}\"", None),
            ("", None),
            ("*", None),
            ("W/*", None),
            ("W/", None),
        ];
        for (text, expected) in table {
            assert_eq!(EntityTag::parse(text.as_bytes()), expected, "{text}");
            assert_eq!(EntityTag::presented(text.as_bytes()), expected, "{text}");
        }
    }

    /// Never strong where an origin server left the quotes out; where a client did, as with them.
    #[test]
    fn one_tag_without_quotes() {
        let table = [
            ("xyzzy", Some((weak("xyzzy"), strong("xyzzy")))),
            (" 5f-6 ", Some((weak("5f-6"), strong("5f-6")))),
            ("'a'", Some((weak("'a'"), strong("'a'")))),
            ("a=\\/*", Some((weak("a=\\/*"), strong("a=\\/*")))),
            ("\u{e9}", Some((weak("\u{e9}"), strong("\u{e9}")))),
            ("W/xyzzy", Some((weak("xyzzy"), weak("xyzzy")))),
            ("w/xyzzy", Some((weak("w/xyzzy"), strong("w/xyzzy")))),
            // It would be a list where it is sent back, or a date.
            ("a,b", None),
            ("a b", None),
            ("a\tb", None),
            ("a\u{7f}", None),
        ];
        for (text, expected) in table {
            let both =
                (EntityTag::parse(text.as_bytes())).zip(EntityTag::presented(text.as_bytes()));
            assert_eq!(both, expected, "{text}");
        }
    }

    #[test]
    fn comparison_is_that_of_the_table() {
        // The rows of the table in RFC 9110 §8.8.3.2.
        let table = [
            (weak("1"), weak("1"), false, true),
            (weak("1"), weak("2"), false, false),
            (weak("1"), strong("1"), false, true),
            (strong("1"), strong("1"), true, true),
        ];
        for (one, other, strongly, weakly) in table {
            assert_eq!(one.strong_eq(&other), strongly, "{one:?} {other:?}");
            assert_eq!(one.weak_eq(&other), weakly, "{one:?} {other:?}");
            assert_eq!(other.strong_eq(&one), strongly, "{other:?} {one:?}");
            assert_eq!(other.weak_eq(&one), weakly, "{other:?} {one:?}");
        }
    }

    #[test]
    fn lists() {
        let list = |tags: &[EntityTag<'static>]| Some(EntityTags::List(tags.to_vec()));
        let table: &[(&[&str], _)] = &[
            (&[], None),
            (&["*"], Some(EntityTags::Any)),
            (&[" * "], Some(EntityTags::Any)),
            (&[r#""a""#], list(&[strong("a")])),
            (
                &[r#""a", W/"b","c""#, r#""d""#],
                list(&[strong("a"), weak("b"), strong("c"), strong("d")]),
            ),
            (&[r#""a,b", "c""#], list(&[strong("a,b"), strong("c")])),
            (&[r#""a\", "b""#], list(&[strong(r"a\"), strong("b")])),
            (&[r#",, "a" ,"#], list(&[strong("a")])),
            (&[""], list(&[])),
            (
                &[r#"a, "b",W/c ,d,e f,,*,"#],
                list(&[strong("a"), strong("b"), weak("c"), strong("d")]),
            ),
            (&[r#""a"x, "b""#], list(&[strong("b")])),
            (&[r#""a" "x", "b""#], list(&[strong("b")])),
            (&[r#""open, "b""#], list(&[strong("b")])),
            (&[r#"*, "a""#], list(&[strong("a")])),
        ];
        for (lines, expected) in table {
            let fields: Fields = lines
                .iter()
                .map(|line| (&b"If-None-Match"[..], line.as_bytes()))
                .collect();
            let got = EntityTags::of(&fields, "if-none-match");
            assert_eq!(got, *expected, "{lines:?}");
        }
    }

    #[test]
    fn matching() {
        let fields: Fields = [(&b"If-Match"[..], &br#"W/"a", "b""#[..])]
            .into_iter()
            .collect();
        let tags = EntityTags::of(&fields, "if-match").unwrap();
        assert!(tags.weak_match(&strong("a")) && tags.weak_match(&weak("b")));
        assert!(tags.weak_match(&strong("b")) && !tags.weak_match(&strong("c")));
        assert!(EntityTags::Any.weak_match(&weak("z")));
    }
}
