//! Where stored responses are kept: the trait, the record format, the filesystem store, the spool.
//!
//! A store only ever sees whole responses. Its operations block: call them off the event loop. A
//! store that fails never fails a request; the caller goes on without it and says so.
#![forbid(unsafe_code)]

pub(crate) mod admin;
pub mod archive;
pub(crate) mod blocks;
mod checksum;
mod content;
mod draft;
mod error;
pub mod filesystem;
mod joined;
mod lease;
pub(crate) mod memory;
pub(crate) mod open;
mod open_files;
pub(crate) mod operations;
pub mod postgres;
pub mod record;
pub(crate) mod scope;
pub(crate) mod secret;
pub(crate) mod spool;
#[cfg(test)]
pub(crate) mod suite;

use std::sync::Arc;

use bytes::Bytes;

pub use blocks::BlockChecks;
pub use checksum::Checksum;
pub use content::{Content, Pieces};
pub use draft::Draft;
pub use error::StoreError;
pub use joined::JoinedContent;
pub use lease::{Lease, LeaseNews};
pub use open_files::{OpenFiles, RemovedFiles};

use crate::cache::key::{Hash, Key};
use crate::cache::stored::Meta;
use crate::http::fields::Fields;

/// Content up to this many bytes is looked up into memory, its checksum verified each time.
pub const SMALL: u64 = 64 * 1024;

/// A place that keeps stored responses.
pub trait Store: Send + Sync {
    /// False when a lookup would find nothing under this key. Never blocks; true promises nothing.
    fn may_have(&self, key: &Key) -> bool;

    /// The same as [`Store::lookup`] where that waits for nothing; `None` where it would have to, or might.
    fn lookup_now(&self, key: &Key, request: &Fields) -> Option<Result<Found, StoreError>> {
        let _ = (key, request);
        None
    }

    /// The stored response that this request selects, most recent first (RFC 9111 §4.1).
    fn lookup(&self, key: &Key, request: &Fields) -> Result<Found, StoreError>;

    /// The stored parts under the key of a part, of the variant that this request selects, by their first bytes, whatever
    /// representations they are of: `cache::parts` tells those of one.
    fn parts(&self, key: &Key, request: &Fields) -> Result<Vec<Object>, StoreError>;

    /// Removes this part alone, unless its place (key, variant, first byte) has another by now.
    fn remove_part(&self, part: &Object) -> Result<(), StoreError>;

    /// A place for content that is being fetched, `expected` bytes long where that was announced. Room for it is
    /// reserved as it comes.
    fn begin(&self, meta: &Meta, expected: Option<u64>) -> Result<Draft, StoreError>;

    /// Stores a whole response in place of what it replaces: a part replaces only one that begins with the same byte; the
    /// whole replaces all parts of it. With `invalidation_epoch`, only while that is how often
    /// the key was made invalid: else [`StoreError::Gone`].
    fn publish(
        &self,
        meta: &Meta,
        whole: Whole,
        invalidation_epoch: Option<u32>,
    ) -> Result<Published, StoreError>;

    /// Stores several, with what each came to, in their order.
    fn publish_all(&self, publications: Vec<Publication>) -> Vec<Result<Published, StoreError>> {
        let publish = |it: Publication| self.publish(&it.meta, it.whole, it.invalidation_epoch);
        publications.into_iter().map(publish).collect()
    }

    /// Gives a stored response new metadata after a 304 (RFC 9111 §3.2); its content stays where it is.
    /// [`StoreError::Gone`] when it was removed or replaced meanwhile; `invalidation_epoch` as for [`Store::publish`].
    fn refresh(
        &self,
        object: &Object,
        meta: &Meta,
        invalidation_epoch: Option<u32>,
    ) -> Result<Published, StoreError>;

    /// Removes every stored response of this key and tells what they were.
    fn remove(&self, key: &Key) -> Result<Vec<Published>, StoreError>;

    /// False when its paths lead to something else than what was opened: it was removed, moved or replaced. May wait for
    /// the disk.
    fn is_in_place(&self) -> bool {
        true
    }

    /// Removes what has turned out to be damaged while it was read ([`StoreError::Damaged`]), and says so.
    fn remove_damaged(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The files that are open for whoever is sent content from them.
    fn open_files(&self) -> &Arc<OpenFiles>;

    /// The same store, when other hosts share it.
    fn shared(self: Arc<Self>) -> Option<Arc<dyn SharedStore>>;
}

/// A store that other hosts share, so that a key is leased before it is fetched.
pub trait SharedStore: Store {
    /// Asks for the lease on a key, to fetch it for all that share the store. Publishing ends the lease.
    fn lease(&self, key: &Key) -> Lease;

    /// Keeps a lease for some seconds more.
    fn renew(&self, key: &Key);

    /// Gives up a lease: what was fetched is of no use to others.
    fn release(&self, key: &Key);

    /// Counts responses that were used, some time ago.
    fn used(&self, used: &[Used]);
}

/// The outcome of a lookup.
#[derive(Debug)]
pub enum Found {
    /// Nothing under this key.
    Nothing,
    /// Responses under this key, but none that this request selects.
    OtherVariants,
    /// The stored response.
    Object(Box<Object>),
}

/// A stored response.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Object {
    pub meta: Meta,
    pub content: Content,
    /// The key's generation before the lookup: what a copy in the memory tier is current for.
    pub generation: u32,
    /// The checksum of the content, which tells whether a record still holds the same content.
    pub(crate) checksum: u128,
}

/// The whole content of a response that is to be stored.
#[derive(Debug)]
pub enum Whole {
    /// Held in memory, in pieces.
    Memory(Vec<Bytes>),
    /// Written to a draft: so many bytes with this checksum.
    #[allow(missing_docs)]
    Draft {
        draft: Draft,
        len: u64,
        checksum: Checksum,
    },
}

#[allow(clippy::len_without_is_empty)]
impl Whole {
    /// The number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Whole::Memory(parts) => parts.iter().map(|part| part.len() as u64).sum(),
            Whole::Draft { len, .. } => *len,
        }
    }
}

/// A whole response that is to be stored; see [`Store::publish`].
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Publication {
    pub meta: Meta,
    pub whole: Whole,
    pub invalidation_epoch: Option<u32>,
}

/// A response that was stored or removed, as announced to the evictor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Published {
    pub hash: Hash,
    /// The hash of the variant; zero without `Vary`.
    pub variant: Hash,
    /// Bytes on disk, as counted against the limit.
    pub size: u64,
    /// The key's generation since: what a copy in the memory tier is current for.
    pub generation: u32,
}

/// Uses of a stored response.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Used {
    pub hash: Hash,
    /// The hash of the variant; zero without `Vary`.
    pub variant: Hash,
    pub hits: u64,
}

/// Where a stored response's visited bit lies: its key's hash and its variant's in one.
pub fn place(hash: &Hash, variant: &Hash) -> Hash {
    std::array::from_fn(|at| hash[at] ^ variant[at])
}
