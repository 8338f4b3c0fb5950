//! Writing a spool: chunks in, spilled to a draft when there are many, held back when readers or
//! the disk are behind. A store that fails turns it into a window; the content goes on.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::{ContentEnd, DraftFile, IN_MEMORY, Inner, Keep, Spool, UNWRITTEN, WINDOW};
use crate::http::fields::Fields;
use crate::store::operations::{Operations, Pending};
use crate::store::{Checksum, Draft, StoreError, Whole};

/// The most time that content waits for room in the store, which is made meanwhile, and the time between two tries.
const FOR_ROOM: Duration = Duration::from_secs(1);
const TRY_EVERY: Duration = Duration::from_millis(20);

/// The one writer of a [`Spool`]. Dropped before an end was said, it cuts the content off.
#[derive(Debug)]
pub struct SpoolWriter {
    spool: Rc<Spool>,
    /// The checksum of all content, and of what the draft's file has.
    checksum: Checksum,
    checksum_written: Checksum,
    draft: Option<Arc<Draft>>,
    /// The threads that write to it.
    operations: Option<Arc<Operations>>,
    writing: Option<PendingWrite>,
    /// Since when the store has had no room for what comes next.
    refused: Option<Instant>,
}

#[derive(Debug)]
struct PendingWrite {
    task: Pending<Result<(), StoreError>>,
    /// The content that the file has once it is done.
    written_then: u64,
    checksum_then: Checksum,
}

impl SpoolWriter {
    pub(super) fn new(spool: Rc<Spool>) -> SpoolWriter {
        SpoolWriter {
            spool,
            checksum: Checksum::new(),
            checksum_written: Checksum::new(),
            draft: None,
            operations: None,
            writing: None,
            refused: None,
        }
    }

    /// True when the content has outgrown memory and wants a draft.
    pub fn wants_draft(&self) -> bool {
        let inner = self.spool.inner.borrow();
        inner.keep == Keep::All && self.draft.is_none() && inner.blocks.end() > IN_MEMORY
    }

    /// Gives the place that content is written to once it has outgrown memory, by these threads.
    pub fn spill_to(&mut self, draft: Draft, operations: Arc<Operations>) {
        self.operations = Some(operations);
        self.spool.inner.borrow_mut().draft = Some(DraftFile {
            file: draft.file.clone(),
            offset: 0,
        });
        self.draft = Some(Arc::new(draft));
    }

    /// Keeps no more than a window from now on: the content won't be published.
    pub fn give_up_keeping(&mut self) {
        if !self.keeps_all() {
            return;
        }
        let mut inner = self.spool.inner.borrow_mut();
        let Inner {
            readers,
            blocks,
            written,
            ..
        } = &mut *inner;
        readers.pass_from(*written, self.checksum_written.clone(), blocks);
        inner.keep = Keep::Window;
        inner.trim();
        drop(inner);
        self.spool.grown.notify();
    }

    pub fn keeps_all(&self) -> bool {
        self.spool.keeps_all()
    }

    /// Appends a chunk, then waits while readers (of a window) or the disk are too far behind.
    ///
    /// # Errors
    /// Given once: the draft failed, and the content goes on as a window.
    pub async fn push(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        if self.keeps_all() {
            self.checksum.update(&chunk);
        }
        self.spool.inner.borrow_mut().add(chunk);
        self.spool.grown.notify();
        if self.keeps_all() {
            return self.spill(UNWRITTEN).await;
        }
        self.wait_for_window().await;
        Ok(())
    }

    /// Waits until the fastest reader is near enough. Without any reader a full window waits for
    /// one; the fetch ends from outside when none will come.
    async fn wait_for_window(&self) {
        let is_near = || {
            let inner = self.spool.inner.borrow();
            let taken = inner.fastest().unwrap_or(0).max(inner.written);
            inner.blocks.end().saturating_sub(taken) < WINDOW
        };
        self.spool.taken.holds(is_near).await;
    }

    pub fn spool(&self) -> &Rc<Spool> {
        &self.spool
    }

    /// Has the draft's file at most `behind` bytes behind; starts a write when none is under way.
    async fn spill(&mut self, behind: u64) -> Result<(), StoreError> {
        if self.draft.is_none() {
            return Ok(());
        }
        loop {
            let must_wait = {
                let inner = self.spool.inner.borrow();
                inner.blocks.end() - inner.written > behind
            };
            if let Some(write) = &mut self.writing {
                if !must_wait && !write.task.is_done() {
                    return Ok(());
                }
                let done = write.task.outcome().await;
                self.written(done.and_then(|done| done))?;
            } else if !self.start_write(behind)? {
                if self.refused.is_none() || !must_wait {
                    return Ok(());
                }
                sleep(TRY_EVERY).await;
            }
        }
    }

    /// Starts to write what the file lacks, if that is much or nothing may be left, and there is room for it.
    fn start_write(&mut self, behind: u64) -> Result<bool, StoreError> {
        let (Some(draft), Some(operations)) = (&self.draft, &self.operations) else {
            return Ok(false);
        };
        let mut inner = self.spool.inner.borrow_mut();
        let lacking = inner.blocks.end() - inner.written;
        if lacking == 0 || (lacking < UNWRITTEN / 8 && behind > 0) {
            return Ok(false);
        }
        if let Err(full) = draft.reserve(inner.blocks.end()) {
            let since = *self.refused.get_or_insert_with(Instant::now);
            if since.elapsed() < FOR_ROOM {
                return Ok(false);
            }
            drop(inner);
            self.give_up_keeping();
            return Err(full);
        }
        self.refused = None;
        let (at, written_then) = (inner.written, inner.blocks.end());
        let chunks = inner.blocks.since(at);
        drop(inner);
        let draft = Arc::clone(draft);
        let task = operations.start(move || write_chunks(&draft, at, &chunks));
        self.writing = Some(PendingWrite {
            task: task.inspect_err(|_| self.give_up_keeping())?,
            written_then,
            checksum_then: self.checksum.clone(),
        });
        Ok(true)
    }

    fn written(&mut self, done: Result<(), StoreError>) -> Result<(), StoreError> {
        let Some(write) = self.writing.take() else {
            return Ok(());
        };
        done.inspect_err(|_| self.give_up_keeping())?;
        let mut inner = self.spool.inner.borrow_mut();
        inner.written = write.written_then;
        self.checksum_written = write.checksum_then;
        inner.trim();
        drop(inner);
        self.spool.grown.notify();
        Ok(())
    }

    /// Says that the content is whole; what it holds, when it was kept.
    pub async fn finish(mut self, trailers: Fields) -> Result<Option<Whole>, StoreError> {
        // Readers don't wait for the disk: what the file lacks is in memory.
        let trailers = Rc::new(trailers);
        self.end(ContentEnd::Whole { trailers });
        self.kept().await
    }

    /// The content that was kept, when the file has all of it.
    async fn kept(&mut self) -> Result<Option<Whole>, StoreError> {
        if self.keeps_all() {
            self.spill(0).await?;
        }
        if !self.keeps_all() {
            return Ok(None);
        }
        let mut inner = self.spool.inner.borrow_mut();
        let Some(draft) = self.draft.take() else {
            return Ok(Some(Whole::Memory(inner.blocks.since(0))));
        };
        // Every write has ended, so this is the only one left to hold it.
        Ok(Arc::into_inner(draft).map(|draft| Whole::Draft {
            draft,
            len: inner.blocks.end(),
            checksum: std::mem::take(&mut self.checksum),
        }))
    }

    pub fn len(&self) -> u64 {
        self.spool.len()
    }

    /// Says that the content is cut off, and why; what there is of it, when it was kept.
    pub async fn cut_keeping(mut self, why: &str) -> Result<Option<Whole>, StoreError> {
        self.end(ContentEnd::Cut(why.into()));
        self.kept().await
    }

    /// Says that the content is cut off, and why.
    pub fn cut(self, why: &str) {
        self.end(ContentEnd::Cut(why.into()));
    }

    fn end(&self, end: ContentEnd) {
        self.spool.inner.borrow_mut().end.get_or_insert(end);
        self.spool.grown.notify();
    }
}

impl Drop for SpoolWriter {
    fn drop(&mut self) {
        self.end(ContentEnd::Cut("the fetch was given up".into()));
    }
}

fn write_chunks(draft: &Draft, mut at: u64, chunks: &[Bytes]) -> Result<(), StoreError> {
    for chunk in chunks {
        draft.write_at(chunk, at)?;
        at += chunk.len() as u64;
    }
    Ok(())
}
