//! A validation that no client waits for (RFC 5861 §3): once at a time in all workers, for the store alone; of an origin
//! server that hangs, one for all that is stored of it.

use std::rc::Rc;

use tokio::time::timeout;

use super::Exchange;
use super::candidates::CandidateSet;
use crate::cache::plan::Scope;
use crate::http::forward::is_condition;
use crate::http::head::Method;
use crate::http::target::Uri;
use crate::worker::fetch::{
    self, Ask, Claim, FetchRequest, Known, KnownParts, Purpose, Visibility, claim,
};
use crate::worker::origin::hung::Attempt;
use crate::worker::stored::Stored;
use crate::worker::waiting_list::{ClaimGuard, Ticket};

impl Exchange<'_> {
    /// Validates a stored response that answers this request meanwhile.
    pub(super) fn validate_behind(
        &mut self,
        uri: &Uri,
        stored: &Rc<Stored>,
        looked_up: &CandidateSet,
    ) {
        let key = stored.object.meta.key.clone();
        if self.worker.waiting_lists.has(&key) {
            return;
        }
        let claim = match claim(self.worker, &key, self.client.is_local()) {
            Claim::Ours(claim) if !looked_up.are_outdated(&self.worker.shared, &key) => Some(claim),
            Claim::Ours(_) | Claim::Theirs(_) => return,
            Claim::Alone => None,
        };
        self.note_validated();
        finish(self.begin_behind(uri, stored, claim));
    }

    /// Validates the stored parts that answer this request meanwhile: as much is asked for as the client gets.
    pub(super) fn validate_parts_behind(&mut self, uri: &Uri, looked_up: &CandidateSet) {
        let Some(parts) = looked_up.parts.clone() else {
            return;
        };
        self.note_validated();
        let ask = Ask::Validity;
        let known = Known::Parts(KnownParts { parts, ask });
        let key = looked_up.key.clone();
        let purpose = Purpose::Store { key, known };
        let request = self.fetch_request(uri.clone(), purpose, Scope::AsPresented);
        let request = for_the_store(request);
        finish(fetch::begin(self.worker, request, Visibility::Own));
    }

    /// Tries an origin server that hangs, unless another request does.
    pub(super) fn try_origin(&self, uri: &Uri, stored: &Rc<Stored>) {
        let origin_hang = self.settings.times.origin_hang;
        let Some(attempt) = self.worker.hung.attempt(uri, origin_hang) else {
            return;
        };
        let key = &stored.object.meta.key;
        // It is asked though another fetch runs, which hangs.
        let claim = match claim(self.worker, key, self.client.is_local()) {
            Claim::Ours(claim) => Some(claim),
            Claim::Theirs(_) | Claim::Alone => None,
        };
        finish_try(self.begin_behind(uri, stored, claim), attempt);
    }

    fn begin_behind(
        &self,
        uri: &Uri,
        stored: &Rc<Stored>,
        claim: Option<Rc<ClaimGuard>>,
    ) -> Ticket {
        let key = stored.object.meta.key.clone();
        let is_for_head = key.is_for_head();
        let known = Known::whole(stored);
        let purpose = Purpose::Store { key, known };
        let mut request = self.fetch_request(uri.clone(), purpose, Scope::Whole);
        if !is_for_head {
            request.head.method = Method::Get;
        }
        let request = for_the_store(request);
        let visibility = Visibility::Listed {
            claim,
            variant: None,
        };
        fetch::begin(self.worker, request, visibility)
    }
}

/// The request without the client's conditions: it has its answer, and what is asked now is for the store alone.
fn for_the_store(mut request: FetchRequest) -> FetchRequest {
    let fields = request.head.fields.iter();
    request.head.fields = fields.filter(|(name, _)| !is_condition(name)).collect();
    request
}

/// Has a fetch go on to its end though nobody waits for it.
pub(super) fn finish(ticket: Ticket) {
    tokio::task::spawn_local(async move {
        ticket.outcome().await;
        ticket.until_stored().await;
    });
}

/// Has a fetch try its origin server, and go on to its end where that begins to answer in time; if not, the next one tries.
fn finish_try(ticket: Ticket, attempt: Attempt) {
    tokio::task::spawn_local(async move {
        let in_time = timeout(attempt.limit(), ticket.outcome()).await.is_ok();
        drop(attempt);
        if in_time || ticket.fetch().course.is_heard() {
            ticket.outcome().await;
            ticket.until_stored().await;
        }
    });
}
