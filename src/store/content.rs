//! The content of a stored response: where it is, and reading it part by part.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use super::{BlockChecks, StoreError, Whole};

/// Bytes of a file that are read at a time.
const PIECE: u64 = 256 << 10;

/// The content of a stored response.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Content {
    /// All of it.
    Memory(Bytes),
    /// Part of a file, which may be unlinked at any time but does not change.
    File {
        file: Arc<File>,
        /// Where the content begins in it.
        offset: u64,
        len: u64,
        /// Its blocks, each to be checked before a byte of it is used.
        blocks: Option<Arc<BlockChecks>>,
    },
    /// Elsewhere, to be read piece by piece.
    Pieces(Arc<dyn Pieces>),
}

/// Content that is read piece by piece, from a place that takes time to answer.
#[allow(clippy::len_without_is_empty)]
pub trait Pieces: Send + Sync + std::fmt::Debug {
    /// The length of the content.
    fn len(&self) -> u64;

    /// A piece that begins at `at`, as long as it is convenient; blocks until it is there. What was
    /// removed meanwhile is [`StoreError::Gone`].
    fn read(&self, at: u64) -> Result<Bytes, StoreError>;

    /// The stored content in which what begins at `at` lies, and its place there, where this is put together.
    fn source(&self, _at: u64) -> Option<(&Content, u64)> {
        None
    }
}

impl Content {
    /// The length of the content in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::File { len, .. } => *len,
            Content::Pieces(pieces) => pieces.len(),
        }
    }

    /// True when there is no content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of the content, from `at` on, before its end: never nothing. Blocks until it is there.
    pub fn piece(&self, at: u64) -> Result<Bytes, StoreError> {
        let piece = match self {
            Content::Memory(content) => content.slice(content.len().min(at as usize)..),
            Content::File {
                file,
                offset,
                len,
                blocks,
            } => {
                let mut piece = vec![0; len.saturating_sub(at).min(PIECE) as usize];
                if let Some(blocks) = blocks {
                    blocks.ensure(file, at, piece.len() as u64)?;
                }
                let read = file.read_exact_at(&mut piece, offset + at);
                read.map_err(StoreError::at("the content's file".as_ref()))?;
                piece.into()
            }
            Content::Pieces(pieces) => pieces.read(at)?,
        };
        match piece.is_empty() {
            true => Err(StoreError::Gone),
            false => Ok(piece),
        }
    }

    /// The content to be stored anew, where that needs no reading; else it is gone.
    pub(super) fn to_whole(&self) -> Result<Whole, StoreError> {
        match self {
            Content::Memory(content) => Ok(Whole::Memory(vec![content.clone()])),
            Content::File { .. } | Content::Pieces(_) => Err(StoreError::Gone),
        }
    }

    /// Reads the content part by part, until `take` is false.
    pub fn each_part(&self, take: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), StoreError> {
        match self {
            Content::Memory(bytes) => drop(take(bytes)),
            Content::File { .. } | Content::Pieces(_) => {
                let mut at = 0;
                while at < self.len() {
                    let piece = self.piece(at)?;
                    if !take(&piece) {
                        break;
                    }
                    at += piece.len() as u64;
                }
            }
        }
        Ok(())
    }
}
