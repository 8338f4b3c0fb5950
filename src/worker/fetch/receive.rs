//! A final response received: what it means for the store, its content into the spool, the
//! connection back into the pool, the whole into the store.

use std::rc::Rc;

use super::begin::list;
use super::connection::Connection;
use super::content::Content;
use super::hit_for_miss;
use super::outcome::{Answer, FetchError, NoStoreReason, Outcome};
use super::part::{self, keep_beginning};
use super::publish::{invalidate, publish, refresh};
use super::round_trip::Response;
use super::{Fetch, FetchRequest};
use crate::cache::freshness::Facts;
use crate::cache::invalidation::invalidates;
use crate::cache::key::{Key, Variant};
use crate::cache::parts::{self, PartialContent};
use crate::cache::range;
use crate::cache::reuse::is_error;
use crate::cache::stored::Meta;
use crate::cache::storing::{UncacheableReason, may_store};
use crate::cache::validation::head_agrees;
use crate::cache::vary;
use crate::http::connection::origin_persists;
use crate::http::fields::Fields;
use crate::http::framing::{Framing, response_framing};
use crate::http::head::{Method, ResponseHead};
use crate::http::target::Uri;
use crate::store::spool::{Keep, Spool, SpoolWriter};
use crate::worker::origin::guard::is_local;
use crate::worker::state::{Worker, cache_uri, now};
use crate::worker::stored::Stored;

/// Takes a response to its end.
pub async fn receive(
    worker: &Rc<Worker>,
    order: &FetchRequest,
    fetch: &Rc<Fetch>,
    response: Response,
    request_time: u64,
) {
    let Response { head, connection } = response;
    let times = (request_time, now());
    if head.status == 304 {
        if let Some(stored) = &order.validate {
            give_back(worker, order, connection, &head, Framing::None);
            let fresh = refresh(worker, order, fetch, stored, &head, times).await;
            hit_for_miss::note(worker, order, Some(&fresh.facts), None);
            fetch.settle(Outcome::Validated(fresh));
            return;
        }
    }
    let uris = invalidates(&order.head.method, &order.uri, &head);
    if !uris.is_empty() {
        invalidate(worker, keys(order, &uris)).await;
        // What it brings itself is newer.
        fetch.begins(worker);
    }
    if let Some(found) = &order.found {
        compare(worker, order, fetch, found, &head, times).await;
    }
    let framing = match response_framing(&order.head.method, &head) {
        Ok(framing) => framing,
        Err(why) => {
            let host = order.uri.authority().to_string();
            fetch.settle(Outcome::Failed(Rc::new(FetchError::Framing { host, why })));
            return;
        }
    };
    let joint = order.beside.as_ref();
    let joint = joint.and_then(|beside| beside.joined(&head, framing.length()));
    let received = head;
    let (head, total) = match &joint {
        Some((head, held)) => (head.clone(), Framing::Length(held.part.len)),
        None => (received.clone(), framing),
    };
    let held = joint.map(|(_, held)| held);
    let wanted = storable(
        worker,
        order,
        (&head, held),
        total.length(),
        times,
        is_local(connection.address),
    );
    if let Err(why) = &wanted {
        if supersedes(order, &head, *why) {
            invalidate(worker, superseded(order)).await;
        }
    }
    let (spool, writer) = Spool::new(match &wanted {
        Ok(_) => Keep::All,
        Err(_) => Keep::Window,
    });
    if wanted.is_ok() {
        *fetch.kept.borrow_mut() = Some((spool.clone(), total.length()));
    }
    let names = vary::names(&head.fields).unwrap_or_default();
    let not_stored = wanted.as_ref().err().copied();
    let facts = wanted.as_ref().ok();
    let facts = facts.map(|meta| Facts::of(meta, &order.policy));
    if !is_error(head.status) {
        // An origin server in trouble isn't to get more requests for it.
        hit_for_miss::note(worker, order, facts.as_ref(), not_stored);
    }
    let is_whole = held.is_none() && !range::is_asked(&order.head);
    // A request with a condition of the client's own wasn't listed from its beginning, nor was POST.
    let _entry = (wanted.is_ok() && is_whole).then(|| list(worker, order, fetch));
    fetch.settle(Outcome::Answer(Rc::new(Answer {
        head,
        framing: total,
        ranged: held.is_none() && range::is_asked(&order.head),
        part: held.filter(|held| !held.is_whole()),
        received: received.status,
        spool,
        variant: wanted
            .as_ref()
            .map_or_else(|_| Variant::none(), |meta| meta.variant.clone()),
        not_stored,
        facts,
        selecting: names,
    })));
    let mut content = Content::new(worker, order, connection, writer, total.length());
    let stored = order.beside.as_ref().filter(|_| held.is_some());
    let done = tokio::select! {
        biased;
        done = content.take_all(framing, stored, wanted.as_ref().ok()) => done,
        () = fetch.deserted() => Err("every client has left".to_owned()),
    };
    let (connection, writer) = content.into_parts();
    match (done, wanted) {
        (Ok(trailers), wanted) => {
            give_back(worker, order, connection, &received, framing);
            finish(worker, order, fetch, writer, (wanted.ok(), trailers)).await;
        }
        (Err(why), Ok(meta)) => {
            // Whoever comes now doesn't join what is over.
            order.key.iter().for_each(|key| fetch.unlist(worker, key));
            keep_beginning(worker, order, fetch, writer, (meta, total.length()), &why).await;
        }
        (Err(why), Err(_)) => writer.cut(&why),
    }
}

/// The keys of what is stored under these URIs.
fn keys(order: &FetchRequest, uris: &[Uri]) -> Vec<Key> {
    let both = |uri| {
        let uri = cache_uri(&order.settings, uri);
        [Key::of(&uri), Key::of_head(&uri)]
    };
    uris.iter().flat_map(both).collect()
}

/// What the response to HEAD says of the stored response to GET: updated with it where they agree,
/// not used any more where they don't (RFC 9111 §4.3.5).
async fn compare(
    worker: &Rc<Worker>,
    order: &FetchRequest,
    fetch: &Fetch,
    found: &Rc<Stored>,
    head: &ResponseHead,
    times: (u64, u64),
) {
    let meta = &found.object.meta;
    if order.head.method != Method::Head || meta.key.is_for_head() || head.status != 200 {
        return;
    }
    let length = found.object.content.len();
    if meta.status == 200 && head_agrees(&head.fields, &meta.fields, length) {
        refresh(worker, order, fetch, found, head, times).await;
    } else {
        invalidate(worker, vec![meta.key.clone()]).await;
    }
}

/// Whether a response that isn't stored shows that what is stored is over: it would otherwise come
/// back after something newer was seen (RFC 9111 §4).
fn supersedes(order: &FetchRequest, head: &ResponseHead, why: NoStoreReason) -> bool {
    let known = order.found.is_some() || order.beside.is_some();
    known
        && order.head.method == Method::Get
        && matches!(head.status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 410)
        && matches!(
            why,
            NoStoreReason::Rules(
                UncacheableReason::NoStore
                    | UncacheableReason::NoLifetime
                    | UncacheableReason::NoValidator
                    | UncacheableReason::Status
            )
        )
}

/// What a request knew of before it was made.
fn superseded(order: &FetchRequest) -> Vec<Key> {
    let found = order.found.as_ref().map(|found| &found.object);
    let beside = order.beside.as_ref().map(|beside| &beside.stored.object);
    let objects = found.into_iter().chain(beside);
    objects.map(|object| object.meta.key.clone()).collect()
}

async fn finish(
    worker: &Rc<Worker>,
    order: &FetchRequest,
    fetch: &Fetch,
    writer: SpoolWriter,
    (meta, trailers): (Option<Meta>, Fields),
) {
    // Counted before its clients are told that it is whole, and may leave.
    let _storing = Storing::new(worker);
    match (writer.finish(trailers.clone()).await, meta) {
        (Ok(Some(whole)), Some(mut meta)) => {
            meta.trailers = trailers;
            publish(worker, order, fetch, meta, whole).await;
        }
        (Err(failure), _) => worker.complain_of(&failure),
        _ => {}
    }
}

/// A response on its way into the store: a worker that stops waits for it.
struct Storing<'a>(&'a Worker);

impl Storing<'_> {
    fn new(worker: &Worker) -> Storing<'_> {
        worker.storing.set(worker.storing.get() + 1);
        Storing(worker)
    }
}

impl Drop for Storing<'_> {
    fn drop(&mut self) {
        self.0.storing.set(self.0.storing.get() - 1);
        self.0.phase.progress.notify();
    }
}

/// What would be stored of this response, or why nothing is. What it has of a representation is known
/// where it is combined with a stored part; a 206 that came alone may be a part to store.
fn storable(
    worker: &Worker,
    order: &FetchRequest,
    (head, joint): (&ResponseHead, Option<PartialContent>),
    length: Option<u64>,
    (request_time, response_time): (u64, u64),
    local: bool,
) -> Result<Meta, NoStoreReason> {
    let key = order.key.clone().ok_or(NoStoreReason::Bypass)?;
    let held = joint.or_else(|| part::alone(order, head, length));
    let (head, key) = match held {
        None => (head.clone(), key),
        Some(held) if held.is_whole() => (parts::head(&head.fields, held, head.version), key),
        Some(held) => (parts::head(&head.fields, held, head.version), key.part()),
    };
    // A part may be stored where the whole might be (RFC 9111 §3.3).
    let status = held.map_or(head.status, |_| 200);
    let whole = ResponseHead {
        status,
        ..head.clone()
    };
    may_store(
        &order.head,
        &order.uri,
        &whole,
        &order.policy,
        response_time,
    )
    .map_err(NoStoreReason::Rules)?;
    if worker.store.is_none() {
        return Err(NoStoreReason::NoStore);
    }
    if length.is_some_and(|length| length > order.settings.largest_object) {
        return Err(NoStoreReason::TooLarge);
    }
    let mut meta = Meta::of(key, &order.head, &head, request_time, response_time);
    let beside = order.beside.as_ref().filter(|_| joint.is_some());
    meta.local = local || beside.is_some_and(|beside| beside.stored.object.meta.local);
    Ok(meta)
}

/// Keeps the connection for the next request, when it is at the end of the response and stays open.
fn give_back(
    worker: &Worker,
    order: &FetchRequest,
    connection: Connection,
    head: &ResponseHead,
    framing: Framing,
) {
    let reusable = connection.request_sent
        && connection.buffer.is_empty()
        && framing != Framing::UntilClose
        && origin_persists(head);
    if reusable {
        let Connection {
            transport, address, ..
        } = connection;
        worker.pool.put(order.uri.origin(), transport, address);
    }
}
