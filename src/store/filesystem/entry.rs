//! The keys of the environment's entries: where a record lies, and the list of a key's variants.
//!
//! A key's text comes first, so that what is stored of a host, or below a prefix, lies side by side; a hash of all of it
//! follows, as the text may be longer than LMDB's keys.

use crate::cache::key::{Hash, Key};
use crate::cache::stored::Meta;

/// The most bytes of a key's text.
pub(super) const MOST_TEXT: usize = 400;

const HASH: usize = 16;
/// The variant's hash, and the first byte of a part.
const RECORD: usize = HASH + 8;
const MOST: usize = MOST_TEXT + HASH + RECORD;

/// The key of an entry.
#[derive(Clone, Copy)]
pub(super) struct EntryKey {
    bytes: [u8; MOST],
    length: usize,
}

impl EntryKey {
    /// The key of the list of this key's variants, with which the keys of its records begin.
    pub(super) fn of_list(key: &Key) -> EntryKey {
        let text = key.text();
        let text = &text[..text.len().min(MOST_TEXT)];
        let mut entry = EntryKey {
            bytes: [0; MOST],
            length: 0,
        };
        entry.push(text);
        entry.push(key.hash());
        entry
    }

    /// The key of a record: of a whole response, or of the part that begins at `first`.
    pub(super) fn of_record(key: &Key, variant: &Hash, first: u64) -> EntryKey {
        let mut entry = EntryKey::of_variant(key, variant);
        entry.push(&first.to_be_bytes());
        entry
    }

    /// The key of the record with this metadata.
    pub(super) fn of_meta(meta: &Meta) -> EntryKey {
        EntryKey::of_record(&meta.key, meta.variant.hash(), meta.extent.first())
    }

    /// The beginning of the keys of a variant's records.
    pub(super) fn of_variant(key: &Key, variant: &Hash) -> EntryKey {
        let mut entry = EntryKey::of_list(key);
        entry.push(variant);
        entry
    }

    fn push(&mut self, more: &[u8]) {
        let end = self.length + more.len();
        self.bytes[self.length..end].copy_from_slice(more);
        self.length = end;
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// True when an entry of which this is the list's key is a record.
    pub(super) fn has_record(&self, entry: &[u8]) -> bool {
        entry.len() == self.length + RECORD && entry.starts_with(self.as_bytes())
    }
}

/// The place of a record, as its key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordPlace {
    pub(super) hash: Hash,
    pub(super) variant: Hash,
    pub(super) first: u64,
}

impl RecordPlace {
    /// The place that a record's key says; None for what is none.
    pub(super) fn parse(entry: &[u8]) -> Option<RecordPlace> {
        let (_, tail) = entry.split_at_checked(entry.len().checked_sub(HASH + RECORD)?)?;
        let (hash, tail) = tail.split_first_chunk()?;
        let (variant, tail) = tail.split_first_chunk()?;
        let first = u64::from_be_bytes(*tail.first_chunk()?);
        Some(RecordPlace {
            hash: *hash,
            variant: *variant,
            first,
        })
    }
}

/// The key's text that a record's key begins with, or as much of that as it has.
pub(super) fn text_of(record: &[u8]) -> Option<&[u8]> {
    record.get(..record.len().checked_sub(HASH + RECORD)?)
}

/// The key of the list of the key that the record at this key is of.
pub(super) fn list_of(record: &[u8]) -> &[u8] {
    &record[..record.len().saturating_sub(RECORD)]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_lie_in_the_order_of_their_texts_and_tell_their_places() {
        let long = format!("GET http://a/{}", "x".repeat(1000));
        for text in ["GET http://a/", &long] {
            let key = Key::new(text.to_owned());
            let list = EntryKey::of_list(&key);
            assert!(
                list.as_bytes()
                    .starts_with(&text.as_bytes()[..text.len().min(400)])
            );
            let record = EntryKey::of_record(&key, &[7; 16], 300);
            assert!(list.has_record(record.as_bytes()) && !list.has_record(list.as_bytes()));
            assert!(record.as_bytes().len() <= 511);
            assert_eq!(list_of(record.as_bytes()), list.as_bytes());
            let variant = EntryKey::of_variant(&key, &[7; 16]);
            assert!(record.as_bytes().starts_with(variant.as_bytes()));
            let place = RecordPlace::parse(record.as_bytes()).unwrap();
            assert_eq!((place.hash, place.variant), (*key.hash(), [7; 16]));
            assert_eq!(place.first, 300);
            let other = EntryKey::of_record(&key, &[7; 16], 256);
            assert!(other.as_bytes() < record.as_bytes());
        }
        assert_eq!(RecordPlace::parse(b"short"), None);
    }
}
