//! The failures of a store: told apart by what the caller does about it, and worded for the person who reads it.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::sys::disk;

/// A failure of a store. None of these fails a request.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum StoreError {
    /// No room: the size limit is reached, the disk is full or a quota is.
    #[error("no room in the store at {path}: {reason}")]
    Full {
        path: PathBuf,
        /// The limit, and what to do.
        reason: String,
    },
    #[error(
        "cannot write to the store at {path}: {source}; it must be a directory that belongs to the \
         user that cacheproxy runs as, on a file system mounted read-write"
    )]
    NotWritable { path: PathBuf, source: io::Error },
    /// It is made anew.
    #[error("the store's index at {path} is damaged: {reason}")]
    IndexDamaged { path: PathBuf, reason: String },
    #[error("the stored response was removed or replaced meanwhile")]
    Gone,
    /// What was stored isn't what was written.
    #[error("the stored content is damaged: {0}")]
    Damaged(&'static str),
    #[error("the response's metadata takes {0} bytes, more than a stored response may have")]
    MetaTooLarge(usize),
    /// Its `Vary` and the variant it was to be stored as do not go together.
    #[error("no request could ever select the response by its Vary field")]
    Unselectable,
    #[error("the database at {server} failed: {reason}")]
    Database {
        server: String,
        /// Its reason, and what to do.
        reason: String,
    },
    /// The database can't be reached, which was said when it began.
    #[error("the database at {server} can't be used until it is back: {reason}")]
    Unreachable {
        server: String,
        /// The reason, when it was last tried.
        reason: String,
    },
    #[error(
        "the store at {path} is in use by another proxy ({name}); give this one another store_path"
    )]
    Owned { path: PathBuf, name: String },
    /// What it needs isn't to be had where it lies.
    #[error(
        "the store can't be at {path}: {reason}; give it a directory on a disk of this machine"
    )]
    Unsuitable { path: PathBuf, reason: String },
    /// It takes too long, which was said when that began.
    #[error("the store at {path} hangs")]
    Hangs { path: PathBuf },
    /// Any other failure of the operating system.
    #[error("the store failed at {path}: {source}; see whether the disk is in order")]
    Io { path: PathBuf, source: io::Error },
}

impl StoreError {
    /// Makes the error that an operation on `path` ended with, told apart by its kind.
    pub fn at(path: &Path) -> impl Fn(io::Error) -> StoreError + Copy {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        move |source| {
            let path = path.to_path_buf();
            let kind = source.kind();
            if matches!(kind, StorageFull | QuotaExceeded) {
                let reason = match has_no_inode(&path) {
                    true => format!("{source}, as no inode is free: remove files there"),
                    false => format!("{source}; free some disk or lower the store's size"),
                };
                StoreError::Full { path, reason }
            } else if matches!(kind, PermissionDenied | ReadOnlyFilesystem) {
                StoreError::NotWritable { path, source }
            } else {
                StoreError::Io { path, source }
            }
        }
    }

    /// True when the journal has it already.
    pub fn is_told(&self) -> bool {
        matches!(
            self,
            StoreError::Unreachable { .. } | StoreError::Hangs { .. }
        )
    }

    /// True when there was no room.
    #[cfg(test)]
    pub fn is_full(&self) -> bool {
        matches!(self, StoreError::Full { .. })
    }
}

/// True where the file system of this file, or of its directory, is out of inodes.
fn has_no_inode(path: &Path) -> bool {
    let above = path.parent().unwrap_or(path);
    let inodes = disk::inodes(path).or_else(|_| disk::inodes(above));
    inodes.is_ok_and(|inodes| inodes.all > 0 && inodes.free == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_failure() {
        // ENOSPC, EDQUOT, EACCES, EPERM, EROFS, EIO
        let table = [
            (28, "full"),
            (122, "full"),
            (13, "not writable"),
            (1, "not writable"),
            (30, "not writable"),
            (5, "other"),
        ];
        for (number, expected) in table {
            let source = io::Error::from_raw_os_error(number);
            let error = StoreError::at(Path::new("/store"))(source);
            let kind = match &error {
                StoreError::Full { .. } => "full",
                StoreError::NotWritable { .. } => "not writable",
                StoreError::Io { .. } => "other",
                StoreError::Gone
                | StoreError::IndexDamaged { .. }
                | StoreError::Damaged(_)
                | StoreError::MetaTooLarge(_)
                | StoreError::Unselectable
                | StoreError::Database { .. }
                | StoreError::Owned { .. }
                | StoreError::Unsuitable { .. }
                | StoreError::Hangs { .. }
                | StoreError::Unreachable { .. } => "none",
            };
            assert_eq!(kind, expected, "{error}");
            assert!(error.to_string().contains("/store"), "{error}");
        }
    }
}
