//! Writing: drafts, publishing whole records, new metadata after a 304.
//!
//! A record is written where nobody sees it and gets its name when whole. No fsync: after an unclean
//! boot, lengths and checksums decide what is still good.

use std::fs::{File, FileTimes};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::index::Index;
use super::root::{NO_VARIANT, counted};
use super::{FilesystemStore, index_at};
use crate::cache::key::{Hash, Variant};
use crate::cache::stored::Meta;
use crate::cache::vary;
use crate::store::checksum::Checksum;
use crate::store::draft::{Draft, Room, TemporaryName};
use crate::store::record::read::{Reading, Record, read};
use crate::store::record::{
    Prelude, STAMPED_BACK, WORD_AT, content_offset, meta as coding, slot, slot_for, word,
};
use crate::store::{Content, Object, Published, SMALL, StoreError, Whole};
use crate::sys::disk;

/// A record that is whole but has no name yet.
struct Written {
    file: Arc<File>,
    name: Option<TemporaryName>,
    length: u64,
    /// Held until the record counts as announced.
    room: Room,
}

impl FilesystemStore {
    pub(super) fn draft(&self, meta: &Meta, expected: Option<u64>) -> Result<Draft, StoreError> {
        let slot = slot_for(coding::encode(meta)?.len());
        let content_offset = content_offset(slot, true);
        let length = content_offset.saturating_add(expected.unwrap_or(0));
        let room = self.reserve(length, meta.variant.hash())?;
        let (file, name) = self.root.temporary()?;
        if expected.is_some() {
            disk::allocate(&file, length)
                .map_err(|error| StoreError::at(self.root.path(), error))?;
        }
        Ok(Draft {
            file: Arc::new(file),
            content_offset,
            slot,
            room,
            name,
        })
    }

    fn reserve(&self, length: u64, variant: &Hash) -> Result<Room, StoreError> {
        Room::reserve(
            &self.shared,
            self.worker,
            self.root.path(),
            counted(length, variant),
        )
    }

    pub(super) fn store(&self, meta: &Meta, whole: Whole) -> Result<Published, StoreError> {
        let written = match whole {
            Whole::Memory(parts) => self.write(meta, &parts)?,
            Whole::Draft {
                draft,
                len,
                checksum,
            } => self.complete(meta, draft, len, checksum.finish())?,
        };
        self.install(meta, written)
    }

    /// Writes a record whose content is in memory.
    fn write(&self, meta: &Meta, parts: &[bytes::Bytes]) -> Result<Written, StoreError> {
        let at = |error| StoreError::at(self.root.path(), error);
        let head = coding::encode(meta)?;
        let trailers = coding::encode_trailers(&meta.trailers)?;
        let mut checksum = Checksum::new();
        parts.iter().for_each(|part| checksum.update(part));
        let content: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let slot_size = slot_for(head.len());
        let prelude = self.prelude(
            (slot_size, content_offset(slot_size, false)),
            (content, checksum.finish()),
            &trailers,
        );
        let length = prelude.content_offset + content + trailers.len() as u64;
        let room = self.reserve(length, meta.variant.hash())?;
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
        Ok(Written {
            file: Arc::new(file),
            name,
            length,
            room,
        })
    }

    /// Makes a record of a draft whose content is written.
    fn complete(
        &self,
        meta: &Meta,
        draft: Draft,
        content: u64,
        checksum: u128,
    ) -> Result<Written, StoreError> {
        let at = |error| StoreError::at(self.root.path(), error);
        let head = coding::encode(meta)?;
        if slot_for(head.len()) > draft.slot {
            // The metadata grew beyond the room left for it when the draft was begun.
            let larger = self.draft(meta, Some(content))?;
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
        let prelude = self.prelude(
            (draft.slot, draft.content_offset),
            (content, checksum),
            &trailers,
        );
        let end = prelude.content_offset + content;
        let length = end + trailers.len() as u64;
        draft.room.cover(counted(length, meta.variant.hash()))?;
        let file = &draft.file;
        file.write_all_at(&opening(&prelude, &head), 0)
            .and_then(|()| file.write_all_at(&trailers, end))
            .and_then(|()| file.set_len(length))
            .and_then(|()| stamp(file, prelude.stamp))
            .map_err(at)?;
        Ok(Written {
            file: draft.file,
            name: draft.name,
            length,
            room: draft.room,
        })
    }

    fn prelude(
        &self,
        (slot, content_offset): (u32, u64),
        (content, content_checksum): (u64, u128),
        trailers: &[u8],
    ) -> Prelude {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since_epoch.map_or(0, |elapsed| elapsed.as_secs());
        Prelude {
            slot,
            changes: 0,
            content_offset,
            content,
            content_checksum,
            trailers: trailers.len() as u32,
            trailers_checksum: Checksum::of(trailers),
            boot: self.shared.boot(),
            stamp: now.saturating_sub(STAMPED_BACK),
        }
    }

    /// Gives a record its name, and takes away what it replaces.
    fn install(&self, meta: &Meta, written: Written) -> Result<Published, StoreError> {
        let names = vary::names(&meta.fields).ok_or(StoreError::Unselectable)?;
        if names.is_empty() != (meta.variant == Variant::none()) {
            return Err(StoreError::Unselectable);
        }
        let (hash, variant) = (*meta.key.hash(), *meta.variant.hash());
        let Written {
            file,
            name,
            length,
            room,
        } = written;
        let lock = self.root.lock(&hash)?;
        let target = self.root.file(&hash, &variant);
        if variant == NO_VARIANT {
            self.install_only(&hash, &file, name, &target)?;
        } else {
            self.root.place(&file, name, &target)?;
            if let Err(error) = self.list(meta, names) {
                // Without its place in the index it would never be found.
                self.remember_removed(self.unlink(&hash, &variant)?);
                return Err(error);
            }
        }
        let generation = self.shared.bump(&hash);
        drop(lock);
        let size = counted(length, &variant);
        self.shared.announce(size);
        drop(room);
        Ok(Published {
            hash,
            variant,
            size,
            generation,
        })
    }

    /// Places the record of a response without `Vary`, which replaces every variant of its key.
    fn install_only(
        &self,
        hash: &Hash,
        file: &File,
        name: Option<TemporaryName>,
        target: &Path,
    ) -> Result<(), StoreError> {
        if name.is_none() && disk::name(file, target).is_ok() {
            return Ok(());
        }
        let index = index_at(&self.root, hash)?;
        self.root.place(file, name, target)?;
        if let Some(index) = index {
            self.drop_variants(hash, index.variants())?;
        }
        Ok(())
    }

    /// Puts a variant first in its key's index, which is made when there is none.
    fn list(&self, meta: &Meta, names: Vec<String>) -> Result<(), StoreError> {
        let (hash, variant) = (meta.key.hash(), meta.variant.hash());
        let path = self.root.file(hash, &NO_VARIANT);
        let index = match index_at(&self.root, hash)? {
            Some(index) if index.key == *meta.key.text() => Some(index),
            Some(_) | None => None,
        };
        if let Some(index) = &index {
            if index.is_first(&names, variant) {
                return Ok(());
            }
        }
        // The index takes the place of a response without Vary, if there is one.
        let displaced = match &index {
            Some(_) => None,
            None => self.unlink(hash, &NO_VARIANT)?,
        };
        self.remember_removed(displaced);
        let mut index = index.unwrap_or_else(|| Index::new(meta.key.text().clone()));
        let dropped = index.add(names, *variant);
        let bytes = index.encode().ok_or(StoreError::Unselectable)?;
        self.root.replace(&path, &bytes)?;
        self.drop_variants(hash, dropped.iter())
    }

    fn drop_variants<'a>(
        &self,
        hash: &Hash,
        variants: impl Iterator<Item = &'a Hash>,
    ) -> Result<(), StoreError> {
        for variant in variants {
            self.remember_removed(self.unlink(hash, variant)?);
        }
        Ok(())
    }

    pub(super) fn change(&self, object: &Object, meta: &Meta) -> Result<Published, StoreError> {
        let (hash, variant) = (object.meta.key.hash(), object.meta.variant.hash());
        let path = self.root.file(hash, variant);
        let lock = self.root.lock(hash)?;
        let Some(file) = self.root.open(&path, true)? else {
            drop(lock);
            return self.store_again(object, meta);
        };
        let Reading::Record(record) = read(&file).map_err(|error| StoreError::at(&path, error))?
        else {
            return Err(StoreError::Gone);
        };
        if record.meta.key != object.meta.key
            || record.prelude.content_checksum != object.checksum
            || record.prelude.content != object.content.len()
        {
            return Err(StoreError::Gone);
        }
        let head = coding::encode(meta)?;
        let same_place = meta.variant == object.meta.variant
            && vary::names(&meta.fields) == vary::names(&record.meta.fields)
            && meta.trailers == record.meta.trailers;
        if !same_place || !record.prelude.fits(head.len()) {
            drop(lock);
            return self.copy(&file, &record, meta);
        }
        change_in_place(&file, &record, &head).map_err(|error| StoreError::at(&path, error))?;
        let generation = self.shared.bump(hash);
        let size = counted(record.file.len(), variant);
        self.shared.announce(size);
        Ok(Published {
            hash: *hash,
            variant: *variant,
            size,
            generation,
        })
    }

    /// Stores a response anew whose file is gone, from what is at hand of it.
    fn store_again(&self, object: &Object, meta: &Meta) -> Result<Published, StoreError> {
        match &object.content {
            Content::Memory(content) => self.store(meta, Whole::Memory(vec![content.clone()])),
            Content::File { .. } => Err(StoreError::Gone),
        }
    }

    /// Stores the content of a record anew under metadata that has no room in its file.
    fn copy(&self, file: &File, record: &Record, meta: &Meta) -> Result<Published, StoreError> {
        let Prelude {
            content,
            content_offset,
            content_checksum,
            ..
        } = record.prelude;
        let draft = self.draft(meta, Some(content))?;
        let (to, to_offset) = (&draft.file, draft.content_offset);
        disk::copy(file, content_offset, to, to_offset, content)
            .map_err(|error| StoreError::at(self.root.path(), error))?;
        let written = self.complete(meta, draft, content, content_checksum)?;
        self.install(meta, written)
    }
}

/// Writes new metadata into the slot that is not current and makes it current. A reader at the same
/// time sees one or the other, or damage, which it looks at again under the lock.
fn change_in_place(file: &File, record: &Record, head: &[u8]) -> std::io::Result<()> {
    let changes = record.prelude.changes.wrapping_add(1);
    let untouched = record.is_untouched();
    file.write_all_at(&slot(head), record.prelude.slot_at(changes))?;
    file.write_all_at(&word(changes), WORD_AT)?;
    // The stamp vouches for the content, so it is only put back where it stood.
    if untouched {
        stamp(file, record.prelude.stamp)?;
    }
    Ok(())
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
