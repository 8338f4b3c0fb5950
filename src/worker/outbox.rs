//! News for the supervisor, gathered until the channel's task sends it: many short events become few
//! messages.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::client::Client;
use crate::ipc::Returned;
use crate::sys::notifier::Notifier;

#[derive(Default)]
pub(super) struct WorkerNews {
    pub(super) returned: Vec<Returned>,
    /// Clients that the worker of this number is to serve.
    pub(super) handed: BTreeMap<u16, Vec<Returned>>,
    /// The ids of clients that have ended.
    pub(super) closed: Vec<u64>,
}

impl WorkerNews {
    fn is_empty(&self) -> bool {
        self.returned.is_empty() && self.handed.is_empty() && self.closed.is_empty()
    }
}

#[derive(Default)]
pub(super) struct Outbox {
    news: RefCell<WorkerNews>,
    notifier: Notifier,
    /// The name of the last client that went.
    token: Cell<u64>,
}

impl Outbox {
    pub(super) fn give_back(&self, client: Client) {
        let client = client.into_returned(self.next_token());
        self.add(|news| news.returned.push(client));
    }

    pub(super) fn hand_over(&self, worker: u16, client: Client) {
        let client = client.into_returned(self.next_token());
        self.add(|news| news.handed.entry(worker).or_default().push(client));
    }

    /// The clients for other workers, which nobody takes there now.
    pub(super) fn take_handed(&self) -> impl Iterator<Item = Returned> {
        let handed = std::mem::take(&mut self.news.borrow_mut().handed);
        handed.into_values().flatten()
    }

    pub(super) fn closed(&self, id: u64) {
        self.add(|news| news.closed.push(id));
    }

    /// All that waits, or `None`.
    pub(super) fn take(&self) -> Option<WorkerNews> {
        (!self.is_empty()).then(|| self.news.take())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.news.borrow().is_empty()
    }

    /// Resolves when something waits.
    pub(super) async fn waits(&self) {
        self.notifier.holds(|| !self.is_empty()).await;
    }

    fn next_token(&self) -> u64 {
        self.token.set(self.token.get() + 1);
        self.token.get()
    }

    fn add(&self, change: impl FnOnce(&mut WorkerNews)) {
        change(&mut self.news.borrow_mut());
        self.notifier.notify();
    }
}
