//! The upkeep of a filesystem store, which one worker does as the supervisor orders, a step at a time: evicting, giving
//! the disk back what is free in the index, removing what belongs to nobody, entering files in an index that was made
//! anew.

use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::directory::VERSION;
use super::index;
use super::tidy::{Tidied, Tidy};
use super::{Evicted, FilesystemStore, Wanted};
use crate::store::{Store, StoreError};
use crate::sys::disk;
use crate::sys::shared::Shared;

/// The most time for what a purge has left, each time that room is looked at.
const SWEEP: Duration = Duration::from_millis(200);

/// The directories of large files.
const DIRECTORIES: u16 = 256;

/// Room on the store's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Free {
    pub bytes: u64,
    /// Bytes that the store took of the disk at that moment, leftovers included.
    pub held: u64,
    pub inodes: disk::Inodes,
    /// Bytes that the store's directories take themselves.
    pub directories: u64,
}

/// The store as the worker has it that sees to it.
pub struct StoreMaintenance {
    store: FilesystemStore,
    tidy: Mutex<Tidy>,
    /// The next directory whose files are entered in an index that was made anew.
    next: AtomicU16,
}

impl StoreMaintenance {
    /// Opens the store at `path`, which is made where there is none. Refused when it cannot be written.
    pub fn open(path: &Path, shared: Arc<Shared>) -> Result<StoreMaintenance, StoreError> {
        // Those of one that was killed.
        shared.end_releases(FilesystemStore::BESIDE);
        let store = FilesystemStore::open_beside(path, shared)?;
        Ok(StoreMaintenance {
            tidy: Mutex::new(Tidy::new(path, VERSION)),
            next: AtomicU16::new(0),
            store,
        })
    }

    /// False when its paths lead to something else than what was opened.
    pub fn is_in_place(&self) -> bool {
        self.store.is_in_place()
    }

    /// Removes some of what belongs to nobody. As long as the index lacks files that are there, these are entered first.
    pub fn tidy(&self, now: SystemTime, most: Duration) -> Tidied {
        let ready = self.complete(most);
        match ready.and_then(|ready| Ok(ready && self.store.sweep(most)?.is_done)) {
            Ok(true) => {}
            Ok(false) => return Tidied::default(),
            Err(failed) => {
                let path = self.store.directory.path().to_path_buf();
                return Tidied {
                    is_done: true,
                    failure: Some((path, std::io::Error::other(failed.to_string()))),
                    ..Tidied::default()
                };
            }
        }
        let mut tidy = self.tidy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tidied = tidy.step(&|id| self.store.names(id), now, most);
        if tidied.is_done {
            if let Err(failed) = index::tidy(&self.store.directory) {
                let path = self.store.directory.path().to_path_buf();
                let failed = std::io::Error::other(failed.to_string());
                tidied.failure.get_or_insert((path, failed));
            }
        }
        tidied
    }

    /// Enters some of the files that the index lacks since it was made anew; true when it lacks none.
    fn complete(&self, most: Duration) -> Result<bool, StoreError> {
        if !self.store.is_incomplete()? {
            return Ok(true);
        }
        let end = Instant::now() + most;
        let mut entered = 0;
        while Instant::now() < end {
            let number = self.next.load(Relaxed);
            let Some(directory) = u8::try_from(number).ok().filter(|_| number < DIRECTORIES) else {
                self.next.store(0, Relaxed);
                return Ok(true);
            };
            entered += self.store.enter_files(directory)?;
            self.next.store(number + 1, Relaxed);
        }
        log::debug!("{entered} large responses were entered in the store's index again");
        Ok(false)
    }

    /// Removes stored responses until they gave so much back, or for so long; first what nothing finds any more.
    pub fn evict(&self, wanted: Wanted, most: Duration) -> Result<Evicted, StoreError> {
        let swept = self.store.sweep(most)?;
        match swept.records {
            0 => self.store.evict(wanted, most),
            // It may be enough, which is told by the room that there is then.
            responses => Ok(Evicted {
                responses,
                bytes: swept.bytes,
                files: 0,
            }),
        }
    }

    /// Gives free pages of the index back to the disk, about so many bytes; returns how many. Where the file system makes no
    /// holes the index is copied, which is worth it once most of it is free.
    pub fn compact(&self, bytes: u64) -> Result<u64, StoreError> {
        let given = self.store.give_back(bytes)?;
        if given > 0 || !self.store.is_mostly_free()? {
            return Ok(given);
        }
        self.store.compact()
    }

    /// The room that is free on the store's disk. As that is looked at from time to time, what a purge has left is swept by the
    /// way.
    pub fn free(&self) -> Result<Free, StoreError> {
        // On a full disk it may fail, which is no reason not to look. Who tidies tells of it.
        let _ = self.store.sweep(SWEEP);
        let path = self.store.directory.path();
        let at = StoreError::at(path);
        let inodes = disk::inodes(path).map_err(at)?;
        let directories = self.store.directory.size_of_directories();
        let (held, bytes) = self.store.unchanging(|| {
            let held = self.store.shared.on_disk();
            (held, disk::free(path))
        });
        Ok(Free {
            bytes: bytes.map_err(at)?,
            held,
            inodes,
            directories,
        })
    }

    /// Closes the store for this process; see [`FilesystemStore::close`].
    pub fn close(&self) -> Result<(), StoreError> {
        self.store.close()
    }
}
