//! Completions: what other threads bring back to the tasks of an event loop.
//!
//! A task that another thread wakes comes to its turn once in 31 polls of tokio's `LocalSet`, however many such tasks there
//! are: under load they would wait longer and longer, and hold what they have. So one task takes all completions of a
//! thread, and wakes those who wait for them as any other task of that thread does.

use std::cell::RefCell;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::{spawn_blocking, spawn_local};

type Delivery = Box<dyn FnOnce() + Send>;

thread_local! {
    static OF_THIS_THREAD: RefCell<Option<UnboundedSender<Delivery>>> = const { RefCell::new(None) };
}

/// Has completions delivered in this thread, for as long as the `LocalSet` in which it is called is there. What it doesn't
/// know of is delivered by whoever completes it.
pub fn deliver_here() {
    // Bounded by what was asked for and hasn't come yet.
    let (sender, mut deliveries) = unbounded_channel::<Delivery>();
    OF_THIS_THREAD.replace(Some(sender));
    spawn_local(async move {
        while let Some(deliver) = deliveries.recv().await {
            deliver();
        }
    });
}

/// The completion of something that this thread waits for, for whoever carries that out. One that is dropped ends the wait
/// without an outcome.
#[derive(Debug)]
pub struct Completer<T> {
    outcome: oneshot::Sender<T>,
    deliveries: Option<UnboundedSender<Delivery>>,
}

/// A completer for another thread, and the wait for it in this one.
pub fn channel<T>() -> (Completer<T>, oneshot::Receiver<T>) {
    let (outcome, wait) = oneshot::channel();
    let deliveries = OF_THIS_THREAD.with_borrow(Clone::clone);
    let completer = Completer {
        outcome,
        deliveries,
    };
    (completer, wait)
}

impl<T: Send + 'static> Completer<T> {
    /// Brings the outcome to whoever waits for it. Nothing where nobody does any more.
    pub fn complete(self, value: T) {
        let Completer {
            outcome,
            deliveries,
        } = self;
        let deliver = move || drop(outcome.send(value));
        match deliveries {
            Some(deliveries) => drop(deliveries.send(Box::new(deliver))),
            None => deliver(),
        }
    }

    /// True when nobody waits for it any more.
    pub fn is_closed(&self) -> bool {
        self.outcome.is_closed()
    }
}

/// Has blocking work done on another thread; to be awaited in this one.
pub fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> oneshot::Receiver<T> {
    let (completer, wait) = channel();
    spawn_blocking(move || completer.complete(work()));
    wait
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::rc::Rc;
    use std::task::Poll;

    use tokio::task::yield_now;

    use super::*;

    /// The end of a poll; unlike `yield_now` it doesn't let what is idle come first.
    async fn turn() {
        let mut is_again = false;
        poll_fn(|task| match std::mem::replace(&mut is_again, true) {
            true => Poll::Ready(()),
            false => {
                task.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
    }

    /// The polls of a busy thread's other tasks until so many tasks have what another thread completed.
    fn polls_until_complete(tasks: usize, deliver: bool) -> u64 {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime.unwrap(), async {
            OF_THIS_THREAD.replace(None);
            if deliver {
                deliver_here();
            }
            let (waiting, polls) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let completers: Vec<_> = (0..tasks)
                .map(|number| {
                    let (completer, wait) = channel();
                    let waiting = waiting.clone();
                    spawn_local(async move {
                        waiting.set(waiting.get() + 1);
                        assert_eq!(wait.await.unwrap(), number);
                        waiting.set(waiting.get() - 1);
                    });
                    completer
                })
                .collect();
            while waiting.get() < tasks {
                yield_now().await;
            }
            let complete = |(number, completer): (usize, Completer<usize>)| {
                completer.complete(number);
            };
            let thread = std::thread::spawn(move || {
                completers.into_iter().enumerate().for_each(complete);
            });
            thread.join().unwrap();
            let busy = (0..4).map(|_| {
                let (waiting, polls) = (waiting.clone(), polls.clone());
                spawn_local(async move {
                    while waiting.get() > 0 {
                        polls.set(polls.get() + 1);
                        turn().await;
                    }
                })
            });
            for busy in busy.collect::<Vec<_>>() {
                busy.await.unwrap();
            }
            polls.get()
        })
    }

    #[test]
    fn what_others_complete_is_heard_of_however_busy_a_thread_is() {
        let tasks = 300;
        let polls = polls_until_complete(tasks, true);
        assert!(polls < tasks as u64, "{polls} polls of others");
        // Without it each waits for a turn of its own.
        let polls = polls_until_complete(tasks, false);
        assert!(polls > 10 * tasks as u64, "{polls} polls of others");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_outcome_comes_without_a_loop_that_delivers_too() {
        assert_eq!(blocking(|| 7).await.unwrap(), 7);
        let (completer, wait) = channel::<()>();
        drop(wait);
        assert!(completer.is_closed());
        completer.complete(());
    }
}
