//! Large files in which damage was found, until they are removed.

use std::sync::{Mutex, PoisonError};

use super::FileId;

/// More than these are not remembered: they are found again.
const MOST: usize = 1024;

/// A large file that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedFile {
    pub id: FileId,
    /// The key of its record in the index.
    pub entry: Box<[u8]>,
    pub why: &'static str,
}

/// Those that were found since they were last taken.
#[derive(Debug, Default)]
pub struct DamagedFiles(Mutex<Vec<DamagedFile>>);

impl DamagedFiles {
    /// Remembers one, however often it is found.
    pub fn note(&self, found: DamagedFile) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if files.len() < MOST && files.iter().all(|file| file.id != found.id) {
            files.push(found);
        }
    }

    /// All of them, which are forgotten here.
    pub fn take(&self) -> Vec<DamagedFile> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
