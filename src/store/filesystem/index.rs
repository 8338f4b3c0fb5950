//! The index of a store: which environment it is, and whether it is to be believed. One that was not closed before the
//! machine went down, or whose lock was taken away from under it, isn't: another takes its place, and what is in files is
//! entered in it.
//!
//! `v3/index` names its directory, and is replaced at once. `boot` in that says in which boot it was last opened, and
//! whether it was closed then.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::directory::{Directory, hex, unhex};
use super::environment::{DATA, Environment, LOCK, MARK};
use super::mark::{Belief, Identity, Mark};
use crate::store::StoreError;
use crate::sys::shared::Shared;
use crate::sys::{clock, disk};

const LINK: &str = "index";
const PREFIX: &str = "index-";
/// The longest wait for another process that opens the index or closes it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Files there stay when a file system freezes or is full, so that those who read don't wait for it.
const MEMORY: &str = match cfg!(test) {
    false => "/dev/shm",
    // What tests leave is in their own directories.
    true => "/dev/shm/none",
};

/// An index that was opened.
pub(super) struct Opened {
    pub(super) environment: Arc<Environment>,
    pub(super) is_new: bool,
    /// The reason for which it is a new one, where there was something before.
    pub(super) anew: Option<String>,
}

/// Opens the index; another is made where it isn't to be believed.
pub(super) fn open(directory: &Directory, shared: &Shared) -> Result<Opened, StoreError> {
    let _lock = lock(directory)?;
    let boot = shared.boot();
    let believed = match shared.has_index_faults(clock::since_boot()) {
        true => Err(Some("two processes died as they read it".to_owned())),
        false => open_current(directory, boot)?,
    };
    let opened = match believed {
        Ok(environment) => Opened {
            environment,
            is_new: false,
            anew: None,
        },
        Err(why) => Opened {
            environment: make(directory)?,
            is_new: true,
            anew: why,
        },
    };
    note_open(&opened.environment, boot)?;
    if opened.is_new {
        shared.forget_index_faults();
    }
    Ok(opened)
}

/// Opens the index in another directory than that which is damaged, or was moved.
pub(super) fn replace(
    directory: &Directory,
    boot: [u8; 16],
    damaged: &Path,
) -> Result<Arc<Environment>, StoreError> {
    let _lock = lock(directory)?;
    let environment = match current(directory) {
        // Another has done so.
        Some(path) if path != damaged && path.join(DATA).exists() => reopen(directory, &path)?,
        _ => make(directory)?,
    };
    note_open(&environment, boot)?;
    Ok(environment)
}

/// Opens the index that took the place of another in this boot.
pub(super) fn reopen(directory: &Directory, path: &Path) -> Result<Arc<Environment>, StoreError> {
    prepare_lock(path).map_err(StoreError::at(path))?;
    Ok(Environment::open(path, users(directory)?)?)
}

/// The directory of the index.
pub(super) fn current(directory: &Directory) -> Option<PathBuf> {
    let target = directory.version().join(LINK).read_link().ok()?;
    let name = target.to_str()?;
    let is_ours = name.starts_with(PREFIX) && !name.contains('/');
    is_ours.then(|| directory.version().join(name))
}

/// Closes the index for this process; the last to do so notes that it was closed. Then its lock goes where it is in memory, so
/// that nothing is left there.
pub(super) fn close(
    directory: &Directory,
    environment: &Environment,
    boot: [u8; 16],
) -> Result<(), StoreError> {
    let _lock = lock(directory)?;
    let mark = mark_of(environment, boot)?;
    let failed = |error| environment.failure(error);
    let closed = environment.close().map_err(failed)?;
    // From now on those who close it after this one don't find it in use, though this process may take a while to end.
    if !environment.is_alone() {
        return Ok(());
    }
    // What another wrote before it ended, too.
    environment.sync().map_err(failed)?;
    let mark = Mark {
        closed_at: Some(closed),
        ..mark
    };
    write_mark(environment, &mark)?;
    environment
        .sync_mark()
        .map_err(StoreError::at(&environment.path))?;
    remove_lock(&environment.path);
    environment.let_go()
}

/// A directory for another environment, not yet the index.
pub(super) fn new_directory(directory: &Directory) -> Result<PathBuf, StoreError> {
    let name = format!("{PREFIX}{}", hex(&directory.new_id()));
    let path = directory.version().join(name);
    let at = StoreError::at(&path);
    disk::make_directory(&path).map_err(at)?;
    let in_memory = || -> io::Result<()> {
        if Path::new(MEMORY).is_dir() {
            let memory = format!("{MEMORY}/cacheproxy-{}", hex(&directory.new_id()));
            let lock = Path::new(&memory).join(LOCK);
            std::os::unix::fs::symlink(lock, path.join(LOCK))?;
            prepare_lock(&path)?;
        }
        Ok(())
    };
    if let Err(error) = in_memory() {
        remove(&path);
        return Err(at(error));
    }
    Ok(path)
}

/// Makes this directory's environment the index, and removes those before it. Under the lock, or while nobody can write.
pub(super) fn put_in_place(directory: &Directory, path: &Path) -> Result<(), StoreError> {
    let link = directory.version().join(LINK);
    let at = StoreError::at(&link);
    let new = directory
        .version()
        .join(format!(".{}", hex(&directory.new_id())));
    let name = path.file_name().unwrap_or_default();
    std::os::unix::fs::symlink(name, &new).map_err(at)?;
    #[cfg(test)]
    super::steps::reached("linked");
    if let Err(error) = std::fs::rename(&new, &link) {
        let _ = std::fs::remove_file(&new);
        return Err(at(error));
    }
    #[cfg(test)]
    super::steps::reached("renamed");
    remove_others(directory, path);
    Ok(())
}

/// Removes what those left who were killed as they made an index.
pub(super) fn tidy(directory: &Directory) -> Result<(), StoreError> {
    let _lock = lock(directory)?;
    if let Some(path) = current(directory) {
        remove_others(directory, &path);
    }
    let names = std::fs::read_dir(directory.version()).into_iter().flatten();
    for entry in names.flatten() {
        // Names that `put_in_place` gave.
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| name.strip_prefix('.'));
        if name.and_then(unhex).is_some() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// Removes the directories of environments that aren't the index any more; those who have them open go on with them.
fn remove_others(directory: &Directory, current: &Path) {
    let Ok(names) = std::fs::read_dir(directory.version()) else {
        return;
    };
    for entry in names.flatten() {
        let is_index = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX));
        if is_index && entry.path() != current {
            remove(&entry.path());
        }
    }
}

/// Removes the directory of an environment, with its lock.
pub(super) fn remove(path: &Path) {
    remove_lock(path);
    // What can't be removed now is found by those who tidy up.
    let _ = std::fs::remove_dir_all(path);
}

/// Removes a lock that is in memory.
fn remove_lock(path: &Path) {
    let Ok(lock) = path.join(LOCK).read_link() else {
        return;
    };
    if let Some(directory) = lock.parent().filter(|it| it.starts_with(MEMORY)) {
        let _ = std::fs::remove_file(&lock);
        let _ = std::fs::remove_dir(directory);
    }
}

type Believed = Result<Arc<Environment>, Option<String>>;

/// The index that is there, or why it isn't used; no reason where there is none.
fn open_current(directory: &Directory, boot: [u8; 16]) -> Result<Believed, StoreError> {
    let Some(path) = current(directory).filter(|path| path.join(DATA).exists()) else {
        return Ok(Err(None));
    };
    let lock = identity(&path.join(LOCK));
    let belief = Mark::read(&path.join(MARK)).map_or(Belief::NONE, |it| it.belief(boot, lock));
    let wanted = match belief {
        Belief::InUse => None,
        Belief::ClosedAt(transaction) => Some(transaction),
        Belief::No(why) => return Ok(Err(Some(why.to_owned()))),
    };
    prepare_lock(&path).map_err(StoreError::at(&path))?;
    match Environment::open(&path, users(directory)?) {
        Err(failed) if failed.is_damage() => Ok(Err(Some("it is damaged".to_owned()))),
        Err(failed) => Err(failed.into()),
        Ok(environment) => {
            let is_as_closed = wanted.is_none_or(|it| it == environment.last_transaction());
            let changed = || Some("it was changed after it had been closed".to_owned());
            Ok(is_as_closed.then_some(environment).ok_or_else(changed))
        }
    }
}

fn make(directory: &Directory) -> Result<Arc<Environment>, StoreError> {
    let path = new_directory(directory)?;
    #[cfg(test)]
    super::steps::reached("made");
    let opened = Environment::open(&path, users(directory)?);
    let placed = opened
        .map_err(StoreError::from)
        .and_then(|environment| put_in_place(directory, &path).map(|()| environment));
    placed.inspect_err(|_| remove(&path))
}

pub(super) fn note_open(environment: &Environment, boot: [u8; 16]) -> Result<(), StoreError> {
    let mark = mark_of(environment, boot)?;
    if Mark::read(&environment.path.join(MARK)).as_ref() == Some(&mark) {
        return Ok(());
    }
    write_mark(environment, &mark)
}

fn mark_of(environment: &Environment, boot: [u8; 16]) -> Result<Mark, StoreError> {
    let path = environment.path.join(LOCK);
    let missing = || StoreError::at(&path)(io::ErrorKind::NotFound.into());
    Ok(Mark {
        boot,
        lock: identity(&path).ok_or_else(missing)?,
        closed_at: None,
    })
}

/// Writes the mark in place, since a full disk has no room for another; half a mark is none. It reaches the disk when that is
/// asked for.
fn write_mark(environment: &Environment, mark: &Mark) -> Result<(), StoreError> {
    let path = environment.path.join(MARK);
    let at = StoreError::at(&path);
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).map_err(at)?;
    let text = mark.to_string();
    file.write_all_at(text.as_bytes(), 0)
        .and_then(|()| file.set_len(text.len() as u64))
        .map_err(at)
}

fn identity(path: &Path) -> Option<Identity> {
    let metadata = path.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// The lock under which the index is opened, closed and replaced.
pub(super) fn lock(directory: &Directory) -> Result<File, StoreError> {
    let path = directory.version().join("lock");
    let file = open_lock(&path)?;
    let end = Instant::now() + PATIENCE;
    while disk::is_in_use(&file) {
        if Instant::now() >= end {
            let busy = io::Error::other("another process has been opening it for long");
            return Err(StoreError::at(&path)(busy));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(file)
}

/// The file that is marked by those who have the index open.
fn users(directory: &Directory) -> Result<File, StoreError> {
    let path = directory.version().join("users");
    let file = open_lock(&path)?;
    let mut marked = disk::mark_in_use(&file);
    for _ in 0..100 {
        // Somebody is just looking whether it is alone.
        if marked.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
        marked = disk::mark_in_use(&file);
    }
    marked.map_err(StoreError::at(&path))?;
    Ok(file)
}

fn open_lock(path: &Path) -> Result<File, StoreError> {
    let mut options = File::options();
    options.read(true).write(true).create(true).mode(0o600);
    options.open(path).map_err(StoreError::at(path))
}

/// Makes the directory of a lock that is in memory, which a boot empties.
fn prepare_lock(path: &Path) -> io::Result<()> {
    let Ok(lock) = path.join(LOCK).read_link() else {
        return Ok(());
    };
    let Some(parent) = lock.parent().filter(|it| it.starts_with(MEMORY)) else {
        return Err(io::Error::other("its lock is no file of ours"));
    };
    disk::make_directory(parent)?;
    let (ours, its) = (path.metadata()?, parent.symlink_metadata()?);
    if !its.is_dir() || its.uid() != ours.uid() || its.mode() & 0o077 != 0 {
        let why = format!("{} is another user's", parent.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    Ok(())
}
