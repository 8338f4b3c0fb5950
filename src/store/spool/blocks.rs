//! The content that a spool has in memory: blocks in order, each found by its place without a look at the others.
//!
//! Small pieces are joined on their way in, so that content costs no more memory than about twice its length however
//! finely it was cut: a small piece would keep the whole buffer that it was read into.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// A piece of this many bytes stays where it is: it has half of the buffer that content is read into.
const LARGE: usize = 32 << 10;
/// Room for small pieces: the first, and the most at a time.
const FIRST_ROOM: usize = 512;
const MOST_ROOM: usize = 64 << 10;
/// A reader is given a copy of what was joined so far, unless it is this much.
const COPIED: usize = 8 << 10;

#[derive(Debug)]
struct Block {
    first: u64,
    bytes: Bytes,
}

/// Contiguous content, from one offset to another.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    closed: VecDeque<Block>,
    /// The last block, to which small pieces are added.
    open: BytesMut,
    /// The size of the allocation made last for small pieces.
    room: usize,
    end: u64,
}

impl Blocks {
    /// The offset of the first byte that is here.
    pub(super) fn first(&self) -> u64 {
        let closed = self.closed.front();
        closed.map_or_else(|| self.open_from(), |block| block.first)
    }

    /// The offset after the last byte.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    fn open_from(&self) -> u64 {
        self.end - self.open.len() as u64
    }

    pub(super) fn push(&mut self, piece: Bytes) {
        if piece.len() >= LARGE {
            self.close();
            let first = self.end;
            self.end += piece.len() as u64;
            let block = Block {
                first,
                bytes: piece,
            };
            return self.closed.push_back(block);
        }
        let mut rest = &piece[..];
        while !rest.is_empty() {
            if self.open.len() == self.open.capacity() {
                self.close();
                self.room = (self.room * 2).clamp(FIRST_ROOM.max(rest.len()), MOST_ROOM);
                self.open = BytesMut::with_capacity(self.room);
            }
            let fits = rest.len().min(self.open.capacity() - self.open.len());
            self.open.extend_from_slice(&rest[..fits]);
            self.end += fits as u64;
            rest = &rest[fits..];
        }
    }

    /// Ends the open block; what room it leaves is that of the next.
    fn close(&mut self) {
        if !self.open.is_empty() {
            let first = self.open_from();
            let bytes = self.open.split().freeze();
            self.closed.push_back(Block { first, bytes });
        }
    }

    /// The bytes from `offset` on, as far as they are in one piece.
    pub(super) fn at(&mut self, offset: u64) -> Option<Bytes> {
        if offset < self.first() || offset >= self.end {
            return None;
        }
        if let Some(within) = offset.checked_sub(self.open_from()) {
            if self.open.len() < COPIED {
                return Some(Bytes::copy_from_slice(&self.open[within as usize..]));
            }
            self.close();
        }
        let block = &self.closed[self.place(offset)];
        Some(block.bytes.slice((offset - block.first) as usize..))
    }

    /// The closed block that has this offset, or would have it.
    fn place(&self, offset: u64) -> usize {
        let after = self.closed.partition_point(|block| block.first <= offset);
        after.saturating_sub(1)
    }

    /// All pieces from `offset` on, which is not before the first byte.
    pub(super) fn since(&mut self, offset: u64) -> Vec<Bytes> {
        self.close();
        let blocks = self.closed.range(self.place(offset)..);
        let rest = blocks.map(|block| {
            let within = offset.saturating_sub(block.first) as usize;
            block.bytes.slice(within.min(block.bytes.len())..)
        });
        rest.filter(|piece| !piece.is_empty()).collect()
    }

    /// Drops the blocks that end at `offset` or before.
    pub(super) fn drop_before(&mut self, offset: u64) {
        let is_over = |block: &Block| block.first + block.bytes.len() as u64 <= offset;
        while self.closed.front().is_some_and(is_over) {
            self.closed.pop_front();
        }
        if self.closed.is_empty() && self.end <= offset {
            self.open.clear();
        }
    }

    /// The memory that it takes, where each large piece fills its buffer.
    #[cfg(test)]
    pub(super) fn cost(&self) -> usize {
        let closed: usize = self.closed.iter().map(|block| block.bytes.len()).sum();
        closed + self.open.capacity() + self.closed.capacity() * size_of::<Block>()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
