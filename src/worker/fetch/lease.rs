//! The lease on a key where other hosts share the store: taken before the origin server is asked, so that a
//! herd on many hosts makes one request. Whoever has to wait looks up what the other host stored.
//!
//! The wait is bounded, and nobody waits who wasn't the first on this host.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::publish::remember;
use super::request::FetchRequest;
use crate::cache::directives::RequestDirectives;
use crate::cache::key::Key;
use crate::cache::reuse::reuse;
use crate::store::{Found, Lease, LeaseNews, SharedStore};
use crate::sys::completions::blocking;
use crate::worker::state::{Worker, now};
use crate::worker::stored::Stored;
use crate::worker::waiting_list::{Fetch, LeaseGuard};

/// The longest that another host is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The one who asks the origin server.
pub(super) enum LeaseOutcome {
    /// This host; with a lease the others wait for it.
    Ask(Option<LeaseGuard>),
    /// Another host has, and this is what it stored.
    Stored(Rc<Stored>),
}

/// Acquires the lease, or waits for what its holder brings.
pub(super) async fn acquire(
    worker: &Rc<Worker>,
    request: &FetchRequest,
    fetch: &Fetch,
) -> LeaseOutcome {
    // Without a claim on this host it isn't for others either.
    let store = worker.store.shared().filter(|_| fetch.leads());
    let (Some(key), Some(store)) = (request.key(), &store) else {
        return LeaseOutcome::Ask(None);
    };
    let give_up = Instant::now() + LONGEST_WAIT;
    loop {
        let news = match lease(store, key).await {
            Lease::None => return LeaseOutcome::Ask(None),
            Lease::Ours => return LeaseOutcome::Ask(Some(LeaseGuard::new(store, key))),
            Lease::Fetched => Ok(Ok(LeaseNews::Changed)),
            Lease::Theirs { news, left } => {
                fetch.waits_for_another_host();
                let wait = give_up.min(Instant::now() + left);
                timeout(wait.saturating_duration_since(Instant::now()), news).await
            }
        };
        match news {
            Ok(Ok(LeaseNews::Changed)) => {
                let stored = look_up(store, worker, request, key).await;
                return stored.map_or(LeaseOutcome::Ask(None), LeaseOutcome::Stored);
            }
            // It has run out, or was renewed.
            Err(_) if Instant::now() < give_up => {}
            Ok(Ok(LeaseNews::Free) | Err(_)) | Err(_) => return LeaseOutcome::Ask(None),
        }
    }
}

async fn lease(store: &Arc<dyn SharedStore>, key: &Key) -> Lease {
    let (store, key) = (store.clone(), key.clone());
    let (answer, asked) = oneshot::channel();
    spawn_blocking(move || {
        if let Err(Lease::Ours) = answer.send(store.lease(&key)) {
            // The one that asked has gone.
            store.release(&key);
        }
    });
    asked.await.unwrap_or(Lease::None)
}

/// The response that another host has stored, if it answers the request.
async fn look_up(
    store: &Arc<dyn SharedStore>,
    worker: &Rc<Worker>,
    request: &FetchRequest,
    key: &Key,
) -> Option<Rc<Stored>> {
    let (store, key, fields) = (store.clone(), key.clone(), request.head.fields.clone());
    let found = blocking(move || store.lookup(&key, &fields)).await;
    let Ok(Ok(Found::Object(object))) = found else {
        return None;
    };
    let stored = remember(worker, &request.policy, *object);
    let directives = RequestDirectives::of(&request.head.fields);
    reuse(&directives, &stored.facts, now()).answers()?;
    (request.requester.is_local() || !stored.object.meta.local).then_some(stored)
}
