//! The announcements of a fetch while it runs: a claim on its key to the other workers, a lease on it to the other
//! hosts that share the store. Each ends when its guard is dropped.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, spawn_blocking, spawn_local};
use tokio::time::sleep;

use crate::cache::key::{Hash, Key};
use crate::store::SharedStore;
use crate::sys::shared::Shared;

/// The time after which a lease is renewed.
const RENEWED: Duration = Duration::from_secs(2);

/// The guards that tell others of a fetch, until it has nothing that they may have too.
#[derive(Default)]
pub struct Announcements {
    /// It is one for all fetches of a key.
    pub claim: Option<Rc<ClaimGuard>>,
    pub lease: Option<LeaseGuard>,
}

/// A claim on a key in shared memory.
pub struct ClaimGuard {
    shared: Arc<Shared>,
    hash: Hash,
    worker: u16,
}

impl ClaimGuard {
    /// Ends a claim that this worker holds.
    pub fn new(shared: Arc<Shared>, hash: Hash, worker: u16) -> ClaimGuard {
        ClaimGuard {
            shared,
            hash,
            worker,
        }
    }
}

impl ClaimGuard {
    /// Says that a response is coming which is for others too.
    pub(super) fn has_head(&self) {
        self.shared.claim_has_head(&self.hash, self.worker);
    }
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        self.shared.unclaim(&self.hash, self.worker);
    }
}

/// A lease that is kept up.
pub struct LeaseGuard {
    store: Arc<dyn SharedStore>,
    key: Key,
    renewing: AbortHandle,
    /// Storing has ended it, so that there is nothing to give up.
    stored: bool,
}

impl LeaseGuard {
    /// Keeps up a lease that this host has.
    pub fn new(store: &Arc<dyn SharedStore>, key: &Key) -> LeaseGuard {
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

    /// Says that what was fetched is stored under this key, which has ended its lease.
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
