//! Writing records where nobody sees them: drafts, and whole records from memory.
//!
//! No fsync: after an unclean boot, lengths and checksums decide what is still good.

use std::fs::{File, FileTimes};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::FilesystemStore;
use super::root::counted;
use crate::cache::key::Hash;
use crate::cache::stored::Meta;
use crate::store::checksum::Checksum;
use crate::store::draft::{Draft, Reservation, TemporaryName};
use crate::store::record::{Prelude, STAMPED_BACK, content_offset, meta as coding, slot, slot_for};
use crate::store::{SMALL, StoreError};
use crate::sys::disk;

/// A record that is whole but has no name yet.
pub(super) struct UnnamedRecord {
    pub(super) file: Arc<File>,
    pub(super) name: Option<TemporaryName>,
    pub(super) length: u64,
    /// Held until the record counts as announced.
    pub(super) reservation: Reservation,
}

/// The content of a record, and the size of the slots before it.
struct StoredContent {
    slot: u32,
    offset: u64,
    len: u64,
    checksum: u128,
}

impl FilesystemStore {
    pub(super) fn begin(&self, meta: &Meta, expected: Option<u64>) -> Result<Draft, StoreError> {
        let slot = slot_for(coding::encode(meta)?.len());
        let content_offset = content_offset(slot, true);
        let length = content_offset.saturating_add(expected.unwrap_or(0));
        let reservation = self.reserve(length, meta.variant.hash())?;
        let (file, name) = self.root.temporary()?;
        if expected.is_some() {
            disk::allocate(&file, length)
                .map_err(|error| StoreError::at(self.root.path(), error))?;
        }
        Ok(Draft {
            file: Arc::new(file),
            content_offset,
            slot,
            reservation,
            name,
        })
    }

    fn reserve(&self, length: u64, variant: &Hash) -> Result<Reservation, StoreError> {
        Reservation::reserve(
            &self.shared,
            self.worker,
            self.root.path(),
            counted(length, variant),
        )
    }

    /// Writes a record whose content is in memory.
    pub(super) fn write(
        &self,
        meta: &Meta,
        parts: &[bytes::Bytes],
    ) -> Result<UnnamedRecord, StoreError> {
        let at = |error| StoreError::at(self.root.path(), error);
        let head = coding::encode(meta)?;
        let trailers = coding::encode_trailers(&meta.trailers)?;
        let mut checksum = Checksum::new();
        parts.iter().for_each(|part| checksum.update(part));
        let content: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let slot_size = slot_for(head.len());
        let stored = StoredContent {
            slot: slot_size,
            offset: content_offset(slot_size, false),
            len: content,
            checksum: checksum.finish(),
        };
        let prelude = self.prelude(&stored, &trailers);
        let length = prelude.content_offset + content + trailers.len() as u64;
        let reservation = self.reserve(length, meta.variant.hash())?;
        let (file, name) = self.root.temporary()?;
        let mut bytes = opening(&prelude, &head);
        bytes.resize(prelude.content_offset as usize, 0);
        if content <= SMALL {
            parts.iter().for_each(|part| bytes.extend_from_slice(part));
            bytes.extend_from_slice(&trailers);
            file.write_all_at(&bytes, 0).map_err(at)?;
        } else {
            let mut offset = 0;
            for part in [&bytes[..]]
                .into_iter()
                .chain(parts.iter().map(|part| &part[..]))
                .chain([&trailers[..]])
            {
                file.write_all_at(part, offset).map_err(at)?;
                offset += part.len() as u64;
            }
            stamp(&file, prelude.stamp).map_err(at)?;
        }
        Ok(UnnamedRecord {
            file: Arc::new(file),
            name,
            length,
            reservation,
        })
    }

    /// Makes a record of a draft whose content is written.
    pub(super) fn complete(
        &self,
        meta: &Meta,
        draft: Draft,
        content: u64,
        checksum: u128,
    ) -> Result<UnnamedRecord, StoreError> {
        let at = |error| StoreError::at(self.root.path(), error);
        let head = coding::encode(meta)?;
        if slot_for(head.len()) > draft.slot {
            // The metadata grew beyond the room left for it when the draft was begun.
            let larger = self.begin(meta, Some(content))?;
            disk::copy(
                &draft.file,
                draft.content_offset,
                &larger.file,
                larger.content_offset,
                content,
            )
            .map_err(at)?;
            return self.complete(meta, larger, content, checksum);
        }
        let trailers = coding::encode_trailers(&meta.trailers)?;
        let stored = StoredContent {
            slot: draft.slot,
            offset: draft.content_offset,
            len: content,
            checksum,
        };
        let prelude = self.prelude(&stored, &trailers);
        let end = prelude.content_offset + content;
        let length = end + trailers.len() as u64;
        draft
            .reservation
            .cover(counted(length, meta.variant.hash()))?;
        let file = &draft.file;
        file.write_all_at(&opening(&prelude, &head), 0)
            .and_then(|()| file.write_all_at(&trailers, end))
            .and_then(|()| file.set_len(length))
            .and_then(|()| stamp(file, prelude.stamp))
            .map_err(at)?;
        Ok(UnnamedRecord {
            file: draft.file,
            name: draft.name,
            length,
            reservation: draft.reservation,
        })
    }

    fn prelude(&self, stored: &StoredContent, trailers: &[u8]) -> Prelude {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since_epoch.map_or(0, |elapsed| elapsed.as_secs());
        Prelude {
            slot: stored.slot,
            changes: 0,
            content_offset: stored.offset,
            content: stored.len,
            content_checksum: stored.checksum,
            trailers: trailers.len() as u32,
            trailers_checksum: Checksum::of(trailers),
            boot: self.shared.boot(),
            stamp: now.saturating_sub(STAMPED_BACK),
        }
    }
}

/// Sets the modification time to the prelude's stamp.
pub(super) fn stamp(file: &File, seconds: u64) -> std::io::Result<()> {
    file.set_times(FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(seconds)))
}

/// The prelude and the first slot.
fn opening(prelude: &Prelude, head: &[u8]) -> Vec<u8> {
    let mut bytes = prelude.encode().to_vec();
    bytes.extend_from_slice(&slot(head));
    bytes
}
