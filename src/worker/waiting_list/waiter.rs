//! One who waits for a fetch of a key: which fetches it has a share in, whose outcome it hears of, and its turn to ask
//! the origin server itself.
//!
//! The use that it makes of an outcome is for the exchange to say.

use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::list::{Turn, WaitingList};
use super::{Answer, Fetch, FetchOutcome, Ticket, WaitingLists};
use crate::cache::key::{Key, Variant};
use crate::sys::shared::Shared;

/// The fetches that one who waits may use.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// It may reach this machine's own addresses.
    pub local_allowed: bool,
    /// Only fetches that began after this; older ones are waited for, but not used.
    pub since: Option<Instant>,
    /// The variant, where an answer has told which fields select it.
    pub variant: Option<Variant>,
    /// The time without progress after which another asks too.
    pub patience: Duration,
}

/// One who waits.
pub struct Waiter {
    lists: Rc<WaitingLists>,
    list: Rc<WaitingList>,
    key: Key,
    pub wanted: Wanted,
    shares: Vec<Ticket>,
    /// Those whose outcome it has heard.
    heard: Vec<Weak<Fetch>>,
    left: bool,
    since: Instant,
    /// Its own fetch, which it hears of otherwise; it doesn't ask again.
    own: Option<Rc<Fetch>>,
}

/// The end of waiting.
pub enum Waited {
    /// A fetch that it waited for came to this; it may wait on for others.
    Outcome(FetchOutcome, Ticket),
    /// It asks the origin server itself, since nobody does, or one more should.
    Ask,
}

impl WaitingLists {
    /// One who waits for the fetches of this key.
    pub fn waiter(self: &Rc<Self>, key: &Key, wanted: Wanted) -> Waiter {
        let list = self.list(key);
        list.waiters.set(list.waiters.get() + 1);
        Waiter {
            lists: self.clone(),
            list,
            key: key.clone(),
            wanted,
            shares: Vec::new(),
            heard: Vec::new(),
            left: false,
            since: Instant::now(),
            own: None,
        }
    }
}

/// The fetches of a key, as one sees them who waits.
pub struct Listed(Rc<WaitingList>);

impl Listed {
    /// True when something has come for one that has no response yet.
    pub fn are_heard(&self) -> bool {
        let fetches = self.0.fetches.borrow();
        asking(&fetches).any(|fetch| fetch.course.is_heard())
    }

    /// When the first of them that has no response yet made its request.
    pub fn asked(&self) -> Option<Instant> {
        let fetches = self.0.fetches.borrow();
        asking(&fetches).filter_map(|it| it.course.begun()).min()
    }

    /// When the last interim response came for one that has no response yet.
    pub fn last_interim(&self) -> Option<Instant> {
        let fetches = self.0.fetches.borrow();
        asking(&fetches).filter_map(|it| it.last_interim()).max()
    }
}

fn asking(fetches: &[Rc<Fetch>]) -> impl Iterator<Item = &Rc<Fetch>> {
    fetches.iter().filter(|fetch| fetch.is_asking())
}

impl Waiter {
    /// The fetches of its key.
    pub fn listed(&self) -> Listed {
        Listed(self.list.clone())
    }

    /// Has it wait for others beside its own fetch.
    pub fn beside(mut self, own: &Ticket) -> Waiter {
        self.own = Some(own.fetch.clone());
        self
    }

    /// It has its answer, and waits no longer: what else is asked isn't asked for it.
    pub fn is_answered(&mut self) {
        self.shares.clear();
        self.leave();
    }

    fn leave(&mut self) {
        if !std::mem::replace(&mut self.left, true) {
            self.list.waiters.set(self.list.waiters.get() - 1);
        }
    }

    /// Waits for the next outcome of a fetch that it may use, or for its turn.
    pub async fn waited(&mut self, shared: &Shared) -> Waited {
        let list = self.list.clone();
        list.changed.until_due(|| self.look(shared)).await
    }

    fn look(&mut self, shared: &Shared) -> Result<Waited, Instant> {
        // Outcomes first: what has come to one may be listed no longer.
        if self.outcome().is_none() {
            self.share(shared);
        }
        if let Some((at, outcome)) = self.outcome() {
            let share = self.shares.remove(at);
            self.heard.push(Rc::downgrade(&share.fetch));
            return Ok(Waited::Outcome(outcome, share));
        }
        let (now, patience) = (Instant::now(), self.wanted.patience);
        if self.own.is_some() {
            return Err(now + patience * 64);
        }
        if self.asking(shared, Fetch::is_elsewhere) > 0 {
            // The time in which the origin server is to show progress begins when it is asked here.
            self.list.asks_later(now + patience);
        }
        match self.list.turn(self.asking(shared, |_| true), now, patience) {
            Turn::Ask => Ok(Waited::Ask),
            Turn::WaitUntil(due) => Err(due),
        }
    }

    fn outcome(&self) -> Option<(usize, FetchOutcome)> {
        let mut shares = self.shares.iter().enumerate();
        shares.find_map(|(at, share)| Some((at, share.outcome_now()?)))
    }

    /// Takes a share in each fetch that asks and that it may use, and none in what is no longer listed.
    fn share(&mut self, shared: &Shared) {
        let fetches = self.list.fetches.borrow();
        let listed = |fetch: &Rc<Fetch>| fetches.iter().any(|other| Rc::ptr_eq(other, fetch));
        self.shares.retain(|share| listed(&share.fetch));
        let (shares, heard) = (&self.shares, &self.heard);
        let is_new = |fetch: &&Rc<Fetch>| {
            (self.waits_for(shared, fetch) || self.has_come(shared, fetch))
                && self.wanted.since.is_none_or(|since| fetch.begun() >= since)
                && !shares.iter().any(|share| Rc::ptr_eq(&share.fetch, fetch))
                && !heard
                    .iter()
                    .any(|it| std::ptr::eq(it.as_ptr(), Rc::as_ptr(fetch)))
        };
        let new: Vec<Ticket> = fetches.iter().filter(is_new).map(Fetch::ticket).collect();
        self.shares.extend(new);
    }

    /// The number of fetches that it waits for, of those that `count`.
    fn asking(&self, shared: &Shared, count: impl Fn(&Fetch) -> bool) -> u32 {
        let fetches = self.list.fetches.borrow();
        let asking = fetches
            .iter()
            .filter(|fetch| self.waits_for(shared, fetch) && count(fetch));
        asking.count() as u32
    }

    /// A fetch that turned out to be for all while this one waits.
    fn has_come(&self, shared: &Shared, fetch: &Rc<Fetch>) -> bool {
        let is_shared = |answer: Rc<Answer>| answer.sharing.is_ok();
        fetch.listed().is_some_and(|listed| listed >= self.since)
            && fetch.answer().is_some_and(is_shared)
            && self.suits(shared, fetch)
    }

    fn waits_for(&self, shared: &Shared, fetch: &Rc<Fetch>) -> bool {
        fetch.is_asking() && self.suits(shared, fetch)
    }

    fn suits(&self, shared: &Shared, fetch: &Rc<Fetch>) -> bool {
        let own = self.own.as_ref();
        fetch.is_valid(shared, &self.key)
            && fetch.local_allowed() == self.wanted.local_allowed
            && !own.is_some_and(|own| Rc::ptr_eq(own, fetch))
            && (self.wanted.variant.as_ref())
                .is_none_or(|wanted| fetch.variant().is_none_or(|other| other == wanted))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.leave();
        self.lists.forget_if_over(&self.key);
    }
}
