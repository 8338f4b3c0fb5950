//! The lease on a key where other hosts share the store: taken before the origin server is asked, so that a
//! herd on many hosts makes one request. Whoever has to wait looks up what the other host stored.
//!
//! The wait is bounded, and nobody waits who wasn't the first on this host.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, spawn_blocking, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use super::{Fetch, FetchRequest, remember};
use crate::cache::directives::RequestDirectives;
use crate::cache::key::Key;
use crate::cache::reuse::{Reuse, reuse};
use crate::store::{Found, Lease, LeaseNews, SharedStore};
use crate::worker::state::{Worker, now};
use crate::worker::stored::Stored;

/// The longest that another host is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a lease is renewed.
const RENEWED: Duration = Duration::from_secs(2);

/// A lease that is kept up until it is dropped.
pub(super) struct LeaseGuard {
    store: Arc<dyn SharedStore>,
    key: Key,
    renewing: AbortHandle,
    /// Whether storing has ended it, so that there is nothing to give up.
    stored: bool,
}

/// Who asks the origin server.
pub(super) enum LeaseOutcome {
    /// This host; with a lease the others wait for it.
    Ask(Option<LeaseGuard>),
    /// Another host has, and this is what it stored.
    Stored(Rc<Stored>),
}

/// Waits for this host's turn to fetch what is ordered.
pub(super) async fn turn(worker: &Rc<Worker>, order: &FetchRequest, fetch: &Fetch) -> LeaseOutcome {
    let (Some(key), Some(keeper)) = (&order.key, &worker.store) else {
        return LeaseOutcome::Ask(None);
    };
    // Without a claim on this host it isn't for others either.
    let Some(store) = keeper.shared().filter(|_| fetch.claim.borrow().is_some()) else {
        return LeaseOutcome::Ask(None);
    };
    let give_up = Instant::now() + PATIENCE;
    loop {
        match lease(store, key).await {
            Lease::None => return LeaseOutcome::Ask(None),
            Lease::Ours => return LeaseOutcome::Ask(Some(LeaseGuard::new(store, key))),
            Lease::Fetched => return look_up(store, worker, order, key).await,
            Lease::Theirs { news, left } => {
                let wait = give_up.min(Instant::now() + left);
                match timeout(wait.saturating_duration_since(Instant::now()), news).await {
                    Ok(Ok(LeaseNews::Changed)) => return look_up(store, worker, order, key).await,
                    Ok(Ok(LeaseNews::Free) | Err(_)) => return LeaseOutcome::Ask(None),
                    Err(_) if Instant::now() >= give_up => return LeaseOutcome::Ask(None),
                    // It has run out, or was renewed.
                    Err(_) => {}
                }
            }
        }
    }
}

async fn lease(store: &Arc<dyn SharedStore>, key: &Key) -> Lease {
    let (store, key) = (store.clone(), key.clone());
    let (answer, asked) = oneshot::channel();
    spawn_blocking(move || {
        if let Err(Lease::Ours) = answer.send(store.lease(&key)) {
            // Who asked has gone.
            store.release(&key);
        }
    });
    asked.await.unwrap_or(Lease::None)
}

/// What another host has stored, if it answers what is ordered.
async fn look_up(
    store: &Arc<dyn SharedStore>,
    worker: &Rc<Worker>,
    order: &FetchRequest,
    key: &Key,
) -> LeaseOutcome {
    let (store, key) = (store.clone(), key.clone());
    let fields = order.head.fields.clone();
    let found = spawn_blocking(move || store.lookup(&key, &fields)).await;
    let Ok(Ok(Found::Object(object))) = found else {
        return LeaseOutcome::Ask(None);
    };
    let stored = remember(worker, &order.policy, *object);
    let directives = RequestDirectives::of(&order.head.fields);
    match reuse(&directives, &stored.facts, now()) {
        Reuse::Fresh { .. } | Reuse::Stale { .. }
            if order.local_allowed || !stored.object.meta.local =>
        {
            LeaseOutcome::Stored(stored)
        }
        Reuse::Fresh { .. } | Reuse::Stale { .. } | Reuse::Validate { .. } => {
            LeaseOutcome::Ask(None)
        }
    }
}

impl LeaseGuard {
    fn new(store: &Arc<dyn SharedStore>, key: &Key) -> LeaseGuard {
        let renewed = (store.clone(), key.clone());
        let renewing = spawn_local(async move {
            loop {
                sleep(RENEWED).await;
                let (store, key) = renewed.clone();
                // When it fails the lease runs out, and others fetch too.
                let _ = spawn_blocking(move || store.renew(&key)).await;
            }
        });
        LeaseGuard {
            store: store.clone(),
            key: key.clone(),
            renewing: renewing.abort_handle(),
            stored: false,
        }
    }

    /// What was fetched is stored under this key, which has ended its lease.
    pub(super) fn end_stored(mut self, key: &Key) {
        self.stored = *key == self.key;
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        self.renewing.abort();
        if self.stored {
            return;
        }
        // Where the worker's end has dropped it, the lease runs out by itself.
        if let Ok(runtime) = Handle::try_current() {
            let (store, key) = (self.store.clone(), self.key.clone());
            runtime.spawn_blocking(move || store.release(&key));
        }
    }
}
