//! The turns in which large stored content is verified, as after an unclean boot: one for long content and one for
//! less, so that a few large responses hold up neither the threads for blocking work nor each other's clients for long.
//!
//! Which content has to be verified is the store's business.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::store::{Found, Object, Published, Store, StoreError};

/// Content from this length on takes seconds to be read.
const LONG: u64 = 64 << 20;

pub(super) struct Verifications {
    short: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

impl Default for Verifications {
    fn default() -> Verifications {
        let one = || Arc::new(Semaphore::new(1));
        Verifications {
            short: one(),
            long: one(),
        }
    }
}

impl Verifications {
    /// Verifies a stored response when its turn comes. What is asked for several times is read once, as each finds
    /// what those before it did.
    pub(super) async fn verify(
        &self,
        store: Arc<dyn Store>,
        object: Object,
    ) -> (Result<Found, StoreError>, Vec<Published>) {
        let is_long = object.content.len() >= LONG;
        let turns = if is_long { &self.long } else { &self.short };
        let turn = turns.clone().acquire_owned().await;
        let verified = spawn_blocking(move || {
            // Kept until the content is read, though the client may have gone.
            let _turn = turn;
            (store.verify(object), store.take_removed())
        });
        match verified.await {
            Ok((Ok(Some(object)), removed)) => (Ok(Found::Object(Box::new(object))), removed),
            Ok((Ok(None), removed)) => (Ok(Found::Nothing), removed),
            Ok((Err(failure), removed)) => (Err(failure), removed),
            Err(_) => (Err(StoreError::Gone), Vec::new()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use tokio::runtime::Builder;
    use tokio::time::timeout;

    use super::*;
    use crate::cache::key::Key;
    use crate::cache::stored::Meta;
    use crate::http::fields::Fields;
    use crate::store::suite::plain;
    use crate::store::{Content, Draft, OpenFiles, SharedStore, Whole};

    /// Verifies long content when it is told to, other content at once.
    struct Slow {
        told: Mutex<Receiver<()>>,
        running: AtomicUsize,
        most: AtomicUsize,
    }

    impl Store for Slow {
        fn verify(&self, object: Object) -> Result<Option<Object>, StoreError> {
            let running = self.running.fetch_add(1, SeqCst) + 1;
            self.most.fetch_max(running, SeqCst);
            if object.content.len() >= LONG {
                self.told.lock().unwrap().recv().unwrap();
            }
            self.running.fetch_sub(1, SeqCst);
            Ok(Some(object))
        }

        fn take_removed(&self) -> Vec<Published> {
            Vec::new()
        }

        fn may_have(&self, _: &Key) -> bool {
            unreachable!()
        }

        fn lookup(&self, _: &Key, _: &Fields) -> Result<Found, StoreError> {
            unreachable!()
        }

        fn begin(&self, _: &Meta, _: Option<u64>) -> Result<Draft, StoreError> {
            unreachable!()
        }

        fn publish(&self, _: &Meta, _: Whole, _: Option<u32>) -> Result<Published, StoreError> {
            unreachable!()
        }

        fn displaces_parts(&self) -> bool {
            unreachable!()
        }

        fn refresh(&self, _: &Object, _: &Meta, _: Option<u32>) -> Result<Published, StoreError> {
            unreachable!()
        }

        fn remove(&self, _: &Key) -> Result<Vec<Published>, StoreError> {
            unreachable!()
        }

        fn open_files(&self) -> &Arc<OpenFiles> {
            unreachable!()
        }

        fn shared(self: Arc<Self>) -> Option<Arc<dyn SharedStore>> {
            None
        }
    }

    fn object(len: u64) -> Object {
        let file = Arc::new(tempfile::tempfile().unwrap());
        Object {
            meta: plain("GET http://a/"),
            content: Content::File {
                file,
                offset: 0,
                len,
                blocks: None,
            },
            generation: 0,
            checksum: 0,
        }
    }

    #[test]
    fn content_that_takes_long_to_verify_holds_up_nothing_else() {
        let threads = 4;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(threads)
            .build();
        let (tell, told): (Sender<()>, _) = channel();
        let slow = Arc::new(Slow {
            told: Mutex::new(told),
            running: AtomicUsize::default(),
            most: AtomicUsize::default(),
        });
        runtime.unwrap().block_on(async {
            let verifications = Verifications::default();
            let verify = |len| verifications.verify(slow.clone(), object(len));
            let long = futures_of((0..20).map(|_| verify(LONG)));
            tokio::pin!(long);
            let brief = Duration::from_millis(50);
            assert!(timeout(brief, &mut long).await.is_err());
            // Shorter content, and all other blocking work, goes on.
            let limit = Duration::from_secs(20);
            let short = timeout(limit, verify(LONG - 1)).await.unwrap();
            assert!(matches!(short.0, Ok(Found::Object(_))));
            timeout(limit, spawn_blocking(|| ()))
                .await
                .unwrap()
                .unwrap();
            // A client that goes while its content is read takes its turn along.
            drop(timeout(brief, verify(LONG)).await);
            for _ in 0..20 {
                tell.send(()).unwrap();
            }
            timeout(limit, long).await.unwrap();
        });
        assert!(slow.most.load(SeqCst) <= 2);
    }

    /// All of these, at once.
    async fn futures_of<F: Future>(all: impl Iterator<Item = F>) {
        let mut all: Vec<_> = all.map(Box::pin).collect();
        std::future::poll_fn(|task| {
            all.retain_mut(|one| one.as_mut().poll(task).is_pending());
            match all.is_empty() {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
    }
}
