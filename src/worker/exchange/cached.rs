//! A request that the cache may answer (RFC 9111 §4): looked up, reused, validated, joined to a
//! running fetch, or fetched. The graph of a GET, one function a state.

use std::rc::Rc;

use tokio::task::spawn_blocking;

use super::{After, Exchange};
use crate::cache::directives::RequestDirectives;
use crate::cache::key::Key;
use crate::cache::presented::bypass;
use crate::cache::reuse::{OnError, Reuse, is_error, reuse};
use crate::cache::status::{CacheStatus, Forward, Handling};
use crate::cache::vary::variant_of;
use crate::http::connection::wants_upgrade;
use crate::http::head::Method;
use crate::http::target::Uri;
use crate::store::Found;
use crate::worker::fetch::{self, Answer, News, Order, Outcome, Ticket, Trouble};
use crate::worker::state::{now, policy};
use crate::worker::stored::Stored;

/// What a lookup came to.
enum Known {
    Stored(Rc<Stored>),
    OtherVariants,
    Nothing,
}

/// A stored response that is being validated, and whether it may answer if that fails.
struct Fallback {
    stored: Rc<Stored>,
    age: u64,
    ttl: i64,
    on_error: OnError,
}

impl Exchange<'_> {
    /// Answers a GET or HEAD without content.
    pub(super) async fn cached(&mut self, uri: Uri) -> After {
        let directives = RequestDirectives::of(&self.head.fields);
        if let Some(why) = bypass(&self.head, &directives) {
            if directives.only_if_cached {
                return self.not_cached();
            }
            self.told.outcome = "bypass";
            let order = self.order(uri, None, None);
            return self.forward(order, why.forward(), why.token()).await;
        }
        let key = Key::of(&uri);
        match self.look_up(&key, &uri).await {
            Known::Stored(stored) if stored.local && !self.client.is_local() => {
                let why = "this is an address of the proxy's own machine, which only clients on that machine may reach";
                self.refuse(403, why)
            }
            Known::Stored(stored) => self.reuse(uri, key, &directives, stored).await,
            _ if directives.only_if_cached => self.not_cached(),
            Known::OtherVariants => self.miss(uri, key, Forward::VaryMiss).await,
            Known::Nothing => self.miss(uri, key, Forward::UriMiss).await,
        }
    }

    fn not_cached(&mut self) -> After {
        self.refuse(
            504,
            "only-if-cached was asked for, and nothing stored may be used",
        )
    }

    /// The memory tier first, then the store, off the event loop.
    async fn look_up(&mut self, key: &Key, uri: &Uri) -> Known {
        let fields = &self.head.fields;
        let at_hand = self.worker.memory.borrow_mut().lookup(key, fields);
        if let Some(stored) = at_hand {
            return Known::Stored(stored);
        }
        let Some(store) = self.worker.store.clone() else {
            return Known::Nothing;
        };
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
                        let policy = policy(&self.settings, uri.as_str());
                        Known::Stored(fetch::remember(self.worker, &policy, *object))
                    }
                    Ok(Found::OtherVariants) => Known::OtherVariants,
                    Ok(Found::Nothing) => Known::Nothing,
                    Err(failure) => {
                        self.worker.complain(&failure);
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
            Reuse::Validate { .. } if directives.only_if_cached => self.not_cached(),
            Reuse::Validate {
                meanwhile: true,
                age,
                ttl,
                ..
            } => {
                self.validate_in_background(uri, key, &stored);
                self.hit("stale");
                self.answer_stored(&stored, age, &CacheStatus::hit(ttl))
                    .await
            }
            Reuse::Validate {
                why,
                age,
                ttl,
                on_error,
                ..
            } => {
                let forward = why.forward(ttl);
                let fallback = Fallback {
                    stored,
                    age,
                    ttl,
                    on_error,
                };
                self.validate(uri, key, forward, why.token(), fallback)
                    .await
            }
        }
    }

    fn hit(&mut self, outcome: &'static str) {
        self.told.hit = true;
        self.told.outcome = outcome;
    }

    /// Nothing stored: another client's fetch is joined, or one begun.
    async fn miss(&mut self, uri: Uri, key: Key, why: Forward) -> After {
        self.told.outcome = "miss";
        if self.head.method == Method::Head {
            // A response without content can't be stored; asking for all of it would be dear.
            let order = self.order(uri, None, None);
            return self.forward(order, why, "").await;
        }
        if let Some(after) = self.join(&key, why).await {
            return after;
        }
        let order = self.order(uri, Some(key), None);
        self.forward(order, why, "").await
    }

    /// Joins another client's fetch of the same key; `None` when there is none, or its response
    /// isn't for this request too.
    async fn join(&mut self, key: &Key, why: Forward) -> Option<After> {
        let running = self.worker.fetches.borrow().get(key).cloned()?;
        if self.is_conditional() || running.local_allowed() != self.client.is_local() {
            return None;
        }
        if let Some(answer) = running.answer() {
            // It came before this request did, as what is stored.
            return self.join_late(&answer, running.ticket()).await;
        }
        let mut ticket = running.ticket();
        let mut status = collapsed(why);
        let outcome = loop {
            if let News::Outcome(outcome) = ticket.news().await {
                break outcome;
            }
        };
        match outcome {
            Outcome::Answer(answer) => {
                if !self.shares(&answer) {
                    return None;
                }
                let reader = answer.spool.reader()?;
                self.told.outcome = "collapsed";
                if let Handling::Forwarded { status: of, .. } = &mut status.handling {
                    *of = Some(answer.head.status);
                }
                Some(self.answer_fetched(&answer, reader, &status, None).await)
            }
            Outcome::Validated(stored) => {
                self.told.outcome = "collapsed";
                let directives = RequestDirectives::of(&self.head.fields);
                match reuse(&directives, &stored.facts, now()) {
                    Reuse::Fresh { age, .. } | Reuse::Stale { age, .. } => {
                        Some(self.answer_stored(&stored, age, &status).await)
                    }
                    Reuse::Validate { .. } => None,
                }
            }
            Outcome::Trouble(trouble) => Some(self.in_trouble(&trouble)),
            Outcome::Switched(_) => None,
        }
    }

    /// Reads a response that is being stored, if it may be reused.
    async fn join_late(&mut self, answer: &Answer, ticket: Ticket) -> Option<After> {
        let directives = RequestDirectives::of(&self.head.fields);
        let (age, ttl) = match reuse(&directives, answer.facts.as_ref()?, now()) {
            Reuse::Fresh { age, ttl } | Reuse::Stale { age, ttl } => (age, ttl),
            Reuse::Validate { .. } => return None,
        };
        let reader = answer.spool.reader().filter(|_| self.shares(answer))?;
        self.hit("hit");
        let status = CacheStatus::hit(ttl);
        let after = self.answer_fetched(answer, reader, &status, Some(age));
        let after = after.await;
        drop(ticket);
        Some(after)
    }

    fn shares(&self, answer: &Answer) -> bool {
        answer.not_stored.is_none()
            && variant_of(&answer.selecting, &self.head.fields) == answer.variant
    }

    /// Asks the origin server whether a stored response still holds (RFC 9111 §4.3).
    async fn validate(
        &mut self,
        uri: Uri,
        key: Key,
        why: Forward,
        detail: &str,
        fallback: Fallback,
    ) -> After {
        if self.head.method == Method::Head {
            self.told.outcome = "bypass";
            let order = self.order(uri, None, None);
            return self.forward(order, why, detail).await;
        }
        if let Some(after) = self.join(&key, why).await {
            return after;
        }
        let validating = fallback
            .stored
            .facts
            .has_validator
            .then(|| fallback.stored.clone());
        let order = self.order(uri, Some(key), validating);
        let shared = !self.is_conditional();
        let mut ticket = fetch::begin(self.worker, order, shared);
        let mut status = CacheStatus::forwarded(why);
        status.detail = Some(detail).filter(|detail| !detail.is_empty());
        match self.outcome(&mut ticket).await {
            Err(after) => after,
            Ok(Outcome::Validated(stored)) => {
                self.told.hit = true;
                self.told.outcome = "revalidated";
                if let Handling::Forwarded {
                    status: of, stored, ..
                } = &mut status.handling
                {
                    *of = Some(304);
                    *stored = true;
                }
                let age = crate::cache::age::current_age(&stored.facts, now());
                self.answer_stored(&stored, age, &status).await
            }
            Ok(Outcome::Answer(answer))
                if is_error(answer.head.status) && fallback.on_error == OnError::Error =>
            {
                self.stale_instead(&fallback, "stale-if-error").await
            }
            Ok(Outcome::Trouble(trouble))
                if fallback.on_error != OnError::No
                    && !matches!(*trouble, Trouble::ClientContent) =>
            {
                log::debug!("served stale: {trouble}");
                self.stale_instead(&fallback, "origin-unreachable").await
            }
            Ok(outcome) => {
                self.told.outcome = "expired";
                self.conclude(outcome, ticket, status).await
            }
        }
    }

    async fn stale_instead(&mut self, fallback: &Fallback, detail: &str) -> After {
        self.hit("stale");
        let mut status = CacheStatus::hit(fallback.ttl);
        status.detail = Some(detail);
        self.answer_stored(&fallback.stored, fallback.age, &status)
            .await
    }

    /// Validates without a client waiting for it (RFC 5861 §3), once at a time.
    fn validate_in_background(&self, uri: Uri, key: Key, stored: &Rc<Stored>) {
        if self.worker.fetches.borrow().contains_key(&key) {
            return;
        }
        let validating = stored.facts.has_validator.then(|| stored.clone());
        let order = self.order(uri, Some(key), validating);
        let mut ticket = fetch::begin(self.worker, order, true);
        tokio::task::spawn_local(async move {
            while let News::Interim(_) = ticket.news().await {}
            ticket.until_stored().await;
        });
    }

    /// Whether the request has a condition of the client's own, which its fetch then carries.
    fn is_conditional(&self) -> bool {
        let fields = &self.head.fields;
        fields.has("if-none-match") || fields.has("if-modified-since")
    }

    /// What is to be fetched for this request.
    pub(super) fn order(&self, uri: Uri, key: Option<Key>, validate: Option<Rc<Stored>>) -> Order {
        Order {
            policy: policy(&self.settings, uri.as_str()),
            head: self.head.clone(),
            uri,
            key,
            content: None,
            validate,
            upgrade: wants_upgrade(&self.head),
            local_allowed: self.client.is_local(),
            settings: self.settings.clone(),
            pseudonym: self.worker.pseudonym.clone(),
        }
    }

    /// Fetches for this client, and for whoever joins when it may be stored.
    async fn forward(&mut self, order: Order, why: Forward, detail: &str) -> After {
        let shared = order.key.is_some() && !self.is_conditional();
        let mut ticket = fetch::begin(self.worker, order, shared);
        let mut status = CacheStatus::forwarded(why);
        status.detail = Some(detail).filter(|detail| !detail.is_empty());
        match self.outcome(&mut ticket).await {
            Ok(outcome) => self.conclude(outcome, ticket, status).await,
            Err(after) => after,
        }
    }
}

fn collapsed(why: Forward) -> CacheStatus<'static> {
    let mut status = CacheStatus::forwarded(why);
    if let Handling::Forwarded { collapsed, .. } = &mut status.handling {
        *collapsed = Some(true);
    }
    status
}
