//! What this worker has to tell the supervisor, gathered until the channel's task sends it: many
//! short events become few messages.

use std::cell::RefCell;

use crate::ipc::{Object, Returned};
use crate::store::Published;
use crate::sys::notifier::Notifier;

/// More news of stored objects than this is dropped while there is no supervisor; the next one
/// reads the whole store anyway.
const MOST_OBJECTS: usize = 64 << 10;

/// What is waiting to be sent.
#[derive(Debug, Default)]
pub struct Waiting {
    /// Clients that go back to the supervisor.
    pub returns: Vec<Returned>,
    /// Clients that another worker is to serve, with its number.
    pub handed: Vec<(u16, Returned)>,
    /// The ids of clients that have ended.
    pub closed: Vec<u64>,
    /// What has changed in the store, in order.
    pub changes: Vec<Change>,
}

/// A change of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Whether the object is new, or gone.
    pub published: bool,
    /// The object.
    pub object: Object,
}

impl Waiting {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.returns.is_empty()
            && self.handed.is_empty()
            && self.closed.is_empty()
            && self.changes.is_empty()
    }
}

/// The news for the supervisor.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: RefCell<Waiting>,
    notifier: Notifier,
}

impl Outbox {
    /// Gives a client back.
    pub fn give_back(&self, client: Returned) {
        self.add(|waiting| waiting.returns.push(client));
    }

    /// Sends a client to another worker.
    pub fn hand_over(&self, worker: u16, client: Returned) {
        self.add(|waiting| waiting.handed.push((worker, client)));
    }

    /// The clients for other workers, which nobody takes there now.
    pub fn take_handed(&self) -> Vec<(u16, Returned)> {
        std::mem::take(&mut self.waiting.borrow_mut().handed)
    }

    /// Tells that a client has ended.
    pub fn closed(&self, id: u64) {
        self.add(|waiting| waiting.closed.push(id));
    }

    /// Tells of an object new in the store.
    pub fn published(&self, object: &Published) {
        self.add(|waiting| push(&mut waiting.changes, object, true));
    }

    /// Tells of objects gone from the store.
    pub fn removed(&self, objects: &[Published]) {
        if !objects.is_empty() {
            self.add(|waiting| {
                for object in objects {
                    push(&mut waiting.changes, object, false);
                }
            });
        }
    }

    /// All that waits, or `None`.
    pub fn take(&self) -> Option<Waiting> {
        let mut waiting = self.waiting.borrow_mut();
        (!waiting.is_empty()).then(|| std::mem::take(&mut *waiting))
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// Resolves when something waits.
    pub async fn news(&self) {
        self.notifier
            .until(|| (!self.is_empty()).then_some(()))
            .await;
    }

    fn add(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.waiting.borrow_mut());
        self.notifier.notify();
    }
}

fn push(list: &mut Vec<Change>, object: &Published, published: bool) {
    if list.len() < MOST_OBJECTS {
        let object = Object {
            hash: object.hash,
            variant: object.variant,
            size: object.size,
        };
        list.push(Change { published, object });
    }
}
