//! A response obtained from the origin server for the key's waiting list (collapsed forwarding): this request waits
//! for a fetch that runs, or goes to the worker that has one, or begins one. A failed validation is answered from
//! what is stored where that is allowed (RFC 9111 §4.2.4, RFC 5861 §4).

use std::rc::Rc;

use super::access_log::RequestOutcome;
use super::behind::finish;
use super::candidates::CandidateSet;
use super::collapse::{First, WaitEnd};
use super::fallback::Fallback;
use super::handover::Admission;
use super::hang::HangWatch;
use super::{After, Collapsing, Exchange};
use crate::cache::plan::{Obtain, Question, Scope, ValidationFailure};
use crate::cache::range;
use crate::cache::status::CacheStatus;
use crate::http::connection::wants_upgrade;
use crate::http::target::{Scheme, Uri};
use crate::worker::fetch::{self, Ask, FetchRequest, Known, KnownParts, Purpose, Visibility};
use crate::worker::waiting_list::{Ticket, Waiter};

/// The stored response that the question is about.
fn known(question: Question, candidates: &CandidateSet) -> Known {
    let ask = match question {
        Question::Validate { .. } | Question::FetchRange { .. } => {
            return (candidates.stored.as_ref()).map_or(Known::Nothing, Known::whole);
        }
        Question::ValidateParts { .. } => Ask::Validity,
        Question::Complete(lacking) => Ask::Missing(lacking),
        Question::Fetch => Ask::Nothing,
    };
    let parts = candidates.parts.clone();
    parts.map_or(Known::Nothing, |parts| {
        Known::Parts(KnownParts { parts, ask })
    })
}

/// The status where another's fetch answers.
fn collapsed(obtain: &Obtain) -> CacheStatus<'static> {
    let mut status = CacheStatus::forwarded(obtain.forward);
    status.set_collapsed();
    status
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
        let asks_again = self.asks_again();
        let known = known(obtain.question, &candidates);
        let fallback = (candidates.stored.take()).zip(obtain.on_error());
        let fallback = fallback.map(|(stored, on_error)| Fallback { stored, on_error });
        let fallback = fallback.as_ref();
        let hang = self.hang_watch(uri, fallback);
        let status = collapsed(obtain);
        let mut waiter = match obtain.scope {
            Scope::Whole => self.waiter(uri, &candidates.key, &known, asks_again),
            Scope::AsPresented => None,
        };
        if let Some(waiter) = &mut waiter {
            match self.wait(waiter, fallback, &hang, status).await {
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
        if asks_again {
            self.note_validated();
        }
        let ticket = fetch::begin(self.worker, request, visibility);
        let answered = self.obtained(obtain, ticket, listed, fallback, &hang);
        Some(answered.await)
    }

    /// Answers with what its own fetch brings, or one beside it; with what is stored where that fails or hangs.
    async fn obtained(
        &mut self,
        obtain: &Obtain,
        mut ticket: Ticket,
        listed: Option<Waiter>,
        fallback: Option<&Fallback>,
        hang: &HangWatch<'_>,
    ) -> After {
        let fetch = ticket.fetch().clone();
        let first = tokio::select! {
            biased;
            first = self.first(&mut ticket, listed) => Ok(first),
            fallback = hang.own(&fetch) => Err(fallback),
        };
        let mut status = CacheStatus::forwarded(obtain.own_forward());
        status.detail = obtain.detail();
        let outcome = match first {
            Ok(Ok(First::Own(outcome))) => outcome,
            Ok(Ok(First::Other(usable))) => {
                // What it asked itself may end.
                drop(ticket);
                let status = collapsed(obtain);
                return self.answer_collapsed(usable, status).await;
            }
            Ok(Err(after)) => return after,
            Err(fallback) => {
                // What comes late is stored all the same.
                finish(ticket);
                let failure = ValidationFailure::Hangs;
                return self.stale_instead(fallback, failure, status).await;
            }
        };
        let failure = fallback.and_then(|it| Some((it, it.failure(&outcome)?)));
        match failure {
            Some((fallback, failure)) => self.stale_instead(fallback, failure, status).await,
            None => self.conclude(outcome, status).await,
        }
    }

    /// The first outcome of its own fetch, and of those beside it where it is on the waiting list.
    async fn first(&mut self, ticket: &mut Ticket, listed: Option<Waiter>) -> Result<First, After> {
        match listed {
            None => self.outcome(ticket).await.map(First::Own),
            Some(waiter) => {
                let mut waiter = waiter.beside(ticket);
                self.first_outcome(ticket, &mut waiter).await
            }
        }
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
