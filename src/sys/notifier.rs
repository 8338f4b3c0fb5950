//! A notification to every waiting task: the one way tasks of a worker tell each other that something
//! they share has changed. It holds no value; the waiter's own condition decides.

use std::pin::pin;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Wakes all who wait, whenever it is notified.
#[derive(Debug, Default)]
pub struct Notifier(Notify);

impl Notifier {
    /// Wakes every waiting task; each looks at its condition again.
    pub fn notify(&self) {
        self.0.notify_waiters();
    }

    /// Waits until `condition` holds.
    pub async fn holds(&self, condition: impl Fn() -> bool) {
        self.until(|| condition().then_some(())).await;
    }

    /// Waits until `look` finds something, looking now and after each notification.
    pub async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            // Most often nothing has to be waited for, and taking a place in the queue costs more than a look.
            if let Some(found) = look() {
                return found;
            }
            let mut notified = pin!(self.0.notified());
            // In the queue before looking, so that no notification in between is missed.
            notified.as_mut().enable();
            if let Some(found) = look() {
                return found;
            }
            notified.await;
        }
    }

    /// Waits until `look` finds something, looking now, after each notification, and at the time that it gave instead.
    pub async fn until_due<T>(&self, mut look: impl FnMut() -> Result<T, Instant>) -> T {
        loop {
            let mut notified = pin!(self.0.notified());
            notified.as_mut().enable();
            match look() {
                Ok(found) => return found,
                Err(due) => tokio::select! {
                    () = notified => {}
                    () = sleep_until(due) => {}
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn every_waiter_looks_again_when_it_is_notified() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime.expect("a runtime"), async {
            let notifier = Rc::new(Notifier::default());
            let count = Rc::new(Cell::new(0));
            let wait = |at_least: i32| {
                let (notifier, count) = (notifier.clone(), count.clone());
                tokio::task::spawn_local(async move {
                    notifier
                        .until(|| (count.get() >= at_least).then_some(at_least))
                        .await
                })
            };
            let (one, two) = (wait(1), wait(2));
            for _ in 0..2 {
                tokio::task::yield_now().await;
                count.set(count.get() + 1);
                notifier.notify();
            }
            assert_eq!((one.await.ok(), two.await.ok()), (Some(1), Some(2)));
        });
    }
}
