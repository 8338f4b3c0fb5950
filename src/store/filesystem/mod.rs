//! The filesystem store: one file per stored response, whole or not there.
//!
//! Workers look up and publish here at the same time, with no process between them; each change to a
//! directory is made under its lock and seen at once. What goes when there is no room is not decided here.

pub(crate) mod admin;
// The store's heart, which uses it, comes next.
#[allow(dead_code)]
pub(crate) mod file;
mod lookup;
pub(crate) mod maintenance;
pub(crate) mod owner;
mod publish;
mod refresh;
mod removed;
mod responses;
mod root;
mod synced;
pub(crate) mod tidy;
mod write;

use std::path::Path;
use std::sync::Arc;

use removed::Removed;
use root::Root;
use synced::Synced;

use super::{Draft, Found, Object, OpenFiles, Published, SharedStore, Store, StoreError, Whole};
use crate::cache::key::{Hash, Key};
use crate::cache::stored::Meta;
use crate::http::fields::Fields;
use crate::sys::shared::Shared;

pub struct FilesystemStore {
    root: Root,
    shared: Arc<Shared>,
    worker: usize,
    synced: Synced,
    removed: Removed,
    open_files: Arc<OpenFiles>,
}

impl FilesystemStore {
    /// Opens the store for the worker with this index, making it where there is none. Refused when it cannot be
    /// written.
    pub fn open(path: &Path, worker: usize, shared: Arc<Shared>) -> Result<Self, StoreError> {
        let root = Root::prepare(path)?;
        // The reservations of a worker that had this index before went with it.
        shared.release_all(worker);
        Ok(FilesystemStore {
            synced: Synced::read(root.path()),
            root,
            shared,
            worker,
            removed: Removed::default(),
            open_files: Arc::default(),
        })
    }

    /// Removes one stored response, under the directory's lock, and remembers to announce it.
    fn displace(&self, hash: &Hash, variant: &Hash) -> Result<(), StoreError> {
        let removed = self.root.remove_one(&self.shared, hash, variant)?;
        self.removed.remember(removed);
        Ok(())
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

    fn verify(&self, object: Object) -> Result<Option<Object>, StoreError> {
        self.verify(object)
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
        self.root.remove(&self.shared, key)
    }

    fn displaces_parts(&self) -> bool {
        false
    }

    fn take_removed(&self) -> Vec<Published> {
        self.removed.take()
    }

    fn open_files(&self) -> &Arc<OpenFiles> {
        &self.open_files
    }

    fn shared(self: Arc<Self>) -> Option<Arc<dyn SharedStore>> {
        None
    }
}

#[cfg(test)]
mod tests;
