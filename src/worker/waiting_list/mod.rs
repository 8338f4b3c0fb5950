//! The waiting lists of a worker (collapsed forwarding): for each key the fetches that run, which whoever asks for
//! the key meanwhile waits for or reads along with.
//!
//! A list doesn't say who may share a response: `cache::plan` does. It isn't told to other workers: a claim is.

mod fetch;
mod guards;
mod outcome;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::cache::key::Key;
use crate::http::fields::Fields;
use crate::store::memory::MOST_VARIANTS;
use crate::sys::shared::Shared;

pub use fetch::{Fetch, FetchEvent, Stage, Ticket};
pub use guards::{Announcements, ClaimGuard, LeaseGuard};
pub use outcome::{
    Answer, FetchError, FetchOutcome, NoStoreReason, Shareable, Switched, Validated,
};

use super::stored::Stored;

/// The waiting lists of a worker, by key.
#[derive(Default)]
pub struct WaitingLists {
    /// The fetches of each key, the latest last; none is empty.
    lists: RefCell<HashMap<Key, Vec<Rc<Fetch>>>>,
}

/// A response on its way into the store, for a request that comes meanwhile.
pub enum Publishing {
    /// The response, which is small.
    Small(Rc<Stored>),
    /// It is being written; what is at hand elsewhere is older.
    Large,
}

impl WaitingLists {
    /// The latest fetch of this key, unless the key was made invalid since it began: then it is nobody's any more.
    pub fn latest(&self, shared: &Shared, key: &Key) -> Option<Rc<Fetch>> {
        let lists = self.lists.borrow();
        let latest = lists.get(key)?.last()?;
        latest.is_valid(shared, key).then(|| latest.clone())
    }

    /// True when a fetch of this key runs.
    pub fn has(&self, key: &Key) -> bool {
        self.lists.borrow().contains_key(key)
    }

    /// The response on its way into the store for this request, of as many of the latest fetches as a key has variants.
    pub fn publishing(&self, shared: &Shared, key: &Key, request: &Fields) -> Option<Publishing> {
        let lists = self.lists.borrow();
        let latest = lists.get(key)?.iter().rev().take(MOST_VARIANTS);
        latest
            .filter_map(|fetch| fetch.publishing(shared, request))
            .next()
    }

    /// Puts a fetch on the list of its key, for as long as the listing is kept.
    pub fn enlist(self: &Rc<Self>, key: Key, fetch: &Rc<Fetch>) -> Listing {
        let mut lists = self.lists.borrow_mut();
        lists.entry(key.clone()).or_default().push(fetch.clone());
        Listing {
            lists: self.clone(),
            key,
            fetch: fetch.clone(),
        }
    }

    /// Takes a fetch off the list of its key: nobody joins what is over.
    pub fn strike(&self, key: &Key, fetch: &Rc<Fetch>) {
        fetch.withdraw();
        let mut lists = self.lists.borrow_mut();
        if let Some(list) = lists.get_mut(key) {
            list.retain(|other| !Rc::ptr_eq(other, fetch));
            if list.is_empty() {
                lists.remove(key);
            }
        }
    }

    /// Takes all fetches of a key that was made invalid off its list.
    pub fn clear(&self, key: &Key) {
        self.lists.borrow_mut().remove(key);
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
