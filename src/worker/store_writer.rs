//! The thread that changes the store: publishes, refreshes, removes, one after another, so that the event
//! loop never waits for the disk. What is to be published at about the same time is published together. Its queue is
//! bounded; what doesn't fit isn't stored, and is counted.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::store::operations::Turns;
use crate::store::{Publication, Published, Store, StoreError, Whole};
use crate::sys::completions::{self, Completer};

/// The most changes that wait, and the most bytes of content in memory that wait with them.
const QUEUE: usize = 16 << 10;
const QUEUED_BYTES: u64 = 64 << 20;

/// The most responses that are published together, and the time for which others are waited for.
const TOGETHER: usize = 64;
const GATHER: Duration = Duration::from_millis(1);

/// A change of the store.
enum Job {
    Publish(Box<Publishing>),
    Other(Other),
}

/// A response to be published, and who waits for that.
struct Publishing {
    publication: Publication,
    done: Completer<Result<Published, StoreError>>,
    held: QueuedBytes,
}

/// The queue of the thread that changes a store.
pub(super) struct StoreWriter {
    jobs: mpsc::Sender<Job>,
    queued: Arc<AtomicU64>,
    refused: Cell<u64>,
    turns: Arc<Turns>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum StoreWriterError {
    #[error(
        "the store is too slow: {0} responses were not stored so far, as too many others waited"
    )]
    Busy(u64),
    #[error("the store's thread has ended")]
    Ended,
    /// A change takes too long, which was said.
    #[error(transparent)]
    Hangs(StoreError),
}

impl From<StoreWriterError> for StoreError {
    /// What isn't done for want of room in the queue is as if the object were gone.
    fn from(lost: StoreWriterError) -> StoreError {
        match lost {
            StoreWriterError::Hangs(hangs) => hangs,
            StoreWriterError::Busy(_) | StoreWriterError::Ended => StoreError::Gone,
        }
    }
}

impl StoreWriterError {
    /// True when the journal has it already.
    pub(super) fn is_told(&self) -> bool {
        matches!(self, StoreWriterError::Hangs(_))
    }
}

impl StoreWriter {
    /// Starts the thread that changes this store, one turn after the other.
    pub(super) fn start(store: Arc<dyn Store>, turns: Arc<Turns>) -> io::Result<StoreWriter> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(QUEUE);
        let taken = turns.clone();
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                while let Some(job) = waiting.blocking_recv() {
                    let (together, then) = gather(job, &mut waiting);
                    let _turn = taken.take();
                    publish_all(&*store, together);
                    if let Some(job) = then {
                        job(&*store);
                    }
                }
            })?;
        Ok(StoreWriter {
            jobs,
            queued: Arc::default(),
            refused: Cell::new(0),
            turns,
        })
    }

    /// True while nobody should wait for a change.
    pub(super) fn hangs(&self) -> bool {
        self.turns.hang()
    }

    /// Makes a change when its turn comes, which holds this many bytes of content until then; refuses
    /// it when too much waits, or the store hangs.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        bytes: u64,
        change: impl FnOnce(&dyn Store) -> T + Send + 'static,
    ) -> Result<T, StoreWriterError> {
        let (done, outcome) = completions::channel();
        self.queue(bytes, |held| job(held, done, change))?;
        self.outcome(outcome, None).await
    }

    /// Stores a whole response when its turn comes; refuses it as [`StoreWriter::run`] does.
    pub(super) async fn publish(
        &self,
        publication: Publication,
    ) -> Result<Result<Published, StoreError>, StoreWriterError> {
        let bytes = match &publication.whole {
            Whole::Memory(_) => publication.whole.len(),
            Whole::Draft { .. } => 0,
        };
        let (done, outcome) = completions::channel();
        let job = |held| {
            Job::Publish(Box::new(Publishing {
                publication,
                done,
                held,
            }))
        };
        self.queue(bytes, job)?;
        self.outcome(outcome, None).await
    }

    /// Puts a change into the queue, which holds this many bytes of content until it is made.
    fn queue(
        &self,
        bytes: u64,
        job: impl FnOnce(QueuedBytes) -> Job,
    ) -> Result<(), StoreWriterError> {
        if self.hangs() {
            return Err(StoreWriterError::Hangs(self.turns.error()));
        }
        let waiting = self.queued.load(Relaxed);
        if waiting > 0 && waiting + bytes > QUEUED_BYTES {
            return Err(self.refuse());
        }
        let held = QueuedBytes::new(&self.queued, bytes);
        match self.jobs.try_send(job(held)) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(self.refuse()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(StoreWriterError::Ended),
        }
    }

    fn refuse(&self) -> StoreWriterError {
        self.refused.set(self.refused.get() + 1);
        StoreWriterError::Busy(self.refused.get())
    }

    /// Makes a change that must not be left out, after all that wait; who asks for it waits so long at most.
    pub(super) async fn run_surely<T: Send + 'static>(
        &self,
        patience: Duration,
        change: impl FnOnce(&dyn Store) -> T + Send + 'static,
    ) -> Result<T, StoreWriterError> {
        let (done, outcome) = completions::channel();
        let job = job(QueuedBytes::new(&self.queued, 0), done, change);
        let until = Instant::now() + patience;
        // A job that isn't taken is dropped, and its outcome with it.
        let sent = timeout(patience, self.jobs.send(job)).await;
        match sent {
            Ok(_) if self.hangs() => Err(StoreWriterError::Hangs(self.turns.error())),
            Ok(_) => self.outcome(outcome, Some(until)).await,
            Err(_) => Err(StoreWriterError::Hangs(self.turns.error())),
        }
    }

    /// Waits for the outcome of a change for as long as others get their turns, and until then.
    async fn outcome<T>(
        &self,
        mut outcome: oneshot::Receiver<T>,
        until: Option<Instant>,
    ) -> Result<T, StoreWriterError> {
        loop {
            let look = Instant::now() + self.turns.limit() / 4;
            let look = until.map_or(look, |until| until.min(look));
            match tokio::time::timeout_at(look, &mut outcome).await {
                Ok(done) => return done.map_err(|_| StoreWriterError::Ended),
                Err(_) if self.turns.hang_now() || until.is_some_and(|it| it <= Instant::now()) => {
                    return Err(StoreWriterError::Hangs(self.turns.error()));
                }
                Err(_) => {}
            }
        }
    }
}

/// Bytes that wait, as long as the change that has them does.
struct QueuedBytes(Arc<AtomicU64>, u64);

impl QueuedBytes {
    fn new(queued: &Arc<AtomicU64>, bytes: u64) -> QueuedBytes {
        queued.fetch_add(bytes, Relaxed);
        QueuedBytes(queued.clone(), bytes)
    }
}

impl Drop for QueuedBytes {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Relaxed);
    }
}

fn job<T: Send + 'static>(
    held: QueuedBytes,
    done: Completer<T>,
    change: impl FnOnce(&dyn Store) -> T + Send + 'static,
) -> Job {
    Job::Other(Box::new(move |store: &dyn Store| {
        // The task that asked may have gone; the change is made all the same.
        done.complete(change(store));
        drop(held);
    }))
}

type Other = Box<dyn FnOnce(&dyn Store) + Send>;

/// The responses that are to be published with the first, and the change that comes after them.
fn gather(first: Job, waiting: &mut mpsc::Receiver<Job>) -> (Vec<Publishing>, Option<Other>) {
    let mut together = match first {
        Job::Publish(publishing) => vec![*publishing],
        Job::Other(job) => return (Vec::new(), Some(job)),
    };
    if waiting.is_empty() {
        std::thread::sleep(GATHER);
    }
    while together.len() < TOGETHER {
        match waiting.try_recv() {
            Ok(Job::Publish(publishing)) => together.push(*publishing),
            Ok(Job::Other(job)) => return (together, Some(job)),
            Err(_) => break,
        }
    }
    (together, None)
}

fn publish_all(store: &dyn Store, together: Vec<Publishing>) {
    if together.is_empty() {
        return;
    }
    let mut publications = Vec::with_capacity(together.len());
    let mut waiting = Vec::with_capacity(together.len());
    for one in together {
        publications.push(one.publication);
        waiting.push((one.done, one.held));
    }
    let outcomes = store.publish_all(publications);
    for ((done, _held), outcome) in waiting.into_iter().zip(outcomes) {
        done.complete(outcome);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::path::Path;
    use std::pin::pin;
    use std::sync::mpsc::sync_channel;
    use std::task::Poll;

    use super::*;
    use crate::store::filesystem::FilesystemStore;
    use crate::store::operations::HangNews;
    use crate::sys::shared::Shared;

    const LONG: Duration = Duration::from_secs(60);

    fn writer(dir: &Path, limit: Duration) -> StoreWriter {
        let shared = Arc::new(Shared::create().unwrap());
        let path = dir.join("store");
        let turns = Turns::new(&HangNews::of(&path), "writing", limit);
        let store = FilesystemStore::open(&path, 1, shared).unwrap();
        StoreWriter::start(Arc::new(store), turns).unwrap()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn nobody_waits_for_a_store_that_hangs() {
        let dir = tempfile::tempdir().unwrap();
        let limit = Duration::from_millis(100);
        let writer = writer(dir.path(), limit);
        let (open, gate) = sync_channel::<()>(1);
        let stuck = writer.run(1000, move |_| gate.recv().is_ok());
        let behind = writer.run(1000, |_| ());
        let (stuck, behind) = tokio::join!(stuck, behind);
        assert!(stuck.is_err_and(|why| why.is_told()) && behind.is_err());
        // What can't be stored takes no memory for long, nor time.
        let begun = Instant::now();
        for _ in 0..100 {
            assert!(writer.run(1000, |_| ()).await.is_err());
        }
        assert!(begun.elapsed() < 10 * limit && writer.queued.load(Relaxed) == 2000);
        let removed = Arc::new(AtomicU64::default());
        let count = removed.clone();
        let surely = writer.run_surely(limit, move |_| count.fetch_add(1, Relaxed));
        assert!(surely.await.is_err());
        open.send(()).unwrap();
        while removed.load(Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(writer.run(0, |_| 7).await.unwrap(), 7);
        assert_eq!(writer.queued.load(Relaxed), 0);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_does_not_fit_is_refused_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(dir.path(), Duration::from_secs(60));
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
        writer.run_surely(LONG, |_| ()).await.unwrap();
        let (open, gate) = sync_channel::<()>(1);
        let large = writer.run(QUEUED_BYTES + 1, move |_| gate.recv().is_ok());
        let small = async {
            let small = writer.run(1, |_| ()).await;
            open.send(()).unwrap();
            small
        };
        let (one, other) = tokio::join!(large, small);
        assert!(one.is_ok() && matches!(other, Err(StoreWriterError::Busy(_))));
        assert_eq!(writer.run_surely(LONG, |_| 7).await.unwrap(), 7);
    }
}
