//! Files on their way to clients, of which the slowest that is sent a removed one can be cut off for the disk's sake.
//! When that is done is `removed_files`'.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::yield_now;

use crate::store::RemovedFiles;
use crate::sys::notifier::Notifier;
use crate::sys::stream::Stream;

/// The bytes after which what was sent is counted.
const STEP: u64 = 1 << 20;

/// The files that are being sent.
#[derive(Default)]
pub(super) struct Transfers {
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
    /// Sends `len` bytes of `file` from `offset` on. Fails when the client is gone, or is cut off.
    pub(super) async fn send(
        &self,
        stream: &Stream,
        file: &Arc<File>,
        offset: u64,
        len: u64,
        timeout: Duration,
    ) -> io::Result<()> {
        let running = self.begin(file);
        let transfer = &running.transfer;
        let sending = async {
            let mut sent = 0;
            while sent < len {
                let step = STEP.min(len - sent);
                stream.send_file(file, offset + sent, step, timeout).await?;
                sent += step;
                transfer.sent.set(sent);
                if sent < len {
                    yield_now().await;
                }
            }
            Ok(())
        };
        tokio::select! {
            biased;
            sent = sending => sent,
            () = transfer.notifier.holds(|| transfer.is_cut.get()) => {
                // So that a client whose content ends with the connection can tell.
                stream.reset_on_close();
                Err(io::ErrorKind::StorageFull.into())
            }
        }
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

/// Bytes a second.
fn pace(sent: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    sent.saturating_mul(1000) / millis.max(1)
}
