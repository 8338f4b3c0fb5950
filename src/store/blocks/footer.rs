//! The end of a large file: behind its content the checksums of the blocks, then the head of the record, then a footer,
//! which says how long each is. Nothing in it is believed before it is checked. Numbers are little-endian.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::{FileId, SUM, count};
use crate::store::checksum::Checksum;

/// The size of a footer.
const FOOTER: usize = 72;

const MAGIC: &[u8; 8] = b"cp-large";
const VERSION: u32 = 1;

/// The end of a large file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footer {
    /// The file that it belongs to.
    pub id: FileId,
    /// The length of the content, which begins at the file's beginning.
    pub content: u64,
    /// The length of the encoded head and its checksum.
    pub head: u32,
    pub head_checksum: u128,
}

impl Footer {
    /// The footer as it stands in the file.
    pub fn encode(&self) -> [u8; FOOTER] {
        let mut bytes = [0; FOOTER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.head.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.content.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.id);
        bytes[40..56].copy_from_slice(&self.head_checksum.to_le_bytes());
        let checksum = Checksum::of(&bytes[..56]);
        bytes[56..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The footer of a file of this length; an error says what is wrong with it.
    pub fn decode(bytes: &[u8; FOOTER], length: u64) -> Result<Footer, &'static str> {
        if bytes[..8] != *MAGIC {
            return Err("it is truncated, or no large file");
        }
        if bytes[8..12] != VERSION.to_le_bytes() {
            return Err("it is of another version");
        }
        if Checksum::of(&bytes[..56]).to_le_bytes() != bytes[56..] {
            return Err("its footer does not check");
        }
        let footer = Footer {
            id: part(bytes, 24),
            content: u64::from_le_bytes(part(bytes, 16)),
            head: u32::from_le_bytes(part(bytes, 12)),
            head_checksum: u128::from_le_bytes(part(bytes, 40)),
        };
        match footer.length() == Some(length) {
            true => Ok(footer),
            false => Err("it is truncated, or longer than it says"),
        }
    }

    /// Reads the footer of a file; the inner error says what is wrong with it.
    pub fn read(file: &File) -> io::Result<Result<Footer, &'static str>> {
        let length = file.metadata()?.len();
        let Some(at) = length.checked_sub(FOOTER as u64) else {
            return Ok(Err("it is truncated"));
        };
        let mut bytes = [0; FOOTER];
        match file.read_exact_at(&mut bytes, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Ok(Err("it is truncated"))
            }
            read => read.map(|()| Footer::decode(&bytes, length)),
        }
    }

    /// The place of a block's checksum in the file.
    pub fn sum_at(content: u64, block: u64) -> u64 {
        content + block * SUM
    }

    /// The place of the head.
    pub fn head_at(&self) -> u64 {
        Footer::sum_at(self.content, count(self.content))
    }

    /// The least length of a file with this content.
    pub fn least(content: u64) -> u64 {
        let end = content.saturating_add(count(content).saturating_mul(SUM));
        end.saturating_add(FOOTER as u64)
    }

    /// The length of the whole file; `None` for what no file can have.
    pub fn length(&self) -> Option<u64> {
        let sums = count(self.content).checked_mul(SUM)?;
        let end = self.content.checked_add(sums)?;
        end.checked_add(u64::from(self.head) + FOOTER as u64)
    }
}

fn part<const N: usize>(bytes: &[u8; FOOTER], at: usize) -> [u8; N] {
    std::array::from_fn(|n| bytes[at + n])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::blocks::BLOCK;

    #[test]
    fn nothing_that_is_damaged_or_of_another_length_is_taken() {
        let footer = Footer {
            id: [7; 16],
            content: 2 * BLOCK + 1,
            head: 300,
            head_checksum: 5,
        };
        let length = 2 * BLOCK + 1 + 3 * 16 + 300 + FOOTER as u64;
        let bytes = footer.encode();
        assert_eq!(Footer::decode(&bytes, length), Ok(footer.clone()));
        assert_eq!(footer.head_at(), 2 * BLOCK + 1 + 48);
        for other in [0, length - 1, length + 1, u64::MAX] {
            assert!(Footer::decode(&bytes, other).is_err(), "{other}");
        }
        for at in 0..FOOTER {
            let mut bytes = bytes;
            bytes[at] ^= 1;
            assert!(Footer::decode(&bytes, length).is_err(), "byte {at}");
        }
        let endless = Footer {
            content: u64::MAX,
            ..footer
        };
        assert!(Footer::decode(&endless.encode(), length).is_err());
        let file = tempfile::tempfile().unwrap();
        for len in [0, 71, 72, 1000] {
            file.set_len(len).unwrap();
            assert!(Footer::read(&file).unwrap().is_err());
        }
    }
}
