//! How much of a representation there is (RFC 9110 §14.4): the whole, or one part, as the Content-Range of a 206 says.
//!
//! What a part may answer is decided in `parts`.

use super::range::ByteRange;
use crate::http::fields::Fields;
use crate::http::syntax::number;

/// The extent of a stored response within its representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extent {
    /// All of it.
    #[default]
    Whole,
    /// The part that begins with byte `first`, of a representation of `length` bytes. The content's length is the part's.
    #[allow(missing_docs)]
    Part { first: u64, length: u64 },
}

impl Extent {
    /// That of a response with this status and these fields.
    pub fn of(status: u16, fields: &Fields) -> Extent {
        match part_of(status, fields) {
            Some(held) => Extent::Part {
                first: held.part.first,
                length: held.length,
            },
            None => Extent::Whole,
        }
    }

    /// True for the length of content that can be all or this part of a representation.
    pub fn has_room_for(self, content: u64) -> bool {
        match self {
            Extent::Whole => true,
            Extent::Part { first, length } => {
                let end = first.checked_add(content);
                content > 0 && end.is_some_and(|end| end <= length)
            }
        }
    }

    /// The first byte; 0 of a whole.
    pub fn first(self) -> u64 {
        match self {
            Extent::Whole => 0,
            Extent::Part { first, .. } => first,
        }
    }
}

/// A part of a representation whose length is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialContent {
    /// The part.
    pub part: ByteRange,
    /// The length of all of it.
    pub length: u64,
}

impl PartialContent {
    /// True when there is nothing beside it.
    pub fn is_whole(self) -> bool {
        self.part.len == self.length
    }

    /// Where a part of the representation lies within it.
    pub fn within(self, part: ByteRange) -> ByteRange {
        ByteRange {
            first: part.first.saturating_sub(self.part.first),
            ..part
        }
    }

    /// True when another part is within it.
    pub fn has(self, other: ByteRange) -> bool {
        self.part.first <= other.first && other.end() <= self.part.end()
    }
}

/// The part that a 206 of one part says it has.
pub(super) fn part_of(status: u16, fields: &Fields) -> Option<PartialContent> {
    if status != 206 {
        return None;
    }
    let mut lines = fields.all("content-range");
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return None;
    };
    let multipart = b"multipart/byteranges";
    let is_multipart = |value: &[u8]| {
        let start = value.get(..multipart.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(multipart))
    };
    if fields.all("content-type").any(is_multipart) {
        return None;
    }
    content_range(line)
}

/// `bytes first-last/length` (RFC 9110 §14.4).
pub(super) fn content_range(line: &[u8]) -> Option<PartialContent> {
    let space = memchr::memchr(b' ', line)?;
    let (unit, rest) = (&line[..space], &line[space + 1..]);
    let slash = memchr::memchr(b'/', rest)?;
    let dash = memchr::memchr(b'-', &rest[..slash])?;
    let (first, last) = (number(&rest[..dash])?, number(&rest[dash + 1..slash])?);
    let length = number(&rest[slash + 1..])?;
    let valid = unit.eq_ignore_ascii_case(b"bytes") && first <= last && last < length;
    valid.then(|| PartialContent {
        part: ByteRange::between(first, last + 1),
        length,
    })
}
