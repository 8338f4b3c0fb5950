//! The little of a record that lies under its key in the index: what finds it, what is listed of it, and what is needed to
//! take it out. So what goes through all keys reads little. Numbers are little-endian:
//!
//! | from | bytes | |
//! |---|---|---|
//! | 0 | 1 | the version |
//! | 1 | 8 | the first half of the XXH3-128 of all that follows |
//! | 9 | 8 | the record's number, which is that in the order of storing |
//! | 17 | 4 | the record's length |
//! | 21 | 8 | the content's length |
//! | 29 | 8, 8 | response_time, in ms since 1970, and corrected_initial_age, in ms |
//! | 45 | 1, 16 | where the content lies, and the id of its file |
//! | 62 | 4 | the length of the variant's text, which follows |
//! | | | the key's text, where the entry's key has not all of it |

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};

use super::entry::MOST_TEXT;
use crate::cache::age;
use crate::cache::key::{Key, Variant};
use crate::cache::time::Timestamp;
use crate::store::Checksum;
use crate::store::record::head::{ContentPlace, RecordHead, place, put_place};

/// No list of variants begins with it.
const VERSION: u8 = 1;
const CHECKED_FROM: usize = 9;
const FIXED: usize = 66;

/// The little of a record that is in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Brief {
    /// The record's number.
    pub(super) order: u64,
    /// The record's length, and the content's.
    pub(super) length: u32,
    pub(super) content: u64,
    /// The time when the response was received, and its age then.
    pub(super) received: Timestamp,
    pub(super) initial_age: Duration,
    pub(super) place: ContentPlace,
}

impl Brief {
    /// Of the record with this head, which has so many bytes.
    pub(super) fn of(head: &RecordHead, length: usize) -> Brief {
        Brief {
            order: head.order,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            content: head.content,
            received: head.meta.response_time,
            initial_age: age::corrected_initial_age(&head.meta),
            place: head.place,
        }
    }

    /// The bytes that its file takes, about. 0 without a file.
    pub(super) fn file_size(&self) -> u64 {
        size_at(&self.place, self.content)
    }

    /// The bytes that record and file take.
    pub(super) fn size(&self) -> u64 {
        u64::from(self.length) + self.file_size()
    }

    /// The bytes of it as a value, with what its key's text and its variant add.
    pub(super) fn encode(&self, key: &Key, variant: &Variant) -> Vec<u8> {
        let rest = match key.text() {
            text if text.len() > MOST_TEXT => &text[..],
            _ => &[],
        };
        let mut out = Vec::with_capacity(FIXED + variant.text().len() + rest.len());
        out.put_u8(VERSION);
        out.put_u64_le(0);
        out.put_u64_le(self.order);
        out.put_u32_le(self.length);
        out.put_u64_le(self.content);
        out.put_u64_le(self.received.millis());
        out.put_u64_le(u64::try_from(self.initial_age.as_millis()).unwrap_or(u64::MAX));
        put_place(&mut out, &self.place);
        out.put_u32_le(variant.text().len() as u32);
        out.put_slice(variant.text());
        out.put_slice(rest);
        let checksum = checksum(&out[CHECKED_FROM..]);
        out[1..CHECKED_FROM].copy_from_slice(&checksum);
        out
    }

    /// What these bytes say; None where they are none, or don't check.
    pub(super) fn decode(bytes: &[u8]) -> Option<Brief> {
        let mut fixed = bytes.get(..FIXED)?;
        let (version, sum) = (fixed.get_u8(), fixed.get_u64_le());
        if version != VERSION || sum.to_le_bytes() != checksum(&bytes[CHECKED_FROM..]) {
            return None;
        }
        Some(Brief {
            order: fixed.get_u64_le(),
            length: fixed.get_u32_le(),
            content: fixed.get_u64_le(),
            received: Timestamp::from_millis(fixed.get_u64_le()),
            initial_age: Duration::from_millis(fixed.get_u64_le()),
            place: place(fixed.get_u8(), fixed.get_u128_le().to_le_bytes()).ok()?,
        })
    }
}

/// What an entry with a brief says, with the key and the variant that it is of; None where that doesn't check.
pub(super) fn whole(entry: &Bytes, value: &Bytes) -> Option<(Brief, Key, Variant)> {
    let brief = Brief::decode(value)?;
    let length = u32::from_le_bytes(*value[FIXED - 4..].first_chunk()?) as usize;
    let variant = value.get(FIXED..)?.get(..length)?;
    let text = match &value[FIXED + length..] {
        [] => entry.slice(..super::entry::text_of(entry)?.len()),
        whole => value.slice_ref(whole),
    };
    let variant = Variant::new(value.slice_ref(variant));
    Some((brief, Key::new(text), variant))
}

/// The bytes that the file at this place takes for so much content, about: its head is counted as a usual one. 0 without a
/// file.
pub(super) fn size_at(place: &ContentPlace, content: u64) -> u64 {
    match place {
        ContentPlace::Here | ContentPlace::ByDigest => 0,
        ContentPlace::File(_) => file_size(content),
    }
}

/// The same of a file.
pub(super) fn file_size(content: u64) -> u64 {
    const BLOCK: u64 = 4096;
    const HEAD: u64 = 2048;
    let sums = content.div_ceil(1 << 20) * 16;
    let length = content.saturating_add(sums + HEAD);
    length.div_ceil(BLOCK).saturating_mul(BLOCK)
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    let half = Checksum::of(bytes) as u64;
    half.to_le_bytes()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::filesystem::entry::EntryKey;

    #[test]
    fn round_trip_and_damage() {
        let texts_of = [
            "GET http://a/",
            &format!("GET http://a/{}", "x".repeat(500)),
        ];
        let variants = [Variant::none(), Variant::new("accept: b\n")];
        for (place, text) in [
            (ContentPlace::Here, texts_of[0]),
            (ContentPlace::File([7; 16]), texts_of[1]),
            (ContentPlace::ByDigest, texts_of[0]),
        ] {
            let brief = Brief {
                order: 1,
                length: 2,
                content: 3 << 40,
                received: Timestamp::from_millis(4),
                initial_age: Duration::from_millis(5),
                place,
            };
            for variant in &variants {
                let key = Key::new(text.to_owned());
                let value = Bytes::from(brief.encode(&key, variant));
                assert_eq!(Brief::decode(&value), Some(brief));
                let entry = EntryKey::of_record(&key, variant.hash(), 9);
                let entry = Bytes::copy_from_slice(entry.as_bytes());
                let whole = whole(&entry, &value);
                assert_eq!(whole, Some((brief, key, variant.clone())));
                for at in 0..value.len() {
                    let mut damaged = value.to_vec();
                    damaged[at] ^= 1;
                    assert_eq!(Brief::decode(&damaged), None, "{at}");
                    assert_eq!(Brief::decode(&value[..at]), None, "{at}");
                }
            }
        }
    }
}
