//! New metadata for stored content, after a 304 (RFC 9111 §3.2): written beside the old in the same file.
//!
//! Only where there is no room for it, or where it belongs under another name, is the content copied.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::FilesystemStore;
use super::root::counted;
use super::write::stamp;
use crate::cache::stored::Meta;
use crate::store::record::read::{Record, StoredFile, read};
use crate::store::record::{Prelude, WORD_AT, meta as coding, slot, word};
use crate::store::{Object, Published, StoreError};
use crate::sys::disk;

impl FilesystemStore {
    pub(super) fn refresh(
        &self,
        object: &Object,
        meta: &Meta,
        invalidation_epoch: Option<u32>,
    ) -> Result<Published, StoreError> {
        let (hash, variant) = (object.meta.key.hash(), object.meta.variant.hash());
        let path = self.root.file(hash, variant);
        let lock = self.root.lock(hash)?;
        let Some(file) = self.root.open(&path, true)? else {
            drop(lock);
            // Its content at hand is stored anew.
            return self.publish(meta, object.content.to_whole()?, invalidation_epoch);
        };
        let StoredFile::Record(record) = read(&file).map_err(StoreError::at(&path))? else {
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
            && meta.selecting() == record.meta.selecting()
            && meta.trailers == record.meta.trailers;
        if !same_place || !record.prelude.fits(head.len()) {
            drop(lock);
            return self.copy(&file, &record, meta, invalidation_epoch);
        }
        change_in_place(&file, &record, &head).map_err(StoreError::at(&path))?;
        let generation = self.shared.next_generation(hash);
        let size = counted(record.file.len(), variant);
        self.shared.announce(size);
        Ok(Published {
            hash: *hash,
            variant: *variant,
            size,
            generation,
        })
    }

    /// Stores the content of a record anew under metadata that has no room in its file.
    fn copy(
        &self,
        file: &File,
        record: &Record,
        meta: &Meta,
        invalidation_epoch: Option<u32>,
    ) -> Result<Published, StoreError> {
        let Prelude {
            content,
            content_offset,
            content_checksum,
            ..
        } = record.prelude;
        let draft = self.begin(meta, Some(content))?;
        draft.reserve(content)?;
        let (to, to_offset) = (&draft.file, draft.content_offset);
        disk::copy(file, content_offset, to, to_offset, content)
            .map_err(StoreError::at(self.root.path()))?;
        let written = self.complete(meta, draft, content, content_checksum)?;
        self.install(meta, written, invalidation_epoch)
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
