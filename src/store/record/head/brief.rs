//! The little of a record that is read without the rest: to take it out, to pass it over, to tell whether it is still the
//! same. No checksum is compared, so what is read so may be anything; it is never taken for what was stored.

use bytes::Buf;

use super::{ALGORITHM, CONTENT, CONTENT_CHECKSUM, ContentPlace, FIXED, LENGTHS, PLACE, order};

/// The little of a record that is needed to take it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brief {
    /// Its number in the order of storing.
    pub order: u64,
    /// The content's length.
    pub content: u64,
    /// The place of the content.
    pub place: ContentPlace,
}

impl Brief {
    /// The bytes that a file with this content takes, about: its head is counted as a usual one. 0 without a file.
    pub fn file_size(&self) -> u64 {
        const BLOCK: u64 = 4096;
        const HEAD: u64 = 2048;
        match self.place {
            ContentPlace::Here | ContentPlace::ByDigest => 0,
            ContentPlace::File(_) => {
                let sums = self.content.div_ceil(1 << 20) * 16;
                let length = self.content.saturating_add(sums + HEAD);
                length.div_ceil(BLOCK).saturating_mul(BLOCK)
            }
        }
    }
}

/// The little that is needed to take out the record that begins with these bytes, its checksum not compared; None where
/// they are none.
pub fn brief(bytes: &[u8]) -> Option<Brief> {
    let mut content = bytes.get(CONTENT..FIXED)?;
    let content = content.get_u64_le();
    let id = *bytes.get(PLACE + 1..FIXED)?.first_chunk()?;
    let place = match bytes[PLACE] {
        0 => ContentPlace::Here,
        1 => ContentPlace::File(id),
        2 => ContentPlace::ByDigest,
        _ => return None,
    };
    let order = order(bytes)?;
    Some(Brief {
        order,
        content,
        place,
    })
}

/// The length of the head that these bytes begin with, as it says, and no more than they are.
pub fn length(bytes: &[u8]) -> usize {
    let length = bytes.get(4..).and_then(|bytes| bytes.first_chunk::<4>());
    let length = length.map_or(0, |length| u32::from_le_bytes(*length));
    (length as usize).min(bytes.len())
}

/// The text of the key of the record that begins with these bytes, its checksum not compared.
pub fn key_of(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.get(LENGTHS..FIXED)?.first_chunk::<4>()?;
    let digest = match bytes[ALGORITHM] {
        0 => 0,
        2 => 64,
        _ => 32,
    };
    bytes
        .get(FIXED + digest..)?
        .get(..u32::from_le_bytes(*length) as usize)
}

/// The checksum of the content of the record that begins with these bytes, theirs not compared.
pub fn checksum_of_content(bytes: &[u8]) -> Option<u128> {
    bytes
        .get(CONTENT_CHECKSUM..FIXED)
        .map(|mut bytes| bytes.get_u128_le())
}
