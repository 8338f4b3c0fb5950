//! A request that the cache may answer (RFC 9111 §4): looked up, reused, validated, joined to a
//! running fetch, or fetched. The graph of a GET, one function a state.

use std::rc::Rc;

use tokio::task::spawn_blocking;

use super::handover::Admission;
use super::validate::Fallback;
use super::{After, Exchange};
use crate::cache::bypass::bypass;
use crate::cache::directives::RequestDirectives;
use crate::cache::key::Key;
use crate::cache::range;
use crate::cache::reuse::{Reuse, reuse};
use crate::cache::status::{CacheStatus, Forward};
use crate::http::connection::wants_upgrade;
use crate::http::head::Method;
use crate::http::target::{Scheme, Uri};
use crate::store::Found;
use crate::worker::fetch::{self, FetchRequest, StoredPart};
use crate::worker::state::{cache_uri, now};
use crate::worker::store_writer::StoreWriter;
use crate::worker::stored::Stored;

/// What a lookup came to.
pub(super) enum Known {
    Stored(Rc<Stored>),
    OtherVariants,
    Nothing,
}

impl Known {
    /// Whether it can answer without being validated.
    fn answers(&self, directives: &RequestDirectives) -> bool {
        match self {
            Known::Stored(stored) => reuse(directives, &stored.facts, now()).answers().is_some(),
            Known::OtherVariants | Known::Nothing => false,
        }
    }
}

impl Exchange<'_> {
    /// Answers a GET or HEAD without content.
    pub(super) async fn cached(&mut self, uri: Uri) -> After {
        let directives = RequestDirectives::of(&self.head.fields);
        if let Some((why, detail)) = self.bypass(&uri, &directives) {
            if directives.only_if_cached {
                return self.not_cached();
            }
            self.record.outcome = "bypass";
            let order = self.order(uri, None, None);
            return self.forward(order, why, detail).await;
        }
        let cache_uri = cache_uri(&self.settings, &uri);
        let mut key = Key::of(&cache_uri);
        if let Some(after) = self.join_whole(&key).await {
            return after;
        }
        self.looking_up(&key);
        let mut known = self.look_up(&key, &uri).await;
        if self.head.method == Method::Head && !known.answers(&directives) {
            key = Key::of_head(&cache_uri);
            self.looking_up(&key);
            let own = self.look_up(&key, &uri).await;
            // Else GET's is what HEAD validates (RFC 9111 §4.3.5).
            if own.answers(&directives) || !matches!(known, Known::Stored(_)) {
                known = own;
            }
        }
        match known {
            Known::Stored(stored) if stored.object.meta.local && !self.client.is_local() => {
                let why = "this is an address of the proxy's own machine, which only clients on that machine may reach";
                self.refuse(403, why)
            }
            Known::Stored(stored) => self.reuse(uri, key, &directives, stored).await,
            Known::OtherVariants => {
                let why = Forward::VaryMiss;
                self.without_whole(uri, key, why, &directives).await
            }
            Known::Nothing => {
                let why = Forward::UriMiss;
                self.without_whole(uri, key, why, &directives).await
            }
        }
    }

    /// Why the cache has no part in the request, by itself or by a rule of the configuration.
    pub(super) fn bypass(
        &self,
        uri: &Uri,
        directives: &RequestDirectives,
    ) -> Option<(Forward, &'static str)> {
        match bypass(&self.head, directives) {
            Some(why) => Some((why.forward(), why.token())),
            None if self.settings.rules.bypass(uri.as_str()) => Some((Forward::Bypass, "rule")),
            None => None,
        }
    }

    pub(super) fn not_cached(&mut self) -> After {
        self.refuse(
            504,
            "only-if-cached was asked for, and nothing stored may be used",
        )
    }

    /// The memory tier first, then the store, off the event loop.
    pub(super) async fn look_up(&mut self, key: &Key, uri: &Uri) -> Known {
        let fields = &self.head.fields;
        if let Some(stored) = self.worker.at_hand(key, fields) {
            return Known::Stored(stored);
        }
        let Some(store) = self.worker.store.as_ref().map(StoreWriter::store).cloned() else {
            return Known::Nothing;
        };
        if !store.may_have(key) && !self.worker.memory.borrow().has_variants(key) {
            return Known::Nothing;
        }
        let wanted = key.clone();
        let (key, fields) = (key.clone(), fields.clone());
        let found = spawn_blocking(move || {
            let found = store.lookup(&key, &fields);
            (found, store.take_removed())
        });
        match found.await {
            Ok((found, removed)) => {
                self.worker.outbox.removed(&removed);
                match found {
                    Ok(Found::Object(object)) => {
                        let policy = self.settings.policy(uri.as_str());
                        Known::Stored(fetch::remember(self.worker, &policy, *object))
                    }
                    Ok(Found::OtherVariants) => Known::OtherVariants,
                    // It may be on its way into the store.
                    Ok(Found::Nothing) if self.worker.memory.borrow().has_variants(&wanted) => {
                        Known::OtherVariants
                    }
                    Ok(Found::Nothing) => Known::Nothing,
                    Err(failure) => {
                        self.worker.complain_of(&failure);
                        Known::Nothing
                    }
                }
            }
            Err(lost) => {
                self.worker.complain(&lost);
                Known::Nothing
            }
        }
    }

    /// A stored response was selected: it answers, or has to be validated first.
    async fn reuse(
        &mut self,
        uri: Uri,
        key: Key,
        directives: &RequestDirectives,
        stored: Rc<Stored>,
    ) -> After {
        match reuse(directives, &stored.facts, now()) {
            Reuse::Fresh { age, ttl } => {
                self.hit("hit");
                self.answer_stored(&stored, age, &CacheStatus::hit(ttl))
                    .await
            }
            Reuse::Stale { age, ttl } => {
                self.hit("stale");
                self.answer_stored(&stored, age, &CacheStatus::hit(ttl))
                    .await
            }
            Reuse::Validate {
                meanwhile: true,
                age,
                ttl,
                ..
            } => {
                if !directives.only_if_cached {
                    self.validate_in_background(uri, &stored);
                }
                self.hit("stale");
                self.answer_stored(&stored, age, &CacheStatus::hit(ttl))
                    .await
            }
            Reuse::Validate { .. } if directives.only_if_cached => self.not_cached(),
            Reuse::Validate {
                why, ttl, on_error, ..
            } => {
                let forward = why.forward(ttl);
                let fallback = Fallback { stored, on_error };
                self.validate(uri, key, forward, why.token(), fallback)
                    .await
            }
        }
    }

    pub(super) fn hit(&mut self, outcome: &'static str) {
        self.record.hit = true;
        self.record.outcome = outcome;
    }

    /// Nothing stored answers: another client's fetch is joined, or one begun, of what a stored part lacks
    /// where that makes it whole.
    pub(super) async fn miss(
        &mut self,
        uri: Uri,
        key: Key,
        why: Forward,
        mut beside: Option<StoredPart>,
    ) -> After {
        self.record.outcome = "miss";
        if let Some(after) = self.join(&key, why, None).await {
            return after;
        }
        if !beside.as_ref().is_some_and(StoredPart::completes) {
            if !self.wants_whole(0) {
                return self.forward_ranged(uri, key, why, beside).await;
            }
            beside.iter_mut().for_each(|beside| beside.ask = None);
        }
        let claim = match self.turn(&key) {
            Admission::Fetch(claim) => claim,
            Admission::LookUp => return Box::pin(self.cached(uri)).await,
            Admission::Leave(after) => return after,
        };
        let mut order = self.order(uri, Some(key), None);
        order.claim = claim;
        order.beside = beside;
        self.forward(order, why, "").await
    }

    /// Forwards a request for a part that isn't near the beginning, as it is or for what a stored part lacks.
    pub(super) async fn forward_ranged(
        &mut self,
        uri: Uri,
        key: Key,
        why: Forward,
        beside: Option<StoredPart>,
    ) -> After {
        let mut order = self.order(uri, None, None);
        order.key = Some(key);
        order.beside = beside;
        self.forward(order, why, "range").await
    }

    /// Whether the request has a condition of the client's own, which its fetch then carries.
    pub(super) fn is_conditional(&self) -> bool {
        let fields = &self.head.fields;
        fields.has("if-none-match") || fields.has("if-modified-since")
    }

    /// What is to be fetched for this request: with a key, the whole.
    pub(super) fn order(
        &self,
        uri: Uri,
        key: Option<Key>,
        validate: Option<Rc<Stored>>,
    ) -> FetchRequest {
        let mut head = self.head.clone();
        if key.is_some() {
            range::ask_for_the_whole(&mut head);
        }
        FetchRequest {
            // What a TLS connection becomes by a switch can't be spliced; a server may ignore Upgrade
            // (RFC 9110 §7.8), and wss comes by CONNECT anyway.
            upgrade: wants_upgrade(&self.head) && uri.scheme() == Scheme::Http,
            policy: self.settings.policy(uri.as_str()),
            head,
            uri,
            key,
            claim: None,
            content: None,
            validate,
            found: None,
            beside: None,
            local_allowed: self.client.is_local(),
            settings: self.settings.clone(),
            pseudonym: self.worker.pseudonym.clone(),
        }
    }

    /// Fetches for this client, and for whoever joins when it may be stored.
    pub(super) async fn forward(
        &mut self,
        order: FetchRequest,
        why: Forward,
        detail: &str,
    ) -> After {
        let ranged = range::is_asked(&order.head);
        let shared = order.key.is_some() && !self.is_conditional() && !ranged;
        let asks = order.beside.as_ref().is_some_and(StoredPart::asks);
        let why = if asks { Forward::Partial } else { why };
        let mut ticket = fetch::begin(self.worker, order, shared);
        let mut status = CacheStatus::forwarded(why);
        status.detail = Some(detail).filter(|detail| !detail.is_empty());
        match self.outcome(&mut ticket).await {
            Ok(outcome) => self.conclude(outcome, ticket, status).await,
            Err(after) => after,
        }
    }
}
