//! The record: one stored response as a file. A prelude of fixed size, two slots for the metadata, the
//! content, the trailers. Beside it stands the index of a key's variants, a file too.
//!
//! Two slots, so that new metadata is written beside the old and takes its place by one word of eight
//! bytes; the content never moves. Whatever is read is checked before it is used: lengths against the
//! file's, then checksums. Numbers are little-endian.

pub mod head;
pub mod index;
/// The list of a key's variants.
pub mod variants {
    pub use super::index::Index as VariantList;
}
pub mod meta;
pub mod read;
mod text;
pub mod variants;

use super::checksum::Checksum;
use crate::cache::vary;
use crate::http::parse::HeadLimits;

/// The size of a prelude.
pub const PRELUDE: usize = 128;

/// The most bytes that encoded metadata, and trailers, may take.
pub const MOST_META: usize = 512 << 10;

// The largest head that may be stored with the longest target, twice so long with its host, the longest variant and
// trailers fit: what was fetched is never too large for its head in the end.
const _: () = {
    let most = HeadLimits::MOST;
    let lengths = 8 * (most.fields + 64);
    let texts = 3 * most.line + vary::MOST_TEXT + 2 * most.fields;
    assert!(most.head + (16 << 10) + texts + lengths < MOST_META);
};

/// The place of the word that says which slot is current.
pub const WORD_AT: u64 = 88;

/// The place of the boot id.
pub const BOOT_AT: u64 = 96;

/// A record is stamped with a modification time this many seconds before it is written, so that even where
/// only whole seconds are kept, a write right after it shows.
pub const STAMPED_BACK: u64 = 2;

const MAGIC: &[u8; 8] = b"cp-store";
const VERSION: u32 = 3;
const SLOT_HEADER: usize = 24;
/// Content written to a draft begins at a multiple of this, where sendfile and splice do best.
const PAGE: u64 = 4096;

/// The beginning of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Prelude {
    /// The size of each of the two slots.
    pub slot: u32,
    /// Counts the changes of metadata; the current slot is its lowest bit.
    pub changes: u32,
    pub content_offset: u64,
    pub content: u64,
    pub content_checksum: u128,
    /// The length of the encoded trailers, which follow the content.
    pub trailers: u32,
    pub trailers_checksum: u128,
    /// The boot in which the content was last known to be whole.
    pub boot: [u8; 16],
    /// The modification time that the file was given, in whole Unix seconds. Any other means that
    /// something has written to it since.
    pub stamp: u64,
}

impl Prelude {
    /// The prelude as it stands in the file.
    pub fn encode(&self) -> [u8; PRELUDE] {
        let mut bytes = [0; PRELUDE];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.slot.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.content_offset.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.content.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.content_checksum.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.trailers.to_le_bytes());
        bytes[56..72].copy_from_slice(&self.trailers_checksum.to_le_bytes());
        let checksum = Checksum::of(&bytes[..72]);
        bytes[72..88].copy_from_slice(&checksum.to_le_bytes());
        bytes[88..96].copy_from_slice(&word(self.changes));
        bytes[96..112].copy_from_slice(&self.boot);
        bytes[112..120].copy_from_slice(&self.stamp.to_le_bytes());
        bytes
    }

    /// The prelude of a file of `length` bytes; an error says what is wrong with it.
    pub fn decode(bytes: &[u8], length: u64) -> Result<Prelude, &'static str> {
        let bytes: &[u8; PRELUDE] = bytes
            .get(..PRELUDE)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or("it is shorter than a prelude")?;
        if bytes[..8] != *MAGIC {
            return Err("it is not a record");
        }
        if u32::from_le_bytes(bytes_at(bytes, 8)) != VERSION {
            return Err("it is of another version");
        }
        if u128::from_le_bytes(bytes_at(bytes, 72)) != Checksum::of(&bytes[..72]) {
            return Err("its prelude does not check");
        }
        let prelude = Prelude {
            slot: u32::from_le_bytes(bytes_at(bytes, 12)),
            changes: u32::from_le_bytes(bytes_at(bytes, 88)),
            content_offset: u64::from_le_bytes(bytes_at(bytes, 16)),
            content: u64::from_le_bytes(bytes_at(bytes, 24)),
            content_checksum: u128::from_le_bytes(bytes_at(bytes, 32)),
            trailers: u32::from_le_bytes(bytes_at(bytes, 48)),
            trailers_checksum: u128::from_le_bytes(bytes_at(bytes, 56)),
            boot: bytes_at(bytes, 96),
            stamp: u64::from_le_bytes(bytes_at(bytes, 112)),
        };
        if word(prelude.changes) != bytes[88..96] {
            return Err("the word for the current slot does not check");
        }
        prelude.check_lengths(length)?;
        Ok(prelude)
    }

    fn check_lengths(&self, length: u64) -> Result<(), &'static str> {
        let slots_end = self.slots_end();
        if self.slot as usize > slot_for(MOST_META) as usize
            || self.trailers as usize > MOST_META
            || self.content_offset < slots_end
            || self.content_offset > slots_end + PAGE
        {
            return Err("its lengths make no sense");
        }
        let whole = self.content_offset.checked_add(self.content);
        if whole.and_then(|end| end.checked_add(self.trailers.into())) != Some(length) {
            return Err("it is truncated, or longer than it says");
        }
        Ok(())
    }

    /// The place where the slot with this number begins.
    pub fn slot_at(&self, number: u32) -> u64 {
        PRELUDE as u64 + u64::from(number & 1) * u64::from(self.slot)
    }

    fn slots_end(&self) -> u64 {
        content_offset(self.slot, false)
    }

    /// True when metadata of this many bytes fits a slot.
    pub fn fits(&self, meta: usize) -> bool {
        meta + SLOT_HEADER <= self.slot as usize
    }
}

/// The eight bytes that say which slot is current: the count of changes, and a check of it.
pub fn word(changes: u32) -> [u8; 8] {
    let check = Checksum::of(&changes.to_le_bytes()) as u32;
    (u64::from(check) << 32 | u64::from(changes)).to_le_bytes()
}

/// The slot size for metadata of this many bytes, with room for it to grow by.
pub fn slot_for(meta: usize) -> u32 {
    // Bounded by MOST_META, so that it fits.
    ((SLOT_HEADER + meta + meta / 4 + 128).next_multiple_of(8)) as u32
}

/// The place of content behind two slots of this size; `aligned` for a draft.
pub fn content_offset(slot: u32, aligned: bool) -> u64 {
    let end = PRELUDE as u64 + 2 * u64::from(slot);
    end.next_multiple_of(if aligned { PAGE } else { 1 })
}

/// The bytes of a slot: the length of the encoded metadata, its checksum, and itself.
pub fn slot(meta: &[u8]) -> Vec<u8> {
    let mut slot = Vec::with_capacity(SLOT_HEADER + meta.len());
    slot.extend_from_slice(&(meta.len() as u64).to_le_bytes());
    slot.extend_from_slice(&Checksum::of(meta).to_le_bytes());
    slot.extend_from_slice(meta);
    slot
}

/// The encoded metadata in a slot, as a range of `slot`; None when it does not check.
pub fn in_slot(slot: &[u8]) -> Option<std::ops::Range<usize>> {
    let header = slot.get(..SLOT_HEADER)?;
    let length = usize::try_from(u64::from_le_bytes(bytes_at(header, 0))).ok()?;
    let range = SLOT_HEADER..SLOT_HEADER.checked_add(length)?;
    let meta = slot.get(range.clone())?;
    (Checksum::of(meta) == u128::from_le_bytes(bytes_at(header, 8))).then_some(range)
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut found = [0; N];
    found.copy_from_slice(&bytes[at..at + N]);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prelude() -> Prelude {
        Prelude {
            slot: 200,
            changes: 3,
            content_offset: 528,
            content: 1000,
            content_checksum: 5,
            trailers: 20,
            trailers_checksum: 6,
            boot: [9; 16],
            stamp: 1_700_000_000,
        }
    }

    #[test]
    fn round_trip_and_lengths() {
        assert_eq!(Prelude::decode(&prelude().encode(), 1548), Ok(prelude()));
        type Damage = fn(&mut Prelude);
        let table: &[(&str, Damage)] = &[
            ("slots run into the content", |p| p.slot = 201),
            ("slot beyond the bound", |p| {
                p.slot = u32::MAX;
                p.content_offset = content_offset(p.slot, true);
            }),
            ("content far behind the slots", |p| p.content_offset += 8000),
            ("longer content", |p| p.content += 1),
            ("endless content", |p| p.content = u64::MAX),
            ("endless trailers", |p| p.trailers = u32::MAX),
        ];
        for (name, change) in table {
            let mut prelude = prelude();
            change(&mut prelude);
            assert!(Prelude::decode(&prelude.encode(), 1548).is_err(), "{name}");
        }
        assert!(Prelude::decode(&prelude().encode()[..127], 127).is_err());
    }

    #[test]
    fn slots_check() {
        let slot = slot(b"metadata");
        assert_eq!(
            in_slot(&slot).map(|range| &slot[range]),
            Some(&b"metadata"[..])
        );
        for at in 0..slot.len() {
            let mut damaged = slot.clone();
            damaged[at] ^= 0x80;
            assert_eq!(in_slot(&damaged), None, "byte {at}");
            assert_eq!(in_slot(&slot[..at]), None, "cut at {at}");
        }
    }
}
