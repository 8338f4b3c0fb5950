//! A response obtained from the origin server for the key's waiting list (collapsed forwarding): this request waits
//! for a fetch that runs, or goes to the worker that has one, or begins one. A failed validation is answered from
//! what is stored where that is allowed (RFC 9111 §4.2.4, RFC 5861 §4).

use std::rc::Rc;

use super::access_log::RequestOutcome;
use super::candidates::CandidateSet;
use super::handover::Admission;
use super::relay::Audience;
use super::respond::FromStore;
use super::{After, Exchange};
use crate::cache::key::Key;
use crate::cache::plan::{
    Obtain, Question, Scope, ValidationFailure, answers_instead, has_condition, may_wait,
};
use crate::cache::range;
use crate::cache::reuse::{OnError, reuse};
use crate::cache::status::{CacheStatus, Forward};
use crate::cache::vary;
use crate::http::connection::wants_upgrade;
use crate::http::target::{Scheme, Uri};
use crate::worker::fetch::is_hit_for_miss;
use crate::worker::fetch::{self, Ask, FetchRequest, Known, Purpose, StoredPart, Visibility};
use crate::worker::state::now;
use crate::worker::stored::Stored;
use crate::worker::waiting_list::{FetchError, FetchOutcome, Validated};

/// A stored response that is being validated, and its use if that fails.
struct Fallback {
    stored: Rc<Stored>,
    on_error: OnError,
}

impl Fallback {
    /// True when it answers instead of what was received.
    fn answers_instead(&self, outcome: &FetchOutcome) -> bool {
        let failure = match outcome {
            FetchOutcome::Answer(answer) => ValidationFailure::Answered {
                status: answer.head.status,
                is_stored: answer.sharing.is_ok(),
            },
            FetchOutcome::Failed(error) if matches!(**error, FetchError::ClientContent) => {
                ValidationFailure::ClientContent
            }
            FetchOutcome::Failed(_) => ValidationFailure::Unreachable,
            FetchOutcome::Validated(_) | FetchOutcome::Stored(_) | FetchOutcome::Switched(_) => {
                return false;
            }
        };
        answers_instead(self.on_error, failure)
    }
}

/// The stored response that the question is about.
fn known(question: Question, candidates: &CandidateSet) -> Known {
    let ask = match question {
        Question::Validate { .. } => {
            return (candidates.stored.as_ref()).map_or(Known::Nothing, Known::whole);
        }
        Question::ValidatePart { .. } => Ask::Validity,
        Question::Complete(range) => Ask::Missing(range),
        Question::Fetch => Ask::Nothing,
    };
    let part = candidates.part.clone();
    part.map_or(Known::Nothing, |(stored, held)| {
        Known::Part(StoredPart { stored, held, ask })
    })
}

impl Exchange<'_> {
    /// Obtains a response and answers with it; `None` where something new is there to be looked up.
    pub(super) async fn obtain(
        &mut self,
        uri: &Uri,
        obtain: &Obtain,
        mut candidates: CandidateSet,
    ) -> Option<After> {
        // Whoever doesn't read it must not hold it up.
        candidates.growing = None;
        self.record.outcome = RequestOutcome::of_forwarded(obtain.own_forward());
        let known = known(obtain.question, &candidates);
        let fallback = match (obtain.question, candidates.stored.take()) {
            (Question::Validate { on_error, .. }, Some(stored)) => {
                Some(Fallback { stored, on_error })
            }
            _ => None,
        };
        if !matches!(obtain.question, Question::ValidatePart { .. }) {
            let (key, why) = (&candidates.key, obtain.forward);
            if let Some(after) = self.wait(key, why, fallback.as_ref()).await {
                return Some(after);
            }
        }
        let visibility = match obtain.scope {
            Scope::AsPresented => Visibility::Own,
            Scope::Whole => match self.admission(&candidates) {
                Admission::LookUp => return None,
                Admission::Leave(after) => return Some(after),
                // With our condition in it, the request is nobody's own.
                Admission::Fetch(claim)
                    if matches!(known, Known::Validating(_)) || !has_condition(&self.head) =>
                {
                    Visibility::Listed(claim)
                }
                Admission::Fetch(_) => Visibility::Own,
            },
        };
        let key = candidates.key;
        let purpose = Purpose::Store { key, known };
        let request = self.fetch_request(uri.clone(), purpose, obtain.scope);
        let mut ticket = fetch::begin(self.worker, request, visibility);
        let mut status = CacheStatus::forwarded(obtain.own_forward());
        status.detail = obtain.detail();
        let outcome = match self.outcome(&mut ticket).await {
            Ok(outcome) => outcome,
            Err(after) => return Some(after),
        };
        let fallback = fallback.filter(|it| it.answers_instead(&outcome));
        Some(match fallback {
            Some(fallback) => self.stale_instead(&fallback, &outcome, status).await,
            None => self.conclude(outcome, ticket, status).await,
        })
    }

    /// Waits for what runs on the key's waiting list, and answers with it; `None` when nothing does, or what comes of
    /// it isn't for this request too.
    async fn wait(
        &mut self,
        key: &Key,
        why: Forward,
        fallback: Option<&Fallback>,
    ) -> Option<After> {
        let worker = self.worker;
        if is_hit_for_miss(worker, key, &self.head.fields) {
            self.collapsing_tried = true;
            return None;
        }
        let running = worker.waiting_lists.latest(&worker.shared, key)?;
        self.collapsing_tried = true;
        let may_wait = running.answer().is_none()
            && running.local_allowed() == self.client.is_local()
            && may_wait(&self.presented());
        if !may_wait {
            return None;
        }
        let ticket = running.ticket();
        let outcome = ticket.outcome().await;
        let mut status = CacheStatus::forwarded(why);
        status.set_collapsed();
        if let Some(fallback) = fallback.filter(|it| it.answers_instead(&outcome)) {
            return Some(self.stale_instead(fallback, &outcome, status).await);
        }
        // RFC 9111 §4: only what may be reused for this request too.
        match outcome {
            FetchOutcome::Answer(answer) => {
                let facts = &answer.shared_with(&self.head.fields)?.facts;
                reuse(&self.directives, facts, now()).answers()?;
                let reader = answer.spool.reader()?;
                self.record.outcome = RequestOutcome::Collapsed;
                status.set_received(answer.received);
                let audience = Audience::Others { age: None };
                let answered = self.answer_fetched(&answer, reader, &status, audience);
                Some(answered.await)
            }
            FetchOutcome::Validated(Validated { shared: Err(_), .. }) => None,
            FetchOutcome::Validated(Validated {
                shared: Ok(stored), ..
            })
            | FetchOutcome::Stored(stored) => {
                if !self.selects(&stored) {
                    return None;
                }
                reuse(&self.directives, &stored.facts, now()).answers()?;
                self.record.outcome = RequestOutcome::Collapsed;
                let from = FromStore::now(&stored, status);
                Some(self.answer_stored(from).await)
            }
            FetchOutcome::Failed(error) => Some(self.fail(error.status(), &error.to_string())),
            FetchOutcome::Switched(_) => None,
        }
    }

    /// True when a stored response that came of another client's request may answer this one.
    fn selects(&self, stored: &Stored) -> bool {
        let meta = &stored.object.meta;
        let names = vary::names(&meta.fields);
        let variant = names.map(|names| vary::variant_of(&names, &self.head.fields));
        variant.as_ref() == Some(&meta.variant) && (self.client.is_local() || !meta.local)
    }

    /// Answers with what is stored, since its validation failed.
    async fn stale_instead(
        &mut self,
        fallback: &Fallback,
        outcome: &FetchOutcome,
        status: CacheStatus<'_>,
    ) -> After {
        let mut from = FromStore::now(&fallback.stored, status);
        if let FetchOutcome::Answer(answer) = outcome {
            from.status.set_received(answer.head.status);
            from.status.detail = Some("stale-if-error");
        } else {
            let ttl = fallback.stored.facts.lifetime.seconds as i64 - from.age as i64;
            from.status = CacheStatus::hit(ttl);
            from.status.detail = Some("origin-unreachable");
        }
        self.record.outcome = RequestOutcome::Stale;
        self.answer_stored(from).await
    }

    /// The request to make for this one.
    pub(super) fn fetch_request(&self, uri: Uri, purpose: Purpose, scope: Scope) -> FetchRequest {
        let mut head = self.head.clone();
        if scope == Scope::Whole {
            range::ask_for_the_whole(&mut head);
        }
        FetchRequest {
            // A TLS connection can't be spliced after a switch; a server may ignore Upgrade (RFC 9110 §7.8), and
            // wss comes by CONNECT anyway.
            upgrade: wants_upgrade(&self.head) && uri.scheme() == Scheme::Http,
            policy: self.settings.policy(uri.as_str()),
            head,
            uri,
            purpose,
            content: None,
            requester: self.client.requester(),
            pinned: Rc::downgrade(&self.client.pinned),
            settings: self.settings.clone(),
        }
    }
}
