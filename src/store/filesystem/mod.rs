//! The filesystem store: one file per stored response, whole or not there.
//!
//! Workers look up and publish here at the same time, with no process between them; each change to a
//! directory is made under its lock and seen at once. What goes when there is no room is not decided here.

pub(crate) mod admin;
mod lookup;
pub(crate) mod maintenance;
mod publish;
mod refresh;
mod removed;
mod root;
mod synced;
mod write;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use removed::Removed;
use root::{NO_VARIANT, Root, counted};
use synced::Synced;

use super::record::index::{Index, is_index};
use super::record::read::{StoredFile, read};
use super::{Draft, Found, Object, Published, SharedStore, Store, StoreError, Whole};
use crate::cache::key::{Hash, Key};
use crate::cache::stored::Meta;
use crate::http::fields::Fields;
use crate::sys::shared::Shared;

/// The place of a store, and its user.
#[derive(Debug, Clone)]
pub struct FilesystemOptions {
    /// The store's directory.
    pub path: PathBuf,
    /// The index of the worker that opens it, for whom room is reserved.
    pub worker: usize,
}

/// A store in a directory.
pub struct FilesystemStore {
    root: Root,
    shared: Arc<Shared>,
    worker: usize,
    synced: Synced,
    removed: Removed,
    /// Held while large content is verified, so that requests for it at once read it once.
    verifying: Mutex<()>,
}

impl FilesystemStore {
    /// Opens the store, making it where there is none. Refused when it cannot be written.
    pub fn open(
        options: &FilesystemOptions,
        shared: Arc<Shared>,
    ) -> Result<FilesystemStore, StoreError> {
        let root = Root::prepare(&options.path)?;
        // What a worker with this index had reserved before went with it.
        shared.release_all(options.worker);
        Ok(FilesystemStore {
            synced: Synced::read(root.path()),
            root,
            shared,
            worker: options.worker,
            removed: Removed::default(),
            verifying: Mutex::new(()),
        })
    }

    fn read(&self, hash: &Hash, variant: &Hash) -> Result<Option<(File, StoredFile)>, StoreError> {
        read_at(&self.root, hash, variant)
    }

    /// Removes one file, under the directory's lock, and remembers to announce it. False when
    /// there was none.
    fn unlink(&self, hash: &Hash, variant: &Hash) -> Result<Option<Published>, StoreError> {
        unlink(&self.root, &self.shared, hash, variant)
    }
}

/// The file under this name, and what it is; None when there is nothing.
fn read_at(
    root: &Root,
    hash: &Hash,
    variant: &Hash,
) -> Result<Option<(File, StoredFile)>, StoreError> {
    let path = root.file(hash, variant);
    let Some(file) = root.open(&path, false)? else {
        return Ok(None);
    };
    let reading = read(&file).map_err(|error| StoreError::at(&path, error))?;
    Ok(Some((file, reading)))
}

/// Removes one file, under the directory's lock; None when there was none.
fn unlink(
    root: &Root,
    shared: &Shared,
    hash: &Hash,
    variant: &Hash,
) -> Result<Option<Published>, StoreError> {
    let length = root.unlink(&root.file(hash, variant))?;
    Ok(length.map(|length| Published {
        hash: *hash,
        variant: *variant,
        size: counted(length, variant),
        generation: shared.generation(hash),
    }))
}

/// Removes every stored response of a key, with its index.
fn remove(root: &Root, shared: &Shared, key: &Key) -> Result<Vec<Published>, StoreError> {
    let hash = key.hash();
    let _lock = root.lock(hash)?;
    let mut removed = Vec::new();
    match read_at(root, hash, &NO_VARIANT)? {
        None => return Ok(removed),
        // A file of another key with the same hash is none of this key's.
        Some((_, StoredFile::Record(record))) if record.meta.key != *key => return Ok(removed),
        Some((_, StoredFile::Index(index))) if index.key != *key.text() => return Ok(removed),
        Some((_, StoredFile::Index(index))) => {
            for variant in index.variants() {
                removed.extend(unlink(root, shared, hash, variant)?);
            }
            root.unlink(&root.file(hash, &NO_VARIANT))?;
        }
        Some((_, StoredFile::Record(_) | StoredFile::Bad(_))) => {
            removed.extend(unlink(root, shared, hash, &NO_VARIANT)?);
        }
    }
    shared.next_generation(hash);
    Ok(removed)
}

/// Takes a variant out of its key's index, under the directory's lock; an index that is left empty goes.
fn unlist(root: &Root, hash: &Hash, variant: &Hash) -> Result<(), StoreError> {
    let path = root.file(hash, &NO_VARIANT);
    let Some(mut index) = index_at(root, hash)? else {
        return Ok(());
    };
    if !index.remove(variant) {
        return Ok(());
    }
    match index.encode() {
        Some(bytes) if !index.is_empty() => root.replace(&path, &bytes),
        _ => root.unlink(&path).map(drop),
    }
}

/// The index of this key, when that is what stands under its name.
fn index_at(root: &Root, hash: &Hash) -> Result<Option<Index>, StoreError> {
    let path = root.file(hash, &NO_VARIANT);
    let Some(file) = root.open(&path, false)? else {
        return Ok(None);
    };
    // A look at its beginning saves reading a whole record to find that it is one.
    let mut beginning = [0; 8];
    if file.read_exact_at(&mut beginning, 0).is_err() || !is_index(&beginning) {
        return Ok(None);
    }
    match read(&file).map_err(|error| StoreError::at(&path, error))? {
        StoredFile::Index(index) => Ok(Some(index)),
        StoredFile::Record(_) | StoredFile::Bad(_) => Ok(None),
    }
}

/// Operations of more than a line are in the files of their names.
impl Store for FilesystemStore {
    fn may_have(&self, key: &Key) -> bool {
        self.shared.may_be_stored(key.hash())
    }

    fn lookup(&self, key: &Key, request: &Fields) -> Result<Found, StoreError> {
        self.lookup(key, request)
    }

    fn begin(&self, meta: &Meta, expected: Option<u64>) -> Result<Draft, StoreError> {
        self.begin(meta, expected)
    }

    fn publish(
        &self,
        meta: &Meta,
        whole: Whole,
        invalidation_epoch: Option<u32>,
    ) -> Result<Published, StoreError> {
        self.publish(meta, whole, invalidation_epoch)
    }

    fn refresh(
        &self,
        object: &Object,
        meta: &Meta,
        invalidation_epoch: Option<u32>,
    ) -> Result<Published, StoreError> {
        self.refresh(object, meta, invalidation_epoch)
    }

    fn remove(&self, key: &Key) -> Result<Vec<Published>, StoreError> {
        remove(&self.root, &self.shared, key)
    }

    fn displaces_parts(&self) -> bool {
        false
    }

    fn take_removed(&self) -> Vec<Published> {
        self.removed.take()
    }

    fn shared(self: Arc<Self>) -> Option<Arc<dyn SharedStore>> {
        None
    }
}

#[cfg(test)]
mod tests;
