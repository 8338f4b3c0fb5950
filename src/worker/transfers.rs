//! Files on their way to clients, and those that are cut off for the disk's sake: removed files count as used for as long
//! as somebody is sent them, and when less disk is free than `min_free_disk` the slowest who is sent one goes, one a
//! second, until that is over.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{spawn_blocking, yield_now};
use tokio::time::sleep;

use super::state::Worker;
use super::store_writer::StoreWriter;
use crate::store::{OpenFiles, RemovedFiles};
use crate::sys::notifier::Notifier;
use crate::sys::stream::Stream;

/// The time between two looks at what is sent, and between two clients that are cut off.
const EVERY: Duration = Duration::from_millis(250);
const BETWEEN_CUTS: Duration = Duration::from_secs(1);
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
    fn cut_slowest(&self, removed: &RemovedFiles, now: Instant) -> bool {
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

/// Tells the others what removed files take, and cuts clients off when that leaves too little disk.
pub(super) async fn watch(worker: Rc<Worker>) {
    let Some(files) = worker.store.as_ref().map(StoreWriter::open_files) else {
        return;
    };
    let mut last_cut = Instant::now();
    loop {
        sleep(EVERY).await;
        let removed = look(files).await;
        let index = usize::from(worker.index);
        worker.shared.set_removed(index, removed.bytes);
        let now = Instant::now();
        let may_cut = worker.shared.is_below_floor() && now - last_cut >= BETWEEN_CUTS;
        if may_cut && worker.transfers.cut_slowest(&removed, now) {
            last_cut = now;
            worker.warn_cut_off(removed.bytes);
        }
    }
}

async fn look(files: &Arc<OpenFiles>) -> RemovedFiles {
    if files.is_empty() {
        return RemovedFiles::default();
    }
    let files = files.clone();
    spawn_blocking(move || files.removed())
        .await
        .unwrap_or_default()
}
