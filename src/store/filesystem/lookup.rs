//! Lookups: the stored response that a request selects, and whether its content is trusted.
//!
//! Small content is verified every time. Large content is trusted while its file has the time it was
//! stamped with and it was written in this boot, or in one that ended cleanly; else it is verified
//! whole, once, when the caller finds the time. What does not check is removed, after a second look under the lock.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::FilesystemStore;
use super::root::NO_VARIANT;
use super::write::stamp;
use crate::cache::key::{Hash, Key, Variant};
use crate::http::fields::Fields;
use crate::store::checksum::Checksum;
use crate::store::content::each_part_of_file;
use crate::store::record::BOOT_AT;
use crate::store::record::read::{Record, StoredFile, read};
use crate::store::{Content, Found, Object, StoreError, place};
use crate::sys::disk;

impl FilesystemStore {
    pub(super) fn lookup(&self, key: &Key, request: &Fields) -> Result<Found, StoreError> {
        // Read first: a change while this lookup goes on then makes copies of its outcome stale.
        let generation = self.shared.generation(key.hash());
        match self.sound(key.hash(), &NO_VARIANT)? {
            None => Ok(Found::Nothing),
            Some((file, StoredFile::Record(record))) => {
                let found = self.accept(file, *record, key, &Variant::none(), generation);
                Ok(found.unwrap_or(Found::Nothing))
            }
            Some((_, StoredFile::Index(index))) if index.key == *key.text() => {
                for variant in index.selected(request) {
                    let found = self.sound(key.hash(), variant.hash())?;
                    if let Some((file, StoredFile::Record(record))) = found {
                        let found = self.accept(file, *record, key, &variant, generation);
                        if let Some(found) = found {
                            return Ok(found);
                        }
                    }
                }
                Ok(Found::OtherVariants)
            }
            Some((_, StoredFile::Index(_) | StoredFile::Bad(_))) => Ok(Found::Nothing),
        }
    }

    /// The file under this name. One that seems damaged is read again under the lock, where nobody
    /// changes it, and removed if it is.
    fn sound(&self, hash: &Hash, variant: &Hash) -> Result<Option<(File, StoredFile)>, StoreError> {
        match self.root.read(hash, variant)? {
            Some((_, StoredFile::Bad(_))) => {}
            found => return Ok(found),
        }
        let _lock = self.root.lock(hash)?;
        match self.root.read(hash, variant)? {
            Some((_, StoredFile::Bad(why))) => {
                self.discard(hash, variant, why)?;
                Ok(None)
            }
            found => Ok(found),
        }
    }

    /// Removes a damaged file, under the lock.
    fn discard(&self, hash: &Hash, variant: &Hash, why: &str) -> Result<(), StoreError> {
        let path = self.root.file(hash, variant);
        log::warn!("{}: {why}; removed from the store", path.display());
        self.displace(hash, variant)?;
        if *variant != NO_VARIANT {
            self.root.unlist(hash, variant)?;
        }
        self.shared.next_generation(hash);
        Ok(())
    }

    /// The stored response that a record is, when it is this key's and variant's.
    fn accept(
        &self,
        file: File,
        record: Record,
        key: &Key,
        variant: &Variant,
        generation: u32,
    ) -> Option<Found> {
        if record.meta.key != *key || record.meta.variant != *variant {
            return None;
        }
        self.shared.visit(&place(key.hash(), variant.hash()));
        // Small content was verified when it was read.
        let is_good = record.content.is_some() || self.is_trusted(&record);
        let object = Box::new(record.into_object(file, generation));
        if let Content::File { file, .. } = &object.content {
            self.open_files.add(file);
            // Whoever evicts it sees that it goes on taking disk.
            let _ = disk::mark_in_use(file);
        }
        Some(match is_good {
            true => Found::Object(object),
            false => Found::Unverified(object),
        })
    }

    fn is_trusted(&self, record: &Record) -> bool {
        let prelude = &record.prelude;
        record.is_untouched()
            && (prelude.boot == self.shared.boot()
                || self.synced.covers(&prelude.boot, prelude.stamp))
    }

    /// Checks large content. If it is whole the record is trusted from now on, else it is removed.
    pub(super) fn verify(&self, object: Object) -> Result<Option<Object>, StoreError> {
        let Content::File { file, .. } = &object.content else {
            return Ok(Some(object));
        };
        let (hash, variant) = (object.meta.key.hash(), object.meta.variant.hash());
        let path = self.root.file(hash, variant);
        let at = StoreError::at(&path);
        // Another request may have verified it meanwhile, or its metadata was just being changed.
        let lock = self.root.lock(hash)?;
        let StoredFile::Record(record) = read(file).map_err(at)? else {
            return Ok(None);
        };
        if self.is_trusted(&record) {
            return Ok(Some(object));
        }
        drop(lock);

        let good = checks(file, &record).map_err(at)?;
        let _lock = self.root.lock(hash)?;
        let Some(current) = self.root.open(&path, true)? else {
            return Ok(good.then_some(object));
        };
        if identity(&current).map_err(at)? != identity(file).map_err(at)? {
            return Ok(good.then_some(object));
        }
        if good {
            // If this fails the content is verified again next time.
            let boot = current.write_all_at(&self.shared.boot(), BOOT_AT);
            let _ = boot.and_then(|()| stamp(&current, record.prelude.stamp));
        } else {
            self.discard(hash, variant, "its content does not check")?;
        }
        Ok(good.then_some(object))
    }
}

/// True when the content in the file has the checksum that its prelude says.
fn checks(file: &File, record: &Record) -> io::Result<bool> {
    let mut checksum = Checksum::new();
    let (offset, len) = (record.prelude.content_offset, record.prelude.content);
    let read = each_part_of_file(file, offset, len, &mut |part| {
        checksum.update(part);
        true
    });
    match read {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| checksum.finish() == record.prelude.content_checksum),
    }
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}
