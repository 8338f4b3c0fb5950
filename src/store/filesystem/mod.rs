//! The filesystem store: an index of everything, with small content in it, in LMDB, and large content in files. Under a key
//! there lies little; the records themselves lie by the order of storing.
//!
//! Workers look up and publish here at the same time, with no process between them: readers without a lock, one writer
//! at a time. What goes when there is no room is found here; how much has to go is decided by the supervisor.

pub(crate) mod admin;
mod balloon;
mod brief;
mod change;
mod compaction;
mod directory;
mod displaced;
mod entry;
mod environment;
mod file;
mod files;
mod hints;
mod index;
mod lookup;
pub(crate) mod maintenance;
mod mark;
mod order;
pub(crate) mod owner;
mod publish;
mod read_ahead;
mod rebuild;
mod refresh;
mod residency;
pub(crate) mod scrub;
mod state;
#[cfg(test)]
mod steps;
pub(crate) mod suitable;
mod sweep;
pub(crate) mod tidy;
mod unload;
mod walk;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

use change::Change;
use directory::Directory;
use entry::EntryKey;
use environment::Environment;
use files::Releasing;
use residency::Residency;

pub use order::{Evicted, Wanted};

use super::{
    Draft, Found, Object, OpenFiles, Publication, Published, SharedStore, Store, StoreError, Whole,
};
use crate::cache::key::Key;
use crate::cache::stored::Meta;
use crate::http::fields::Fields;
use crate::store::blocks::damaged::DamagedFiles;
use crate::store::record::head;
use crate::sys::faults::{self, InUse};
use crate::sys::shared::Shared;

/// The moves of the environment that one change follows.
const MOST_MOVES: usize = 8;

/// The store in a directory, as one worker has it open.
pub struct FilesystemStore {
    directory: Directory,
    environment: RwLock<Current>,
    shared: Arc<Shared>,
    worker: usize,
    residency: Residency,
    open_files: Arc<OpenFiles>,
    damaged: Arc<DamagedFiles>,
    /// The file system makes no holes.
    no_holes: AtomicBool,
}

/// The environment that is the index, as far as this process knows.
struct Current {
    environment: Arc<Environment>,
    /// The number of moves, of all processes, that it has followed.
    moves: u32,
}

impl FilesystemStore {
    /// The place among the workers of those that reserve no room.
    const BESIDE: usize = 0;

    /// Opens the store for the worker with this index, making it where there is none. Refused when it cannot be
    /// written.
    pub fn open(path: &Path, worker: usize, shared: Arc<Shared>) -> Result<Self, StoreError> {
        // The reservations of a worker that had this index before went with it.
        shared.release_all(worker);
        FilesystemStore::open_as(path, worker, shared)
    }

    /// Opens the store once more in a process that has it open, for what reserves no room.
    fn open_beside(path: &Path, shared: Arc<Shared>) -> Result<Self, StoreError> {
        FilesystemStore::open_as(path, FilesystemStore::BESIDE, shared)
    }

    fn open_as(path: &Path, worker: usize, shared: Arc<Shared>) -> Result<Self, StoreError> {
        let directory = Directory::prepare(path)?;
        faults::count(&shared).map_err(StoreError::at(path))?;
        let moves = shared.index_moves();
        let opened = index::open(&directory, &shared)?;
        // Whoever put it in place may have been killed before he told the others.
        shared.move_index();
        if let Some(why) = &opened.anew {
            log::warn!(
                "the index of the store at {} is made anew, as {why}: small responses are lost, large ones are entered again",
                path.display()
            );
        }
        let opened_new = opened.is_new;
        let store = FilesystemStore {
            directory,
            environment: RwLock::new(Current {
                environment: opened.environment,
                moves,
            }),
            shared,
            worker,
            residency: Residency::new(),
            open_files: Arc::default(),
            damaged: Arc::default(),
            no_holes: AtomicBool::new(false),
        };
        if opened_new && !store.has_files() {
            store.change(|change| {
                change.state.complete = true;
                Ok(())
            })?;
        }
        store.settle()?;
        Ok(store)
    }

    /// The environment that is the index now.
    fn environment(&self) -> Result<Arc<Environment>, StoreError> {
        let moves = self.shared.index_moves();
        let current = self.environment.read();
        let current = current.unwrap_or_else(PoisonError::into_inner);
        if current.moves == moves {
            return Ok(current.environment.clone());
        }
        drop(current);
        self.follow(moves)
    }

    /// Opens the environment to which the index was moved.
    fn follow(&self, moves: u32) -> Result<Arc<Environment>, StoreError> {
        let mut current = self.environment.write();
        let current = current.as_mut().unwrap_or_else(|it| it.get_mut());
        while let Some(path) = index::current(&self.directory) {
            if path == current.environment.path {
                break;
            }
            let opened = index::reopen(&self.directory, &path);
            // One that was moved meanwhile is gone, or is a new one in its place: only what is still the index counts.
            if index::current(&self.directory).is_some_and(|it| it == path) {
                current.environment = opened?;
            }
        }
        current.moves = moves;
        Ok(current.environment.clone())
    }

    /// Makes a change, and removes from the disk what it took out of the index.
    fn change<T>(
        &self,
        mut change: impl FnMut(&mut Change<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        for _ in 0..MOST_MOVES {
            let environment = self.environment()?;
            let in_use = InUse::begin();
            let outcome = Change::begin(&environment).and_then(|begun| match begun {
                None => Ok(None),
                Some(mut begun) => {
                    let value = change(&mut begun)?;
                    #[cfg(test)]
                    steps::reached("changed");
                    // And again once it is committed: who is killed in between leaves no copy in memory of what was before.
                    for hash in &begun.changed {
                        self.shared.next_generation(hash);
                    }
                    // Room is there once the files are gone.
                    let releasing = Releasing::begin(self, &begun.released);
                    let settle = |stored, slack| self.shared.set_room(stored, slack);
                    Ok(Some((value, begun.commit(settle)?, releasing)))
                }
            });
            drop(in_use);
            let Some((value, committed, _releasing)) = self.mending(&environment, outcome)? else {
                // Where whoever moved it was killed before it was, there is none.
                self.make_anew(&environment)?;
                continue;
            };
            #[cfg(test)]
            steps::reached("committed");
            self.shared.correct_stored(committed.told, committed.stored);
            for hash in &committed.changed {
                self.shared.next_generation(hash);
            }
            #[cfg(test)]
            steps::reached("counted");
            for (id, size) in &committed.released {
                self.remove_file(id, *size);
            }
            return Ok(value);
        }
        Err(StoreError::Gone)
    }

    /// Does this while nobody changes what is stored, unless the index can't be used.
    fn unchanging<T>(&self, work: impl FnOnce() -> T) -> T {
        let environment = self.environment().ok();
        let _in_use = InUse::begin();
        let _turn = environment.as_ref().and_then(|it| it.write().ok());
        work()
    }

    /// Has an index that turned out to be damaged made anew.
    fn mending<T>(
        &self,
        environment: &Environment,
        outcome: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Err(StoreError::IndexDamaged { path, reason }) = &outcome {
            log::warn!(
                "the index at {} is damaged ({reason}), and is made anew: small responses are lost",
                path.display()
            );
            self.make_anew(environment)?;
        }
        outcome
    }

    /// Has another environment take the place of this one, unless that has happened.
    fn make_anew(&self, damaged: &Environment) -> Result<(), StoreError> {
        let mut current = self.environment.write();
        let current = current.as_mut().unwrap_or_else(|it| it.get_mut());
        if current.environment.path == damaged.path {
            current.environment =
                index::replace(&self.directory, self.shared.boot(), &damaged.path)?;
            current.moves = self.shared.move_index();
        }
        Ok(())
    }

    /// Tells the others what is stored takes.
    fn settle(&self) -> Result<(), StoreError> {
        let environment = self.environment()?;
        let (state, in_use) = self.noting_damage(&environment, |txn| {
            Ok((environment.state(txn)?, environment.in_use(txn)?))
        })?;
        let size = environment.size();
        let stored = state.file_bytes + size.saturating_sub(state.holes);
        self.shared.set_room(stored, size.saturating_sub(in_use));
        Ok(())
    }

    /// True when there is large content, whether or not the index has it.
    fn has_files(&self) -> bool {
        let names = std::fs::read_dir(self.directory.files());
        names.is_ok_and(|mut names| names.next().is_some())
    }

    /// Removes the record of this object, unless its place has another's content by now.
    fn remove_object(&self, object: &Object) -> Result<bool, StoreError> {
        let entry = EntryKey::of_meta(&object.meta);
        let removed = self.change(|change| {
            let record = change.record(entry.as_bytes())?;
            let is_its = record
                .is_some_and(|bytes| head::checksum_of_content(bytes) == Some(object.checksum));
            match is_its {
                true => change.remove(entry.as_bytes()),
                false => Ok(None),
            }
        })?;
        Ok(removed.is_some())
    }

    fn is_where_it_is_named(&self) -> bool {
        // One that was moved is followed first.
        let _ = self.environment();
        let current = self.environment.read();
        let current = current.unwrap_or_else(PoisonError::into_inner);
        let path = index::current(&self.directory);
        path.is_some_and(|path| path == current.environment.path)
            && current.environment.is_in_place()
            && self.directory.files().is_dir()
    }

    /// Closes the store for this process, and notes that everything stored has reached the disk when nobody else has it open.
    /// Waits for the disk.
    pub fn close(&self) -> Result<(), StoreError> {
        let environment = self.environment()?;
        environment
            .sync()
            .map_err(|error| environment.failure(error))?;
        index::close(&self.directory, &environment, self.shared.boot())
    }
}

/// Operations of more than a line are in the files of their names.
impl Store for FilesystemStore {
    fn is_in_place(&self) -> bool {
        self.is_where_it_is_named()
    }

    fn may_have(&self, _: &Key) -> bool {
        true
    }

    fn lookup_now(&self, key: &Key, request: &Fields) -> Option<Result<Found, StoreError>> {
        self.lookup_now(key, request)
    }

    fn lookup(&self, key: &Key, request: &Fields) -> Result<Found, StoreError> {
        self.lookup(key, request)
    }

    fn parts(&self, key: &Key, request: &Fields) -> Result<Vec<Object>, StoreError> {
        self.parts(key, request)
    }

    fn remove_part(&self, part: &Object) -> Result<(), StoreError> {
        self.remove_object(part).map(drop)
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

    fn publish_all(&self, publications: Vec<Publication>) -> Vec<Result<Published, StoreError>> {
        self.publish_all(publications)
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
        self.change(|change| displaced::remove_all(change, key))
    }

    fn remove_damaged(&self) -> Result<(), StoreError> {
        self.remove_damaged()
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
