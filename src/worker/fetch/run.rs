//! The task of a fetch, from its request to its end.

use std::pin::pin;
use std::rc::Rc;

use super::around::{After, received_after, request_after};
use super::context::Context;
use super::hang::SilenceWatch;
use super::lease::{self, LeaseOutcome};
use super::request::FetchRequest;
use super::round_trip::{Reply, Response, round_trip};
use super::send::ContentNotSent;
use super::unasked::{ask_plainly, is_unasked};
use crate::cache::key::Variant;
use crate::cache::time::Timestamp;
use crate::http::head::ResponseHead;
use crate::worker::state::{Worker, now};
use crate::worker::waiting_list::{
    Announcements, ClaimGuard, Fetch, FetchError, FetchOutcome, FetchPlan, Stage, Switched, Ticket,
};

/// The others that find a fetch by its key.
pub enum Visibility {
    /// Nobody: it is one client's own.
    Own,
    /// Whoever asks for the key.
    Listed {
        /// Those in other workers too while there is a claim.
        claim: Option<Rc<ClaimGuard>>,
        /// The variant that its request selects, where an earlier answer has told which fields do.
        variant: Option<Variant>,
    },
}

pub fn begin(worker: &Rc<Worker>, request: FetchRequest, visibility: Visibility) -> Ticket {
    let (claim, variant, listed) = match visibility {
        Visibility::Own => (None, None, false),
        Visibility::Listed { claim, variant } => (claim, variant, true),
    };
    let own = (request.key().into_iter()).flat_map(|key| [key.clone(), key.part()]);
    let found = (request.found().into_iter()).map(|found| found.object.meta.key.clone());
    let plan = FetchPlan {
        announced: Announcements { claim, lease: None },
        local_allowed: request.requester.is_local(),
        variant,
        patience: request.settings.times.collapsed_wait,
        quick_abort_min: request.settings.quick_abort_min,
    };
    let fetch = Fetch::new(&worker.shared, own.chain(found), plan);
    let ticket = fetch.ticket();
    let key = request.key().filter(|_| listed).cloned();
    let listing = key.map(|key| worker.waiting_lists.enlist(key, &fetch));
    let worker = worker.clone();
    tokio::task::spawn_local(async move {
        // Dropped at the end, however that comes, so that nobody joins what is over.
        let _listing = listing;
        run(&worker, request, &fetch).await;
    });
    ticket
}

async fn run(worker: &Rc<Worker>, mut request: FetchRequest, fetch: &Rc<Fetch>) {
    let lease = tokio::select! {
        biased;
        lease = lease::acquire(worker, &request, fetch) => lease,
        () = fetch.deserted() => return,
    };
    match lease {
        LeaseOutcome::Ask(lease) => fetch.announce_lease(lease),
        LeaseOutcome::Stored(stored) => {
            return fetch.enter(Stage::Settled(FetchOutcome::Stored(stored)));
        }
    }
    let Some((reply, request_time)) = ask_until_fit(worker, &mut request, fetch).await else {
        return;
    };
    let outcome = match reply {
        Ok(Reply::Response(response)) => {
            let context = Context {
                worker,
                request: &request,
                fetch,
            };
            return receive(context, response, request_time).await;
        }
        Ok(Reply::Switched(head, stream, rest)) => FetchOutcome::Switched(Rc::new(Switched {
            head,
            connection: Some((stream, rest)).into(),
        })),
        Err(error) => FetchOutcome::Failed(Rc::new(error)),
    };
    fetch.enter(Stage::Settled(outcome));
}

/// The reply to what was asked, and the time of its request: one that answers something else updates nothing and adds to
/// nothing, and it is asked once more, plainly.
async fn ask_until_fit(
    worker: &Worker,
    request: &mut FetchRequest,
    fetch: &Fetch,
) -> Option<(Result<Reply, FetchError>, Timestamp)> {
    let request_time = now();
    let mut reply = ask(worker, request, fetch).await?;
    let mut unfit = unasked(&reply, request);
    let after = request_after(&reply, request).filter(|_| unfit.is_none());
    if let Some(mut after) = after {
        let time = now();
        let other = ask(worker, &mut after, fetch).await?;
        match (received_after(other, &after), &mut reply) {
            (After::Fits(after), Ok(Reply::Response(response))) => response.after = Some(after),
            (After::Whole(whole), _) => return Some((Ok(Reply::Response(*whole)), time)),
            (After::Fits(_) | After::Useless, reply) => unfit = head(reply).cloned(),
        }
    }
    let Some(unfit) = unfit else {
        return Some((reply, request_time));
    };
    drop(reply);
    ask_plainly(request, &unfit);
    let request_time = now();
    let mut reply = ask(worker, request, fetch).await?;
    if unasked(&reply, request).is_some_and(|head| head.status == 304) {
        reply = Err(FetchError::NotModified(request.host()));
    }
    Some((reply, request_time))
}

/// Takes a response while the rest of its request's content is sent, and then sends that to its end, as long as its client
/// is there: an origin server that has answered may read on.
async fn receive(context: Context<'_>, mut response: Response, request_time: Timestamp) {
    let Some(mut sending) = response.sending.take() else {
        context.receive(response, request_time).await;
        return;
    };
    let fetch = context.fetch;
    let mut receiving = pin!(context.receive(response, request_time));
    let mut is_sent = false;
    let is_whole = loop {
        tokio::select! {
            biased;
            is_whole = &mut receiving => break is_whole,
            ended = sending.ended(), if !is_sent => match ended {
                Err(ContentNotSent::ByClient) => {
                    if fetch.is_asking() {
                        let error = Rc::new(FetchError::ClientContent);
                        fetch.enter(Stage::Settled(FetchOutcome::Failed(error)));
                    }
                    return;
                }
                Ok(_) | Err(ContentNotSent::ByOrigin) => is_sent = true,
            },
        }
    };
    if is_whole && !is_sent {
        tokio::select! {
            biased;
            () = sending.goes_on() => {}
            () = fetch.deserted() => {}
        }
    }
}

/// The reply, unless every client leaves before.
async fn ask(
    worker: &Worker,
    request: &mut FetchRequest,
    fetch: &Fetch,
) -> Option<Result<Reply, FetchError>> {
    fetch.asks();
    let silence = SilenceWatch::of(request);
    let reply = tokio::select! {
        biased;
        reply = round_trip(worker, request, fetch) => reply,
        () = fetch.deserted() => return None,
        never = silence.run(worker, fetch) => match never {},
    };
    silence.ends(worker, fetch, &reply);
    Some(reply)
}

/// The head of a reply that answers something else than what was asked.
fn unasked(reply: &Result<Reply, FetchError>, request: &FetchRequest) -> Option<ResponseHead> {
    let is_unasked = |head: &&ResponseHead| is_unasked(request, head);
    head(reply).filter(is_unasked).cloned()
}

fn head(reply: &Result<Reply, FetchError>) -> Option<&ResponseHead> {
    match reply {
        Ok(Reply::Response(response)) => Some(&response.head),
        _ => None,
    }
}
