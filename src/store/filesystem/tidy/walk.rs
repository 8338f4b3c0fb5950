//! A walk through directories, entry by entry, so that it can be interrupted anywhere. Links aren't followed, and no other
//! file system is entered.

use std::fs::{Metadata, ReadDir};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A directory that is nested deeper is none that any version made.
const DEEPEST: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Those to begin with that haven't been.
    tops: Vec<PathBuf>,
    /// Directories that are being read, each within the one before.
    open: Vec<(PathBuf, ReadDir)>,
}

/// The next thing that was come across.
#[derive(Debug)]
pub(super) enum Walked {
    /// Anything but a directory, or a directory that isn't entered.
    File(PathBuf, Metadata),
    /// A directory; what is in it follows.
    Directory(Metadata),
    /// Everything in this directory has been come across.
    End(PathBuf),
}

impl Walk {
    pub(super) fn of(tops: Vec<PathBuf>) -> Walk {
        let open = Vec::new();
        Walk { tops, open }
    }

    /// The next; None at the end. What vanishes meanwhile, or can't be read, is passed over.
    pub(super) fn next(&mut self) -> Option<Walked> {
        loop {
            let found = match self.open.last_mut() {
                None => self.tops.pop()?,
                Some((directory, entries)) => match entries.next() {
                    Some(Ok(entry)) => entry.path(),
                    Some(Err(_)) | None => {
                        let directory = std::mem::take(directory);
                        self.open.pop();
                        return Some(Walked::End(directory));
                    }
                },
            };
            if let Ok(metadata) = found.symlink_metadata() {
                return Some(self.enter(found, metadata));
            }
        }
    }

    fn enter(&mut self, path: PathBuf, metadata: Metadata) -> Walked {
        let above = path.parent().unwrap_or(&path);
        let is_same = |above: &Path| {
            let above = above.symlink_metadata();
            above.is_ok_and(|above| above.dev() == metadata.dev())
        };
        let may_be_entered = metadata.is_dir() && self.open.len() < DEEPEST && is_same(above);
        let entries = may_be_entered.then(|| std::fs::read_dir(&path));
        match entries {
            Some(Ok(entries)) => {
                self.open.push((path, entries));
                Walked::Directory(metadata)
            }
            Some(Err(_)) | None => Walked::File(path, metadata),
        }
    }
}

/// The bytes that it takes on disk.
pub(super) fn taken(metadata: &Metadata) -> u64 {
    metadata.blocks().saturating_mul(512)
}
