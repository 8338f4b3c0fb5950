//! Lookups: the stored response that a request selects, and whether its content is trusted.
//!
//! Small content is verified every time. Large content is trusted while its file has the time it was
//! stamped with and it was written in this boot, or in one that ended cleanly; else it is verified
//! whole, once. What does not check is removed, after a second look under the lock.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, PoisonError};

use super::root::NO_VARIANT;
use super::write::stamp;
use super::{FilesystemStore, unlist};
use crate::cache::key::{Hash, Key, Variant};
use crate::http::fields::Fields;
use crate::store::checksum::Checksum;
use crate::store::record::BOOT_AT;
use crate::store::record::read::{Record, StoredFile, read};
use crate::store::{Content, Found, Object, StoreError, place};

impl FilesystemStore {
    pub(super) fn lookup(&self, key: &Key, request: &Fields) -> Result<Found, StoreError> {
        // Read first: a change while this lookup goes on then makes copies of its outcome stale.
        let generation = self.shared.generation(key.hash());
        match self.sound(key.hash(), &NO_VARIANT)? {
            None => Ok(Found::Nothing),
            Some((file, StoredFile::Record(record))) => {
                let object = self.accept(file, *record, key, &Variant::none(), generation)?;
                Ok(object.map_or(Found::Nothing, |object| Found::Object(Box::new(object))))
            }
            Some((_, StoredFile::Index(index))) if index.key == *key.text() => {
                for variant in index.selected(request) {
                    let found = self.sound(key.hash(), variant.hash())?;
                    if let Some((file, StoredFile::Record(record))) = found {
                        if let Some(object) =
                            self.accept(file, *record, key, &variant, generation)?
                        {
                            return Ok(Found::Object(Box::new(object)));
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
        match self.read(hash, variant)? {
            Some((_, StoredFile::Bad(_))) => {}
            found => return Ok(found),
        }
        let _lock = self.root.lock(hash)?;
        match self.read(hash, variant)? {
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
        self.removed.remember(self.unlink(hash, variant)?);
        if *variant != NO_VARIANT {
            unlist(&self.root, hash, variant)?;
        }
        self.shared.next_generation(hash);
        Ok(())
    }

    /// The stored response that a record is, when it is this key's and variant's and its content is good.
    fn accept(
        &self,
        file: File,
        record: Record,
        key: &Key,
        variant: &Variant,
        generation: u32,
    ) -> Result<Option<Object>, StoreError> {
        if record.meta.key != *key || record.meta.variant != *variant {
            return Ok(None);
        }
        let checksum = record.prelude.content_checksum;
        let content = match record.content {
            Some(content) => Content::Memory(content),
            None if self.is_trusted(&record) || self.verify(&file, &record)? => Content::File {
                file: Arc::new(file),
                offset: record.prelude.content_offset,
                len: record.prelude.content,
            },
            None => return Ok(None),
        };
        self.shared.visit(&place(key.hash(), variant.hash()));
        Ok(Some(Object {
            meta: record.meta,
            content,
            generation,
            checksum,
        }))
    }

    fn is_trusted(&self, record: &Record) -> bool {
        let prelude = &record.prelude;
        record.is_untouched()
            && (prelude.boot == self.shared.boot()
                || self.synced.covers(&prelude.boot, prelude.stamp))
    }

    /// Checks large content. If it is whole the record is trusted from now on, else it is removed.
    fn verify(&self, file: &File, record: &Record) -> Result<bool, StoreError> {
        let (hash, variant) = (record.meta.key.hash(), record.meta.variant.hash());
        let path = self.root.file(hash, variant);
        let at = |error| StoreError::at(&path, error);
        let _once = self
            .verifying
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Another request may have verified it meanwhile, or its metadata was just being changed.
        let lock = self.root.lock(hash)?;
        if let StoredFile::Record(now) = read(file).map_err(at)? {
            if self.is_trusted(&now) {
                return Ok(true);
            }
        }
        drop(lock);

        let good = checks(file, record).map_err(at)?;
        let _lock = self.root.lock(hash)?;
        let Some(current) = self.root.open(&path, true)? else {
            return Ok(good);
        };
        if identity(&current).map_err(at)? != identity(file).map_err(at)? {
            return Ok(good);
        }
        if good {
            // If this fails the content is verified again next time.
            let boot = current.write_all_at(&self.shared.boot(), BOOT_AT);
            let _ = boot.and_then(|()| stamp(&current, record.prelude.stamp));
        } else {
            self.discard(hash, variant, "its content does not check")?;
        }
        Ok(good)
    }
}

/// True when the content in the file has the checksum that its prelude says.
fn checks(file: &File, record: &Record) -> io::Result<bool> {
    let mut checksum = Checksum::new();
    let mut buffer = vec![0; 256 << 10];
    let mut at = record.prelude.content_offset;
    let mut left = record.prelude.content;
    while left > 0 {
        let step = left.min(buffer.len() as u64) as usize;
        match file.read_exact_at(&mut buffer[..step], at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            outcome => outcome?,
        }
        checksum.update(&buffer[..step]);
        at += step as u64;
        left -= step as u64;
    }
    Ok(checksum.finish() == record.prelude.content_checksum)
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}
