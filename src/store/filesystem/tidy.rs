//! What belongs to nobody in the store's directory: what other versions left, temporary files that a process left behind,
//! files of content that no entry names. It is removed a step at a time; whatever else lies there stays.

mod walk;

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use walk::{Walk, Walked, taken};

use super::directory::unhex;
use crate::sys::disk;

/// Files untouched for this long belong to nobody, unless they are marked as in use or named by an entry.
const LEFTOVER: Duration = Duration::from_secs(60);

/// Files that were removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Cleared {
    pub files: u64,
    pub bytes: u64,
}

/// The outcome of one step.
#[derive(Debug, Default)]
pub struct Tidied {
    /// Files of other versions, now removed.
    pub versions: Cleared,
    /// Files that were never finished, now removed.
    pub unfinished: Cleared,
    /// Bytes of other versions that are still there, as far as they have been counted.
    pub left: u64,
    /// False when there is more to do.
    pub is_done: bool,
    /// The first that couldn't be removed.
    pub failure: Option<(PathBuf, io::Error)>,
}

impl Cleared {
    fn count(&mut self, metadata: &Metadata) {
        self.files += 1;
        // A file with another name goes on taking its place.
        self.bytes += if metadata.nlink() == 1 {
            taken(metadata)
        } else {
            0
        };
    }
}

impl Tidied {
    /// Removes a file, and notes where it can't be. True when it is gone by that.
    fn remove(&mut self, path: &Path) -> bool {
        match std::fs::remove_file(path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                self.failure.get_or_insert((path.to_path_buf(), error));
                false
            }
        }
    }
}

/// Tells if an entry names the file of this id. True where that can't be told now.
pub type IsNamed<'a> = &'a dyn Fn(&[u8; 16]) -> bool;

/// The work, as far as it has come. After the last step it begins anew.
#[derive(Debug)]
pub struct Tidy {
    store: PathBuf,
    /// The name of the directory that this version uses.
    current: &'static str,
    phase: Phase,
    /// The bytes of other versions that were found, and those of them that went.
    counted: u64,
    gone: u64,
}

#[derive(Debug)]
enum Phase {
    Begin,
    Count(Walk),
    Remove(Walk),
    Unfinished(Walk),
}

impl Tidy {
    /// For the store in this directory.
    pub fn new(store: &Path, current: &'static str) -> Tidy {
        Tidy {
            store: store.to_path_buf(),
            current,
            phase: Phase::Begin,
            counted: 0,
            gone: 0,
        }
    }

    /// Goes on for about as long as `most`.
    pub fn step(&mut self, is_named: IsNamed<'_>, now: SystemTime, most: Duration) -> Tidied {
        let end = Instant::now() + most;
        let mut tidied = Tidied::default();
        while !tidied.is_done && Instant::now() < end {
            self.phase = match std::mem::replace(&mut self.phase, Phase::Begin) {
                Phase::Begin => {
                    (self.counted, self.gone) = (0, 0);
                    Phase::Count(Walk::of(self.of_other_versions()))
                }
                Phase::Count(walk) => self.count(walk),
                Phase::Remove(walk) => self.remove(walk, &mut tidied),
                Phase::Unfinished(walk) => self.clear(walk, is_named, now, &mut tidied),
            };
        }
        tidied.left = self.counted.saturating_sub(self.gone);
        tidied
    }

    /// What has a name that only another version gives: `v` and its number; `synced`, which versions 1 and 2 had.
    fn of_other_versions(&self) -> Vec<PathBuf> {
        let is_left = |name: &str| {
            let number = name.strip_prefix('v').unwrap_or_default();
            let is_number = number.bytes().all(|digit| digit.is_ascii_digit());
            (is_number && !number.is_empty() && name != self.current) || name == "synced"
        };
        let names = std::fs::read_dir(&self.store).into_iter().flatten();
        let left = names
            .flatten()
            .filter(|entry| entry.file_name().to_str().is_some_and(is_left));
        left.map(|entry| entry.path()).collect()
    }

    fn count(&mut self, mut walk: Walk) -> Phase {
        match walk.next() {
            Some(Walked::File(_, metadata) | Walked::Directory(metadata)) => {
                self.counted = self.counted.saturating_add(taken(&metadata));
            }
            Some(Walked::End(_)) => {}
            None => return Phase::Remove(Walk::of(self.of_other_versions())),
        }
        Phase::Count(walk)
    }

    fn remove(&mut self, mut walk: Walk, tidied: &mut Tidied) -> Phase {
        match walk.next() {
            Some(Walked::File(path, metadata)) => {
                if tidied.remove(&path) {
                    tidied.versions.count(&metadata);
                    self.gone = self.gone.saturating_add(taken(&metadata));
                }
            }
            Some(Walked::Directory(_)) => {}
            Some(Walked::End(path)) => match path.symlink_metadata() {
                Ok(metadata) if std::fs::remove_dir(&path).is_ok() => {
                    self.gone = self.gone.saturating_add(taken(&metadata));
                }
                // What keeps it is told.
                Ok(_) | Err(_) => {}
            },
            None => {
                let files = self.store.join(self.current).join("files");
                return Phase::Unfinished(Walk::of(vec![files, self.store.join("tmp")]));
            }
        }
        Phase::Remove(walk)
    }

    fn clear(
        &self,
        mut walk: Walk,
        is_named: IsNamed<'_>,
        now: SystemTime,
        tidied: &mut Tidied,
    ) -> Phase {
        match walk.next() {
            Some(Walked::File(path, metadata)) if metadata.is_file() && is_old(&metadata, now) => {
                let id = path.file_name().and_then(|name| unhex(name.to_str()?));
                let is_temporary = path.parent() == Some(&self.store.join("tmp"));
                let is_nobodys = match id {
                    _ if is_temporary => !is_in_use(&path),
                    Some(id) => !is_named(&id),
                    // A name that we didn't give.
                    None => false,
                };
                if is_nobodys && tidied.remove(&path) {
                    tidied.unfinished.count(&metadata);
                }
            }
            Some(Walked::File(..) | Walked::Directory(_) | Walked::End(_)) => {}
            None => {
                tidied.is_done = true;
                return Phase::Begin;
            }
        }
        Phase::Unfinished(walk)
    }
}

/// True for a file that has been as it is for a while; by the clock of its inode, which naming it sets too.
fn is_old(metadata: &Metadata, now: SystemTime) -> bool {
    let seconds = u64::try_from(metadata.ctime().max(metadata.mtime())).unwrap_or(0);
    let changed = UNIX_EPOCH + Duration::from_secs(seconds);
    now.duration_since(changed).is_ok_and(|age| age >= LEFTOVER)
}

fn is_in_use(path: &Path) -> bool {
    disk::open(path, false).map_or(true, |file| disk::is_in_use(&file))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// A store with these files, each of 8 KiB.
    fn store(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, [1; 8192]).unwrap();
        }
        dir
    }

    fn later() -> SystemTime {
        SystemTime::now() + Duration::from_secs(100)
    }

    #[test]
    fn what_other_versions_left_goes_and_nothing_else() {
        let kept = ["v3/index-1/data.mdb", "secret", "v", "vx/1", "v1a", "notes"];
        let left = [
            "v1/ab/1", "v1/ab/2", "v1/cd/3", "v2/x/y/z", "v4/file", "synced",
        ];
        let dir = store(&[&kept[..], &left[..]].concat());
        std::os::unix::fs::symlink(dir.path().join("notes"), dir.path().join("v1/ab/link"))
            .unwrap();
        let above = tempfile::tempdir().unwrap();
        std::fs::write(above.path().join("file"), "x").unwrap();
        std::os::unix::fs::symlink(above.path(), dir.path().join("v5")).unwrap();
        let mut tidy = Tidy::new(dir.path(), "v3");
        // Steps without time do nothing, short ones a little: what is left is what was found less what went.
        let mut sum = Cleared::default();
        let mut most = 0;
        loop {
            let tidied = tidy.step(&|_| true, later(), Duration::from_micros(10));
            assert!(tidied.failure.is_none(), "{tidied:?}");
            sum.files += tidied.versions.files;
            sum.bytes += tidied.versions.bytes;
            most = most.max(tidied.left);
            if tidied.is_done {
                assert_eq!((tidied.left, tidied.unfinished.files), (0, 0));
                break;
            }
        }
        assert_eq!((sum.files, sum.bytes), (8, 6 * 8192));
        assert!(most >= 6 * 8192, "{most}");
        for file in kept {
            assert!(dir.path().join(file).exists(), "{file}");
        }
        assert!(above.path().join("file").exists());
        for file in ["v1", "v2", "v4", "synced"] {
            assert!(!dir.path().join(file).exists(), "{file}");
        }
    }

    #[test]
    fn what_was_never_finished_goes_when_it_is_old() {
        let named = format!("v3/files/ab/{}", "ab".repeat(16));
        let orphan = format!("v3/files/cd/{}", "cd".repeat(16));
        let other = "v3/files/cd/notes";
        let dir = store(&["tmp/leftover", "tmp/used", &named, &orphan, other]);
        let used = std::fs::File::open(dir.path().join("tmp/used")).unwrap();
        disk::mark_in_use(&used).unwrap();
        let mut tidy = Tidy::new(dir.path(), "v3");
        let is_named = |id: &[u8; 16]| *id == [0xab; 16];
        let young = tidy.step(&is_named, SystemTime::now(), LONG);
        assert!(young.is_done && young.unfinished.files == 0, "{young:?}");
        let old = tidy.step(&is_named, later(), LONG);
        assert_eq!((old.unfinished.files, old.unfinished.bytes), (2, 2 * 8192));
        for (file, stays) in [("tmp/used", true), (&*named, true), (other, true)]
            .into_iter()
            .chain([("tmp/leftover", false), (&*orphan, false)])
        {
            assert_eq!(dir.path().join(file).exists(), stays, "{file}");
        }
    }

    #[test]
    fn what_cant_be_removed_is_told_and_still_counts() {
        let dir = store(&["v1/ab/1"]);
        // Nobody removes a directory as if it were a file, which is what one that can't be entered looks like.
        let mut nested = dir.path().join("v1/deep");
        for _ in 0..10 {
            nested = nested.join("d");
        }
        std::fs::create_dir_all(&nested).unwrap();
        std::fs::write(nested.join("file"), [1; 8192]).unwrap();
        let mut tidy = Tidy::new(dir.path(), "v3");
        let tidied = tidy.step(&|_| true, later(), LONG);
        assert_eq!((tidied.is_done, tidied.versions.files), (true, 1));
        let (path, _) = tidied.failure.unwrap();
        assert!(path.starts_with(dir.path().join("v1/deep")), "{path:?}");
        assert!(!dir.path().join("v1/ab").exists());
        // A store that isn't there is none to tidy.
        let mut none = Tidy::new(&dir.path().join("none"), "v3");
        assert!(none.step(&|_| true, later(), LONG).is_done);
    }
}
