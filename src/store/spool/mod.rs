//! The spool: a response's content while it is fetched. Written once, read by any number of clients
//! at their own pace: whole, in memory while small and in the store's unnamed file when not, or as
//! a bounded window when it can't be stored. A writer that is ahead of all waits; nobody else does: a
//! reader that falls out of the window misses what comes next.
//!
//! Storing is not decided here: the writer publishes a whole spool.

mod blocks;
mod reader;
mod readers;
mod writer;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::http::fields::Fields;
use crate::sys::notifier::Notifier;

use blocks::Blocks;
pub use reader::{Piece, SpoolReader};
use readers::Readers;
pub use writer::SpoolWriter;

/// Content up to this many bytes stays in memory; more goes into a draft.
pub const IN_MEMORY: u64 = 256 << 10;
/// A window holds at most about this much that its fastest reader has not taken.
pub const WINDOW: u64 = 256 << 10;
/// The most that it holds for those behind that one.
const BEHIND: u64 = 1 << 20;
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
    /// For readers: there is more, or the end.
    grown: Notifier,
    /// For the writer: something was taken from a window, a reader came or went.
    taken: Notifier,
}

#[derive(Debug)]
struct Inner {
    keep: Keep,
    /// The content in memory, the latest of it.
    blocks: Blocks,
    /// The draft's file holds the content from 0 to `written`.
    draft: Option<DraftFile>,
    written: u64,
    end: Option<ContentEnd>,
    readers: Readers,
    /// When the latest content came.
    moved: Instant,
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
                blocks: Blocks::default(),
                draft: None,
                written: 0,
                end: None,
                readers: Readers::default(),
                moved: Instant::now(),
            }),
            grown: Notifier::default(),
            taken: Notifier::default(),
        });
        let writer = SpoolWriter::new(spool.clone());
        (spool, writer)
    }

    /// A window of content that passes.
    pub fn window() -> (Rc<Spool>, SpoolWriter) {
        Spool::new(Keep::Window)
    }

    /// A reader from the start, or `None` when the start is no longer there.
    pub fn reader(self: &Rc<Spool>) -> Option<SpoolReader> {
        let mut inner = self.inner.borrow_mut();
        let place = inner.has_start().then(|| inner.readers.add())?;
        drop(inner);
        self.taken.notify();
        Some(SpoolReader::new(self.clone(), place))
    }

    pub fn len(&self) -> u64 {
        self.inner.borrow().blocks.end()
    }

    pub fn end(&self) -> Option<ContentEnd> {
        self.inner.borrow().end.clone()
    }

    /// True when more is to come, and none has for so long.
    pub fn has_stalled(&self, time: Duration) -> bool {
        let inner = self.inner.borrow();
        inner.end.is_none() && inner.moved.elapsed() > time
    }

    pub fn is_whole(&self) -> bool {
        matches!(self.inner.borrow().end, Some(ContentEnd::Whole { .. }))
    }

    /// Resolves when it has come to its end, or isn't kept any more.
    pub async fn kept(&self) {
        let is_settled = || self.end().is_some() || !self.keeps_all();
        self.grown.holds(is_settled).await;
    }

    /// Resolves when it is a window that nobody reads, and that has left its start behind: nobody can begin.
    pub async fn out_of_reach(&self) {
        let is_out_of_reach = || self.inner.borrow().is_out_of_reach();
        self.taken.holds(is_out_of_reach).await;
    }

    /// Resolves when one reader is there, and no other.
    pub async fn has_one_reader(&self) {
        self.taken.holds(|| self.readers() == 1).await;
    }

    /// Resolves when more than one reader is there, or none.
    pub async fn has_many_readers_or_none(&self) {
        self.taken.holds(|| self.readers() != 1).await;
    }

    /// Resolves when it has no reader.
    pub async fn unread(&self) {
        self.taken.holds(|| self.readers() == 0).await;
    }

    fn readers(&self) -> usize {
        self.inner.borrow().readers.count()
    }

    /// True when all of it is kept, to be published.
    pub fn keeps_all(&self) -> bool {
        self.inner.borrow().keep == Keep::All
    }
}

impl Inner {
    /// True when a reader can begin.
    fn has_start(&self) -> bool {
        self.blocks.first() <= self.written
    }

    /// The position of the reader that is ahead of the others. One that waits for what is still to come has taken all
    /// there is.
    fn fastest(&self) -> Option<u64> {
        let fastest = self.readers.fastest();
        fastest.map(|position| position.min(self.blocks.end()))
    }

    /// The start of a window: nobody is behind it, or it has left them behind, which is for what is still to come.
    fn window_start(&self) -> u64 {
        let (Some(slowest), Some(fastest)) = (self.readers.slowest(), self.fastest()) else {
            return 0;
        };
        match &self.end {
            Some(_) => slowest,
            None => fastest.saturating_sub(BEHIND).max(fastest.min(slowest)),
        }
    }

    fn is_out_of_reach(&self) -> bool {
        self.keep == Keep::Window && self.readers.is_empty() && !self.has_start()
    }

    fn add(&mut self, chunk: Bytes) {
        self.blocks.push(chunk);
        self.moved = Instant::now();
        // Those who read it see to the window, but for one that waits for what is far ahead.
        let held = self.blocks.end() - self.blocks.first();
        if self.keep == Keep::Window && held > WINDOW {
            self.trim();
        }
    }

    /// Drops from memory what nobody needs there: what the file has, and in a window what is before it.
    fn trim(&mut self) {
        let start = match self.keep {
            Keep::All => 0,
            Keep::Window => self.window_start(),
        };
        self.blocks.drop_before(self.written.max(start));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
