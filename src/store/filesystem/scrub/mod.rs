//! The scrub: all that is stored is read in the background within a week, and what is damaged is removed, before somebody
//! asks for it. Large files first, directory by directory, then the records in the index.
//!
//! It has time: it reads so many bytes a second, when the disk has nothing else to do, and leaves nothing in memory that
//! wasn't there. One process does it at a time; how far it has come is in a file, so that restarts go on.

mod pace;
mod position;
mod records;

use std::fs::{File, read_to_string};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::FilesystemStore;
use super::directory::Directory;
use super::entry::EntryKey;
use super::file;
use crate::store::StoreError;
use crate::store::blocks::{self, BlockChecks, OfFile};
use crate::store::record::head::{FileId, RecordHead};
use crate::sys::shared::Shared;
use crate::sys::{disk, page_cache};

pub use pace::Stop;
use pace::{Pace, Stopped};
use position::{Place, Position};
use records::{Sound, check};

/// The time between two notes of how far it has come.
const NOTED: Duration = Duration::from_secs(60);
/// The longest pause between two looks whether a pass is due: the clock may be set.
const LOOK: Duration = Duration::from_secs(60 * 60);
/// The time until it tries again where it can't be done, or another process does it.
const RETRY: Duration = Duration::from_secs(60);
/// A file that isn't older is just being made.
const NEW: Duration = Duration::from_secs(60);
/// The bytes of records that are looked at in one transaction.
const RECORDS: usize = 256 << 10;

/// A pass over a store.
struct Scrub<'a> {
    store: &'a FilesystemStore,
    pace: Pace<'a>,
    position: Position,
    noted: Instant,
}

/// An end of a pass before all was read.
enum Broken {
    Stopped,
    Failed(StoreError),
}

impl From<Stopped> for Broken {
    fn from(_: Stopped) -> Broken {
        Broken::Stopped
    }
}

impl From<StoreError> for Broken {
    fn from(failure: StoreError) -> Broken {
        Broken::Failed(failure)
    }
}

/// Scrubs the store at `path`, pass after pass, until it is told to stop: for the worker with this index, as long as the
/// store is its own.
pub fn run(path: &Path, shared: &Arc<Shared>, worker: usize, stop: &Stop) {
    page_cache::yield_disk();
    loop {
        let passed = match shared.may_change_store(worker) {
            true => passes(path, shared, stop),
            false => Ok(RETRY),
        };
        let pause = match passed {
            Err(Broken::Stopped) => return,
            Err(Broken::Failed(failure)) => {
                log::debug!("the scrub of the store goes on later: {failure}");
                RETRY
            }
            Ok(pause) => pause,
        };
        if pace::pause(stop, pause).is_err() {
            return;
        }
    }
}

/// Makes the pass that is due, if one is; the time until it looks again.
fn passes(path: &Path, shared: &Arc<Shared>, stop: &Stop) -> Result<Duration, Broken> {
    let noted = noted_at(&Directory::at(path));
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let lock = options.open(noted.with_extension("lock"));
    let lock = lock.map_err(StoreError::at(&noted))?;
    if disk::is_in_use(&lock) {
        return Ok(RETRY);
    }
    let now = SystemTime::now();
    let position = Position::read(&read_to_string(&noted).unwrap_or_default(), now);
    let position = match position.pause(now) {
        Some(pause) if pause > Duration::ZERO => return Ok(pause.min(LOOK)),
        Some(_) => Position::beginning(now),
        None => position,
    };
    // Only for as long as the pass takes: what is open takes disk though it was removed.
    let store = FilesystemStore::open_beside(path, shared.clone())?;
    let mut scrub = Scrub {
        store: &store,
        pace: Pace::new(stop, Some(pace::rate(shared.stored()))),
        position,
        noted: Instant::now(),
    };
    scrub.pass().map(|()| RETRY)
}

impl Scrub<'_> {
    /// Reads all from the position on, and says what it found.
    fn pass(&mut self) -> Result<(), Broken> {
        let read = self.files().and_then(|()| self.records());
        if let Err(broken) = read {
            self.note();
            return Err(broken);
        }
        self.position.place = Place::Over;
        self.note();
        let Position {
            files,
            small,
            bytes,
            damaged,
            ..
        } = self.position;
        let mib = bytes >> 20;
        let path = self.store.directory.path().display();
        log::info!(
            "all of the store at {path} was read: {files} large and {small} small responses, {mib} MiB, of which \
             {damaged} were damaged"
        );
        Ok(())
    }

    /// Reads the large files.
    fn files(&mut self) -> Result<(), Broken> {
        let Place::Files { directory, after } = self.position.place else {
            return Ok(());
        };
        let mut after = after;
        for number in directory..=u8::MAX {
            let mut ids = Vec::new();
            self.store.each_file(number, &mut |id| {
                ids.push(id);
                ControlFlow::Continue(())
            })?;
            ids.sort_unstable();
            for id in ids {
                if after.is_some_and(|after| id <= after) {
                    continue;
                }
                self.pace.set_rate(pace::rate(self.store.shared.stored()));
                self.file(&id)?;
                self.come_to(Place::Files {
                    directory: number,
                    after: Some(id),
                });
            }
            after = None;
        }
        self.come_to(Place::Small { after: Vec::new() });
        Ok(())
    }

    /// Reads one of them, and removes it where it is damaged.
    fn file(&mut self, id: &FileId) -> Result<(), Broken> {
        // One that can't be read is somebody else's, or the disk's business.
        let Ok(Some(file)) = self.store.directory.open(id) else {
            return Ok(());
        };
        self.position.files += 1;
        let head = match file::read_head(&file, id) {
            Ok(Ok(head)) => head,
            Ok(Err(why)) => return self.remove_headless(&file, id, why),
            Err(error) => {
                self.unreadable(id, &error);
                return Ok(());
            }
        };
        let checks = BlockChecks::new(OfFile {
            id: *id,
            content: head.content,
            entry: EntryKey::of_meta(&head.meta).as_bytes().into(),
            shared: self.store.shared.clone(),
            damaged: self.store.damaged.clone(),
        });
        self.blocks(&file, id, &checks, &head)
    }

    fn blocks(
        &mut self,
        file: &File,
        id: &FileId,
        checks: &BlockChecks,
        head: &RecordHead,
    ) -> Result<(), Broken> {
        for block in 0..blocks::count(head.content) {
            let len = blocks::length_of(block, head.content);
            match checks.check_aside(file, block) {
                Ok(()) => {}
                Err(StoreError::Damaged(_)) => {
                    self.position.damaged += 1;
                    return Ok(self.store.remove_damaged()?);
                }
                Err(failure) => {
                    self.unreadable(id, &failure);
                    return Ok(());
                }
            }
            self.position.bytes += len;
            self.pace.wait_for(len)?;
        }
        Ok(())
    }

    /// Removes a file that doesn't say whose it is, with the record that names it.
    fn remove_headless(
        &mut self,
        file: &File,
        id: &FileId,
        why: &'static str,
    ) -> Result<(), Broken> {
        // It was being made, or removed.
        let is_old = file
            .metadata()
            .and_then(|it| it.modified())
            .is_ok_and(|it| {
                let age = SystemTime::now().duration_since(it);
                age.is_ok_and(|age| age > NEW)
            });
        if is_old {
            self.position.damaged += 1;
            self.store.remove_headless(id, why)?;
        }
        Ok(())
    }

    fn unreadable(&self, id: &FileId, why: &dyn std::fmt::Display) {
        let path = self.store.directory.file(id);
        log::warn!("{} can't be read: {why}; left in the store", path.display());
    }

    /// Reads the records in the index, with the small content that they have.
    fn records(&mut self) -> Result<(), Broken> {
        while let Place::Small { after } = self.position.place.clone() {
            let records = self.store.entries_after(&after, RECORDS)?;
            let Some((last, _)) = records.last() else {
                return Ok(());
            };
            let (last, mut bytes) = (last.clone(), 0);
            for (entry, record) in records {
                bytes += record.len() as u64;
                match check(&entry, record) {
                    Ok(Sound::Small) => self.position.small += 1,
                    Ok(Sound::Other) => {}
                    Err(why) => {
                        let removed = self.store.remove_unsound(&entry, why)?;
                        self.position.damaged += u64::from(removed);
                    }
                }
            }
            self.position.bytes += bytes;
            self.come_to(Place::Small { after: last });
            self.pace.wait_for(bytes)?;
        }
        Ok(())
    }

    fn come_to(&mut self, place: Place) {
        self.position.place = place;
        if self.noted.elapsed() >= NOTED {
            self.note();
        }
    }

    /// Notes how far it has come; where that can't be written, the pass goes on all the same.
    fn note(&mut self) {
        self.noted = Instant::now();
        let text = self.position.to_string();
        let noted = noted_at(&self.store.directory);
        if let Err(why) = self.store.directory.replace(&noted, text.as_bytes()) {
            log::debug!("{why}");
        }
    }
}

/// The file that says how far it has come.
fn noted_at(directory: &Directory) -> PathBuf {
    directory.version().join("scrub")
}

#[cfg(test)]
mod tests;
