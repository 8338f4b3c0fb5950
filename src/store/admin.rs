//! A store seen from outside, by a command: what is in it, and removing it, whether or not a proxy runs.

use std::ops::ControlFlow;

use super::{Object, Published, StoreError, place};
use crate::cache::key::{Hash, Key};
use crate::cache::stored::Meta;
use crate::sys::shared::Shared;

#[derive(Debug, Clone)]
pub struct StoredInfo {
    /// Its metadata, without trailers.
    pub meta: Meta,
    pub content: u64,
    /// The bytes that count against the limit.
    pub size: u64,
    /// True when it was used since eviction last looked at it, where the store itself knows.
    pub used: Option<bool>,
    /// The number of its answers, likewise.
    pub hits: Option<u32>,
}

impl StoredInfo {
    pub fn place(&self) -> Hash {
        place(self.meta.key.hash(), self.meta.variant.hash())
    }
}

/// A store of either kind, as commands use it.
pub trait StoreAdmin {
    /// Calls `visit` with every stored response. What goes meanwhile is passed over.
    fn each(&self, visit: &mut dyn FnMut(StoredInfo)) -> Result<(), StoreError>;

    /// Calls `visit` with every stored response, trailers and content included, until it breaks. Of a key's
    /// variants the most recent comes last, as they were stored.
    fn each_whole(
        &self,
        visit: &mut dyn FnMut(Object) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// The stored responses of a key, most recent first.
    fn of_key(&self, key: &Key) -> Result<Vec<StoredInfo>, StoreError>;

    /// Removes every stored response of this key, and makes sure that no process uses what it has of
    /// it in memory or is fetching. Tells what was removed.
    fn purge(&self, key: &Key, shared: &Shared) -> Result<Vec<Published>, StoreError>;

    /// Removes every stored response for whose key `wanted` is true. What is being fetched while this
    /// begins is not stored, whichever key it has.
    fn purge_where(
        &self,
        shared: &Shared,
        wanted: &dyn Fn(&Key) -> bool,
    ) -> Result<Vec<Published>, StoreError>;
}
