//! Blocks of one file that are checked when they are first needed.
//!
//! A file that was written to since, or had its times set, is checked anew: what shows that can't be set back.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::damaged::{DamagedFile, DamagedFiles};
use super::{BLOCK, FileId, Footer, Read, sum_up};
use crate::store::StoreError;
use crate::sys::disk;
use crate::sys::page_cache;
use crate::sys::shared::Shared;

/// A large file as the index has it.
pub struct OfFile {
    pub id: FileId,
    /// The length of its content.
    pub content: u64,
    /// The key of its record in the index.
    pub entry: Box<[u8]>,
    pub shared: Arc<Shared>,
    /// The place where damage is noted.
    pub damaged: Arc<DamagedFiles>,
}

/// The checks of one large file's blocks, for all that are sent it.
pub struct BlockChecks {
    of: OfFile,
    /// The footer has been read, and is this file's.
    is_known: AtomicBool,
}

impl BlockChecks {
    /// None yet of this file.
    pub fn new(of: OfFile) -> BlockChecks {
        BlockChecks {
            of,
            is_known: AtomicBool::new(false),
        }
    }

    /// True when this block has been checked since the start, and nothing has written to the file since. Never waits for
    /// the disk.
    pub fn is_checked(&self, file: &File, block: u64) -> bool {
        let state = self.state(file);
        state.is_ok_and(|state| self.of.shared.is_block_checked(&state, block))
    }

    /// Sees to it that the blocks are checked in which this part of the content lies, which may take long.
    pub fn ensure(&self, file: &File, at: u64, len: u64) -> Result<(), StoreError> {
        let last = at.saturating_add(len).saturating_sub(1).max(at) / BLOCK;
        for block in at / BLOCK..=last {
            if !self.is_checked(file, block) {
                self.check(file, block)?;
            }
        }
        Ok(())
    }

    /// Reads a block and compares its checksum. What doesn't check is noted, and is [`StoreError::Damaged`].
    pub fn check(&self, file: &File, block: u64) -> Result<(), StoreError> {
        self.outcome(self.compare(file, block, &|bytes, at| file.read_exact_at(bytes, at)))
    }

    /// The same without leaving more of the file in memory than there was.
    pub fn check_aside(&self, file: &File, block: u64) -> Result<(), StoreError> {
        let read = |bytes: &mut [u8], at| page_cache::read_aside(file, bytes, at);
        self.outcome(self.compare(file, block, &read))
    }

    fn outcome(&self, compared: io::Result<Result<(), &'static str>>) -> Result<(), StoreError> {
        let compared = match compared {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Ok(Err("it is truncated"))
            }
            compared => compared,
        };
        compared
            .map_err(StoreError::at("the content's file".as_ref()))?
            .map_err(|why| self.damaged(why))
    }

    /// Notes that the file is damaged.
    pub fn damaged(&self, why: &'static str) -> StoreError {
        self.of.damaged.note(DamagedFile {
            id: self.of.id,
            entry: self.of.entry.clone(),
            why,
        });
        StoreError::Damaged(why)
    }

    fn compare(
        &self,
        file: &File,
        block: u64,
        read: Read<'_>,
    ) -> io::Result<Result<(), &'static str>> {
        // Before the block is read: what is written to it meanwhile shows the next time.
        let state = self.state(file)?;
        if !self.is_known.load(Relaxed) {
            match Footer::read(file)? {
                Err(why) => return Ok(Err(why)),
                Ok(footer) if footer.id != self.of.id || footer.content != self.of.content => {
                    return Ok(Err("it is another file's content"));
                }
                Ok(_) => self.is_known.store(true, Relaxed),
            }
        }
        let mut expected = [0; 16];
        file.read_exact_at(&mut expected, Footer::sum_at(self.of.content, block))?;
        if sum_up(read, block, self.of.content)?.to_le_bytes() != expected {
            return Ok(Err("a block of it does not check"));
        }
        self.of.shared.note_block_checked(&state, block);
        Ok(Ok(()))
    }

    /// The id under which checked blocks are noted: another one for each state of the file.
    fn state(&self, file: &File) -> io::Result<FileId> {
        let changed = disk::changed(file)?;
        Ok((u128::from_le_bytes(self.of.id) ^ changed).to_le_bytes())
    }
}

impl std::fmt::Debug for BlockChecks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlockChecks({:02x?})", self.of.id)
    }
}
