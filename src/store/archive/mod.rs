//! An archive: whole stored responses as one stream of bytes, to be moved from store to store.
//!
//! It begins with a line that says what it is and its version. Each response is a line with two lengths, a head in
//! lines of text that says the rest, the content as it is, and a line with a checksum of head and content. A last
//! line counts the responses. So whatever is cut short or damaged is found, and what came before it is whole.

mod head;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{ArchiveReader, Archived, Verdict};
pub use write::{ArchiveWriter, PutOutcome};

const BEGIN: &str = "cacheproxy archive, version ";
const VERSION: u32 = 4;
/// The longest head of a response, and the longest other line.
const MOST_HEAD: usize = 1 << 20;
const MOST_LINE: usize = 128;
/// Stands in place of the checksum when the store's content turned out damaged while it was written.
const SPOILED: &str = "spoiled";

/// The reason why an archive can't be read any further.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ArchiveError {
    #[error("the archive can't be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("the archive is cut short at byte {0}; make it again")]
    CutShort(u64),
    /// It isn't one, or not one of this version.
    #[error("{0}")]
    Other(String),
    #[error("the archive is damaged at byte {at}: {why}")]
    Damaged { at: u64, why: &'static str },
}
