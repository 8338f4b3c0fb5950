//! The files of a store that this process has open for whoever is sent their content. They take disk for as long as they
//! are, though they may have lost their names meanwhile, or never get one.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::draft::Reservation;

/// The open files, however many readers each has.
#[derive(Debug, Default)]
pub struct OpenFiles(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    files: Vec<OpenFile>,
    /// The number of files with which those that are closed are looked for.
    next_tidying: usize,
}

#[derive(Debug)]
struct OpenFile {
    file: Weak<File>,
    /// The room reserved for it, as long as it is.
    reserved: Weak<()>,
}

/// The open files that have no name, and no room reserved.
#[derive(Debug, Default)]
pub struct RemovedFiles {
    /// The disk that they take.
    pub bytes: u64,
    /// By their addresses, which aren't used again while this is kept.
    files: HashMap<usize, Weak<File>>,
}

impl RemovedFiles {
    /// True for one of them.
    pub fn has(&self, file: &Arc<File>) -> bool {
        self.files.contains_key(&address(file))
    }
}

fn address(file: &Arc<File>) -> usize {
    Arc::as_ptr(file) as usize
}

impl OpenFiles {
    /// Notes a file that has a name.
    pub(super) fn add(&self, file: &Arc<File>) {
        self.note(file, Weak::new());
    }

    /// Notes a file that may get a name, and until then has this room reserved.
    pub(super) fn add_draft(&self, file: &Arc<File>, reservation: &Reservation) {
        self.note(file, reservation.life());
    }

    fn note(&self, file: &Arc<File>, reserved: Weak<()>) {
        let file = Arc::downgrade(file);
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.files.len() >= inner.next_tidying {
            inner.tidy();
        }
        inner.files.push(OpenFile { file, reserved });
    }

    /// True when there are none; some that were closed lately may still count.
    pub fn is_empty(&self) -> bool {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.files.is_empty()
    }

    /// Looks which of the files have no name any more.
    pub fn removed(&self) -> RemovedFiles {
        let open = {
            let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            inner.tidy();
            let unreserved = inner
                .files
                .iter()
                .filter(|it| it.reserved.strong_count() == 0);
            unreserved
                .filter_map(|it| it.file.upgrade())
                .collect::<Vec<_>>()
        };
        let mut removed = RemovedFiles::default();
        let mut seen = HashSet::new();
        for file in open {
            // One that can't be asked takes no disk that anybody could count.
            let Some(metadata) = file.metadata().ok().filter(|it| it.nlink() == 0) else {
                continue;
            };
            removed.files.insert(address(&file), Arc::downgrade(&file));
            if seen.insert((metadata.dev(), metadata.ino())) {
                removed.bytes += metadata.blocks() * 512;
            }
        }
        removed
    }
}

impl Inner {
    fn tidy(&mut self) {
        self.files.retain(|it| it.file.strong_count() > 0);
        self.next_tidying = (2 * self.files.len()).max(64);
    }
}
