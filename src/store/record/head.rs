//! The head of a record: the metadata of one stored response, the length and the checksum of its content, and where that
//! lies. It says where it ends, so that the content may follow it.
//!
//! Reading copies nothing, and trusts nothing: the checksum is compared before anything else is believed, no length is
//! taken for more than there is, and what could not have come from the network is refused (`cache::sound`). The content
//! isn't looked at here. Numbers are little-endian:
//!
//! | from | bytes | |
//! |---|---|---|
//! | 0 | 4, 4 | the version; the length of all of the head |
//! | 8 | 16 | XXH3-128 of all that follows in the head |
//! | 24 | 8 | the order number |
//! | 32 | 8, 8 | request_time and response_time, in ms since 1970 |
//! | 48 | 16, 8 | the boot in which it was received, and the ms since that |
//! | 72 | 8, 16 | the content's length, and its XXH3-128 |
//! | 96 | 8, 8 | of a part its first byte, and the length of the representation; of a whole 0 |
//! | 112 | 1, 16 | where the content lies, and the id of its file |
//! | 129 | 1, 1, 1, 1 | local, access, class, digest algorithm |
//! | 133 | 2 | status |
//! | 135 | 5 × 4 | the lengths of the key, the variant, the reason phrase, the fields, the trailers |
//! | 155 | | the digest, and these |

use bytes::{Buf, BufMut, Bytes};

use super::MOST_META;
use super::text::{decode_fields, put_fields};
use crate::cache::extent::Extent;
use crate::cache::key::{Key, Variant};
use crate::cache::provenance::{Access, BootTime, Class, Digest, DigestAlgorithm, Provenance};
use crate::cache::sound;
use crate::cache::stored::Meta;
use crate::cache::time::Timestamp;
use crate::http::fields::Fields;
use crate::store::checksum::Checksum;
use crate::store::error::StoreError;

const VERSION: u32 = 4;
/// The version, the length and the checksum, which that isn't of.
const CHECKED_FROM: usize = 24;
/// Where some of the table begin: they are read alone too.
const ORDER: usize = CHECKED_FROM;
const CONTENT_CHECKSUM: usize = 80;
const LENGTHS: usize = 135;
const FIXED: usize = LENGTHS + 5 * 4;

/// The most bytes that a head may take.
pub const MOST_HEAD: usize = FIXED + 64 + 2 * MOST_META;

/// The name of a file with large content: random, and no other's.
pub type FileId = [u8; 16];

/// The place of a record's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentPlace {
    /// Right behind the head.
    Here,
    /// In the file with this name.
    File(FileId),
    /// Wherever content with the digest of [`Provenance`] lies, which is never none then.
    ByDigest,
}

/// The head of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct RecordHead {
    /// The metadata, trailers included.
    pub meta: Meta,
    /// Its number in the order of storing.
    pub order: u64,
    /// The content's length.
    pub content: u64,
    pub content_checksum: u128,
    pub place: ContentPlace,
}

/// The head as bytes.
pub fn encode(head: &RecordHead) -> Result<Vec<u8>, StoreError> {
    let meta = &head.meta;
    let mut out = Vec::with_capacity(1024);
    out.put_u32_le(VERSION);
    out.put_bytes(0, CHECKED_FROM - out.len());
    put_fixed(&mut out, head);
    let digest = meta.provenance.digest.as_ref();
    out.put_slice(digest.map_or(&[], |digest| digest.bytes()));
    let mut lengths = [0; 5];
    for (length, text) in
        (lengths.iter_mut()).zip([meta.key.text(), meta.variant.text(), &meta.reason])
    {
        *length = text.len();
        out.put_slice(text);
    }
    for (length, fields) in lengths[3..].iter_mut().zip([&meta.fields, &meta.trailers]) {
        let before = out.len();
        put_fields(&mut out, fields);
        *length = out.len() - before;
    }
    let most = lengths[..4].iter().sum::<usize>().max(lengths[4]);
    if most > MOST_META {
        return Err(StoreError::MetaTooLarge(most));
    }
    let lengths = lengths.map(|length| (length as u32).to_le_bytes());
    out[LENGTHS..FIXED].copy_from_slice(lengths.as_flattened());
    let length = out.len() as u32;
    out[4..8].copy_from_slice(&length.to_le_bytes());
    seal(&mut out);
    Ok(out)
}

fn put_fixed(out: &mut Vec<u8>, head: &RecordHead) {
    let (meta, from) = (&head.meta, &head.meta.provenance);
    out.put_u64_le(head.order);
    out.put_u64_le(meta.request_time.millis());
    out.put_u64_le(meta.response_time.millis());
    out.put_slice(&from.received.boot);
    out.put_u64_le(from.received.millis);
    out.put_u64_le(head.content);
    out.put_u128_le(head.content_checksum);
    let (first, length) = match meta.extent {
        Extent::Whole => (0, 0),
        Extent::Part { first, length } => (first, length),
    };
    out.put_u64_le(first);
    out.put_u64_le(length);
    put_place(out, &head.place);
    out.put_u8(meta.local.into());
    out.put_u8(match from.access {
        Access::Public => 0,
        Access::Authorized => 1,
    });
    out.put_u8(match from.class {
        Class::Ordinary => 0,
        Class::Kept => 1,
        Class::Versioned => 2,
    });
    out.put_u8(match from.digest.as_ref().map(Digest::algorithm) {
        None => 0,
        Some(DigestAlgorithm::Sha256) => 1,
        Some(DigestAlgorithm::Sha512) => 2,
        Some(DigestAlgorithm::Blake2b256) => 3,
    });
    out.put_u16_le(meta.status);
    out.put_bytes(0, 5 * 4);
}

/// The checksum of the content of the record that begins with these bytes, theirs not compared.
pub fn checksum_of_content(bytes: &[u8]) -> Option<u128> {
    let mut checksum = bytes.get(CONTENT_CHECKSUM..FIXED)?;
    Some(checksum.get_u128_le())
}

/// Puts another order number into bytes that [`encode`] made, whatever follows the head.
pub fn set_order(bytes: &mut [u8], order: u64) {
    let length = bytes.get(4..).and_then(|bytes| bytes.first_chunk::<4>());
    let length = length.map_or(0, |length| u32::from_le_bytes(*length));
    let head = bytes.get_mut(..length as usize);
    if let Some(head) = head.filter(|head| head.len() >= FIXED) {
        head[ORDER..ORDER + 8].copy_from_slice(&order.to_le_bytes());
        seal(head);
    }
}

/// Writes the checksum of all that follows it.
fn seal(head: &mut [u8]) {
    let checksum = Checksum::of(&head[CHECKED_FROM..]);
    head[8..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
}

/// The head that `bytes` begin with, and where it ends; an error says what is wrong with it.
pub fn decode(bytes: &Bytes) -> Result<(RecordHead, usize), &'static str> {
    let text = checked(bytes)?;
    let (head, end) = read(bytes, text, |text| Ok(Key::new(text)))?;
    sound::check(&head.meta)?;
    Ok((head, end))
}

/// The same of what was looked up by this key: faster, as the key was made of a request's URI. A record of another key
/// is refused.
pub fn decode_of(bytes: &Bytes, key: &Key) -> Result<(RecordHead, usize), &'static str> {
    let text = checked(bytes)?;
    let same = |text: Bytes| match text == key.text() {
        true => Ok(key.clone()),
        false => Err("it is of another key"),
    };
    let (head, end) = read(bytes, text, same)?;
    sound::check_of_own_key(&head.meta)?;
    Ok((head, end))
}

/// All of the head behind its checksum, where that is right.
fn checked(bytes: &Bytes) -> Result<&[u8], &'static str> {
    let mut fixed = bytes.get(..FIXED).ok_or("it is shorter than a head")?;
    if fixed.get_u32_le() != VERSION {
        return Err("it is of another version");
    }
    let length = fixed.get_u32_le() as usize;
    let checksum = fixed.get_u128_le();
    let head = bytes.get(CHECKED_FROM..length);
    let head = head.filter(|_| (FIXED..=MOST_HEAD).contains(&length));
    let head = head.ok_or("its head is cut short")?;
    match checksum == Checksum::of(head) {
        true => Ok(head),
        false => Err("its head does not check"),
    }
}

/// Reads what [`checked`] found in `bytes`. No number that is read lies outside of [`FIXED`], which is there.
fn read(
    bytes: &Bytes,
    mut fixed: &[u8],
    key: impl FnOnce(Bytes) -> Result<Key, &'static str>,
) -> Result<(RecordHead, usize), &'static str> {
    let end = CHECKED_FROM + fixed.len();
    let order = fixed.get_u64_le();
    let request_time = Timestamp::from_millis(fixed.get_u64_le());
    let response_time = Timestamp::from_millis(fixed.get_u64_le());
    let boot = fixed.get_u128_le().to_le_bytes();
    let millis = fixed.get_u64_le();
    let content = fixed.get_u64_le();
    let content_checksum = fixed.get_u128_le();
    let extent = extent(fixed.get_u64_le(), fixed.get_u64_le(), content)?;
    let place = place(fixed.get_u8(), fixed.get_u128_le().to_le_bytes())?;
    let local = match fixed.get_u8() {
        0 => false,
        1 => true,
        _ => return Err(UNKNOWN),
    };
    let access = match fixed.get_u8() {
        0 => Access::Public,
        1 => Access::Authorized,
        _ => return Err(UNKNOWN),
    };
    let class = match fixed.get_u8() {
        0 => Class::Ordinary,
        1 => Class::Kept,
        2 => Class::Versioned,
        _ => return Err(UNKNOWN),
    };
    let algorithm = algorithm(fixed.get_u8())?;
    let status = fixed.get_u16_le();
    let lengths = [(); 5].map(|()| fixed.get_u32_le() as usize);
    let mut texts = Texts { bytes, at: FIXED };
    let digest = algorithm.and_then(|algorithm| {
        let bytes = texts.take(algorithm.length(), end)?;
        Digest::new(algorithm, bytes)
    });
    if digest.is_none() && (algorithm.is_some() || place == ContentPlace::ByDigest) {
        return Err("it has no digest");
    }
    let mut text = |at: usize| texts.take(lengths[at], end).ok_or(CUT);
    let (key_text, variant, reason) = (text(0)?, text(1)?, text(2)?);
    let (fields, trailers) = (fields_of(&text(3)?)?, fields_of(&text(4)?)?);
    if texts.at != end {
        return Err("its head is longer than it says");
    }
    let meta = Meta {
        key: key(key_text)?,
        variant: Variant::new(variant),
        request_time,
        response_time,
        local,
        extent,
        provenance: Provenance {
            received: BootTime { boot, millis },
            digest,
            access,
            class,
        },
        status,
        reason,
        fields,
        trailers,
    };
    let head = RecordHead {
        meta,
        order,
        content,
        content_checksum,
        place,
    };
    Ok((head, end))
}

const UNKNOWN: &str = "it has a value that isn't known";
const CUT: &str = "its texts are longer than its head";

fn extent(first: u64, length: u64, content: u64) -> Result<Extent, &'static str> {
    let extent = match (first, length) {
        (0, 0) => Extent::Whole,
        (first, length) => Extent::Part { first, length },
    };
    match extent.has_room_for(content) {
        true => Ok(extent),
        false => Err("its content is no part of its representation"),
    }
}

/// Writes a place as its number and the id of its file.
pub fn put_place(out: &mut Vec<u8>, place: &ContentPlace) {
    let (place, file) = match place {
        ContentPlace::Here => (0, FileId::default()),
        ContentPlace::File(id) => (1, *id),
        ContentPlace::ByDigest => (2, FileId::default()),
    };
    out.put_u8(place);
    out.put_slice(&file);
}

/// The place that [`put_place`] wrote.
pub fn place(place: u8, file: FileId) -> Result<ContentPlace, &'static str> {
    let is_none = file == FileId::default();
    match place {
        0 if is_none => Ok(ContentPlace::Here),
        1 => Ok(ContentPlace::File(file)),
        2 if is_none => Ok(ContentPlace::ByDigest),
        _ => Err(UNKNOWN),
    }
}

fn algorithm(number: u8) -> Result<Option<DigestAlgorithm>, &'static str> {
    Ok(Some(match number {
        0 => return Ok(None),
        1 => DigestAlgorithm::Sha256,
        2 => DigestAlgorithm::Sha512,
        3 => DigestAlgorithm::Blake2b256,
        _ => return Err(UNKNOWN),
    }))
}

fn fields_of(text: &Bytes) -> Result<Fields, &'static str> {
    if text.is_empty() {
        return Ok(Fields::default());
    }
    decode_fields(text).ok_or("its fields make no sense")
}

/// The texts of a head, one after the other.
struct Texts<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl Texts<'_> {
    /// The next text, of this length; `None` where it would go beyond `end`.
    fn take(&mut self, length: usize, end: usize) -> Option<Bytes> {
        let next = self.at.checked_add(length).filter(|next| *next <= end)?;
        let text = self.bytes.slice(self.at..next);
        self.at = next;
        Some(text)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
