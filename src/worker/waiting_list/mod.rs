//! The waiting lists of a worker (collapsed forwarding): for each key the fetches that run, which whoever asks for
//! the key meanwhile waits for or reads along with.
//!
//! A list doesn't say who may share a response: `cache::plan` does. It isn't told to other workers: a claim is.

mod fetch;
mod guards;
mod list;
mod outcome;
mod waiter;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use list::WaitingList;

use crate::cache::key::Key;
use crate::http::fields::Fields;
use crate::store::memory::MOST_VARIANTS;
use crate::sys::shared::Shared;

pub use fetch::{Fetch, FetchEvent, FetchPlan, Stage, Ticket};
pub use guards::{Announcements, ClaimGuard, LeaseGuard};
pub use outcome::{
    Answer, FetchError, FetchOutcome, NoStoreReason, Shareable, Switched, Validated,
};
pub use waiter::{Listed, Waited, Waiter, Wanted};

use super::stored::Stored;

/// The waiting lists of a worker, by key.
#[derive(Default)]
pub struct WaitingLists {
    /// Each has fetches, or some who wait for one.
    lists: RefCell<HashMap<Key, Rc<WaitingList>>>,
}

/// A response on its way into the store, for a request that comes meanwhile.
pub enum Publishing {
    /// The response, which is small.
    Small(Rc<Stored>),
    /// It is being written; what is at hand elsewhere is older.
    Large,
}

impl WaitingLists {
    /// The fetch of this key that `suits`, the latest that does; none that began before the key was made invalid: those
    /// are nobody's any more.
    pub fn latest(
        &self,
        shared: &Shared,
        key: &Key,
        suits: impl Fn(&Rc<Fetch>) -> bool,
    ) -> Option<Rc<Fetch>> {
        let lists = self.lists.borrow();
        let fetches = lists.get(key)?.fetches.borrow();
        let mut latest = fetches.iter().rev();
        let suitable = latest.find(|fetch| fetch.is_valid(shared, key) && suits(fetch));
        suitable.cloned()
    }

    /// True when a fetch of this key runs.
    pub fn has(&self, key: &Key) -> bool {
        let lists = self.lists.borrow();
        let list = lists.get(key);
        list.is_some_and(|list| !list.fetches.borrow().is_empty())
    }

    /// The number of responses for this key that are whole and on their way into the store.
    pub fn on_their_way(&self, shared: &Shared, key: &Key) -> usize {
        let lists = self.lists.borrow();
        let list = lists.get(key);
        list.map_or(0, |list| {
            let fetches = list.fetches.borrow();
            let is_one = |fetch: &&Rc<Fetch>| fetch.is_on_its_way() && fetch.is_valid(shared, key);
            fetches.iter().filter(is_one).count()
        })
    }

    /// The claim on a key that a fetch of it has.
    pub fn claim_of(&self, key: &Key, local_allowed: bool) -> Option<Rc<ClaimGuard>> {
        let lists = self.lists.borrow();
        let fetches = lists.get(key)?.fetches.borrow();
        let mut alike = fetches
            .iter()
            .filter(|fetch| fetch.local_allowed() == local_allowed);
        alike.find_map(|fetch| fetch.claim())
    }

    /// The response on its way into the store for this request, of as many of the latest fetches as a key has variants.
    pub fn publishing(&self, shared: &Shared, key: &Key, request: &Fields) -> Option<Publishing> {
        let lists = self.lists.borrow();
        let fetches = lists.get(key)?.fetches.borrow();
        let latest = fetches.iter().rev().take(MOST_VARIANTS);
        latest
            .filter_map(|fetch| fetch.publishing(shared, request))
            .next()
    }

    /// Puts a fetch on the list of its key, for as long as the listing is kept.
    pub fn enlist(self: &Rc<Self>, key: Key, fetch: &Rc<Fetch>) -> Listing {
        let list = self.list(&key);
        if list.waiters.get() <= 1 && !list.fetches.borrow().iter().any(|other| other.is_asking()) {
            list.begins_anew();
        }
        list.asks(fetch.begun(), fetch.patience());
        fetch.is_listed(list.changed.clone());
        list.fetches.borrow_mut().push(fetch.clone());
        list.changed.notify();
        Listing {
            lists: self.clone(),
            key,
            fetch: fetch.clone(),
        }
    }

    /// Takes a fetch off the list of its key: nobody joins what is over.
    pub fn strike(&self, key: &Key, fetch: &Rc<Fetch>) {
        fetch.withdraw();
        let list = self.lists.borrow().get(key).cloned();
        if let Some(list) = list {
            list.fetches
                .borrow_mut()
                .retain(|other| !Rc::ptr_eq(other, fetch));
            if fetch.has_failed() {
                list.has_failed();
            }
            list.changed.notify();
            self.forget_if_over(key);
        }
    }

    /// Takes all fetches of a key that was made invalid off its list.
    pub fn clear(&self, key: &Key) {
        let list = self.lists.borrow().get(key).cloned();
        if let Some(list) = list {
            let over = list.fetches.take();
            over.iter().for_each(|fetch| fetch.withdraw());
            list.changed.notify();
            self.forget_if_over(key);
        }
    }

    fn list(&self, key: &Key) -> Rc<WaitingList> {
        let mut lists = self.lists.borrow_mut();
        lists.entry(key.clone()).or_default().clone()
    }

    fn forget_if_over(&self, key: &Key) {
        let mut lists = self.lists.borrow_mut();
        if lists.get(key).is_some_and(|list| list.is_over()) {
            lists.remove(key);
        }
    }
}

/// A fetch's place on a waiting list.
pub struct Listing {
    lists: Rc<WaitingLists>,
    key: Key,
    fetch: Rc<Fetch>,
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.lists.strike(&self.key, &self.fetch);
    }
}
