//! A fetch: one request to an origin server and its response, as a task of its own. Clients hold a
//! [`Ticket`] and read the spool; the last ticket given back ends a fetch that is worth nothing
//! without them.
//!
//! Whether a stored response could answer instead was decided before.

mod begin;
mod claim;
mod connection;
mod content;
mod hit_for_miss;
mod lease;
mod outcome;
mod part;
mod publish;
mod receive;
mod request;
mod round_trip;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use crate::cache::key::Key;
use crate::cache::policy::Policy;
use crate::cache::vary;
use crate::config::Settings;
use crate::http::fields::Fields;
use crate::http::framing::Framing;
use crate::http::head::{RequestHead, ResponseHead};
use crate::http::target::Uri;
use crate::store::memory::MOST_VARIANTS;
use crate::store::spool::{Spool, SpoolReader};
use crate::sys::notifier::Notifier;

use super::state::Worker;
use super::stored::Stored;

pub use begin::begin;
pub use claim::{Claim, ClaimGuard, claim};
pub use hit_for_miss::is_hit_for_miss;
use lease::LeaseGuard;
pub use outcome::{Answer, FetchError, Outcome, Switched};
pub use part::StoredPart;
pub use publish::{invalidate, remember};

/// What is to be fetched.
pub struct FetchRequest {
    /// The request as presented.
    pub head: RequestHead,
    /// Its target URI.
    pub uri: Uri,
    /// The key under which the response may be stored; `None` to store nothing.
    pub key: Option<Key>,
    /// The claim that tells other workers of this fetch.
    pub claim: Option<ClaimGuard>,
    /// The request's content.
    pub content: Option<RequestContent>,
    /// The stored response that is to be validated.
    pub validate: Option<Rc<Stored>>,
    /// The stored response that was found but may not answer, whether or not it can be validated.
    pub found: Option<Rc<Stored>>,
    /// The part of it that is stored.
    pub beside: Option<StoredPart>,
    /// Whether the client asks to switch protocols.
    pub upgrade: bool,
    /// Whether the client may reach this machine's own addresses.
    pub local_allowed: bool,
    /// The operator's wishes for this URI.
    pub policy: Policy,
    /// The settings that the request invalidation_epochs with.
    pub settings: Rc<Settings>,
    /// The proxy's name in Via.
    pub pseudonym: String,
}

/// The content of a request on its way to the origin server.
pub struct RequestContent {
    /// How it is framed.
    pub framing: Framing,
    /// Where it comes from.
    pub reader: SpoolReader,
}

/// A running fetch, as its clients see it.
#[derive(Default)]
pub struct Fetch {
    interim: RefCell<Vec<Rc<ResponseHead>>>,
    outcome: RefCell<Option<Outcome>>,
    /// The content that is being stored, which makes the fetch worth finishing for nobody.
    kept: RefCell<Option<(Rc<Spool>, Option<u64>)>>,
    /// The response when it is whole and on its way into the store, if it is small.
    whole: RefCell<Option<Rc<Stored>>>,
    /// What tells other workers of it, until it has nothing that their clients may have too.
    claim: RefCell<Option<ClaimGuard>>,
    /// What tells other hosts of it, as long as its response may be for them.
    leased: RefCell<Option<LeaseGuard>>,
    tickets: Cell<usize>,
    /// Whether it may reach this machine's own addresses.
    local_allowed: bool,
    /// How often the keys of what it may change had been made invalid when it invalidation_epochs, or had made some invalid
    /// itself: its own, that of a part, and that of what was found, as HEAD's response says something of GET's.
    invalidation_epochs: RefCell<Vec<(Key, u32)>>,
    /// The fetch of the same key, perhaps for another variant, whose place in the table it took.
    displaced: RefCell<Weak<Fetch>>,
    /// Whether it is off the table for good.
    is_over: Cell<bool>,
    notifier: Notifier,
}

/// Content with less than this left to fetch is fetched to its end though every client has gone.
const WORTH_FINISHING: u64 = 1 << 20;

impl Fetch {
    fn new(worker: &Worker, order: &mut FetchRequest) -> Fetch {
        let own = order.key.iter().flat_map(|key| [key.clone(), key.part()]);
        let found = order
            .found
            .iter()
            .map(|found| found.object.meta.key.clone());
        let keys = own.chain(found).map(|key| (key, 0)).collect();
        let fetch = Fetch {
            claim: order.claim.take().into(),
            local_allowed: order.local_allowed,
            invalidation_epochs: RefCell::new(keys),
            ..Fetch::default()
        };
        fetch.begins(worker);
        fetch
    }

    /// What makes its keys invalid from now on came after it.
    fn begins(&self, worker: &Worker) {
        for (key, count) in self.invalidation_epochs.borrow_mut().iter_mut() {
            *count = worker.shared.invalidations(key.hash());
        }
    }

    /// How often this key had been made invalid when it invalidation_epochs.
    fn invalidation_epoch(&self, key: &Key) -> Option<u32> {
        let invalidation_epochs = self.invalidation_epochs.borrow();
        let mut keys = invalidation_epochs.iter();
        keys.find(|(of, _)| of == key).map(|(_, count)| *count)
    }

    /// Whether nothing has made the key invalid since it invalidation_epochs (RFC 9111 §4.4), so that what it
    /// brings may be used by others.
    pub fn is_valid(&self, worker: &Worker, key: &Key) -> bool {
        self.invalidation_epoch(key) == Some(worker.shared.invalidations(key.hash()))
    }

    /// Whether it may reach this machine's own addresses, as only some clients may.
    pub fn local_allowed(&self) -> bool {
        self.local_allowed
    }

    /// The whole response, on its way into the store, if this request selects it: newer than what the
    /// store has.
    pub fn whole(&self, worker: &Worker, request: &Fields) -> Option<Rc<Stored>> {
        let stored = self.whole.borrow().clone()?;
        let meta = &stored.object.meta;
        let names = vary::names(&meta.fields)?;
        let selected = vary::variant_of(&names, request) == meta.variant;
        (selected && self.is_valid(worker, &meta.key)).then_some(stored)
    }

    /// The response, when its head has arrived.
    pub fn answer(&self) -> Option<Rc<Answer>> {
        match &*self.outcome.borrow() {
            Some(Outcome::Answer(answer)) => Some(answer.clone()),
            Some(
                Outcome::Validated(_)
                | Outcome::Stored(_)
                | Outcome::Switched(_)
                | Outcome::Failed(_),
            )
            | None => None,
        }
    }

    /// Whether its response is whole and on its way into the store.
    pub fn is_publishing(&self) -> bool {
        let kept = self.kept.borrow();
        kept.as_ref().is_some_and(|(spool, _)| spool.is_whole())
    }

    /// Whether what is on its way into the store is the variant that this request selects.
    pub fn is_publishing_for(&self, request: &Fields) -> bool {
        self.is_publishing()
            && self.answer().is_some_and(|answer| {
                vary::variant_of(&answer.selecting, request) == answer.variant
            })
    }

    /// Takes it off the worker's table: who comes from now on finds the response stored.
    fn unlist(&self, worker: &Worker, key: &Key) {
        self.claim.take();
        self.leased.take();
        let mut fetches = worker.fetches.borrow_mut();
        // Another fetch, for another variant, may have taken the place.
        if fetches
            .get(key)
            .is_some_and(|there| std::ptr::eq(Rc::as_ptr(there), self))
        {
            fetches.remove(key);
            let before = self.displaced.take().upgrade();
            if let Some(before) = before.filter(|before| !before.is_over.get()) {
                fetches.insert(key.clone(), before);
            }
        }
        self.is_over.set(true);
    }

    /// The fetches of a key that are still running, the latest first, so many of them as one key has
    /// variants.
    pub fn with_displaced(self: &Rc<Fetch>) -> impl Iterator<Item = Rc<Fetch>> {
        let next = |fetch: &Rc<Fetch>| {
            let before = fetch.displaced.borrow().upgrade();
            before.filter(|before| !before.is_over.get())
        };
        std::iter::successors(Some(self.clone()), next).take(MOST_VARIANTS)
    }

    /// A share in this fetch.
    pub fn ticket(self: &Rc<Fetch>) -> Ticket {
        self.tickets.set(self.tickets.get() + 1);
        Ticket {
            fetch: self.clone(),
            interim_seen: 0,
        }
    }

    fn settle(&self, outcome: Outcome) {
        let is_for_others = match &outcome {
            Outcome::Answer(answer) => answer.not_stored.is_none(),
            Outcome::Validated(_) | Outcome::Stored(_) => true,
            Outcome::Switched(_) | Outcome::Failed(_) => false,
        };
        if !is_for_others {
            self.claim.take();
            self.leased.take();
        }
        self.outcome.borrow_mut().get_or_insert(outcome);
        self.notifier.notify();
    }

    /// What it brought is in the store, where other hosts find it.
    fn is_stored(&self, key: &Key) {
        if let Some(leased) = self.leased.take() {
            leased.end_stored(key);
        }
    }

    fn add_interim(&self, head: ResponseHead) {
        self.interim.borrow_mut().push(Rc::new(head));
        self.notifier.notify();
    }

    /// Resolves when nobody waits for it and it isn't worth finishing for the store.
    async fn deserted(&self) {
        self.notifier
            .until(|| (self.tickets.get() == 0 && !self.worth_finishing()).then_some(()))
            .await;
    }

    fn worth_finishing(&self) -> bool {
        match &*self.kept.borrow() {
            Some((spool, _)) if !spool.keeps_all() => false,
            Some((spool, Some(expected))) => {
                let left = expected.saturating_sub(spool.len());
                left <= WORTH_FINISHING || left <= expected / 2
            }
            Some((spool, None)) => spool.end().is_some(),
            None => false,
        }
    }
}

/// One client's share in a fetch.
pub struct Ticket {
    fetch: Rc<Fetch>,
    interim_seen: usize,
}

/// What a ticket's holder hears of.
pub enum News {
    /// A 1xx response to pass on (RFC 9110 §15.2).
    Interim(Rc<ResponseHead>),
    /// What it came to.
    Outcome(Outcome),
}

impl Ticket {
    /// The next news: interim responses in order, then the outcome.
    pub async fn news(&mut self) -> News {
        let fetch = self.fetch.clone();
        let seen = self.interim_seen;
        let news = fetch
            .notifier
            .until(|| {
                if let Some(head) = fetch.interim.borrow().get(seen) {
                    return Some(News::Interim(head.clone()));
                }
                fetch.outcome.borrow().clone().map(News::Outcome)
            })
            .await;
        if matches!(news, News::Interim(_)) {
            self.interim_seen += 1;
        }
        news
    }
}

impl Ticket {
    /// Stays until the content has come to its end, when it is being kept.
    pub async fn until_stored(self) {
        let kept = self.fetch.kept.borrow().clone();
        if let Some((spool, _)) = kept {
            if spool.keeps_all() {
                spool.ended().await;
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.fetch.tickets.set(self.fetch.tickets.get() - 1);
        self.fetch.notifier.notify();
    }
}
