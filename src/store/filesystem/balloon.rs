//! Free pages of the index are given back to the disk without copying it: LMDB's file never shrinks, but may have holes.
//! Zeros are put into free pages, as values in pages of their own (a balloon, as hypervisors have them), and of these the
//! file is relieved: who reads them there still reads zeros. When the file grows, some of the balloon goes.
//!
//! So LMDB itself says which pages are free, those that a reader still sees not among them, and nobody is held up.

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use super::FilesystemStore;
use super::change::Change;
use crate::store::StoreError;
use crate::store::record::head::FileId;

/// Pages in a row that are asked for: as many as content of 64 KiB leaves, then fewer.
const RUNS: [u64; 2] = [16, 4];
/// A page's own head, which stands before the value in its first page.
pub(super) const PAGE_HEAD: u64 = 16;
/// The most bytes of one change.
const STEP: u64 = 4 << 20;
/// The keys of its pieces begin so; the mark follows with which the piece begins.
const KEY: &[u8] = b"balloon";

impl FilesystemStore {
    /// Gives the disk so many bytes of free pages, as far as there are any; returns how many. Nothing where the file system
    /// has no holes.
    pub(super) fn give_back(&self, bytes: u64) -> Result<u64, StoreError> {
        let environment = self.environment()?;
        // What those were reading that have died isn't free else.
        let cleared = environment.clear_stale_readers();
        cleared.map_err(|error| environment.failure(error))?;
        let mut given = 0;
        for run in RUNS {
            while given < bytes && !self.no_holes.load(Relaxed) {
                match self.inflate(run, bytes - given)? {
                    0 => break,
                    more => given += more,
                }
            }
        }
        Ok(given)
    }

    /// True where holes can't be made, and half of the index and some MiB are free.
    pub(super) fn is_mostly_free(&self) -> Result<bool, StoreError> {
        let slack = self.shared.slack();
        let size = self.environment()?.size();
        Ok(self.no_holes.load(Relaxed) && slack > STEP && slack > size / 2)
    }

    /// Puts pieces of so many pages, and makes holes of them. What LMDB found no room for within the file doesn't count.
    fn inflate(&self, run: u64, bytes: u64) -> Result<u64, StoreError> {
        let page = self.environment()?.page();
        let room = self.shared.slack() / 2;
        let count = bytes
            .div_ceil((run - 1) * page)
            .min(room.min(STEP) / (run * page));
        let marks: Vec<FileId> = (0..count).map(|_| self.directory.new_id()).collect();
        if marks.is_empty() {
            return Ok(0);
        }
        let before = self.change(|change| {
            for mark in &marks {
                change.put_piece(mark, run * page - PAGE_HEAD)?;
            }
            Ok(change.environment().size())
        })?;
        let (holes, after) = self.change(|change| {
            let mut holes = 0;
            for mark in &marks {
                match change.punch(mark) {
                    Ok(more) => holes += more,
                    Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                        self.no_holes.store(true, Relaxed);
                        change.delete_piece(mark)?;
                    }
                    Err(error) => return Err(StoreError::at(&change.environment().path)(error)),
                }
            }
            change.state.holes += holes;
            // What they made it grow is no want of pages.
            change.state.size = change.environment().size();
            Ok((holes, change.environment().size()))
        })?;
        Ok(holes.saturating_sub(after.saturating_sub(before)))
    }
}

impl Change<'_> {
    fn put_piece(&mut self, mark: &FileId, length: u64) -> Result<(), StoreError> {
        let mut value = vec![0; length as usize];
        value[..mark.len()].copy_from_slice(mark);
        self.put_own(&key(mark), &value)
    }

    fn delete_piece(&mut self, mark: &FileId) -> Result<(), StoreError> {
        self.delete_own(&key(mark))
    }

    /// Makes a hole of the pages of this piece that hold zeros only; their bytes.
    fn punch(&self, mark: &FileId) -> io::Result<u64> {
        match self.own(&key(mark)) {
            Ok(Some(value)) => self.environment().make_hole(value, mark),
            Ok(None) | Err(_) => Ok(0),
        }
    }

    /// Takes pieces out as the file has grown by so much, for want of pages in a row: the next change but one has these.
    pub(super) fn deflate(&mut self, grown: u64) -> Result<(), StoreError> {
        let mut left = grown;
        // Those too of which no hole was made, as who put them was killed.
        while left > 0 {
            let found = self.first_own(KEY)?;
            let Some((key, length)) = found.filter(|(key, _)| key.starts_with(KEY)) else {
                self.state.holes = 0;
                break;
            };
            self.delete_own(&key)?;
            let taken = length + PAGE_HEAD;
            let hole = taken.saturating_sub(self.environment().page());
            self.state.holes = self.state.holes.saturating_sub(hole);
            left = left.saturating_sub(taken);
        }
        Ok(())
    }
}

fn key(mark: &FileId) -> Vec<u8> {
    [KEY, mark].concat()
}
