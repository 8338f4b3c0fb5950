//! Threads for blocking work of one kind: a bounded number, started when there is work for them and ended when there is none
//! for a while. A thread that can't be started is an answer, unlike in tokio's pool, which panics.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The time after which a thread without work ends.
const IDLE: Duration = Duration::from_secs(10);

type Work = Box<dyn FnOnce() + Send>;

/// The threads for one kind of work. What waits for them when this is dropped is dropped with it.
#[derive(Debug)]
pub(crate) struct Threads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    most: usize,
    queue: usize,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (waiting, threads) = (self.waiting.len(), self.threads);
        write!(
            f,
            "{waiting} waiting, {threads} threads, {} idle",
            self.idle
        )
    }
}

/// A reason why work isn't done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoThread {
    #[error("{0} others wait already")]
    Busy(usize),
    #[error("no thread can be started: {0}")]
    NotStarted(io::Error),
}

impl Threads {
    /// At most `most` threads of this name, for which at most `queue` pieces of work wait.
    pub(crate) fn new(name: &str, most: usize, queue: usize) -> Threads {
        Threads(Arc::new(Inner {
            name: name.to_owned(),
            most,
            queue,
            state: Mutex::default(),
            wake: Condvar::new(),
        }))
    }

    /// Has the work done by the next thread that is free.
    pub(crate) fn run(&self, work: impl FnOnce() + Send + 'static) -> Result<(), NoThread> {
        let inner = &self.0;
        let mut state = inner.lock();
        if state.waiting.len() >= inner.queue {
            return Err(NoThread::Busy(state.waiting.len()));
        }
        if state.idle <= state.waiting.len() && state.threads < inner.most {
            let started = self.start();
            match started {
                Ok(()) => state.threads += 1,
                // Those that there are will come to it.
                Err(_) if state.threads > 0 => {}
                Err(why) => return Err(NoThread::NotStarted(why)),
            }
        }
        state.waiting.push_back(Box::new(work));
        drop(state);
        inner.wake.notify_one();
        Ok(())
    }

    fn start(&self) -> io::Result<()> {
        let inner = self.0.clone();
        let thread = std::thread::Builder::new().name(inner.name.clone());
        thread.spawn(move || inner.work()).map(drop)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        // Dropped without the lock: what is dropped may come back here.
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.0.wake.notify_all();
        drop(waiting);
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.waiting.pop_front() {
                drop(state);
                work();
                state = self.lock();
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let woken = self.wake.wait_timeout(state, IDLE);
            let (then, waited) = woken.unwrap_or_else(PoisonError::into_inner);
            state = then;
            state.idle -= 1;
            if waited.timed_out() && state.waiting.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::{channel, sync_channel};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn so_many_threads_and_so_much_that_waits() {
        let threads = Threads::new("test", 2, 3);
        let (stuck, told) = (channel(), sync_channel::<()>(0));
        let told_by_all = Arc::new(Mutex::new(told.1));
        let wait = |name: usize| {
            let (begun, told) = (stuck.0.clone(), told_by_all.clone());
            threads.run(move || {
                begun.send(name).unwrap();
                let _ = told.lock().unwrap().recv();
            })
        };
        wait(1).unwrap();
        wait(2).unwrap();
        let mut begun: Vec<_> = (0..2)
            .map(|_| stuck.1.recv_timeout(LIMIT).unwrap())
            .collect();
        begun.sort_unstable();
        assert_eq!(begun, [1, 2]);
        for number in 3..6 {
            wait(number).unwrap();
        }
        assert!(matches!(wait(6), Err(NoThread::Busy(3))));
        // Two are at work, and no third thread began.
        assert!(stuck.1.try_recv().is_err());
        for _ in 0..5 {
            told.0.send(()).unwrap();
        }
        let rest: Vec<_> = (0..3)
            .map(|_| stuck.1.recv_timeout(LIMIT).unwrap())
            .collect();
        assert_eq!(rest, [3, 4, 5]);
    }

    #[test]
    fn what_waits_when_they_end_is_dropped() {
        let threads = Threads::new("test", 1, 8);
        let (open, gate) = channel::<()>();
        let (begun, beginning) = channel();
        let (left, lost) = channel::<()>();
        threads
            .run(move || {
                begun.send(()).unwrap();
                let _ = gate.recv();
            })
            .unwrap();
        beginning.recv_timeout(LIMIT).unwrap();
        threads.run(move || drop(left)).unwrap();
        drop(threads);
        assert!(lost.recv_timeout(LIMIT).is_err(), "it was told nothing");
        drop(open);
    }
}
