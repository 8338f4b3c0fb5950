//! A running fetch as its clients see it: the stage it is in, and the tickets of those who wait for it or read its
//! content. The last ticket given back ends a fetch that is worth nothing without them.

mod ticket;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Announcements, Answer, ClaimGuard, FetchOutcome, LeaseGuard, Publishing};
use crate::cache::key::{Key, Variant};
use crate::http::fields::Fields;
use crate::http::head::ResponseHead;
use crate::sys::notifier::Notifier;
use crate::sys::shared::Shared;
use crate::worker::origin::course::Course;
use crate::worker::stored::Stored;

pub use ticket::{FetchEvent, Ticket};

/// The most interim responses that wait for a client to take them; then the origin server waits.
const MOST_INTERIM_WAITING: usize = 8;

/// The stages of a fetch.
#[derive(Default)]
pub enum Stage {
    /// The origin server has been asked, and has sent no final head.
    #[default]
    Asking,
    /// The head is there, and the content comes.
    Growing(Rc<Answer>),
    /// The response is whole and on its way into the store; small, it is at hand already.
    Publishing(Rc<Answer>, Rc<Stored>),
    /// It came to something that has no content of its own.
    Settled(FetchOutcome),
}

/// The properties of a fetch that are settled when it begins.
pub struct FetchPlan {
    pub announced: Announcements,
    /// It may reach this machine's own addresses, as only some clients may.
    pub local_allowed: bool,
    /// The variant that its request selects, where an earlier answer has told which fields do.
    pub variant: Option<Variant>,
    /// The time without progress after which another asks too.
    pub patience: Duration,
    /// Content of which less than this lacks, in bytes, is fetched to its end though every client has gone.
    pub quick_abort_min: u64,
}

/// A running fetch.
pub struct Fetch {
    stage: RefCell<Stage>,
    /// Interim responses on their way to the client whose request it is, and whether that listens.
    interim: RefCell<VecDeque<ResponseHead>>,
    passes_interim: Cell<bool>,
    announced: RefCell<Announcements>,
    /// The invalidation epochs, at its beginning or after it made some invalid itself, of the keys that it may
    /// change: its own, that of a part, and that of what was found, as HEAD's response says something of GET's.
    epochs: RefCell<Vec<(Key, u32)>>,
    tickets: Cell<usize>,
    joined: Cell<bool>,
    /// Another host that shares the store asks the origin server instead.
    elsewhere: Cell<bool>,
    /// Its content can be continued on another connection.
    resumable: Cell<bool>,
    /// How far it has come in reaching the origin server.
    pub course: Course,
    /// Nothing has come from the origin server for so long that it hangs.
    hung: Cell<bool>,
    last_interim: Cell<Option<Instant>>,
    begun: Instant,
    local_allowed: bool,
    variant: Option<Variant>,
    patience: Duration,
    quick_abort_min: u64,
    notifier: Notifier,
    /// Of those who wait on the list that it is on.
    list: RefCell<Option<Rc<Notifier>>>,
    listed: Cell<Option<Instant>>,
}

impl Fetch {
    /// A fetch that begins now and may change what is stored under these keys.
    pub fn new(shared: &Shared, keys: impl Iterator<Item = Key>, plan: FetchPlan) -> Rc<Fetch> {
        let fetch = Fetch {
            stage: RefCell::default(),
            interim: RefCell::default(),
            passes_interim: Cell::new(false),
            announced: plan.announced.into(),
            epochs: RefCell::new(keys.map(|key| (key, 0)).collect()),
            tickets: Cell::new(0),
            joined: Cell::new(false),
            elsewhere: Cell::new(false),
            resumable: Cell::new(false),
            course: Course::default(),
            hung: Cell::new(false),
            last_interim: Cell::default(),
            begun: Instant::now(),
            local_allowed: plan.local_allowed,
            variant: plan.variant,
            patience: plan.patience,
            quick_abort_min: plan.quick_abort_min,
            notifier: Notifier::default(),
            list: RefCell::default(),
            listed: Cell::default(),
        };
        fetch.renew_epochs(shared);
        Rc::new(fetch)
    }

    /// Has whatever made its keys invalid until now be older than what it brings.
    pub fn renew_epochs(&self, shared: &Shared) {
        for (key, epoch) in self.epochs.borrow_mut().iter_mut() {
            *epoch = shared.invalidations(key.hash());
        }
    }

    /// The invalidation epoch of this key when it began.
    pub fn invalidation_epoch(&self, key: &Key) -> Option<u32> {
        let epochs = self.epochs.borrow();
        let mut of_key = epochs.iter().filter(|(of, _)| of == key);
        of_key.next().map(|(_, epoch)| *epoch)
    }

    /// True while nothing has made the key invalid since it began (RFC 9111 §4.4), so that what it
    /// brings may be used by others.
    pub fn is_valid(&self, shared: &Shared, key: &Key) -> bool {
        self.invalidation_epoch(key) == Some(shared.invalidations(key.hash()))
    }

    /// When it began.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// The time without progress after which another asks too.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// The variant that its request selects, where that was known when it began.
    pub fn variant(&self) -> Option<&Variant> {
        self.variant.as_ref()
    }

    /// True when others than the client that asked have had a share in it.
    pub fn is_joined(&self) -> bool {
        self.joined.get()
    }

    /// Resolves when others have a share in it.
    pub async fn joined(&self) {
        self.notifier.holds(|| self.is_joined()).await;
    }

    /// True while it has come to nothing yet.
    pub fn is_asking(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Asking)
    }

    /// True when it came to no response.
    pub fn has_failed(&self) -> bool {
        let stage = self.stage.borrow();
        matches!(*stage, Stage::Settled(FetchOutcome::Failed(_)))
    }

    /// Has those hear of its stages who wait on a list.
    pub(super) fn is_listed(&self, list: Rc<Notifier>) {
        *self.list.borrow_mut() = Some(list);
        self.listed.set(Some(Instant::now()));
    }

    /// When it came to be for others.
    pub fn listed(&self) -> Option<Instant> {
        self.listed.get()
    }

    /// True when it may reach this machine's own addresses, as only some clients may.
    pub fn local_allowed(&self) -> bool {
        self.local_allowed
    }

    /// The response, when its head has arrived.
    pub fn answer(&self) -> Option<Rc<Answer>> {
        match &*self.stage.borrow() {
            Stage::Growing(answer) | Stage::Publishing(answer, _) => Some(answer.clone()),
            Stage::Asking | Stage::Settled(_) => None,
        }
    }

    /// True when its response is small, whole, and on its way into the store.
    pub fn is_at_hand(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Publishing(..))
    }

    /// True when its response is whole, and on its way into the store.
    pub fn is_on_its_way(&self) -> bool {
        let is_kept = |answer: Rc<Answer>| {
            answer.sharing.is_ok() && answer.spool.is_whole() && answer.spool.keeps_all()
        };
        self.is_at_hand() || self.answer().is_some_and(is_kept)
    }

    /// The response on its way into the store, if this request selects it: newer than what the store has.
    pub(super) fn publishing(&self, shared: &Shared, request: &Fields) -> Option<Publishing> {
        if let Stage::Publishing(_, stored) = &*self.stage.borrow() {
            let meta = &stored.object.meta;
            let selected = meta.is_selected_by(request);
            if selected && self.is_valid(shared, &meta.key) {
                return Some(Publishing::Small(stored.clone()));
            }
        }
        let answer = self.answer()?;
        let is_whole = answer.spool.is_whole();
        (is_whole && answer.shared_with(request).is_some()).then_some(Publishing::Large)
    }

    /// A share in this fetch.
    pub fn ticket(self: &Rc<Fetch>) -> Ticket {
        self.tickets.set(self.tickets.get() + 1);
        if self.tickets.get() > 1 && !self.joined.replace(true) {
            self.notifier.notify();
        }
        Ticket::new(self.clone())
    }

    /// True when other workers know of it, and of no other fetch of its key.
    pub fn leads(&self) -> bool {
        let announced = self.announced.borrow();
        (announced.claim.as_ref()).is_some_and(|claim| Rc::strong_count(claim) == 1)
    }

    pub(super) fn claim(&self) -> Option<Rc<ClaimGuard>> {
        self.announced.borrow().claim.clone()
    }

    /// Tells other workers of it.
    pub fn announce_claim(&self, claim: Rc<ClaimGuard>) {
        self.announced.borrow_mut().claim = Some(claim);
    }

    /// Tells other hosts of it, as long as its response may be for them.
    pub fn announce_lease(&self, lease: Option<LeaseGuard>) {
        self.announced.borrow_mut().lease = lease;
        self.elsewhere.set(false);
    }

    /// Has its small response, which is whole, at hand until it is in the store.
    pub fn publishes(&self, stored: Rc<Stored>) {
        if let Some(answer) = self.answer() {
            self.enter(Stage::Publishing(answer, stored));
        }
    }

    /// Goes on to a stage; from one in which it came to something there is no way to another outcome.
    pub fn enter(&self, stage: Stage) {
        let is_for_others = match &stage {
            Stage::Asking | Stage::Publishing(..) => true,
            Stage::Growing(answer) => answer.sharing.is_ok(),
            Stage::Settled(FetchOutcome::Validated(validated)) => validated.shared.is_ok(),
            Stage::Settled(FetchOutcome::Stored(_)) => true,
            Stage::Settled(_) => false,
        };
        match (is_for_others, &stage) {
            (false, _) => self.withdraw(),
            (true, Stage::Growing(_)) => {
                if let Some(claim) = self.claim() {
                    claim.has_head();
                }
            }
            (true, _) => {}
        }
        if !matches!(stage, Stage::Asking) {
            // What is asked for from now on is asked for the rest.
            self.passes_interim.set(false);
        }
        *self.stage.borrow_mut() = stage;
        self.notifier.notify();
        if let Some(list) = &*self.list.borrow() {
            list.notify();
        }
    }

    /// Says whether its content can be continued on another connection, as far as is known.
    pub fn set_resumable(&self, resumable: bool) {
        self.resumable.set(resumable);
    }

    /// True when its content has stalled for so long, and can't be continued on another connection.
    pub fn is_stuck(&self, time: Duration) -> bool {
        let has_stalled = |answer: Rc<Answer>| answer.spool.has_stalled(time);
        !self.resumable.get() && self.answer().is_some_and(has_stalled)
    }

    /// Says that it asks its origin server, anew where it did before: nothing has come for this.
    pub fn asks(&self) {
        self.course.asks();
        self.hung.set(false);
    }

    /// Says that its origin server hangs.
    pub fn hangs(&self) {
        self.hung.set(true);
    }

    /// True when its origin server hangs, and has sent nothing since.
    pub fn is_hung(&self) -> bool {
        self.hung.get() && !self.course.is_heard()
    }

    /// Says that another host asks the origin server instead, for a bounded time.
    pub fn waits_for_another_host(&self) {
        self.elsewhere.set(true);
    }

    /// True while another host asks the origin server instead.
    pub fn is_elsewhere(&self) -> bool {
        self.elsewhere.get()
    }

    /// Announces it no longer: others have nothing to wait for.
    pub fn withdraw(&self) {
        self.announced.take();
        // Without those who would join it, it may be worth nothing.
        self.notifier.notify();
    }

    /// Says that its response is in the store under this key, where other hosts find it.
    pub fn is_stored(&self, key: &Key) {
        if let Some(lease) = self.announced.borrow_mut().lease.take() {
            lease.end_stored(key);
        }
    }

    /// Tells its client of an interim response, and waits while that has many to take.
    pub async fn add_interim(&self, head: ResponseHead) {
        self.last_interim.set(Some(Instant::now()));
        let has_room =
            || !self.passes_interim.get() || self.interim.borrow().len() < MOST_INTERIM_WAITING;
        self.notifier.holds(has_room).await;
        if self.passes_interim.get() {
            self.interim.borrow_mut().push_back(head);
            self.notifier.notify();
        }
    }

    /// When the last interim response came.
    pub fn last_interim(&self) -> Option<Instant> {
        self.last_interim.get()
    }

    /// Resolves when nobody waits for it and it isn't worth finishing for the store.
    pub async fn deserted(&self) {
        let deserted = || (self.tickets.get() == 0 && !self.is_worth_finishing()).then_some(());
        self.notifier.until(deserted).await;
    }

    fn is_worth_finishing(&self) -> bool {
        let Some(answer) = self.kept() else {
            return false;
        };
        let spool = &answer.spool;
        match answer.framing.length() {
            Some(expected) => expected.saturating_sub(spool.len()) < self.quick_abort_min,
            None => spool.end().is_some(),
        }
    }

    /// The response whose content is being kept, which makes the fetch worth finishing for nobody.
    fn kept(&self) -> Option<Rc<Answer>> {
        self.answer()
            .filter(|answer| answer.sharing.is_ok() && answer.spool.keeps_all())
    }
}
