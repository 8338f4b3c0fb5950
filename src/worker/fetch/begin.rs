//! The task of a fetch, from its order to its end.

use std::rc::Rc;

use super::exchange::{Reply, exchange};
use super::outcome::{Outcome, Switched, Trouble};
use super::{Fetch, Order, Ticket, receive};
use crate::cache::key::Key;
use crate::cache::validation::identifies;
use crate::worker::state::{Worker, now};

/// Starts a fetch. With `shared` others find it by its key until it ends.
pub fn begin(worker: &Rc<Worker>, mut order: Order, shared: bool) -> Ticket {
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
        tokio::select! {
            biased;
            () = work(&worker, order, &fetch) => {}
            () = fetch.deserted() => {}
        }
    });
    ticket
}

async fn work(worker: &Rc<Worker>, mut order: Order, fetch: &Fetch) {
    let mut request_time = now();
    let mut reply = exchange(worker, &mut order, fetch).await;
    if answers_another(&reply, &order) {
        // A 304 about something else updates nothing: asked again without a condition.
        order.validate = None;
        request_time = now();
        reply = exchange(worker, &mut order, fetch).await;
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
        Err(trouble) => fetch.settle(Outcome::Trouble(Rc::new(trouble))),
    }
}

/// Whether the reply is a 304 that isn't about the stored response (RFC 9111 §4.3.4).
fn answers_another(reply: &Result<Reply, Trouble>, order: &Order) -> bool {
    match (reply, &order.validate) {
        (Ok(Reply::Response(response)), Some(stored)) => {
            response.head.status == 304
                && !identifies(&response.head.fields, &stored.object.meta.fields)
        }
        _ => false,
    }
}

/// A fetch's place in the worker's table, as long as others may join it.
struct Entry {
    worker: Rc<Worker>,
    key: Key,
    fetch: Rc<Fetch>,
}

impl Entry {
    fn new(worker: &Rc<Worker>, key: Key, fetch: &Rc<Fetch>) -> Entry {
        let fetch = fetch.clone();
        worker
            .fetches
            .borrow_mut()
            .insert(key.clone(), fetch.clone());
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
