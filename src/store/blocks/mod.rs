//! Large content in blocks of 1 MiB, each with a checksum: made while it is written, kept behind it in its file, compared
//! before a block is sent for the first time since the start.
//!
//! Which blocks have been checked is in shared memory (`sys::shared`); what becomes of a damaged one is its sender's
//! business.

mod checks;
pub mod damaged;
mod footer;
mod sums;

pub use checks::{BlockChecks, OfFile};
pub(super) use footer::Footer;
pub(super) use sums::{BlockSums, encode_sums};

use std::io;

use super::checksum::Checksum;
use super::record::head::FileId;

/// The bytes that one checksum is of; the last one's may be fewer.
pub const BLOCK: u64 = 1 << 20;

/// The bytes of a checksum.
const SUM: u64 = 16;

/// The number of blocks of content of this length.
pub fn count(len: u64) -> u64 {
    len.div_ceil(BLOCK)
}

/// The length of a block of content of this length.
pub fn length_of(block: u64, len: u64) -> u64 {
    len.saturating_sub(block.saturating_mul(BLOCK)).min(BLOCK)
}

/// A way to fill bytes from a place in a file.
type Read<'a> = &'a dyn Fn(&mut [u8], u64) -> io::Result<()>;

/// Reads a block of content that begins at the beginning of its file, and sums it up.
fn sum_up(read: Read<'_>, block: u64, len: u64) -> io::Result<u128> {
    // Several reads of few bytes: a buffer as large as a block for each that is read at once would be much.
    let mut buffer = vec![0; 64 << 10];
    let mut checksum = Checksum::new();
    let (mut at, end) = (block * BLOCK, block * BLOCK + length_of(block, len));
    while at < end {
        let step = (end - at).min(buffer.len() as u64) as usize;
        read(&mut buffer[..step], at)?;
        checksum.update(&buffer[..step]);
        at += step as u64;
    }
    Ok(checksum.finish())
}
