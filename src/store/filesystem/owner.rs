//! The one proxy that uses a directory as its store: all its workers hold a shared lock on a file in it, which names the
//! proxy. Who gets the lock alone finds nobody there and becomes the owner. Commands own nothing.
//!
//! The same file tells whether the path still leads to what was opened.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::directory::hex;
use crate::store::StoreError;
use crate::sys::disk::{self, LockKind};

/// The file below the store's directory.
const FILE: &str = "v3/owner";
/// The time in which a lock is given up that is held for a moment only, to look or to write; and between two tries.
const FOR_OTHERS: Duration = Duration::from_millis(500);
const TRY_EVERY: Duration = Duration::from_millis(5);
/// The time for which nobody may hold the lock of a proxy that was there a moment ago, before another becomes the owner: its
/// only worker may just be started anew.
const GRACE: Duration = Duration::from_secs(3);
/// The longest name that is read.
const LONGEST: u64 = 4096;

/// A proxy, as its processes know each other, and its name for people.
#[derive(Debug, Clone)]
pub(crate) struct ProxyIdentity {
    pub(crate) id: [u8; 16],
    pub(crate) name: String,
}

/// A store that is this proxy's, as long as this is kept.
#[derive(Debug)]
pub(crate) struct Ownership {
    path: PathBuf,
    file: File,
}

impl Ownership {
    /// Makes this proxy the owner of the store at `path`, whose directory is made where there is none. Refused when it
    /// is another's. `was_theirs` when it was a moment ago: then it has to be free for some seconds.
    pub(crate) fn acquire(
        path: &Path,
        proxy: &ProxyIdentity,
        mut was_theirs: bool,
    ) -> Result<Ownership, StoreError> {
        let owner = path.join(FILE);
        if let Some(directory) = owner.parent() {
            disk::prepare_directory(path).map_err(StoreError::at(path))?;
            disk::prepare_directory(directory).map_err(StoreError::at(directory))?;
        }
        let mut until = Instant::now() + FOR_OTHERS;
        loop {
            let file = disk::open_or_make(&owner).map_err(StoreError::at(&owner))?;
            if std::mem::take(&mut was_theirs) && is_free(&file).map_err(StoreError::at(&owner))? {
                drop(file);
                std::thread::sleep(GRACE);
                until = Instant::now() + FOR_OTHERS;
                continue;
            }
            let held = hold(&file, proxy).map_err(StoreError::at(&owner))?;
            let ownership = Ownership {
                path: owner.clone(),
                file,
            };
            match held {
                // It may have been removed before it was locked.
                Held::Ours if ownership.is_in_place() => return Ok(ownership),
                Held::Theirs(name) if Instant::now() >= until => {
                    let path = path.to_owned();
                    return Err(StoreError::Owned { path, name });
                }
                Held::Ours => {}
                Held::Theirs(_) => was_theirs = true,
            }
            if Instant::now() >= until {
                return Err(StoreError::at(&owner)(io::ErrorKind::TimedOut.into()));
            }
            std::thread::sleep(TRY_EVERY);
        }
    }

    /// True while the store's path leads to what was opened.
    pub(crate) fn is_in_place(&self) -> bool {
        let (Ok(held), Ok(there)) = (self.file.metadata(), self.path.symlink_metadata()) else {
            return false;
        };
        (held.dev(), held.ino()) == (there.dev(), there.ino())
    }
}

enum Held {
    Ours,
    Theirs(String),
}

/// True when nobody has the lock.
fn is_free(file: &File) -> io::Result<bool> {
    disk::try_lock(file, LockKind::Exclusive)
}

/// Takes the lock, and finds out whose it is. Never waits.
fn hold(mut file: &File, proxy: &ProxyIdentity) -> io::Result<Held> {
    if disk::try_lock(file, LockKind::Exclusive)? {
        // In place, since a full disk has no room for more.
        let text = format!("{}\n{}\n", hex(&proxy.id), proxy.name);
        file.write_all_at(text.as_bytes(), 0)?;
        file.set_len(text.len() as u64)?;
    }
    // For a moment nobody has it: what is written there then decides.
    if !disk::try_lock(file, LockKind::Shared)? {
        return Ok(Held::Theirs("another proxy that just starts".to_owned()));
    }
    let mut text = String::new();
    file.rewind()?;
    file.take(LONGEST).read_to_string(&mut text)?;
    match text.split_once('\n') {
        Some((id, _)) if id == hex(&proxy.id) => Ok(Held::Ours),
        Some((_, name)) => Ok(Held::Theirs(name.trim_end().to_owned())),
        None => Ok(Held::Theirs("another proxy".to_owned())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn proxy(id: u8) -> ProxyIdentity {
        ProxyIdentity {
            id: [id; 16],
            name: format!("proxy {id}"),
        }
    }

    #[test]
    fn a_store_is_one_proxys_until_all_its_workers_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let one = Ownership::acquire(&path, &proxy(1), false).unwrap();
        let other_worker = Ownership::acquire(&path, &proxy(1), false).unwrap();
        for _ in 0..2 {
            let refused = Ownership::acquire(&path, &proxy(2), false).unwrap_err();
            assert!(refused.to_string().contains("proxy 1"), "{refused}");
            drop(Ownership::acquire(&path, &proxy(1), false).unwrap());
        }
        drop(one);
        assert!(Ownership::acquire(&path, &proxy(2), false).is_err());
        drop(other_worker);
        let next = Ownership::acquire(&path, &proxy(2), false).unwrap();
        let refused = Ownership::acquire(&path, &proxy(1), false).unwrap_err();
        assert!(refused.to_string().contains("proxy 2"), "{refused}");
        assert!(next.is_in_place());
    }

    #[test]
    fn whose_it_was_a_moment_ago_may_come_back_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        drop(Ownership::acquire(&path, &proxy(1), false).unwrap());
        let at = path.clone();
        let other = std::thread::spawn(move || Ownership::acquire(&at, &proxy(2), true));
        std::thread::sleep(GRACE / 4);
        let back = Ownership::acquire(&path, &proxy(1), false).unwrap();
        let refused = other.join().unwrap().unwrap_err();
        assert!(refused.to_string().contains("proxy 1"), "{refused}");
        drop(back);
        assert!(Ownership::acquire(&path, &proxy(2), true).is_ok());
    }

    #[test]
    fn many_at_once_agree() {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..4 {
            let path = dir.path().join(format!("{round}"));
            let workers = (0..8).map(|number| {
                let (path, proxy) = (path.clone(), proxy(number % 2));
                std::thread::spawn(move || Ownership::acquire(&path, &proxy, false))
            });
            let workers: Vec<_> = workers.collect();
            let held: Vec<_> = workers.into_iter().map(|it| it.join().unwrap()).collect();
            let owners = |parity| {
                let of = held.iter().skip(parity).step_by(2);
                of.filter(|it| it.is_ok()).count()
            };
            let counts = [owners(0), owners(1)];
            assert!(counts == [4, 0] || counts == [0, 4], "{counts:?}");
        }
    }

    #[test]
    fn what_is_removed_or_moved_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, away) = (dir.path().join("store"), dir.path().join("away"));
        let one = Ownership::acquire(&path, &proxy(1), false).unwrap();
        std::fs::rename(&path, &away).unwrap();
        assert!(!one.is_in_place());
        std::fs::rename(&away, &path).unwrap();
        assert!(one.is_in_place());
        std::fs::remove_dir_all(&path).unwrap();
        assert!(!one.is_in_place());
        let next = Ownership::acquire(&path, &proxy(2), false).unwrap();
        assert!(next.is_in_place() && !one.is_in_place());
    }
}
