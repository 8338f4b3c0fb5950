//! The parts of a received `multipart/byteranges` (RFC 9110 §14.6; RFC 2046 §5.1): read strictly, since each is stored. What
//! isn't exactly as the Content-Range of each part says is of no use.

use std::ops::Range;

use crate::cache::extent::{PartialContent, content_range};
use crate::http::syntax::trim;

/// A part of such content.
#[derive(Debug, PartialEq, Eq)]
pub struct ReceivedPart<'a> {
    /// The part of the representation that it has.
    pub held: PartialContent,
    /// Its Content-Type.
    pub media_type: Option<&'a [u8]>,
    /// The place of its bytes in the content.
    pub place: Range<usize>,
}

/// The boundary in the Content-Type of a response with several parts.
pub fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    let mut parameters = content_type.split(|byte| *byte == b';').map(trim);
    let media_type = parameters.next()?;
    if !media_type.eq_ignore_ascii_case(b"multipart/byteranges") {
        return None;
    }
    let mut boundaries = parameters.filter_map(|parameter| {
        let (name, value) = split_at(parameter, b'=')?;
        name.eq_ignore_ascii_case(b"boundary").then_some(value)
    });
    let (boundary, None) = (boundaries.next()?, boundaries.next()) else {
        return None;
    };
    let quoted = boundary
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    let boundary = quoted.unwrap_or(boundary);
    // RFC 2046 §5.1.1
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
    let is_valid = (1..=70).contains(&boundary.len()) && boundary.iter().all(is_plain);
    is_valid.then_some(boundary)
}

/// All parts of the content, which are of one representation; nothing where it isn't as it has to be.
pub fn received<'a>(content: &'a [u8], boundary: &[u8]) -> Option<Vec<ReceivedPart<'a>>> {
    let delimiter = [b"--", boundary].concat();
    // The line end before the first delimiter may be missing.
    let mut rest = content.strip_prefix(b"\r\n").unwrap_or(content);
    let mut parts: Vec<ReceivedPart<'a>> = Vec::new();
    loop {
        rest = rest.strip_prefix(&delimiter[..])?;
        if rest.starts_with(b"--") {
            return (!parts.is_empty()).then_some(parts);
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let end = memchr::memmem::find(rest, b"\r\n\r\n")?;
        let (held, media_type) = head(&rest[..end])?;
        if parts
            .first()
            .is_some_and(|first| first.held.length != held.length)
        {
            return None;
        }
        let first = content.len() - rest.len() + end + 4;
        let end = first.checked_add(usize::try_from(held.part.len).ok()?)?;
        rest = content.get(end..)?.strip_prefix(b"\r\n")?;
        parts.push(ReceivedPart {
            held,
            media_type,
            place: first..end,
        });
    }
}

/// What the fields of a part say of it.
fn head(lines: &[u8]) -> Option<(PartialContent, Option<&[u8]>)> {
    let (mut held, mut media_type) = (None, None);
    for line in lines.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (name, value) = split_at(line, b':')?;
        if name.eq_ignore_ascii_case(b"content-range")
            && held.replace(content_range(value)?).is_some()
            || name.eq_ignore_ascii_case(b"content-type") && media_type.replace(value).is_some()
        {
            return None;
        }
    }
    Some((held?, media_type))
}

fn split_at(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(byte, text)?;
    Some((&text[..at], trim(&text[at + 1..])))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cache::multipart::{end, part_head};
    use crate::cache::range::ByteRange;

    #[test]
    fn boundaries() {
        #[rustfmt::skip]
        let table = [
            ("multipart/byteranges; boundary=x", Some("x")),
            ("Multipart/ByteRanges;Boundary=\"a b\"", Some("a b")),
            ("multipart/byteranges; charset=y; boundary=3d6b6a416f9b5", Some("3d6b6a416f9b5")),
            ("multipart/byteranges", None),
            ("multipart/byteranges; boundary=", None),
            ("multipart/byteranges; boundary=\"\"", None),
            ("multipart/byteranges; boundary=x; boundary=y", None),
            ("multipart/mixed; boundary=x", None),
            ("text/plain; a=multipart/byteranges; boundary=x", None),
            ("multipart/byteranges; boundary=a\r\nb", None),
        ];
        for (value, expected) in table {
            let got = boundary(value.as_bytes());
            assert_eq!(got, expected.map(str::as_bytes), "{value}");
        }
        let long = format!("multipart/byteranges; boundary={}", "x".repeat(71));
        assert_eq!(boundary(long.as_bytes()), None);
    }

    /// (first byte, length of all, Content-Type, bytes) of each part
    type Part = (u64, u64, Option<&'static str>, &'static str);

    #[test]
    fn parts_of_content() {
        let ab = "--x\r\nContent-Range: bytes 0-1/10\r\nContent-Type: a/b\r\n\r\nab\r\n";
        let cd = "--x\r\ncontent-range:bytes 4-5/10\r\n\r\ncd\r\n";
        let inner = "--x\r\nContent-Range: bytes 0-6/10\r\n\r\n\r\n--x--\r\n";
        let other = "--x\r\nContent-Range: bytes 4-5/11\r\n\r\ncd\r\n";
        let twice =
            "--x\r\nContent-Range: bytes 0-1/10\r\nContent-Range: bytes 4-5/10\r\n\r\ncd\r\n";
        let bare = "--x\r\n\r\nab\r\n";
        let (a, c): (Part, Part) = ((0, 10, Some("a/b"), "ab"), (4, 10, None, "cd"));
        #[rustfmt::skip]
        let table: &[(&[&str], Option<&[Part]>)] = &[
            (&[ab, "--x--\r\n"], Some(&[a])),
            (&["\r\n", ab, cd, "--x--"], Some(&[a, c])),
            (&[cd, ab, "--x--\r\nepilogue"], Some(&[c, a])),
            (&[inner, "--x--"], Some(&[(0, 10, None, "\r\n--x--")])),
            (&["--x--"], None),
            (&[], None),
            (&[ab], None),
            (&[ab, "--y--"], None),
            (&[ab, other, "--x--"], None),
            (&[twice, "--x--"], None),
            (&[bare, "--x--"], None),
            (&["preamble\r\n", ab, "--x--"], None),
            (&[&ab[..ab.len() - 3], "--x--"], None),
            (&[&ab.replace("0-1/10", "0-2/10"), "--x--"], None),
            (&[&ab.replace("0-1/10", "0-0/10"), "--x--"], None),
            (&[&ab.replace("0-1/10", "0-99999999/99999999999"), "--x--"], None),
            (&[&ab.replace("0-1/10", "0-1/*"), "--x--"], None),
        ];
        for (pieces, expected) in table {
            let content = pieces.concat();
            let parts = received(content.as_bytes(), b"x");
            let got: Option<Vec<_>> = parts.map(|parts| {
                let part = |part: ReceivedPart<'_>| {
                    let place = &content[part.place];
                    let media_type = part
                        .media_type
                        .map(|it| String::from_utf8_lossy(it).into_owned());
                    assert_eq!(part.held.part.len, place.len() as u64);
                    (
                        part.held.part.first,
                        part.held.length,
                        media_type,
                        place.to_owned(),
                    )
                };
                parts.into_iter().map(part).collect()
            });
            let owned = |(first, length, media_type, place): &Part| {
                (
                    *first,
                    *length,
                    media_type.map(str::to_owned),
                    (*place).to_owned(),
                )
            };
            let expected = expected.map(|parts| parts.iter().map(owned).collect());
            assert_eq!(got, expected, "{content:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let boundary = "0123456789abcdef0123456789abcdef";
        let mut content = Vec::new();
        for (range, bytes) in [("bytes 0-1/10", "ab"), ("bytes 5-5/10", "f")] {
            content.extend_from_slice(&part_head(boundary, Some(b"a/b"), range));
            content.extend_from_slice(bytes.as_bytes());
        }
        content.extend_from_slice(end(boundary).as_bytes());
        let parts = received(&content, boundary.as_bytes()).unwrap();
        let ranges: Vec<_> = parts.iter().map(|part| part.held.part).collect();
        let range = |first, len| ByteRange { first, len };
        assert_eq!(ranges, [range(0, 2), range(5, 1)]);
        assert!(content[parts[1].place.clone()] == b"f"[..]);
    }
}
