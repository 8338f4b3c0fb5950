//! Stored responses by key and variant: reading and removing them, with the index of a key's variants.
//!
//! Whatever changes something is called under the lock of the key's directory.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::root::{NO_VARIANT, Root, counted};
use crate::cache::key::{Hash, Key};
use crate::store::record::index::{Index, is_index};
use crate::store::record::read::{StoredFile, read};
use crate::store::{Published, StoreError};
use crate::sys::shared::Shared;

impl Root {
    /// The file under this name, and what it is; None when there is nothing.
    pub(super) fn read(
        &self,
        hash: &Hash,
        variant: &Hash,
    ) -> Result<Option<(File, StoredFile)>, StoreError> {
        let path = self.file(hash, variant);
        let Some(file) = self.open(&path, false)? else {
            return Ok(None);
        };
        let found = read(&file).map_err(StoreError::at(&path))?;
        Ok(Some((file, found)))
    }

    /// The index of this key, when that is what stands under its name.
    pub(super) fn index(&self, hash: &Hash) -> Result<Option<Index>, StoreError> {
        let path = self.file(hash, &NO_VARIANT);
        let Some(file) = self.open(&path, false)? else {
            return Ok(None);
        };
        // A look at its beginning saves reading a whole record to find that it is one.
        let mut beginning = [0; 8];
        if file.read_exact_at(&mut beginning, 0).is_err() || !is_index(&beginning) {
            return Ok(None);
        }
        match read(&file).map_err(StoreError::at(&path))? {
            StoredFile::Index(index) => Ok(Some(index)),
            StoredFile::Record(_) | StoredFile::Bad(_) => Ok(None),
        }
    }

    /// Takes a variant out of its key's index; an index that is left empty goes.
    pub(super) fn unlist(&self, hash: &Hash, variant: &Hash) -> Result<(), StoreError> {
        let path = self.file(hash, &NO_VARIANT);
        let Some(mut index) = self.index(hash)? else {
            return Ok(());
        };
        if !index.remove(variant) {
            return Ok(());
        }
        match index.encode() {
            Some(bytes) if !index.is_empty() => self.replace(&path, &bytes),
            _ => self.unlink(&path).map(drop),
        }
    }

    /// Removes the file of one stored response; None when there was none.
    pub(super) fn remove_one(
        &self,
        shared: &Shared,
        hash: &Hash,
        variant: &Hash,
    ) -> Result<Option<Published>, StoreError> {
        let length = self.unlink(&self.file(hash, variant))?;
        Ok(length.map(|length| Published {
            hash: *hash,
            variant: *variant,
            size: counted(length, variant),
            generation: shared.generation(hash),
        }))
    }

    /// Takes the lock and removes every stored response of a key, with its index.
    pub(super) fn remove(&self, shared: &Shared, key: &Key) -> Result<Vec<Published>, StoreError> {
        let hash = key.hash();
        let _lock = self.lock(hash)?;
        let mut removed = Vec::new();
        match self.read(hash, &NO_VARIANT)? {
            None => return Ok(removed),
            // A file of another key with the same hash is none of this key's.
            Some((_, StoredFile::Record(record))) if record.meta.key != *key => return Ok(removed),
            Some((_, StoredFile::Index(index))) if index.key != *key.text() => return Ok(removed),
            Some((_, StoredFile::Index(index))) => {
                for variant in index.variants() {
                    removed.extend(self.remove_one(shared, hash, variant)?);
                }
                self.unlink(&self.file(hash, &NO_VARIANT))?;
            }
            Some((_, StoredFile::Record(_) | StoredFile::Bad(_))) => {
                removed.extend(self.remove_one(shared, hash, &NO_VARIANT)?);
            }
        }
        shared.next_generation(hash);
        Ok(removed)
    }
}
