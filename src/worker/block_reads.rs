//! Blocks of files that are read before they are sent, off the event loop: those that have yet to be checked since the
//! start, and those that aren't in memory, for which sending would wait.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::store::blocks::BLOCK;
use crate::store::operations::{HangNews, Operations};
use crate::store::{BlockChecks, StoreError};
use crate::sys::page_cache;

/// The most blocks that are read at once: those of more clients wait, for one block each.
const AT_ONCE: usize = 16;
/// The longest wait for a block, those before it included, after which the disk is said to hang.
const LIMIT: Duration = Duration::from_secs(10);

/// A part of a file that is to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilePart<'a> {
    pub(super) file: &'a Arc<File>,
    pub(super) offset: u64,
    pub(super) len: u64,
    /// Its blocks, where they are to be checked.
    pub(super) blocks: Option<&'a Arc<BlockChecks>>,
}

pub(super) struct BlockReads(Operations);

impl BlockReads {
    /// Those of files of the store at `path`.
    pub(super) fn new(path: &Path) -> BlockReads {
        let what = "reading content";
        BlockReads(Operations::new(
            "store-read",
            &HangNews::of(path),
            what,
            AT_ONCE,
            LIMIT,
        ))
    }

    /// Sees to it that the block can be sent in which the part goes on after so many bytes: that it is what was stored,
    /// and in memory. Nothing to do behind the part's end.
    pub(super) async fn check(&self, part: FilePart<'_>, after: u64) -> Result<(), StoreError> {
        let Some(blocks) = part.blocks.filter(|_| after < part.len) else {
            return Ok(());
        };
        let at = part.offset + after;
        let (block, len) = (at / BLOCK, (BLOCK - at % BLOCK).min(part.len - after));
        let is_ready = move |file: &File, blocks: &BlockChecks| {
            blocks.is_checked(file, block) && page_cache::is_resident(file, at, len)
        };
        if is_ready(part.file, blocks) {
            return Ok(());
        }
        let (file, blocks) = (part.file.clone(), blocks.clone());
        let read = self.0.run(move || {
            // Another may have read it meanwhile.
            match is_ready(&file, &blocks) {
                true => Ok(()),
                false => blocks.check(&file, block),
            }
        });
        read.await?
    }
}
