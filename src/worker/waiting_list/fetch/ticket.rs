//! A client's share in a fetch: it hears of interim responses and the outcome. The last one given back ends a fetch that is
//! worth nothing without its clients.

use std::cell::Ref;
use std::rc::Rc;

use super::{Fetch, Stage};
use crate::http::head::ResponseHead;
use crate::worker::waiting_list::FetchOutcome;

/// One client's share in a fetch.
pub struct Ticket {
    pub(in crate::worker::waiting_list) fetch: Rc<Fetch>,
    interim_seen: usize,
}

/// An event that the holder of a ticket hears of.
pub enum FetchEvent {
    /// A 1xx response to pass on (RFC 9110 §15.2).
    Interim(Rc<ResponseHead>),
    Outcome(FetchOutcome),
}

impl Ticket {
    pub(super) fn new(fetch: Rc<Fetch>) -> Ticket {
        Ticket {
            fetch,
            interim_seen: 0,
        }
    }

    /// The fetch that it is a share in.
    pub fn fetch(&self) -> &Rc<Fetch> {
        &self.fetch
    }

    /// The next event: interim responses in order, then the outcome.
    pub async fn event(&mut self) -> FetchEvent {
        let fetch = &self.fetch;
        let next = || {
            if let Some(head) = fetch.interim.borrow().get(self.interim_seen) {
                return Some(FetchEvent::Interim(head.clone()));
            }
            outcome(fetch.stage.borrow()).map(FetchEvent::Outcome)
        };
        let event = fetch.notifier.until(next).await;
        if matches!(event, FetchEvent::Interim(_)) {
            self.interim_seen += 1;
        }
        event
    }

    /// The outcome, when it is there.
    pub(in crate::worker::waiting_list) fn outcome_now(&self) -> Option<FetchOutcome> {
        outcome(self.fetch.stage.borrow())
    }

    /// The outcome, for one to whom interim responses are nothing.
    pub async fn outcome(&self) -> FetchOutcome {
        let fetch = &self.fetch;
        let outcome = || outcome(fetch.stage.borrow());
        fetch.notifier.until(outcome).await
    }

    /// Stays until the content has come to its end, as long as it is being kept.
    pub async fn until_stored(self) {
        if let Some(answer) = self.fetch.kept() {
            answer.spool.kept().await;
        }
    }
}

fn outcome(stage: Ref<'_, Stage>) -> Option<FetchOutcome> {
    match &*stage {
        Stage::Asking => None,
        Stage::Growing(answer) | Stage::Publishing(answer, _) => {
            Some(FetchOutcome::Answer(answer.clone()))
        }
        Stage::Settled(outcome) => Some(outcome.clone()),
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.fetch.tickets.set(self.fetch.tickets.get() - 1);
        self.fetch.notifier.notify();
    }
}
