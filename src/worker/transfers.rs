//! Files on their way to clients, each block of stored content checked before a byte of it goes out for the first time
//! since the start. Of those that are sent a removed one the slowest can be cut off for the disk's sake: when that is done
//! is `removed_files`'.
//!
//! What isn't in memory is read off the event loop, a block ahead of what is sent.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::yield_now;

use super::block_reads::{BlockReads, FilePart};
use crate::store::blocks::BLOCK;
use crate::store::{RemovedFiles, StoreError};
use crate::sys::notifier::Notifier;
use crate::sys::stream::Stream;

/// A reason why sending ended early.
#[derive(Debug)]
pub(super) enum TransferEnd {
    /// The client is gone, or was cut off.
    Gone(io::Error),
    /// What follows after so many bytes can't be read.
    Lost { sent: u64, failure: StoreError },
}

impl From<TransferEnd> for io::Error {
    fn from(end: TransferEnd) -> io::Error {
        match end {
            TransferEnd::Gone(error) => error,
            TransferEnd::Lost { failure, .. } => io::Error::other(failure),
        }
    }
}

/// The files that are being sent.
pub(super) struct Transfers {
    reads: BlockReads,
    running: RefCell<HashMap<u64, Rc<Transfer>>>,
    last: Cell<u64>,
}

struct Transfer {
    file: Arc<File>,
    begun: Instant,
    sent: Cell<u64>,
    is_cut: Cell<bool>,
    notifier: Notifier,
}

/// A transfer that goes on for as long as this is kept.
struct Running<'a> {
    transfers: &'a Transfers,
    number: u64,
    transfer: Rc<Transfer>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.transfers.running.borrow_mut().remove(&self.number);
    }
}

impl Transfers {
    /// None yet, for the store at `path`.
    pub(super) fn new(path: &Path) -> Transfers {
        Transfers {
            reads: BlockReads::new(path),
            running: RefCell::default(),
            last: Cell::new(0),
        }
    }

    /// The reads of blocks before they are sent.
    pub(super) fn reads(&self) -> &BlockReads {
        &self.reads
    }

    /// Sends a part of a file. Fails when the client is gone, or is cut off, or the file can't be read.
    pub(super) async fn send(
        &self,
        stream: &Stream,
        part: FilePart<'_>,
        timeout: Duration,
    ) -> Result<(), TransferEnd> {
        let running = self.begin(part.file);
        let transfer = &running.transfer;
        tokio::select! {
            biased;
            sent = self.send_blocks(stream, part, timeout, &transfer.sent) => sent,
            () = transfer.notifier.holds(|| transfer.is_cut.get()) => {
                // So that a client whose content ends with the connection can tell.
                stream.reset_on_close();
                Err(TransferEnd::Gone(io::ErrorKind::StorageFull.into()))
            }
        }
    }

    async fn send_blocks(
        &self,
        stream: &Stream,
        part: FilePart<'_>,
        timeout: Duration,
        sent: &Cell<u64>,
    ) -> Result<(), TransferEnd> {
        let mut checked = self.reads.check(part, 0).await;
        while sent.get() < part.len {
            checked.map_err(|failure| TransferEnd::Lost {
                sent: sent.get(),
                failure,
            })?;
            let at = part.offset + sent.get();
            let step = (BLOCK - at % BLOCK).min(part.len - sent.get());
            let next = self.reads.check(part, sent.get() + step);
            let sending = stream.send_file(part.file, at, step, timeout, sent);
            let (done, next) = tokio::join!(sending, next);
            done.map_err(|error| ended(error, part, sent.get()))?;
            checked = next;
            if sent.get() < part.len {
                yield_now().await;
            }
        }
        Ok(())
    }

    fn begin(&self, file: &Arc<File>) -> Running<'_> {
        let number = self.last.get() + 1;
        self.last.set(number);
        let transfer = Rc::new(Transfer {
            file: file.clone(),
            begun: Instant::now(),
            sent: Cell::new(0),
            is_cut: Cell::new(false),
            notifier: Notifier::default(),
        });
        self.running.borrow_mut().insert(number, transfer.clone());
        Running {
            transfers: self,
            number,
            transfer,
        }
    }

    /// Cuts off the slowest of those that are sent a removed file; false when there is none.
    pub(super) fn cut_slowest(&self, removed: &RemovedFiles, now: Instant) -> bool {
        let running = self.running.borrow();
        let of_removed = running.values().filter(|it| removed.has(&it.file));
        let slowest = of_removed.min_by_key(|it| {
            let time = now.saturating_duration_since(it.begun);
            (pace(it.sent.get(), time), it.begun)
        });
        let Some(slowest) = slowest else {
            return false;
        };
        slowest.is_cut.set(true);
        slowest.notifier.notify();
        true
    }
}

/// The end that this failure to send from a file is: the file's or the client's.
fn ended(error: io::Error, part: FilePart<'_>, sent: u64) -> TransferEnd {
    let at = StoreError::at("the content's file".as_ref());
    match (error.kind(), part.blocks) {
        (io::ErrorKind::UnexpectedEof, Some(blocks)) => TransferEnd::Lost {
            sent,
            failure: blocks.damaged("it is truncated"),
        },
        _ if is_of_disk(&error) => TransferEnd::Lost {
            sent,
            failure: at(error),
        },
        _ => TransferEnd::Gone(error),
    }
}

/// True for an error that a file has, and a connection never.
fn is_of_disk(error: &io::Error) -> bool {
    // EIO, ESTALE, EUCLEAN (a file system's structure), EBADMSG (its checksums).
    matches!(error.raw_os_error(), Some(5 | 116 | 117 | 74))
}

/// Bytes a second.
fn pace(sent: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    sent.saturating_mul(1000) / millis.max(1)
}
