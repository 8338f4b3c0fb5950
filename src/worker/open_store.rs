//! A store that is open: every operation of the event loop on it is made here, on threads for its kind and within a time
//! limit, so that a disk that hangs holds up nobody for longer than that.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::store_writer::{StoreWriter, StoreWriterError};
use crate::cache::key::Key;
use crate::cache::owner::Secret;
use crate::cache::stored::Meta;
use crate::config::{StoreChoice, StoreKind};
use crate::http::fields::Fields;
use crate::store::filesystem::owner::Ownership;
use crate::store::operations::{HangNews, Operations, Turns};
use crate::store::{
    Draft, Found, Object, OpenFiles, Publication, Published, SharedStore, Store, StoreError,
};
use crate::sys::shared::Shared;
use crate::sys::{clock, disk};

/// The threads for one kind of operation.
const THREADS: usize = 16;

/// The times that operations may take until nobody waits for them.
struct Limits {
    lookup: Duration,
    write: Duration,
    /// For what must not be left out, as far as a client waits for it.
    removal: Duration,
}

impl Limits {
    fn of(kind: &StoreKind) -> Limits {
        let [lookup, write, removal] = match kind {
            StoreKind::Filesystem => [1, 2, 2],
            // It has limits of its own, and a breaker.
            StoreKind::Postgres(_) => [60, 60, 60],
        };
        Limits {
            lookup: Duration::from_secs(lookup),
            write: Duration::from_secs(write),
            removal: Duration::from_secs(removal),
        }
    }
}

/// A store that is open.
pub(super) struct OpenStore {
    path: PathBuf,
    store: Arc<dyn Store>,
    shared_store: Option<Arc<dyn SharedStore>>,
    /// Tells clients apart that something is stored for; none where nothing is.
    pub(super) secret: Option<Secret>,
    writer: StoreWriter,
    lookups: Operations,
    drafts: Arc<Operations>,
    looks: Operations,
    removal: Duration,
    /// That this proxy alone uses it.
    ownership: Option<Arc<Ownership>>,
    shared: Arc<Shared>,
}

/// A store as a thread has opened it.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    pub(super) secret: Option<Secret>,
    pub(super) ownership: Option<Ownership>,
}

/// What was seen of a store from outside.
pub(super) struct Look {
    /// Its path leads to what was opened.
    pub(super) is_in_place: bool,
    pub(super) is_read_only: bool,
}

/// What came of removing.
pub(super) enum Removal {
    Done(Vec<Published>),
    /// It is still to be done, or can't be: what is there isn't used.
    Outstanding(Option<StoreError>),
}

impl OpenStore {
    pub(super) fn new(
        choice: &StoreChoice,
        opened: Opened,
        shared: &Arc<Shared>,
    ) -> io::Result<OpenStore> {
        let (path, limits) = (&choice.path, Limits::of(&choice.kind));
        let news = HangNews::of(path);
        let turns = Turns::new(&news, "writing", limits.write);
        let operations = |name, what, most, limit| Operations::new(name, &news, what, most, limit);
        Ok(OpenStore {
            path: path.clone(),
            shared_store: opened.store.clone().shared(),
            secret: opened.secret,
            writer: StoreWriter::start(opened.store.clone(), turns)?,
            lookups: operations("store-lookup", "reading", THREADS, limits.lookup),
            drafts: Arc::new(operations(
                "store-draft",
                "writing content",
                THREADS,
                limits.write,
            )),
            looks: operations("store-look", "looking at it", 1, limits.lookup),
            removal: limits.removal,
            ownership: opened.ownership.map(Arc::new),
            store: opened.store,
            shared: shared.clone(),
        })
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(super) fn open_files(&self) -> &Arc<OpenFiles> {
        self.store.open_files()
    }

    /// The store, when other hosts share it.
    pub(super) fn shared(&self) -> Option<&Arc<dyn SharedStore>> {
        self.shared_store.as_ref()
    }

    /// False when a lookup would find nothing under this key. Never blocks.
    pub(super) fn may_have(&self, key: &Key) -> bool {
        self.store.may_have(key)
    }

    /// The same as [`OpenStore::lookup`] where that waits for nothing; none where it would have to.
    pub(super) fn lookup_now(
        &self,
        key: &Key,
        fields: &Fields,
    ) -> Option<Result<Found, StoreError>> {
        if self.hangs() {
            return None;
        }
        let found = self.store.lookup_now(key, fields)?;
        let found = found.map(|found| self.removed_left_out(found));
        Some(found)
    }

    /// The stored response that this request selects; none that was made invalid and couldn't be removed.
    pub(super) async fn lookup(&self, key: &Key, fields: &Fields) -> Result<Found, StoreError> {
        let (store, wanted, fields) = (self.store.clone(), key.clone(), fields.clone());
        let lookup = self.lookups.run(move || store.lookup(&wanted, &fields));
        let found = lookup.await??;
        Ok(self.removed_left_out(found))
    }

    fn removed_left_out(&self, found: Found) -> Found {
        let unremoved = matches!(&found, Found::Object(object) if self.is_unremoved(&object.meta));
        if unremoved { Found::Nothing } else { found }
    }

    /// The stored parts that this request selects; none that were made invalid and couldn't be removed.
    pub(super) async fn parts(
        &self,
        key: &Key,
        fields: &Fields,
    ) -> Result<Vec<Object>, StoreError> {
        let (store, wanted, fields) = (self.store.clone(), key.clone(), fields.clone());
        let lookup = self.lookups.run(move || store.parts(&wanted, &fields));
        let mut parts = lookup.await??;
        parts.retain(|part| !self.is_unremoved(&part.meta));
        Ok(parts)
    }

    fn is_unremoved(&self, meta: &Meta) -> bool {
        let received = &meta.provenance.received;
        let millis = match received.boot == self.shared.boot() {
            true => received.millis,
            false => 0,
        };
        self.shared.is_unremoved(meta.key.hash(), millis)
    }

    /// A place for content that is being fetched.
    pub(super) async fn begin(
        &self,
        meta: &Meta,
        expected: Option<u64>,
    ) -> Result<Draft, StoreError> {
        let (store, meta) = (self.store.clone(), meta.clone());
        self.drafts
            .run(move || store.begin(&meta, expected))
            .await?
    }

    /// The threads that write content into drafts.
    pub(super) fn drafts(&self) -> &Arc<Operations> {
        &self.drafts
    }

    /// Makes a change when its turn comes, which holds this many bytes of content until then.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        bytes: u64,
        change: impl FnOnce(&dyn Store) -> T + Send + 'static,
    ) -> Result<T, StoreWriterError> {
        self.writer.run(bytes, change).await
    }

    /// Stores a whole response, with others that wait.
    pub(super) async fn publish(
        &self,
        publication: Publication,
    ) -> Result<Result<Published, StoreError>, StoreWriterError> {
        self.writer.publish(publication).await
    }

    /// Removes all that is stored under these keys. When it comes back without having done so, nothing of that answers any
    /// more all the same.
    pub(super) async fn remove(&self, keys: Vec<Key>) -> Removal {
        let all = keys.clone();
        let removed = self.writer.run_surely(self.removal, move |store| {
            let mut removed = Vec::new();
            for key in keys {
                removed.extend(store.remove(&key)?);
            }
            Ok(removed)
        });
        let why = match removed.await {
            Ok(Ok(removed)) => return Removal::Done(removed),
            Ok(Err(failure)) | Err(StoreWriterError::Hangs(failure)) => Some(failure),
            Err(StoreWriterError::Busy(_) | StoreWriterError::Ended) => None,
        };
        note_unremoved(&self.shared, &all);
        Removal::Outstanding(why)
    }

    /// Waits until all changes are made that were asked for, or the store hangs.
    pub(super) async fn finish(&self, patience: Duration) {
        let _ = self.writer.run_surely(patience, |_| ()).await;
    }

    /// True when it takes responses, as far as is known.
    pub(super) fn takes_responses(&self) -> bool {
        !self.writer.hangs() && !self.drafts.hang()
    }

    /// True when operations of any kind don't come back.
    pub(super) fn hangs(&self) -> bool {
        self.writer.hangs() || self.drafts.hang() || self.lookups.hang() || self.looks.hang()
    }

    /// Looks whether its path still leads to it.
    pub(super) async fn look(&self) -> Result<Look, StoreError> {
        let (store, path) = (self.store.clone(), self.path.clone());
        let ownership = self.ownership.clone();
        let look = self.looks.run(move || Look {
            is_in_place: ownership.is_none_or(|it| it.is_in_place()) && store.is_in_place(),
            is_read_only: disk::is_read_only(&path).unwrap_or(false),
        });
        look.await
    }
}

/// Notes that what is stored under these keys is not to be used, though it may be there. Copies in memory that were made
/// meanwhile go.
pub(super) fn note_unremoved(shared: &Shared, keys: &[Key]) {
    let now = clock::since_boot().as_millis();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    for key in keys {
        shared.note_unremoved(key.hash(), now);
        shared.next_generation(key.hash());
    }
}
