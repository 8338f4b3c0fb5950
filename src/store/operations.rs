//! Operations that may wait for a disk: those of one kind on threads of their own, each within a time limit. One that takes
//! longer shows that the disk hangs; then nobody waits for another of this kind until one has come back.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::StoreError;
use crate::sys::completions;
use crate::sys::threads::{NoThread, Threads};

/// While nobody waits, one operation is tried in so long all the same, as those that hang may never come back.
const TRY_EVERY: Duration = Duration::from_secs(5);
/// A hang is said once in so long.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// The operations of one kind on a store.
#[derive(Debug)]
pub struct Operations {
    threads: Threads,
    limit: Duration,
    hang: Arc<Hang>,
}

/// Says of one store, for operations of all kinds together, that it hangs and that it is back.
#[derive(Debug)]
pub struct HangNews {
    path: PathBuf,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    /// The kinds of operations that hang.
    hanging: usize,
    /// That it is over is to be said too.
    open: bool,
}

/// Knows that operations of one kind don't come back.
#[derive(Debug)]
struct Hang {
    news: Arc<HangNews>,
    /// The operations, as a verb.
    what: &'static str,
    is_on: AtomicBool,
    last_tried: Mutex<Option<Instant>>,
}

/// One operation: begun; awaited no more; done.
const BEGUN: u8 = 0;
const LATE: u8 = 1;
const DONE: u8 = 2;

/// An operation under way, for who waits for it.
#[derive(Debug)]
pub struct Pending<T> {
    done: oneshot::Receiver<T>,
    state: Arc<AtomicU8>,
    hang: Arc<Hang>,
    until: tokio::time::Instant,
    limit: Duration,
}

/// The same operation, for whoever carries it out: however that ends, it has come back.
#[derive(Debug)]
struct Running {
    state: Arc<AtomicU8>,
    hang: Arc<Hang>,
}

impl HangNews {
    /// Of the store at `path`.
    pub fn of(path: &Path) -> Arc<HangNews> {
        Arc::new(HangNews {
            path: path.to_owned(),
            said: Mutex::default(),
        })
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begins(&self, what: &str, limit: Duration) {
        let now = Instant::now();
        let mut said = self.said();
        said.hanging += 1;
        let is_due = said.last.is_none_or(|last| now - last >= SAY_EVERY);
        if is_due && !said.open {
            (said.last, said.open) = (Some(now), true);
            log::warn!(
                "the store at {} hangs: {what} took more than {} s; going on without it until it is back (see whether \
                 its disk, or the server of its file system, answers)",
                self.path.display(),
                limit.as_secs_f32()
            );
        }
    }

    fn ends(&self) {
        let mut said = self.said();
        said.hanging = said.hanging.saturating_sub(1);
        if said.hanging == 0 && std::mem::take(&mut said.open) {
            log::info!("the store at {} is back", self.path.display());
        }
    }
}

impl Hang {
    fn new(news: &Arc<HangNews>, what: &'static str) -> Arc<Hang> {
        Arc::new(Hang {
            news: news.clone(),
            what,
            is_on: AtomicBool::new(false),
            last_tried: Mutex::default(),
        })
    }

    /// True while nobody should wait. A load, for the event loop.
    fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }

    fn error(&self) -> StoreError {
        let path = self.news.path.clone();
        StoreError::Hangs { path }
    }

    fn last_tried(&self) -> MutexGuard<'_, Option<Instant>> {
        self.last_tried
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// True when one may be tried whatever is known, for which nobody waits.
    fn is_try_due(&self, now: Instant) -> bool {
        let mut last_tried = self.last_tried();
        let is_due = last_tried.is_none_or(|last| now - last >= TRY_EVERY);
        if is_due {
            *last_tried = Some(now);
        }
        is_due
    }

    fn begins(&self, limit: Duration) {
        if !self.is_on.swap(true, SeqCst) {
            *self.last_tried() = Some(Instant::now());
            self.news.begins(self.what, limit);
        }
    }

    fn ends(&self) {
        if self.is_on.swap(false, SeqCst) {
            self.news.ends();
        }
    }
}

impl<T> Pending<T> {
    /// True when waiting for it takes no time.
    pub fn is_done(&self) -> bool {
        self.state.load(SeqCst) == DONE
    }

    /// Waits for it within its limit.
    pub async fn outcome(&mut self) -> Result<T, StoreError> {
        match timeout_at(self.until, &mut self.done).await {
            Ok(done) => done.map_err(|_| StoreError::Gone),
            Err(_) => {
                self.is_late();
                Err(self.hang.error())
            }
        }
    }

    fn is_late(&self) {
        let was = self.state.compare_exchange(BEGUN, LATE, SeqCst, SeqCst);
        if was.is_ok() {
            self.hang.begins(self.limit);
            // It may have come back in between.
            if self.is_done() {
                self.hang.ends();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.state.store(DONE, SeqCst);
        if self.hang.is_on() {
            self.hang.ends();
        }
    }
}

impl Operations {
    /// Those that `what` names, as in "reading": at most `most` at a time, each within `limit`.
    pub fn new(
        name: &str,
        news: &Arc<HangNews>,
        what: &'static str,
        most: usize,
        limit: Duration,
    ) -> Self {
        Operations {
            threads: Threads::new(name, most, 64 * most),
            limit,
            hang: Hang::new(news, what),
        }
    }

    /// True while nobody should wait for one of these.
    pub fn hang(&self) -> bool {
        self.hang.is_on()
    }

    /// Carries out an operation on a thread, and waits for it within the limit.
    pub async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.start(operation)?.outcome().await
    }

    /// Begins an operation on a thread, to be waited for later.
    pub fn start<T: Send + 'static>(
        &self,
        operation: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Pending<T>, StoreError> {
        let hangs = self.hang.is_on();
        if hangs && !self.hang.is_try_due(Instant::now()) {
            return Err(self.hang.error());
        }
        let (answer, done) = completions::channel();
        let state = Arc::new(AtomicU8::new(BEGUN));
        let hang = &self.hang;
        let running = Running {
            state: state.clone(),
            hang: hang.clone(),
        };
        let started = self.threads.run(move || {
            // Of no use any more when nobody waits, but for telling whether the disk is back.
            if hangs || !answer.is_closed() {
                answer.complete(operation());
            }
            drop(running);
        });
        started.map_err(|why| self.refused(&why))?;
        if hangs {
            return Err(hang.error());
        }
        Ok(Pending {
            done,
            state,
            hang: hang.clone(),
            until: tokio::time::Instant::now() + self.limit,
            limit: self.limit,
        })
    }

    fn refused(&self, why: &NoThread) -> StoreError {
        let path = self.hang.news.path.clone();
        let why = format!("no thread for {}: {why}", self.hang.what);
        let source = std::io::Error::other(why);
        StoreError::Io { path, source }
    }
}

/// Changes that are made one after another by one thread, each of which is expected to take no longer than a limit.
#[derive(Debug)]
pub struct Turns {
    hang: Arc<Hang>,
    limit: Duration,
    start: Instant,
    /// When the one that is being made began, in milliseconds since the start and not 0; 0 while none is.
    since: AtomicU64,
}

/// A change that is being made.
#[derive(Debug)]
pub struct Turn<'a>(&'a Turns);

impl Turns {
    pub fn new(news: &Arc<HangNews>, what: &'static str, limit: Duration) -> Arc<Turns> {
        Arc::new(Turns {
            hang: Hang::new(news, what),
            limit,
            start: Instant::now(),
            since: AtomicU64::new(0),
        })
    }

    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// True while nobody should wait for a turn.
    pub fn hang(&self) -> bool {
        self.hang.is_on()
    }

    pub fn error(&self) -> StoreError {
        self.hang.error()
    }

    /// The thread makes a change.
    pub fn take(&self) -> Turn<'_> {
        self.since.store(self.now(), SeqCst);
        Turn(self)
    }

    /// True when the change that is being made takes too long; then nobody waits until that is over.
    pub fn hang_now(&self) -> bool {
        let since = self.since.load(SeqCst);
        let limit = u64::try_from(self.limit.as_millis()).unwrap_or(u64::MAX);
        if since != 0 && self.now() - since.min(self.now()) > limit {
            self.hang.begins(self.limit);
            // It may have come to its end in between.
            if self.since.load(SeqCst) != since {
                self.hang.ends();
            }
        }
        self.hang()
    }

    fn now(&self) -> u64 {
        let since = self.start.elapsed().as_millis();
        u64::try_from(since).unwrap_or(u64::MAX).saturating_add(1)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.since.store(0, SeqCst);
        if self.0.hang() {
            self.0.hang.ends();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
