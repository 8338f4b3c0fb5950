//! News for the supervisor, gathered until the channel's task sends it: many short events become few
//! messages.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::client::Client;
use crate::ipc::{Object, Returned};
use crate::store::Published;
use crate::sys::notifier::Notifier;

/// More news of stored objects than this is dropped while there is no supervisor; the next one
/// reads the whole store anyway.
const MOST_OBJECTS: usize = 64 << 10;

#[derive(Default)]
pub(super) struct WorkerNews {
    pub(super) returned: Vec<Returned>,
    /// Clients that the worker of this number is to serve.
    pub(super) handed: BTreeMap<u16, Vec<Returned>>,
    /// The ids of clients that have ended.
    pub(super) closed: Vec<u64>,
    /// Changes of the store, in order.
    pub(super) changes: Vec<StoreChange>,
}

#[derive(Clone, Copy)]
pub(super) struct StoreChange {
    pub(super) kind: ChangeKind,
    pub(super) object: Object,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeKind {
    Published,
    Removed,
}

impl WorkerNews {
    fn is_empty(&self) -> bool {
        self.returned.is_empty()
            && self.handed.is_empty()
            && self.closed.is_empty()
            && self.changes.is_empty()
    }

    fn change(&mut self, kind: ChangeKind, object: &Published) {
        if self.changes.len() < MOST_OBJECTS {
            let object = Object {
                hash: object.hash,
                variant: object.variant,
                size: object.size,
            };
            self.changes.push(StoreChange { kind, object });
        }
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

    pub(super) fn published(&self, object: &Published) {
        self.add(|news| news.change(ChangeKind::Published, object));
    }

    pub(super) fn removed(&self, objects: &[Published]) {
        if !objects.is_empty() {
            self.add(|news| {
                for object in objects {
                    news.change(ChangeKind::Removed, object);
                }
            });
        }
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
