//! The thread that changes the store: publishes, refreshes, removes, one after another, so that the event
//! loop never waits for the disk. Its queue is bounded; what doesn't fit isn't stored, and is counted.

use std::cell::Cell;
use std::io;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::store::{OpenFiles, SharedStore, Store};

/// The most changes that wait, and the most bytes of content in memory that wait with them.
const QUEUE: usize = 16 << 10;
const QUEUED_BYTES: u64 = 64 << 20;

type Job = Box<dyn FnOnce(&dyn Store) + Send>;

/// A store, and the queue of the thread that changes it.
pub(super) struct StoreWriter {
    store: Arc<dyn Store>,
    shared: Option<Arc<dyn SharedStore>>,
    jobs: mpsc::Sender<Job>,
    queued: Cell<u64>,
    refused: Cell<u64>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum StoreWriterError {
    #[error(
        "the store is too slow: {0} responses were not stored so far, as too many others waited"
    )]
    Busy(u64),
    #[error("the store's thread has ended")]
    Ended,
}

impl StoreWriter {
    pub(super) fn start(store: Arc<dyn Store>) -> io::Result<StoreWriter> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(QUEUE);
        let changed = store.clone();
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                while let Some(job) = waiting.blocking_recv() {
                    job(&*changed);
                }
            })?;
        Ok(StoreWriter {
            shared: store.clone().shared(),
            store,
            jobs,
            queued: Cell::new(0),
            refused: Cell::new(0),
        })
    }

    /// The store, for what only reads.
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(super) fn open_files(&self) -> &Arc<OpenFiles> {
        self.store.open_files()
    }

    /// The store, when other hosts share it.
    pub(super) fn shared(&self) -> Option<&Arc<dyn SharedStore>> {
        self.shared.as_ref()
    }

    /// Makes a change when its turn comes, which holds this many bytes of content until then; refuses
    /// it when too much waits.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        bytes: u64,
        change: impl FnOnce(&dyn Store) -> T + Send + 'static,
    ) -> Result<T, StoreWriterError> {
        if self.queued.get() > 0 && self.queued.get() + bytes > QUEUED_BYTES {
            return Err(self.refuse());
        }
        let (job, outcome) = job(change);
        match self.jobs.try_send(job) {
            Ok(()) => {
                self.queued.set(self.queued.get() + bytes);
                let _held = QueuedBytes(&self.queued, bytes);
                outcome.await.map_err(|_| StoreWriterError::Ended)
            }
            Err(mpsc::error::TrySendError::Full(_)) => Err(self.refuse()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(StoreWriterError::Ended),
        }
    }

    fn refuse(&self) -> StoreWriterError {
        self.refused.set(self.refused.get() + 1);
        StoreWriterError::Busy(self.refused.get())
    }

    /// Makes a change that must not be left out, after all that wait.
    pub(super) async fn run_surely<T: Send + 'static>(
        &self,
        change: impl FnOnce(&dyn Store) -> T + Send + 'static,
    ) -> Result<T, StoreWriterError> {
        let (job, outcome) = job(change);
        // A job that isn't taken is dropped, and its outcome with it.
        let _ = self.jobs.send(job).await;
        outcome.await.map_err(|_| StoreWriterError::Ended)
    }
}

/// Bytes that wait, as long as somebody waits for them.
struct QueuedBytes<'a>(&'a Cell<u64>, u64);

impl Drop for QueuedBytes<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - self.1);
    }
}

fn job<T: Send + 'static>(
    change: impl FnOnce(&dyn Store) -> T + Send + 'static,
) -> (Job, oneshot::Receiver<T>) {
    let (done, outcome) = oneshot::channel();
    let job = Box::new(move |store: &dyn Store| {
        // The task that asked may have gone; the change is made all the same.
        let _ = done.send(change(store));
    });
    (job, outcome)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::sync::mpsc::sync_channel;
    use std::task::Poll;

    use super::*;
    use crate::store::filesystem::FilesystemStore;
    use crate::sys::shared::Shared;

    #[tokio::test(flavor = "current_thread")]
    async fn what_does_not_fit_is_refused_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared::create().unwrap());
        let writer = StoreWriter::start(Arc::new(
            FilesystemStore::open(&dir.path().join("store"), 1, shared).unwrap(),
        ))
        .unwrap();
        let (open, gate) = sync_channel::<()>(1);
        let blocked = writer.run(0, move |_| gate.recv().is_ok());
        let many = async {
            let mut refused = 0;
            for _ in 0..2 * QUEUE {
                // Dropped unawaited: the change stays in the queue.
                let mut change = pin!(writer.run(0, |_| ()));
                let waiting = poll_fn(|task| Poll::Ready(change.as_mut().poll(task).is_pending()));
                refused += usize::from(!waiting.await);
            }
            open.send(()).unwrap();
            refused
        };
        let (blocked, refused) = tokio::join!(blocked, many);
        assert!(blocked.unwrap());
        assert!((QUEUE - 1..=QUEUE + 1).contains(&refused), "{refused}");
        // A single one is never too large; with others, bytes count as well.
        writer.run_surely(|_| ()).await.unwrap();
        let (open, gate) = sync_channel::<()>(1);
        let large = writer.run(QUEUED_BYTES + 1, move |_| gate.recv().is_ok());
        let small = async {
            let small = writer.run(1, |_| ()).await;
            open.send(()).unwrap();
            small
        };
        let (one, other) = tokio::join!(large, small);
        assert!(one.is_ok() && matches!(other, Err(StoreWriterError::Busy(_))));
        assert_eq!(writer.run_surely(|_| 7).await.unwrap(), 7);
    }
}
