//! The files of a store that this process has open for whoever is sent their content. They take disk for as long as they
//! are, though they may have lost their names meanwhile, or never get one.
//!
//! They are closed here, by who looks through them: closing one that has no name waits for its disk, as the event loop may
//! not.

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
    file: Arc<File>,
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
        let file = file.clone();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = match inner.files.len() >= inner.next_tidying {
            true => inner.take_unused(),
            false => Vec::new(),
        };
        inner.files.push(OpenFile { file, reserved });
        drop(inner);
        drop(unused);
    }

    /// True when there are none; some that were closed lately may still count.
    pub fn is_empty(&self) -> bool {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.files.is_empty()
    }

    /// Closes the files that nobody uses any more, and looks which of the others have no name. May wait for the disk.
    pub fn removed(&self) -> RemovedFiles {
        let (unused, open) = {
            let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let unused = inner.take_unused();
            let unreserved = inner
                .files
                .iter()
                .filter(|it| it.reserved.strong_count() == 0);
            let open: Vec<_> = unreserved.map(|it| it.file.clone()).collect();
            (unused, open)
        };
        // Without the lock, for which the event loop may wait.
        drop(unused);
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
    /// Takes out those that nobody else has.
    fn take_unused(&mut self) -> Vec<OpenFile> {
        let is_unused = |it: &OpenFile| Arc::strong_count(&it.file) == 1;
        let (unused, used) = std::mem::take(&mut self.files)
            .into_iter()
            .partition(is_unused);
        self.files = used;
        self.next_tidying = (2 * self.files.len()).max(256);
        unused
    }
}
