//! The task of a fetch, from its order to its end.

use std::rc::Rc;

use super::claim::{self, claim};
use super::lease::{self, LeaseOutcome};
use super::outcome::{FetchError, Outcome, Switched};
use super::part::misfits;
use super::round_trip::{Reply, round_trip};
use super::{Fetch, FetchRequest, Ticket, receive};
use crate::cache::key::Key;
use crate::cache::validation::identifies;
use crate::worker::state::{Worker, now};
use crate::worker::stored::Stored;

/// Starts a fetch. With `shared` others find it by its key until it ends.
pub fn begin(worker: &Rc<Worker>, mut order: FetchRequest, shared: bool) -> Ticket {
    let fetch = Rc::new(Fetch::new(worker, &mut order));
    let ticket = fetch.ticket();
    let entry = order
        .key
        .clone()
        .filter(|_| shared)
        .map(|key| Entry::new(worker, key, &fetch));
    let worker = worker.clone();
    tokio::task::spawn_local(async move {
        // Dropped at the end, however that comes, so that nobody joins what is over.
        let _entry = entry;
        work(&worker, order, &fetch).await;
    });
    ticket
}

async fn work(worker: &Rc<Worker>, mut order: FetchRequest, fetch: &Rc<Fetch>) {
    match lease::turn(worker, &order, fetch).await {
        LeaseOutcome::Ask(leased) => *fetch.leased.borrow_mut() = leased,
        LeaseOutcome::Stored(stored) => return fetch.settle(Outcome::Stored(stored)),
    }
    let mut request_time = now();
    let Some(mut reply) = ask(worker, &mut order, fetch).await else {
        return;
    };
    if answers_another(&reply, &order) {
        // What is about something else updates nothing and adds to nothing: asked again plainly.
        order.validate = None;
        if let Some(beside) = &mut order.beside {
            beside.ask = None;
        }
        request_time = now();
        match ask(worker, &mut order, fetch).await {
            Some(again) => reply = again,
            None => return,
        }
    }
    match reply {
        Ok(Reply::Switched(head, stream, rest)) => {
            fetch.settle(Outcome::Switched(Rc::new(Switched {
                head,
                connection: Some((stream, rest)).into(),
            })))
        }
        Ok(Reply::Response(response)) => {
            receive::receive(worker, &order, fetch, response, request_time).await;
        }
        Err(trouble) => fetch.settle(Outcome::Failed(Rc::new(trouble))),
    }
}

/// The reply, unless every client leaves before.
async fn ask(
    worker: &Worker,
    order: &mut FetchRequest,
    fetch: &Fetch,
) -> Option<Result<Reply, FetchError>> {
    tokio::select! {
        biased;
        reply = round_trip(worker, order, fetch) => Some(reply),
        () = fetch.deserted() => None,
    }
}

/// Whether the reply isn't about the stored response: a 304 (RFC 9111 §4.3.4), or a part that doesn't
/// fit it.
fn answers_another(reply: &Result<Reply, FetchError>, order: &FetchRequest) -> bool {
    let Ok(Reply::Response(response)) = reply else {
        return false;
    };
    let head = &response.head;
    let other = |stored: &Rc<Stored>| !identifies(&head.fields, &stored.object.meta.fields);
    head.status == 304 && order.validate.as_ref().is_some_and(other) || misfits(order, head)
}

/// Lets others find a fetch that was one client's own, unless they have another: its response turned
/// out to be for all.
pub(super) fn list(worker: &Rc<Worker>, order: &FetchRequest, fetch: &Rc<Fetch>) -> Option<Entry> {
    let key = order.key.clone()?;
    if worker.fetches.borrow().contains_key(&key) {
        return None;
    }
    if let claim::Claim::Ours(claimed) = claim(worker, &key, order.local_allowed) {
        fetch.claim.replace(Some(claimed));
    }
    Some(Entry::new(worker, key, fetch))
}

/// A fetch's place in the worker's table, as long as others may join it.
pub(super) struct Entry {
    worker: Rc<Worker>,
    key: Key,
    fetch: Rc<Fetch>,
}

impl Entry {
    fn new(worker: &Rc<Worker>, key: Key, fetch: &Rc<Fetch>) -> Entry {
        let fetch = fetch.clone();
        let before = (worker.fetches.borrow_mut()).insert(key.clone(), fetch.clone());
        if let Some(before) = before {
            fetch.displaced.replace(Rc::downgrade(&before));
        }
        Entry {
            worker: worker.clone(),
            key,
            fetch,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.fetch.unlist(&self.worker, &self.key);
    }
}
