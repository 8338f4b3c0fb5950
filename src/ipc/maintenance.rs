//! The evictor's orders to the worker that sees to the store's files, and that worker's answers: over a channel of their
//! own, one order after another.

use std::os::fd::BorrowedFd;

use super::channel::{AnswerTo, Channel};
use super::codec::{Decode, DecodeError, Encode, MAX_ITEMS, Reader, messages, record};
use super::message::Object;

/// A stored response as a look into its directory finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct StoredObject {
    pub object: Object,
    /// Seconds since 1970.
    pub modified: u64,
}

/// An order to the worker.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum StoreOrder {
    /// Remove temporary files that a process left behind; answered by their number.
    RemoveLeftovers {},
    /// Tell what is stored in the directory with this number; answered by one or more `Found`.
    Scan { directory: u8 },
    /// Remove this; answered by a number without meaning.
    Evict { object: Object },
    /// Tell the bytes that the directories take themselves.
    Directories {},
    /// Tell the bytes that are free on the disk.
    Free {},
}

/// The worker's answer.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum StoreReply {
    Number {
        value: u64,
    },
    Found {
        entries: Vec<StoredObject>,
        is_last: bool,
    },
    Failed {
        reason: String,
    },
}

record!(StoredObject { object, modified } at most MAX_ITEMS);

messages! { StoreOrder:
    1 = RemoveLeftovers {}
    2 = Scan { directory }
    3 = Evict { object }
    4 = Directories {}
    5 = Free {}
}

messages! { StoreReply:
    1 = Number { value }
    2 = Found { entries, is_last }
    3 = Failed { reason }
}

impl AnswerTo<StoreReply> for StoreOrder {}
impl AnswerTo<StoreOrder> for StoreReply {}

/// The channel as the evictor holds it.
pub type MaintainerChannel = Channel<StoreReply>;
/// The channel as the worker holds it.
pub type OrderChannel = Channel<StoreOrder>;
