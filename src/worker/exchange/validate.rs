//! A stored response that has to be validated before it answers (RFC 9111 §4.3): asked for with its
//! validators, answered from the store after a 304, replaced after anything else, and served stale
//! where that is allowed when the origin server fails (RFC 5861).

use std::rc::Rc;

use super::handover::Admission;
use super::{After, Exchange};
use crate::cache::key::Key;
use crate::cache::reuse::{OnError, is_error};
use crate::cache::status::{CacheStatus, Forward};
use crate::http::forward::is_condition;
use crate::http::head::Method;
use crate::http::target::Uri;
use crate::worker::fetch::{self, Answer, Claim, FetchError, News, Outcome, claim};
use crate::worker::state::now;
use crate::worker::stored::Stored;

/// A stored response that is being validated, and whether it may answer if that fails.
pub struct Fallback {
    /// The response.
    pub stored: Rc<Stored>,
    /// Whether it may answer.
    pub on_error: OnError,
}

impl Fallback {
    /// Whether it may answer instead of this.
    pub fn covers(&self, trouble: &FetchError) -> bool {
        self.on_error != OnError::No && !matches!(trouble, FetchError::ClientContent)
    }

    /// Whether it may answer instead of this response: an error as `stale-if-error` means it, or one
    /// taken as a failure to respond (RFC 9111 §4.3.3), unless it is to be remembered.
    pub fn covers_answer(&self, answer: &Answer) -> bool {
        is_error(answer.head.status)
            && match self.on_error {
                OnError::No => false,
                OnError::Disconnected => answer.not_stored.is_some(),
                OnError::Error => true,
            }
    }
}

impl Exchange<'_> {
    /// Asks the origin server whether a stored response still holds (RFC 9111 §4.3).
    pub(super) async fn validate(
        &mut self,
        uri: Uri,
        key: Key,
        why: Forward,
        detail: &str,
        fallback: Fallback,
    ) -> After {
        if let Some(after) = self.join(&key, why, Some(&fallback)).await {
            return after;
        }
        if !fallback.stored.facts.has_validator && !self.wants_whole(0) {
            return self.forward_ranged(uri, key, why, None).await;
        }
        let claim = match self.turn(&key) {
            Admission::Fetch(claim) => claim,
            Admission::LookUp => return Box::pin(self.cached(uri)).await,
            Admission::Leave(after) => return after,
        };
        let validating = fallback
            .stored
            .facts
            .has_validator
            .then(|| fallback.stored.clone());
        let mut order = self.order(uri, Some(key), validating);
        order.found = Some(fallback.stored.clone());
        order.claim = claim;
        // With our condition in it, the request is nobody's own.
        let shared = order.validate.is_some() || !self.is_conditional();
        let mut ticket = fetch::begin(self.worker, order, shared);
        let mut status = CacheStatus::forwarded(why);
        status.detail = Some(detail).filter(|detail| !detail.is_empty());
        match self.outcome(&mut ticket).await {
            Err(after) => after,
            Ok(Outcome::Answer(answer)) if fallback.covers_answer(&answer) => {
                self.stale_for_error(&fallback, &answer, status).await
            }
            Ok(Outcome::Failed(trouble)) if fallback.covers(&trouble) => {
                self.stale_instead(&fallback, &trouble).await
            }
            Ok(outcome) => {
                self.record.outcome = "expired";
                self.conclude(outcome, ticket, status).await
            }
        }
    }

    /// Answers with it, since the response is an error that it covers.
    pub(super) async fn stale_for_error(
        &mut self,
        fallback: &Fallback,
        answer: &Answer,
        mut status: CacheStatus<'_>,
    ) -> After {
        status.set_received(answer.head.status);
        status.detail = Some("stale-if-error");
        self.hit("stale");
        let age = fallback.stored.facts.current_age(now());
        self.answer_stored(&fallback.stored, age, &status).await
    }

    /// Answers with it, since there is no response (RFC 9111 §4.2.4).
    pub(super) async fn stale_instead(
        &mut self,
        fallback: &Fallback,
        trouble: &FetchError,
    ) -> After {
        log::debug!("served stale: {trouble}");
        self.hit("stale");
        // Waiting for the origin server took its time.
        let facts = &fallback.stored.facts;
        let age = facts.current_age(now());
        let mut status = CacheStatus::hit(facts.lifetime as i64 - age as i64);
        status.detail = Some("origin-unreachable");
        self.answer_stored(&fallback.stored, age, &status).await
    }

    /// Validates without a client waiting for it (RFC 5861 §3), once at a time in all workers.
    pub(super) fn validate_in_background(&self, uri: Uri, stored: &Rc<Stored>) {
        let key = stored.object.meta.key.clone();
        if self.worker.fetches.borrow().contains_key(&key) {
            return;
        }
        let claim = match claim(self.worker, &key, self.client.is_local()) {
            Claim::Ours(claim) if !self.has_changed(&key) => Some(claim),
            Claim::Ours(_) | Claim::Theirs(_) => return,
            Claim::Alone => None,
        };
        let validating = stored.facts.has_validator.then(|| stored.clone());
        let for_head = key.is_for_head();
        let mut order = self.order(uri, Some(key), validating);
        order.found = Some(stored.clone());
        // The client has its answer: what is asked now is for the store alone.
        if !for_head {
            order.head.method = Method::Get;
        }
        let fields = order.head.fields.iter();
        order.head.fields = fields.filter(|(name, _)| !is_condition(name)).collect();
        order.claim = claim;
        let mut ticket = fetch::begin(self.worker, order, true);
        tokio::task::spawn_local(async move {
            while let News::Interim(_) = ticket.news().await {}
            ticket.until_stored().await;
        });
    }
}
