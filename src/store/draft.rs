//! A place for content while it is fetched: a file that nobody else sees, and room reserved against the size limit
//! as bytes come, whatever length was announced. Readers may follow it while it grows; dropped unpublished, it
//! leaves nothing behind.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

use super::blocks::BlockSums;
use super::error::StoreError;
use crate::sys::shared::Shared;

/// Room reserved beyond the content that has come: for its last block, the trailers, and a share of the index.
const BESIDE: u64 = 16 << 10;

/// Content that is being fetched. Write it with [`Draft::write_at`], publish it when whole.
#[derive(Debug)]
pub struct Draft {
    /// The file, to be read from while it grows: the content is at its beginning.
    pub file: Arc<File>,
    pub(crate) reservation: Reservation,
    pub(crate) name: Option<TemporaryName>,
    pub(super) sums: Mutex<BlockSums>,
}

impl Draft {
    /// A file in which nothing is yet, with the room reserved for it, and its name if it has one.
    pub(super) fn new(
        file: Arc<File>,
        reservation: Reservation,
        name: Option<TemporaryName>,
    ) -> Draft {
        Draft {
            file,
            reservation,
            name,
            sums: Mutex::default(),
        }
    }

    /// The file, its name if it has one, and what is reserved for it.
    pub(super) fn into_parts(self) -> (Arc<File>, Option<TemporaryName>, Reservation) {
        (self.file, self.name, self.reservation)
    }

    /// Reserves room for the first `content` bytes of the content. Never blocks.
    pub fn reserve(&self, content: u64) -> Result<(), StoreError> {
        self.reservation.cover(content.saturating_add(BESIDE))
    }

    /// Writes the part of the content that begins at `at`, once there is room for it.
    pub fn write_at(&self, part: &[u8], at: u64) -> Result<(), StoreError> {
        self.reserve(at + part.len() as u64)?;
        let written = self.file.write_all_at(part, at);
        written.map_err(StoreError::at(&self.reservation.path))?;
        self.reservation.note_written(at + part.len() as u64);
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.take(at, part);
        Ok(())
    }

    /// The first bytes of the content.
    pub fn read(&self, len: u64) -> Result<Bytes, StoreError> {
        let mut bytes = vec![0; len as usize];
        let read = self.file.read_exact_at(&mut bytes, 0);
        read.map_err(StoreError::at(&self.reservation.path))?;
        Ok(bytes.into())
    }

    /// The checksum of each MiB of the content, which is so long: made as it was written, where that was in order.
    pub fn block_sums(&self, content: u64) -> Result<Vec<u128>, StoreError> {
        let sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let sums = sums.finish(&self.file, content);
        sums.map_err(StoreError::at(&self.reservation.path))
    }
}

/// Bytes promised to one draft, given back when it is dropped.
pub(crate) struct Reservation {
    shared: Arc<Shared>,
    worker: usize,
    pub(crate) path: PathBuf,
    reserved: AtomicU64,
    /// The bytes of it that are on the disk, and count as stored by nobody else.
    written: AtomicU64,
    life: Arc<()>,
}

impl Reservation {
    /// Tells whether it is still there.
    pub(crate) fn life(&self) -> Weak<()> {
        Arc::downgrade(&self.life)
    }

    /// Room for `bytes` in the index, free pages of it included.
    pub(crate) fn reserve_small(
        shared: &Arc<Shared>,
        worker: usize,
        path: &Path,
        bytes: u64,
    ) -> Result<Reservation, StoreError> {
        let reservation = Reservation::none(shared, worker, path);
        if !shared.reserve_small(worker, bytes) {
            return Err(reservation.refused(bytes));
        }
        reservation.reserved.store(bytes, Relaxed);
        Ok(reservation)
    }

    /// None yet, for a file that is expected to grow to `expected` bytes: refused when the store could never hold
    /// it, or nothing at all.
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        worker: usize,
        path: &Path,
        expected: u64,
    ) -> Result<Reservation, StoreError> {
        let reservation = Reservation::none(shared, worker, path);
        let is_too_large = expected > shared.limit();
        if is_too_large && shared.is_limited_by_floor() {
            // More may be free by now than when the disk was looked at.
            shared.want(expected);
        }
        if shared.is_full() || shared.is_out_of_inodes() || is_too_large {
            return Err(reservation.refused(expected));
        }
        Ok(reservation)
    }

    fn none(shared: &Arc<Shared>, worker: usize, path: &Path) -> Reservation {
        Reservation {
            shared: Arc::clone(shared),
            worker,
            path: path.to_path_buf(),
            reserved: AtomicU64::new(0),
            written: AtomicU64::new(0),
            life: Arc::default(),
        }
    }

    /// Sees to it that `length` bytes of file are reserved.
    pub(crate) fn cover(&self, length: u64) -> Result<(), StoreError> {
        let reserved = self.reserved.load(Relaxed);
        match length.checked_sub(reserved) {
            None | Some(0) => Ok(()),
            Some(more) => self.add(more),
        }
    }

    /// Notes that the first `length` bytes of the file are on the disk.
    fn note_written(&self, length: u64) {
        let before = self.written.fetch_max(length, Relaxed);
        let more = length.saturating_sub(before);
        self.shared.count_written(self.worker, more);
    }

    /// Notes that what was written is about to be counted as stored. In the transaction that does so, during which nobody
    /// asks what is on the disk.
    pub(crate) fn hand_over(&self) {
        let written = self.written.swap(0, Relaxed);
        self.shared.uncount_written(self.worker, written);
    }

    fn add(&self, bytes: u64) -> Result<(), StoreError> {
        if self.shared.reserve(self.worker, bytes) {
            self.reserved.fetch_add(bytes, Relaxed);
            return Ok(());
        }
        Err(self.refused(bytes))
    }

    fn refused(&self, bytes: u64) -> StoreError {
        let reason = if self.shared.is_full() {
            "less disk is free than min_free_disk; free some, or set that lower".to_owned()
        } else if self.shared.is_out_of_inodes() {
            "few inodes are free on its file system, which files above 64 KiB need: remove files there".to_owned()
        } else if self.shared.is_limited_by_floor() {
            format!(
                "{bytes} bytes more would leave less disk free than the floor that is set until others are evicted"
            )
        } else {
            let limit = self.shared.limit();
            format!(
                "{bytes} bytes more would exceed its limit of {limit} bytes until others are evicted"
            )
        };
        let path = self.path.clone();
        StoreError::Full { path, reason }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.hand_over();
        let reserved = self.reserved.load(Relaxed);
        self.shared.release(self.worker, reserved);
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reservation({} bytes)", self.reserved.load(Relaxed))
    }
}

/// The name of a temporary file, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct TemporaryName {
    path: PathBuf,
    /// True once the file has its lasting name.
    renamed: bool,
}

impl TemporaryName {
    /// Takes charge of the file that is, or is about to be, at `path`.
    pub(crate) fn new(path: PathBuf) -> TemporaryName {
        let renamed = false;
        TemporaryName { path, renamed }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn rename(self, target: &Path) -> std::io::Result<()> {
        std::fs::rename(&self.path, target)?;
        self.keep();
        Ok(())
    }

    /// Leaves the file to whoever gave it another name.
    pub(crate) fn keep(mut self) {
        self.renamed = true;
    }
}

impl Drop for TemporaryName {
    fn drop(&mut self) {
        if !self.renamed {
            // Files that can't be removed now are removed as leftovers at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PATH: &str = "/store";

    #[test]
    fn what_is_reserved_takes_disk_once_it_is_written() {
        let shared = Arc::new(Shared::create().unwrap());
        shared.set_limit(1 << 30);
        let reservation = Reservation::begin(&shared, 1, Path::new(PATH), 5000).unwrap();
        let file = Arc::new(tempfile::tempfile().unwrap());
        let draft = Draft::new(file, reservation, None);
        draft.reserve(5000).unwrap();
        let reserved = 5000 + BESIDE;
        assert_eq!((shared.used(), shared.on_disk()), (reserved, 0));
        draft.write_at(&[1; 3000], 0).unwrap();
        draft.write_at(&[1; 2000], 3000).unwrap();
        draft.write_at(&[1; 10], 0).unwrap();
        assert_eq!((shared.used(), shared.on_disk()), (reserved, 5000));
        let (_, _, reservation) = draft.into_parts();
        reservation.hand_over();
        assert_eq!((shared.used(), shared.on_disk()), (reserved, 0));
        drop(reservation);
        assert_eq!((shared.used(), shared.on_disk()), (0, 0));
    }

    #[test]
    fn who_is_refused_for_the_floor_has_the_disk_looked_at() {
        // (the size limit, the ceiling, what is expected, refused, the disk is looked at soon)
        let rows = [
            (100, 200, 100, false, false),
            (100, 200, 101, true, false),
            (100, 50, 50, false, false),
            (100, 50, 51, true, true),
        ];
        for (limit, ceiling, expected, refused, soon) in rows {
            let shared = Arc::new(Shared::create().unwrap());
            shared.set_limit(limit);
            shared.set_ceiling(ceiling);
            let begun = Reservation::begin(&shared, 1, Path::new(PATH), expected);
            let outcome = (begun.is_err(), shared.is_filling());
            assert_eq!(outcome, (refused, soon), "{limit} {ceiling} {expected}");
        }
    }
}
