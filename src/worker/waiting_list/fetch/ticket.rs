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
    /// It hears of interim responses.
    passes_interim: bool,
}

/// An event that the holder of a ticket hears of.
pub enum FetchEvent {
    /// A 1xx response to pass on (RFC 9110 §15.2).
    Interim(ResponseHead),
    Outcome(FetchOutcome),
}

impl Ticket {
    pub(super) fn new(fetch: Rc<Fetch>) -> Ticket {
        Ticket {
            fetch,
            passes_interim: false,
        }
    }

    /// The fetch that it is a share in.
    pub fn fetch(&self) -> &Rc<Fetch> {
        &self.fetch
    }

    /// The next event: interim responses in order, then the outcome.
    pub async fn event(&mut self) -> FetchEvent {
        let fetch = &self.fetch;
        if fetch.is_asking() {
            self.passes_interim = true;
            fetch.passes_interim.set(true);
        }
        let next = || {
            if let Some(head) = fetch.interim.borrow_mut().pop_front() {
                return Some(FetchEvent::Interim(head));
            }
            outcome(fetch.stage.borrow()).map(FetchEvent::Outcome)
        };
        let event = fetch.notifier.until(next).await;
        if matches!(event, FetchEvent::Interim(_)) {
            // The fetch may wait for room.
            fetch.notifier.notify();
        }
        event
    }

    /// The outcome, when it is there.
    pub(in crate::worker::waiting_list) fn outcome_now(&self) -> Option<FetchOutcome> {
        outcome(self.fetch.stage.borrow())
    }

    /// The outcome, for one to whom interim responses are nothing.
    pub async fn outcome(&self) -> FetchOutcome {
        self.passes_no_interim();
        let fetch = &self.fetch;
        let outcome = || outcome(fetch.stage.borrow());
        fetch.notifier.until(outcome).await
    }

    fn passes_no_interim(&self) {
        if self.passes_interim {
            self.fetch.passes_interim.set(false);
            self.fetch.notifier.notify();
        }
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
        self.passes_no_interim();
        self.fetch.tickets.set(self.fetch.tickets.get() - 1);
        self.fetch.notifier.notify();
    }
}
