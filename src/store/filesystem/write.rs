//! Writing records where nobody sees them: drafts, and whole records from memory.
//!
//! No fsync: after an unclean boot, lengths and checksums decide what is still good.

use std::fs::{File, FileTimes};
use std::iter::once;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};
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

impl FilesystemStore {
    pub(super) fn begin(&self, meta: &Meta, expected: Option<u64>) -> Result<Draft, StoreError> {
        let slot = slot_for(coding::encode(meta)?.len());
        let content_offset = content_offset(slot, true);
        let length = content_offset.saturating_add(expected.unwrap_or(0));
        let size = counted(length, meta.variant.hash());
        let path = self.root.path();
        let reservation = Reservation::begin(&self.shared, self.worker, path, size)?;
        let (file, name) = self.root.temporary()?;
        let file = Arc::new(file);
        self.open_files.add_draft(&file, &reservation);
        let _ = disk::mark_in_use(&file);
        Ok(Draft {
            file,
            content_offset,
            slot,
            reservation,
            name,
            sums: Mutex::default(),
        })
    }

    fn reserve(&self, length: u64, variant: &Hash) -> Result<Reservation, StoreError> {
        let size = counted(length, variant);
        Reservation::reserve(&self.shared, self.worker, self.root.path(), size)
    }

    /// Writes a record whose content is in memory.
    pub(super) fn write(
        &self,
        meta: &Meta,
        parts: &[bytes::Bytes],
    ) -> Result<UnnamedRecord, StoreError> {
        let at = StoreError::at(self.root.path());
        let head = coding::encode(meta)?;
        let trailers = coding::encode_trailers(&meta.trailers)?;
        let mut checksum = Checksum::new();
        parts.iter().for_each(|part| checksum.update(part));
        let content: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let slot = slot_for(head.len());
        let prelude = Prelude {
            slot,
            content_offset: content_offset(slot, false),
            content,
            content_checksum: checksum.finish(),
            ..self.prelude(&trailers)
        };
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
            let content = parts.iter().map(|part| &part[..]);
            let mut offset = 0;
            for part in once(&bytes[..]).chain(content).chain(once(&trailers[..])) {
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
        let at = StoreError::at(self.root.path());
        let head = coding::encode(meta)?;
        if slot_for(head.len()) > draft.slot {
            // The metadata grew beyond the room left for it when the draft was begun.
            let larger = self.begin(meta, Some(content))?;
            larger.reserve(content)?;
            let (from, to) = (draft.content_offset, larger.content_offset);
            disk::copy(&draft.file, from, &larger.file, to, content).map_err(at)?;
            return self.complete(meta, larger, content, checksum);
        }
        let trailers = coding::encode_trailers(&meta.trailers)?;
        let prelude = Prelude {
            slot: draft.slot,
            content_offset: draft.content_offset,
            content,
            content_checksum: checksum,
            ..self.prelude(&trailers)
        };
        let end = prelude.content_offset + content;
        let length = end + trailers.len() as u64;
        let size = counted(length, meta.variant.hash());
        draft.reservation.cover(size)?;
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

    /// The prelude of a record with these trailers that is written now, without what it says of the content.
    fn prelude(&self, trailers: &[u8]) -> Prelude {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since_epoch.map_or(0, |elapsed| elapsed.as_secs());
        Prelude {
            trailers: trailers.len() as u32,
            trailers_checksum: Checksum::of(trailers),
            boot: self.shared.boot(),
            stamp: now.saturating_sub(STAMPED_BACK),
            ..Prelude::default()
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
