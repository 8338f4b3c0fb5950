//! `multipart/byteranges` (RFC 9110 §14.6, §15.3.7.2): what is written around the parts of a representation, and how
//! much of it there is at most. Received ones are read in `parts::several`.
//!
//! The parts are selected in `range`; the boundary, which is random, comes from whoever sends them.

use std::fmt::Write;

use bytes::BytesMut;

/// The length of a boundary.
pub const BOUNDARY: usize = 32;
/// The most bytes around the parts of one response: enough for a thousand parts of a common media type.
const MOST_AROUND: usize = 256 << 10;
/// The bytes of a part's head, but for its media type and its numbers.
const FIXED: usize = "\r\n--\r\nContent-Type: \r\nContent-Range: bytes -/\r\n\r\n".len() + BOUNDARY;

/// True when no more is written around so many parts of a representation than is worth while.
pub fn is_bounded(parts: usize, media_type: Option<&[u8]>, length: u64) -> bool {
    let digits = length.checked_ilog10().unwrap_or_default() as usize + 1;
    let head = FIXED + media_type.map_or(0, <[u8]>::len) + 3 * digits;
    parts.saturating_mul(head) <= MOST_AROUND
}

/// What is written before a part with this Content-Range.
pub fn part_head(boundary: &str, media_type: Option<&[u8]>, content_range: &str) -> BytesMut {
    let mut out = BytesMut::with_capacity(192);
    // Writing to a BytesMut grows it and can't fail.
    let _ = write!(out, "\r\n--{boundary}\r\n");
    if let Some(media_type) = media_type {
        out.extend_from_slice(b"Content-Type: ");
        out.extend_from_slice(media_type);
        out.extend_from_slice(b"\r\n");
    }
    let _ = write!(out, "Content-Range: {content_range}\r\n\r\n");
    out
}

/// What is written after the last part.
pub fn end(boundary: &str) -> String {
    format!("\r\n--{boundary}--\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_part() {
        let head = |media_type| part_head(MARK, media_type, "bytes 4-5/10");
        let delimiter = format!("\r\n--{MARK}\r\n");
        let range = "Content-Range: bytes 4-5/10\r\n\r\n";
        assert_eq!(head(None), format!("{delimiter}{range}").as_bytes());
        let typed = format!("{delimiter}Content-Type: a/b\r\n{range}");
        assert_eq!(head(Some(b"a/b")), typed.as_bytes());
        assert_eq!(end(MARK), format!("\r\n--{MARK}--\r\n"));
    }

    #[test]
    fn what_is_written_around_parts_is_bounded() {
        let gib = 1 << 30;
        let long = [b'x'; 8_000];
        let table: &[(usize, Option<&[u8]>, u64, bool)] = &[
            (1_000, None, gib, true),
            (1_000, Some(&long[..130]), gib, true),
            (1_000, Some(&long[..200]), gib, false),
            (1_000, Some(b"a/b"), u64::MAX, true),
            (32, Some(&long), gib, true),
            (33, Some(&long), gib, false),
            (2, None, 0, true),
            (usize::MAX, None, 0, false),
        ];
        for (parts, media_type, length, expected) in table {
            let got = is_bounded(*parts, *media_type, *length);
            assert_eq!(got, *expected, "{parts} {media_type:?} {length}");
        }
        for (media_type, length) in [
            (Some(&b"a/b"[..]), 9_u64),
            (Some(b"a/b"), 10),
            (Some(b"text/html"), 99_999),
        ] {
            let longest = format!("bytes {length}-{length}/{length}");
            let most = MOST_AROUND / part_head(MARK, media_type, &longest).len();
            assert!(is_bounded(most, media_type, length), "{length}");
            assert!(!is_bounded(most + 1, media_type, length), "{length}");
        }
        // It is never more than what was reckoned with.
        let longest = format!("bytes {0}-{0}/{0}", u64::MAX);
        let head = part_head(MARK, Some(b"a/b"), &longest);
        assert_eq!(head.len(), FIXED + 3 + 3 * 20);
    }
}
