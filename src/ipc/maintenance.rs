//! The evictor's orders to the worker that sees to the store's files, and that worker's answers: over a channel of their
//! own, one order after another.

use std::os::fd::BorrowedFd;

use super::channel::{AnswerTo, Channel};
use super::codec::{Decode, DecodeError, Encode, Reader, messages, record};

/// An order to the worker. Each is carried out in a step that takes a fraction of a second, and given again for the rest.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum StoreOrder {
    /// Remove what belongs to nobody; answered by `Tidied`.
    Tidy {},
    /// Remove stored responses until they gave so many bytes and files back; answered by `Evicted`.
    Evict { bytes: u64, files: u64 },
    /// Give free pages of the index back to the disk, so many bytes of them; answered by `Compacted`.
    Compact { bytes: u64 },
    /// Tell what is free; answered by `Free`.
    Free {},
}

/// The worker's answer.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum StoreReply {
    Failed { reason: String },
    Tidied { tidied: Tidied },
    Evicted { evicted: Evicted },
    Compacted { bytes: u64 },
    Free { free: Free },
}

/// What belonged to nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Tidied {
    /// Files that other versions left, now removed.
    pub versions: Cleared,
    /// Files that were never finished, now removed.
    pub unfinished: Cleared,
    /// Bytes of what other versions left that are still there.
    pub left: u64,
    /// False when there is more to do.
    pub is_done: bool,
    /// The first that couldn't be removed and why, or nothing.
    pub failure: String,
}

/// Files that were removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Cleared {
    pub files: u64,
    pub bytes: u64,
}

/// The outcome of a step of eviction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Evicted {
    /// The stored responses that went; none when none is left.
    pub responses: u64,
    /// The bytes that they took.
    pub bytes: u64,
    /// Those that were in a file of their own.
    pub files: u64,
}

/// Room on the store's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Free {
    /// Bytes that are free.
    pub bytes: u64,
    /// Bytes that the store took of the disk at that moment, leftovers included.
    pub held: u64,
    /// Inodes that are free, and of how many; 0 of 0 where the file system makes them as needed.
    pub inodes: u64,
    pub all_inodes: u64,
    /// Bytes that the store's directories take themselves.
    pub directories: u64,
}

record!(Cleared { files, bytes } at most 1);
record!(Tidied { versions, unfinished, left, is_done, failure } at most 1);
record!(Evicted { responses, bytes, files } at most 1);
record!(Free { bytes, held, inodes, all_inodes, directories } at most 1);

messages! { StoreOrder:
    6 = Tidy {}
    7 = Evict { bytes, files }
    8 = Compact { bytes }
    9 = Free {}
}

messages! { StoreReply:
    3 = Failed { reason }
    4 = Tidied { tidied }
    5 = Evicted { evicted }
    6 = Compacted { bytes }
    7 = Free { free }
}

impl AnswerTo<StoreReply> for StoreOrder {}
impl AnswerTo<StoreOrder> for StoreReply {}

/// The channel as the evictor holds it.
pub type MaintainerChannel = Channel<StoreReply>;
/// The channel as the worker holds it.
pub type OrderChannel = Channel<StoreOrder>;
