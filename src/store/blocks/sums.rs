//! The checksums of content that is being written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::{BLOCK, count, sum_up};
use crate::store::checksum::Checksum;

/// The checksums of the blocks of content that comes in order.
#[derive(Debug)]
pub struct BlockSums {
    whole: Vec<u128>,
    /// Of the block that has begun.
    last: Checksum,
    /// The bytes that came; `None` once they came out of order.
    end: Option<u64>,
}

impl Default for BlockSums {
    fn default() -> BlockSums {
        BlockSums {
            whole: Vec::new(),
            last: Checksum::new(),
            end: Some(0),
        }
    }
}

impl BlockSums {
    /// Takes in a part of the content that was written at this place.
    pub fn take(&mut self, at: u64, mut part: &[u8]) {
        let Some(mut end) = self.end.take().filter(|end| *end == at) else {
            return;
        };
        while !part.is_empty() {
            let room = (BLOCK - end % BLOCK).min(part.len() as u64);
            let (now, rest) = part.split_at(room as usize);
            self.last.update(now);
            end += room;
            part = rest;
            if end % BLOCK == 0 {
                self.whole.push(std::mem::take(&mut self.last).finish());
            }
        }
        self.end = Some(end);
    }

    /// The checksum of each block of the content, which is so long: of what came, where that was all of it in order, else
    /// of what the file has.
    pub fn finish(&self, file: &File, len: u64) -> io::Result<Vec<u128>> {
        if self.end != Some(len) {
            let read = |bytes: &mut [u8], at| file.read_exact_at(bytes, at);
            return (0..count(len))
                .map(|block| sum_up(&read, block, len))
                .collect();
        }
        let mut sums = self.whole.clone();
        if len % BLOCK > 0 {
            sums.push(self.last.finish());
        }
        Ok(sums)
    }
}

/// The checksums as they stand in a file.
pub fn encode_sums(sums: &[u128]) -> Vec<u8> {
    sums.iter().flat_map(|sum| sum.to_le_bytes()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::suite::content;

    #[test]
    fn blocks_are_summed_up_however_they_come() {
        let block = BLOCK as usize;
        for len in [0, 1, block - 1, block, block + 1, 2 * block + 5] {
            let content = content(len as u64, 3);
            let expected: Vec<u128> = content.chunks(block).map(Checksum::of).collect();
            assert_eq!(expected.len() as u64, count(len as u64));
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&content, 0).unwrap();
            for piece in [1000, 64 << 10, block, 3 * block] {
                let mut sums = BlockSums::default();
                for (number, part) in content.chunks(piece).enumerate() {
                    sums.take((number * piece) as u64, part);
                }
                // Nothing is read back.
                let none = tempfile::tempfile().unwrap();
                assert_eq!(sums.finish(&none, len as u64).unwrap(), expected, "{len}");
                // A part of it that was written again, or came without what is before it.
                sums.take(0, b"x");
                assert_eq!(sums.finish(&file, len as u64).unwrap(), expected, "{len}");
            }
            let mut sums = BlockSums::default();
            sums.take(5, b"later");
            sums.take(0, b"first");
            assert_eq!(sums.finish(&file, len as u64).unwrap(), expected);
        }
    }
}
