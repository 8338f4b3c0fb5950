//! The state that the tasks of one worker share: settings, store, memory tier, running fetches, connections
//! to origin servers, and the news for the supervisor. All on one thread, hence no lock.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Instant, SystemTime};

use tokio::sync::Semaphore;
use tokio::task::spawn_local;

use super::large_heads::LargeHeads;
use super::origin::guard::Guard;
use super::origin::hung::{HungOrigins, OriginServer};
use super::origin::pool::ConnectionPool;
use super::origin::resolve::Resolver;
use super::origin::tls::Trust;
use super::outbox::Outbox;
use super::phase::WorkerPhase;
use super::store_access::StoreAccess;
use super::stored::Stored;
use super::transfers::Transfers;
use super::waiting_list::{Publishing, WaitingLists};
use crate::cache::key::{Hash, Key};
use crate::cache::provenance::BootTime;
use crate::cache::time::Timestamp;
use crate::config::{Settings, StoreChoice};
use crate::http::fields::Fields;
use crate::http::target::Uri;
use crate::store::memory::MemoryTier;
use crate::store::place;
use crate::store::{StoreError, Used};
use crate::sys::clock;
use crate::sys::rate::OncePerMinute;
use crate::sys::shared::Shared;

/// More stored responses than this are not counted until the store has the counts.
const MOST_USED: usize = 64 << 10;

pub(super) struct Worker {
    /// Its number, from 1.
    pub(super) index: u16,
    pub(super) shared: Arc<Shared>,
    /// The name by which this proxy knows itself in `Via`.
    pub(super) pseudonym: String,
    /// The place of the store that was opened, which a reload doesn't change.
    pub(super) store_choice: StoreChoice,
    pub(super) store: Rc<StoreAccess>,
    /// Responses that answer without the store.
    pub(super) memory: RefCell<MemoryTier<Rc<Stored>>>,
    pub(super) waiting_lists: Rc<WaitingLists>,
    pub(super) pool: ConnectionPool,
    pub(super) trust: Trust,
    pub(super) resolver: Resolver,
    pub(super) guard: Guard,
    pub(super) hung: HungOrigins,
    pub(super) outbox: Outbox,
    pub(super) transfers: Transfers,
    pub(super) clients: Cell<usize>,
    pub(super) large_heads: LargeHeads,
    /// The number of responses that are whole and on their way into the store. Their clients may have gone.
    pub(super) storing: Cell<usize>,
    /// The turn of who joins stored parts: one after another, since they are copied.
    pub(super) joins: Semaphore,
    pub(super) phase: WorkerPhase,
    settings: RefCell<Rc<Settings>>,
    /// Counts of use, by the hashes of key and variant.
    used: RefCell<HashMap<(Hash, Hash), u64>>,
    /// Warnings about the store.
    warnings: OncePerMinute,
}

impl Worker {
    pub(super) fn new(
        index: u16,
        settings: Settings,
        shared: Arc<Shared>,
        pseudonym: String,
    ) -> Worker {
        Worker {
            index,
            memory: RefCell::new(MemoryTier::new(settings.memory, shared.clone())),
            hung: HungOrigins::new(shared.clone()),
            shared,
            pseudonym,
            store_choice: settings.store.clone(),
            store: Rc::default(),
            waiting_lists: Rc::default(),
            pool: ConnectionPool::default(),
            trust: Trust::default(),
            resolver: Resolver::default(),
            guard: Guard::default(),
            outbox: Outbox::default(),
            transfers: Transfers::new(&settings.store.path),
            clients: Cell::new(0),
            large_heads: LargeHeads::default(),
            storing: Cell::new(0),
            joins: Semaphore::new(1),
            phase: WorkerPhase::default(),
            settings: RefCell::new(Rc::new(settings)),
            warnings: OncePerMinute::default(),
            used: RefCell::default(),
        }
    }

    /// The settings in force now. A request keeps those it began with.
    pub(super) fn settings(&self) -> Rc<Settings> {
        self.settings.borrow().clone()
    }

    /// Puts new settings in force. The memory tier is emptied: what it worked out depends on them.
    pub(super) fn set_settings(&self, settings: Settings) {
        *self.memory.borrow_mut() = MemoryTier::new(settings.memory, self.shared.clone());
        *self.settings.borrow_mut() = Rc::new(settings);
        self.trust.forget();
        self.resolver.doubt_all();
    }

    /// The origin server of a URI, with its addresses as far as they are known without looking them up.
    pub(super) fn origin_server<'a>(&self, uri: &'a Uri) -> OriginServer<'a> {
        OriginServer {
            origin: uri.origin(),
            port: uri.port(),
            addresses: self.resolver.last_addresses(uri.host()),
        }
    }

    /// True when the origin server of a URI is known to hang.
    pub(super) fn is_hung(&self, uri: &Uri) -> bool {
        self.hung.has(&self.origin_server(uri))
    }

    /// A stored response that is at hand: one on its way into the store, or of the memory tier.
    pub(super) fn at_hand(&self, key: &Key, request: &Fields) -> Option<Rc<Stored>> {
        match self.waiting_lists.publishing(&self.shared, key, request) {
            Some(Publishing::Small(stored)) => Some(stored),
            // Larger than the memory tier takes: what that still has is older.
            Some(Publishing::Large) => None,
            None => self.memory.borrow_mut().lookup(key, request),
        }
    }

    /// Warns once a minute at most that the proxy goes on without its store.
    pub(super) fn warn_not_stored(&self, why: &dyn std::fmt::Display) {
        if self.warnings.is_due(Instant::now()) {
            log::warn!("going on without storing: {why}");
        }
    }

    /// Warns in the same way of a failure, unless the store has done so.
    pub(super) fn warn_of_failure(&self, failure: &StoreError) {
        if !failure.is_told() {
            self.warn_not_stored(failure);
        }
    }

    /// Takes note of stored content that can't be read: what is damaged goes, and a failure is said.
    pub(super) fn note_lost(self: &Rc<Worker>, failure: &StoreError) {
        if !matches!(failure, StoreError::Damaged(_)) {
            self.warn_of_failure(failure);
            return;
        }
        let worker = self.clone();
        spawn_local(async move {
            let Some(store) = worker.store.get() else {
                return;
            };
            match store.run(0, |store| store.remove_damaged()).await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => worker.warn_of_failure(&failure),
                // It is found again.
                Err(why) if why.is_told() => {}
                Err(why) => worker.warn_not_stored(&why),
            }
        });
    }

    /// Warns in the same way that a client was cut off.
    pub(super) fn warn_cut_off(&self, held: u64) {
        if self.warnings.is_due(Instant::now()) {
            log::warn!(
                "less disk is free than min_free_disk, and clients are still sent files of {} MiB that were \
                 removed from the store: the slowest are cut off; free some disk, or set that lower",
                held >> 20
            );
        }
    }

    /// Counts an answer from this stored response.
    pub(super) fn count_hit(&self, stored: &Stored) {
        let meta = &stored.object.meta;
        let place = place(meta.key.hash(), meta.variant.hash());
        self.shared.count_hit(&place);
        if self.store.is_shared() {
            let mut used = self.used.borrow_mut();
            let place = (*meta.key.hash(), *meta.variant.hash());
            if used.len() < MOST_USED || used.contains_key(&place) {
                *used.entry(place).or_default() += 1;
            }
        }
    }

    /// Gives a store that hosts share the counts of use since the last time.
    pub(super) fn report_used(&self) {
        let used = self.used.take();
        let store = self.store.shared();
        if let Some(store) = store.filter(|_| !used.is_empty()) {
            let used = used.into_iter().map(|((hash, variant), hits)| Used {
                hash,
                variant,
                hits,
            });
            store.used(&used.collect::<Vec<_>>());
        }
    }

    /// The clock that nobody sets.
    pub(super) fn boot_time(&self) -> BootTime {
        let millis = clock::since_boot().as_millis();
        BootTime {
            boot: self.shared.boot(),
            millis: u64::try_from(millis).unwrap_or(u64::MAX),
        }
    }

    pub(super) fn count(&self, hit: bool, bytes: u64) {
        let counters = self.shared.counters(usize::from(self.index));
        counters.requests.fetch_add(1, Relaxed);
        counters.bytes_out.fetch_add(bytes, Relaxed);
        if hit {
            counters.hits.fetch_add(1, Relaxed);
            counters.bytes_hit.fetch_add(bytes, Relaxed);
        }
    }
}

/// The wall clock: read here, at the edge, and passed to every decision.
pub(super) fn now() -> Timestamp {
    SystemTime::now().into()
}

/// The URI that a key is made of: without the query parameters that the configuration ignores.
pub fn cache_uri(settings: &Settings, uri: &Uri) -> Uri {
    match settings.rules.ignored(uri.as_bytes()) {
        Some(ignored) => uri.without_parameters(|name| ignored.has(name)),
        None => uri.clone(),
    }
}
