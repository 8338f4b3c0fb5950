//! Content put together of several parts, which are read one after another where they lie: nothing is copied.

use bytes::Bytes;

use super::{Content, Pieces, StoreError};
use crate::cache::range::ByteRange;

/// Parts of a representation as one content, from the first byte that one of them has to the last. What none of them has
/// is [`StoreError::Gone`].
#[derive(Debug)]
pub struct JoinedContent {
    /// The content of each, and its place in the representation.
    parts: Vec<(ByteRange, Content)>,
    first: u64,
    end: u64,
}

impl JoinedContent {
    /// The content of these parts, each at its place in the representation.
    pub fn of(parts: Vec<(ByteRange, Content)>) -> JoinedContent {
        let first = parts.iter().map(|(range, _)| range.first).min();
        let end = parts.iter().map(|(range, _)| range.end()).max();
        JoinedContent {
            first: first.unwrap_or(0),
            end: end.unwrap_or(0),
            parts,
        }
    }
}

impl Pieces for JoinedContent {
    fn len(&self) -> u64 {
        self.end - self.first
    }

    fn read(&self, at: u64) -> Result<Bytes, StoreError> {
        let at = self.first + at;
        if at >= self.end {
            return Ok(Bytes::new());
        }
        let (content, at) = self.source(at - self.first).ok_or(StoreError::Gone)?;
        content.piece(at)
    }

    fn source(&self, at: u64) -> Option<(&Content, u64)> {
        let at = self.first + at;
        let has = |(range, _): &&(ByteRange, Content)| range.first <= at && at < range.end();
        let having = self.parts.iter().filter(has);
        let (range, content) = having.max_by_key(|(range, _)| range.end())?;
        Some((content, at - range.first))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn digits(first: u64, end: u64) -> (ByteRange, Content) {
        let content = Bytes::from_static(b"0123456789").slice(first as usize..end as usize);
        (ByteRange::between(first, end), Content::Memory(content))
    }

    #[test]
    fn parts_are_read_one_after_another() {
        let joined = JoinedContent::of(vec![digits(2, 4), digits(3, 6), digits(8, 9)]);
        assert_eq!(joined.len(), 7);
        // (where, what is there)
        let rows = [
            (0, Some("23")),
            (1, Some("345")),
            (2, Some("45")),
            (3, Some("5")),
            (4, None),
            (5, None),
            (6, Some("8")),
            (7, Some("")),
        ];
        for (at, expected) in rows {
            let got = joined.read(at).ok();
            assert_eq!(got.as_deref(), expected.map(str::as_bytes), "{at}");
        }
    }
}
