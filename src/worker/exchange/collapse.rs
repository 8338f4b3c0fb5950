//! Waiting for what another's fetch brings (collapsed forwarding, RFC 9111 §4): the first good answer serves all that it
//! may. A failure is that of the client whose fetch it was, unless it is the destination's; the next one asks.
//!
//! `cache::collapsing` says which requests may wait, the waiting list whose turn it is to ask.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::access_log::RequestOutcome;
use super::audience::Audience;
use super::awaiting::Down;
use super::fallback::Fallback;
use super::hang::HangWatch;
use super::joiner::{Joiner, Unusable, Usable};
use super::respond::FromStore;
use super::{After, Exchange};
use crate::cache::collapsing::{Asked, WaitsFor, waits_for};
use crate::cache::key::Key;
use crate::cache::plan::ValidationFailure;
use crate::cache::status::CacheStatus;
use crate::config::display_duration;
use crate::http::target::Uri;
use crate::worker::fetch::{Known, precedent};
use crate::worker::gone::{Progress, Watched};
use crate::worker::waiting_list::{
    FetchEvent, FetchOutcome, Listed, Ticket, Waited, Waiter, Wanted,
};

/// The end of waiting for others.
pub(super) enum WaitEnd {
    Answered(After),
    /// It is its turn to ask the origin server, and others may wait for it.
    Ask,
    /// The answer was of no use to it, and what it asks will be of none to others.
    Alone,
}

/// The first outcome of its own fetch and those beside it.
pub(super) enum First {
    Own(FetchOutcome),
    Other(Usable),
}

impl Exchange<'_> {
    /// One who waits on the list of this key; `None` for a request that waits for nobody, and is waited for by nobody.
    pub(super) fn waiter(
        &self,
        uri: &Uri,
        key: &Key,
        known: &Known,
        asks_again: bool,
    ) -> Option<Waiter> {
        let worker = self.worker;
        let asked = Asked {
            precedent: precedent(worker, key, &self.head.fields),
            has_query: uri.path_and_query().contains(&b'?'),
            ignore_cookies: self.settings.policy(uri.as_bytes()).ignore_cookies,
            validates: matches!(known, Known::Validating(_)),
            asks_again,
        };
        let since = match waits_for(&self.presented(), asked) {
            WaitsFor::Nobody => return None,
            WaitsFor::Any => None,
            WaitsFor::Later => Some(self.record.since),
        };
        let wanted = Wanted {
            local_allowed: self.client.is_local(),
            since,
            variant: None,
            patience: self.settings.times.collapsed_wait,
        };
        Some(worker.waiting_lists.waiter(key, wanted))
    }

    /// Waits for what runs on the key's waiting list, and answers with it.
    pub(super) async fn wait(
        &mut self,
        waiter: &mut Waiter,
        fallback: Option<&Fallback>,
        hang: &HangWatch<'_>,
        status: CacheStatus<'_>,
    ) -> WaitEnd {
        let times = self.settings.times;
        let limit = times.connect + times.origin_response;
        let listed = waiter.listed();
        let mut hung = pin!(hang.others(&listed));
        let mut late = pin!(late(&listed, limit));
        loop {
            let watched = Watched {
                stream: &self.client.stream,
                buffer: &mut self.client.buffer,
                upload: &mut self.client.upload,
                response: Progress::Awaited(self.head.version),
            };
            let waited = tokio::select! {
                biased;
                waited = waiter.waited(&self.worker.shared) => waited,
                _ = watched.gone() => return WaitEnd::Answered(After::Over),
                fallback = &mut hung => {
                    waiter.is_answered();
                    let failure = ValidationFailure::Hangs;
                    let after = self.stale_instead(fallback, failure, status).await;
                    return WaitEnd::Answered(after);
                }
                () = &mut late => {
                    let limit = display_duration(limit);
                    let why = format!("the origin server did not respond within {limit}");
                    return WaitEnd::Answered(self.fail(504, &why));
                }
            };
            let (outcome, ticket) = match waited {
                Waited::Ask => return WaitEnd::Ask,
                Waited::Outcome(outcome, ticket) => (outcome, ticket),
            };
            if !is_the_askers(&outcome) {
                let failure = fallback.and_then(|it| Some((it, it.failure(&outcome)?)));
                if let Some((fallback, failure)) = failure {
                    waiter.is_answered();
                    let after = self.stale_instead(fallback, failure, status).await;
                    return WaitEnd::Answered(after);
                }
                if let FetchOutcome::Failed(error) = &outcome {
                    return WaitEnd::Answered(self.fail(error.status(), &error.to_string()));
                }
            }
            match self.joiner().usable(outcome, ticket, &mut waiter.wanted) {
                Ok(usable) => {
                    waiter.is_answered();
                    return WaitEnd::Answered(self.answer_collapsed(usable, status).await);
                }
                Err(Unusable::WaitOn) => {}
                Err(Unusable::Alone) => return WaitEnd::Alone,
            }
        }
    }

    /// Waits for its own fetch and for those that others began beside it; what fails there, or isn't for it, is nothing
    /// to it.
    pub(super) async fn first_outcome(
        &mut self,
        own: &mut Ticket,
        waiter: &mut Waiter,
    ) -> Result<First, After> {
        let joiner = Joiner {
            fields: &self.head.fields,
            directives: self.directives,
            is_local: self.client.is_local(),
        };
        let client = &mut *self.client;
        let version = self.head.version;
        let mut down = Down {
            stream: &client.stream,
            out: &mut client.out,
            version,
            pseudonym: &self.worker.pseudonym,
            timeout: self.settings.times.body_stall,
            writing: &Cell::new(false),
            asked: None,
        };
        let watched = Watched {
            stream: &client.stream,
            buffer: &mut client.buffer,
            upload: &mut client.upload,
            response: Progress::Awaited(version),
        };
        let mut gone = pin!(watched.gone());
        loop {
            let waited = tokio::select! {
                biased;
                event = own.event() => match event {
                    FetchEvent::Outcome(outcome) => return Ok(First::Own(outcome)),
                    FetchEvent::Interim(head) => {
                        down.interim(&head).await?;
                        continue;
                    }
                },
                waited = waiter.waited(&self.worker.shared) => waited,
                _ = &mut gone => return Err(After::Over),
            };
            if let Waited::Outcome(outcome, ticket) = waited {
                if let Ok(usable) = joiner.usable(outcome, ticket, &mut waiter.wanted) {
                    return Ok(First::Other(usable));
                }
            }
        }
    }

    fn joiner(&self) -> Joiner<'_> {
        Joiner {
            fields: &self.head.fields,
            directives: self.directives,
            is_local: self.client.is_local(),
        }
    }

    /// Answers with what another's fetch brought.
    pub(super) async fn answer_collapsed(
        &mut self,
        usable: Usable,
        mut status: CacheStatus<'_>,
    ) -> After {
        self.record.outcome = RequestOutcome::Collapsed;
        match usable {
            Usable::Fetched(answer, reader, _ticket) => {
                status.set_received(answer.received);
                let audience = Audience::Others { age: None };
                self.answer_fetched(&answer, reader, &status, audience)
                    .await
            }
            Usable::Stored(stored) => self.answer_stored(FromStore::now(&stored, status)).await,
        }
    }
}

/// Resolves when one has waited for this time, since the last interim response where those come.
async fn late(listed: &Listed, limit: Duration) {
    let begun = Instant::now();
    loop {
        let until = listed.last_interim().map_or(begun, |at| at.max(begun)) + limit;
        if Instant::now() >= until {
            return;
        }
        sleep_until(until).await;
    }
}

/// True for a failure of that client's fetch, which may be due to what it sent.
fn is_the_askers(outcome: &FetchOutcome) -> bool {
    matches!(outcome, FetchOutcome::Failed(error) if !error.is_of_the_destination())
}
