//! The spool: a response's content while it is fetched. Written once, read by any number of clients
//! at their own pace: whole, in memory while small and in the store's unnamed file when not, or as
//! a bounded window when it can't be stored. A writer that is ahead waits; nobody else does.
//!
//! Storing is not decided here: the writer publishes a whole spool.

mod reader;
mod writer;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use crate::http::fields::Fields;
use crate::sys::notifier::Notifier;

pub use reader::{Piece, SpoolReader};
pub use writer::SpoolWriter;

/// Content up to this many bytes stays in memory; more goes into a draft.
pub const IN_MEMORY: u64 = 256 << 10;
/// A window holds at most about this much that its slowest reader has not taken.
pub const WINDOW: u64 = 256 << 10;
/// The most bytes that a writer may be ahead of the draft's file.
const UNWRITTEN: u64 = 2 << 20;

/// The content that is kept: all of it, or only what the readers have yet to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// All of it, to be published; any reader may begin at the start.
    All,
    /// A bounded window: readers must be there from the start.
    Window,
}

#[derive(Debug, Clone)]
pub enum ContentEnd {
    Whole {
        trailers: Rc<Fields>,
    },
    /// It is cut off; the reason is for the journal.
    Cut(Rc<str>),
}

/// Content being fetched; shared by one [`SpoolWriter`] and its [`SpoolReader`]s, all on one thread.
#[derive(Debug)]
pub struct Spool {
    inner: RefCell<Inner>,
    notifier: Notifier,
}

#[derive(Debug)]
struct Inner {
    keep: Keep,
    /// The content in memory: contiguous, from offset `first` to `len`.
    chunks: VecDeque<Bytes>,
    first: u64,
    len: u64,
    /// The draft's file holds the content from 0 to `written`.
    draft: Option<DraftFile>,
    written: u64,
    end: Option<ContentEnd>,
    /// The positions of the readers; `None` is a free place.
    readers: Vec<Option<u64>>,
}

/// The file that readers take content from once it has left memory.
#[derive(Debug, Clone)]
struct DraftFile {
    file: Arc<std::fs::File>,
    offset: u64,
}

impl Spool {
    pub fn new(keep: Keep) -> (Rc<Spool>, SpoolWriter) {
        let spool = Rc::new(Spool {
            inner: RefCell::new(Inner {
                keep,
                chunks: VecDeque::new(),
                first: 0,
                len: 0,
                draft: None,
                written: 0,
                end: None,
                readers: Vec::new(),
            }),
            notifier: Notifier::default(),
        });
        let writer = SpoolWriter::new(spool.clone());
        (spool, writer)
    }

    /// A reader from the start, or `None` when the start is no longer there.
    pub fn reader(self: &Rc<Spool>) -> Option<SpoolReader> {
        let mut inner = self.inner.borrow_mut();
        let is_there = inner.first <= inner.written;
        is_there.then(|| SpoolReader::new(self.clone(), inner.add_reader()))
    }

    pub fn len(&self) -> u64 {
        self.inner.borrow().len
    }

    pub fn end(&self) -> Option<ContentEnd> {
        self.inner.borrow().end.clone()
    }

    pub fn is_whole(&self) -> bool {
        matches!(self.inner.borrow().end, Some(ContentEnd::Whole { .. }))
    }

    pub async fn ended(&self) {
        self.notifier.until(|| self.end()).await;
    }

    /// True when all of it is kept, to be published.
    pub fn keeps_all(&self) -> bool {
        self.inner.borrow().keep == Keep::All
    }
}

impl Inner {
    /// A place for a reader from the start.
    fn add_reader(&mut self) -> usize {
        let free = self.readers.iter().position(Option::is_none);
        if free.is_none() {
            self.readers.push(None);
        }
        let place = free.unwrap_or(self.readers.len() - 1);
        self.readers[place] = Some(0);
        place
    }

    fn slowest(&self) -> Option<u64> {
        self.readers.iter().flatten().copied().min()
    }

    /// Drops from memory what nobody needs there: what the file has, and in a window what all have read.
    fn trim(&mut self) {
        let taken = match self.keep {
            Keep::All => 0,
            Keep::Window => self.slowest().unwrap_or(0),
        };
        let needless = self.written.max(taken);
        while let Some(chunk) = self.chunks.front() {
            let after = self.first + chunk.len() as u64;
            if after > needless {
                break;
            }
            self.first = after;
            self.chunks.pop_front();
        }
    }
}
