//! A response obtained from the origin server for the key's waiting list (collapsed forwarding): this request waits
//! for a fetch that runs, or goes to the worker that has one, or begins one. A failed validation is answered from
//! what is stored where that is allowed (RFC 9111 §4.2.4, RFC 5861 §4).

use std::rc::Rc;

use super::access_log::RequestOutcome;
use super::candidates::CandidateSet;
use super::collapse::{First, WaitEnd};
use super::fallback::Fallback;
use super::handover::Admission;
use super::{After, Collapsing, Exchange};
use crate::cache::plan::{Obtain, Question, Scope};
use crate::cache::range;
use crate::cache::reuse::ValidateReason;
use crate::cache::status::CacheStatus;
use crate::http::connection::wants_upgrade;
use crate::http::target::{Scheme, Uri};
use crate::worker::fetch::{self, Ask, FetchRequest, Known, Purpose, StoredPart, Visibility};

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
        if obtain.detail() == Some(ValidateReason::AskedAgain.into()) {
            self.note_validated();
        }
        let known = known(obtain.question, &candidates);
        let fallback = match (obtain.question, candidates.stored.take()) {
            (Question::Validate { on_error, .. }, Some(stored)) => {
                Some(Fallback { stored, on_error })
            }
            _ => None,
        };
        let fallback = fallback.as_ref();
        let mut status = CacheStatus::forwarded(obtain.forward);
        status.set_collapsed();
        let mut waiter = self.waiter(uri, &candidates.key, obtain.scope, &known);
        if let Some(waiter) = &mut waiter {
            match self.wait(waiter, fallback, status).await {
                WaitEnd::Answered(after) => return Some(after),
                WaitEnd::Ask => {}
                WaitEnd::Alone => self.collapsing = Collapsing::Alone,
            }
        } else {
            self.collapsing = Collapsing::Alone;
        }
        let listed = waiter.filter(|_| self.collapsing != Collapsing::Alone);
        let visibility = match &listed {
            None => Visibility::Own,
            Some(waiter) => match self.admission(&candidates, waiter) {
                Admission::LookUp => return None,
                Admission::Leave(after) => return Some(after),
                Admission::Fetch(claim) => Visibility::Listed {
                    claim,
                    variant: waiter.wanted.variant.clone(),
                },
            },
        };
        let key = candidates.key;
        let purpose = Purpose::Store { key, known };
        let request = self.fetch_request(uri.clone(), purpose, obtain.scope);
        let mut ticket = fetch::begin(self.worker, request, visibility);
        let outcome = match listed {
            None => self.outcome(&mut ticket).await,
            Some(waiter) => {
                let mut waiter = waiter.beside(&ticket);
                let first = self.first_outcome(&mut ticket, &mut waiter).await;
                drop(waiter);
                match first {
                    Ok(First::Own(outcome)) => Ok(outcome),
                    Ok(First::Other(usable)) => {
                        // What it asked itself may end.
                        drop(ticket);
                        return Some(self.answer_collapsed(usable, status).await);
                    }
                    Err(after) => Err(after),
                }
            }
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(after) => return Some(after),
        };
        let mut status = CacheStatus::forwarded(obtain.own_forward());
        status.detail = obtain.detail();
        let fallback = fallback.filter(|it| it.answers_instead(&outcome));
        Some(match fallback {
            Some(fallback) => self.stale_instead(fallback, &outcome, status).await,
            None => self.conclude(outcome, ticket, status).await,
        })
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
            policy: self.settings.policy(uri.as_bytes()),
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
