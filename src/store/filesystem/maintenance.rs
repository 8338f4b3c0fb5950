//! The upkeep of a filesystem store, which one worker does as the supervisor orders: evicting, compacting, telling what
//! room the disk has.

use std::path::Path;
use std::sync::Arc;

use super::{Evicted, FilesystemStore};
use crate::store::StoreError;
use crate::sys::disk;
use crate::sys::shared::Shared;

/// The store as the worker has it that sees to it.
pub struct StoreMaintenance {
    pub(super) store: FilesystemStore,
}

impl StoreMaintenance {
    /// Opens the store at `path`, which is made where there is none. Refused when it cannot be written.
    pub fn open(path: &Path, shared: Arc<Shared>) -> Result<StoreMaintenance, StoreError> {
        let store = FilesystemStore::open_beside(path, shared)?;
        Ok(StoreMaintenance { store })
    }

    /// Evicts what SIEVE finds next, until so many bytes have gone or some time has passed.
    pub fn evict(&self, bytes: u64) -> Result<Evicted, StoreError> {
        self.store.evict(bytes)
    }

    /// Gives the disk what is free in the index; the bytes.
    pub fn compact(&self) -> Result<u64, StoreError> {
        self.store.compact()
    }

    /// Notes that everything stored has reached the disk; see [`FilesystemStore::note_closed`].
    pub fn note_closed(&self) -> Result<(), StoreError> {
        self.store.note_closed()
    }

    /// The bytes that are free on the disk.
    pub fn free(&self) -> Result<u64, StoreError> {
        let path = self.store.directory.path();
        disk::free(path).map_err(StoreError::at(path))
    }
}
