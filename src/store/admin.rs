//! A store seen from outside, by a command: what is in it, and removing it, whether or not a proxy runs.
//!
//! Nothing here holds more of a store than some hundred responses at once, however many there are.

use std::ops::{AddAssign, ControlFlow};
use std::time::Duration;

use super::scope::Scope;
use super::{Object, Published, StoreError, place};
use crate::cache::age::aged;
use crate::cache::key::{Hash, Key, Variant};
use crate::cache::stored::Meta;
use crate::cache::time::Timestamp;
use crate::sys::shared::Shared;

/// What is listed of a stored response.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct StoredInfo {
    pub key: Key,
    pub variant: Variant,
    /// The time when it was received, and its age then.
    pub received: Timestamp,
    pub initial_age: Duration,
    pub content: u64,
    /// The bytes that count against the limit.
    pub size: u64,
    /// Its number in the order of storing.
    pub order: u64,
    /// True when it was used since eviction last looked at it, where the store itself knows.
    pub used: Option<bool>,
    /// The number of its answers, likewise.
    pub hits: Option<u32>,
}

impl StoredInfo {
    pub fn place(&self) -> Hash {
        place(self.key.hash(), self.variant.hash())
    }

    /// Its age (current_age).
    pub fn age(&self, now: Timestamp) -> Duration {
        aged(self.initial_age, now.since(self.received))
    }
}

/// A stored response without its content, and what is listed of it.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct StoredResponse {
    pub info: StoredInfo,
    /// Its metadata, without trailers.
    pub meta: Meta,
}

/// What was removed: so many stored responses, of so many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    pub count: u64,
    pub bytes: u64,
}

impl Removed {
    pub fn add(&mut self, published: &Published) {
        self.count += 1;
        self.bytes += published.size;
    }
}

impl AddAssign for Removed {
    fn add_assign(&mut self, other: Removed) {
        self.count += other.count;
        self.bytes += other.bytes;
    }
}

/// Is called with stored responses, until it breaks.
pub type Visit<'a> = &'a mut dyn FnMut(StoredInfo) -> ControlFlow<()>;

/// Is called with stored responses, or with what is wrong with the file of one, until it breaks.
pub type VisitWhole<'a> = &'a mut dyn FnMut(Result<Object, StoreError>) -> ControlFlow<()>;

/// A store of either kind, as commands use it.
pub trait StoreAdmin {
    /// Visits the stored responses of this scope, in an order of the store's own. What goes meanwhile is passed over.
    fn each(&self, scope: &Scope, visit: Visit<'_>) -> Result<(), StoreError>;

    /// Visits those with these order numbers, as they come here. What went meanwhile is passed over.
    fn numbered(&self, orders: &[u64], visit: Visit<'_>) -> Result<(), StoreError>;

    /// Visits every stored response, trailers and content included. Of a key's variants the most recent comes last, as
    /// they were stored.
    fn each_whole(&self, visit: VisitWhole<'_>) -> Result<(), StoreError>;

    /// The stored responses of a key, most recent first.
    fn of_key(&self, key: &Key) -> Result<Vec<StoredResponse>, StoreError>;

    /// Removes every stored response of this key, and makes sure that no process uses what it has of
    /// it in memory or is fetching. Tells what was removed.
    fn purge(&self, key: &Key, shared: &Shared) -> Result<Removed, StoreError>;

    /// Removes every stored response of this scope likewise. What is being fetched while this begins is not
    /// stored, whichever key it has.
    fn purge_scope(&self, scope: &Scope, shared: &Shared) -> Result<Removed, StoreError>;

    /// Notes that what was changed has reached the disk, where no proxy has the store open that does so.
    fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
