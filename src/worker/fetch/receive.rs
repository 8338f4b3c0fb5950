//! A final response received: what it means for the store, its content into the spool, the
//! connection back into the pool, the whole into the store.

use std::rc::Rc;

use bytes::Bytes;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::connection::Connection;
use super::exchange::Response;
use super::outcome::{Answer, Outcome, Trouble, Unstored};
use super::publish::{invalidate, publish, refresh};
use super::unshared;
use super::{Fetch, Order};
use crate::cache::freshness::Facts;
use crate::cache::key::Variant;
use crate::cache::range;
use crate::cache::reuse::is_error;
use crate::cache::stored::Meta;
use crate::cache::storing::{NotStored, may_store};
use crate::cache::validation::head_agrees;
use crate::cache::vary;
use crate::http::connection::origin_persists;
use crate::http::content::{ContentError, Decoder, Step};
use crate::http::fields::Fields;
use crate::http::framing::{Framing, response_framing};
use crate::http::head::{Method, ResponseHead};
use crate::store::spool::{Keep, Spool, Writer};
use crate::worker::origin::guard::is_local;
use crate::worker::state::{Worker, now};
use crate::worker::stored::{LOCAL_MARK, Stored};

/// How much is read at a time.
const READ: usize = 64 << 10;

/// Takes a response to its end.
pub async fn receive(
    worker: &Rc<Worker>,
    order: &Order,
    fetch: &Fetch,
    response: Response,
    request_time: u64,
) {
    let Response { head, connection } = response;
    let times = (request_time, now());
    if head.status == 304 {
        if let Some(stored) = &order.validate {
            give_back(worker, order, connection, &head, Framing::None);
            let fresh = refresh(worker, order, fetch, stored, &head, times).await;
            unshared::note(worker, order, Some(&fresh.facts), None);
            fetch.settle(Outcome::Validated(fresh));
            return;
        }
    }
    if let Some(found) = &order.found {
        compare(worker, order, fetch, found, &head, times).await;
    }
    let framing = match response_framing(&order.head.method, &head) {
        Ok(framing) => framing,
        Err(why) => {
            let host = order.uri.authority().to_string();
            fetch.settle(Outcome::Trouble(Rc::new(Trouble::Framing { host, why })));
            return;
        }
    };
    let local = is_local(connection.address);
    let wanted = storable(worker, order, &head, framing, times, local);
    if let (Some(found), Err(why)) = (&order.found, &wanted) {
        if supersedes(order, &head, *why) {
            invalidate(worker, vec![found.object.meta.key.clone()]).await;
        }
    }
    let (spool, writer) = Spool::new(match &wanted {
        Ok(_) => Keep::All,
        Err(_) => Keep::Window,
    });
    if wanted.is_ok() {
        *fetch.kept.borrow_mut() = Some((spool.clone(), length(framing)));
    }
    let names = vary::names(&head.fields).unwrap_or_default();
    let not_stored = wanted.as_ref().err().copied();
    let facts = wanted.as_ref().ok();
    let facts = facts.map(|meta| Facts::of(meta, &order.policy));
    if !is_error(head.status) {
        // An origin server in trouble isn't to get more requests for it.
        unshared::note(worker, order, facts.as_ref(), not_stored);
    }
    fetch.settle(Outcome::Answer(Rc::new(Answer {
        head: head.clone(),
        framing,
        ranged: range::is_asked(&order.head),
        spool,
        variant: wanted
            .as_ref()
            .map_or_else(|_| Variant::none(), |meta| meta.variant.clone()),
        not_stored,
        facts,
        selecting: names,
    })));
    let mut content = Content {
        worker,
        order,
        connection,
        writer,
        expected: length(framing),
    };
    match content.read(framing, wanted.as_ref().ok()).await {
        Ok(trailers) => {
            let Content {
                connection, writer, ..
            } = content;
            give_back(worker, order, connection, &head, framing);
            finish(worker, order, fetch, writer, (wanted.ok(), trailers)).await;
        }
        Err(why) => content.writer.cut(&why),
    }
}

/// What the response to HEAD says of the stored response to GET: updated with it where they agree,
/// not used any more where they don't (RFC 9111 §4.3.5).
async fn compare(
    worker: &Rc<Worker>,
    order: &Order,
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
fn supersedes(order: &Order, head: &ResponseHead, why: Unstored) -> bool {
    order.head.method == Method::Get
        && matches!(head.status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 410)
        && matches!(
            why,
            Unstored::Rules(
                NotStored::NoStore
                    | NotStored::NoLifetime
                    | NotStored::NoValidator
                    | NotStored::Status
            )
        )
}

async fn finish(
    worker: &Rc<Worker>,
    order: &Order,
    fetch: &Fetch,
    writer: Writer,
    (meta, trailers): (Option<Meta>, Fields),
) {
    match (writer.finish(trailers.clone()).await, meta) {
        (Ok(Some(whole)), Some(mut meta)) => {
            meta.trailers = trailers;
            publish(worker, order, fetch, meta, whole).await;
        }
        (Err(failure), _) => worker.complain_of(&failure),
        _ => {}
    }
}

/// What would be stored of this response, or why nothing is.
fn storable(
    worker: &Worker,
    order: &Order,
    head: &ResponseHead,
    framing: Framing,
    (request_time, response_time): (u64, u64),
    local: bool,
) -> Result<Meta, Unstored> {
    let key = order.key.clone().ok_or(Unstored::Bypass)?;
    may_store(&order.head, head, &order.policy, response_time).map_err(Unstored::Rules)?;
    if worker.store.is_none() {
        return Err(Unstored::NoStore);
    }
    if length(framing).is_some_and(|length| length > order.settings.largest_object) {
        return Err(Unstored::TooLarge);
    }
    let mut meta = Meta::of(key, &order.head, head, request_time, response_time);
    if local {
        let mark = (LOCAL_MARK, &b""[..]);
        meta.fields = meta.fields.iter().chain([mark]).collect();
    }
    Ok(meta)
}

fn length(framing: Framing) -> Option<u64> {
    match framing {
        Framing::None => Some(0),
        Framing::Length(length) => Some(length),
        Framing::Chunked | Framing::UntilClose => None,
    }
}

/// Keeps the connection for the next request, when it is at the end of the response and stays open.
fn give_back(
    worker: &Worker,
    order: &Order,
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

/// Content on its way from a connection into a spool.
struct Content<'a> {
    worker: &'a Worker,
    order: &'a Order,
    connection: Connection,
    writer: Writer,
    /// Its length, where the head told it.
    expected: Option<u64>,
}

impl Content<'_> {
    /// Reads all of it; its trailer section, or the reason why it is cut off.
    async fn read(&mut self, framing: Framing, meta: Option<&Meta>) -> Result<Fields, String> {
        let mut decoder = Decoder::new(framing);
        let mut taken = 0;
        loop {
            match decoder.next(&mut self.connection.buffer) {
                Ok(Step::Data(data)) => {
                    taken += data.len() as u64;
                    self.take(data, taken, meta).await;
                }
                Ok(Step::End { trailers }) => return Ok(trailers),
                Ok(Step::More) => {
                    if self.more().await? == 0 {
                        return decoder
                            .eof()
                            .map(|()| Fields::default())
                            .map_err(|why| self.told(why));
                    }
                }
                Err(why) => return Err(self.told(why)),
            }
        }
    }

    fn told(&self, why: ContentError) -> String {
        let host = self.order.uri.authority().to_string();
        Trouble::Content { host, why }.to_string()
    }

    async fn more(&mut self) -> Result<usize, String> {
        let host = self.order.uri.authority();
        let patience = self.order.settings.times.body_stall;
        let connection = &mut self.connection;
        connection.buffer.reserve(READ);
        let deadline = Instant::now() + patience;
        let read = connection.transport.read(&mut connection.buffer, deadline);
        read.await.map_err(|why| {
            if why.kind() == std::io::ErrorKind::TimedOut {
                format!("{host} sent nothing for {} s", patience.as_secs())
            } else {
                format!("the connection to {host} failed: {why}")
            }
        })
    }

    async fn take(&mut self, data: Bytes, taken: u64, meta: Option<&Meta>) {
        if taken > self.order.settings.largest_object && self.writer.keeps_all() {
            self.writer.give_up_keeping();
            unshared::note(self.worker, self.order, None, Some(Unstored::TooLarge));
        }
        if let Err(failure) = self.writer.push(data).await {
            self.worker.complain_of(&failure);
        }
        let (Some(meta), Some(keeper)) = (meta, &self.worker.store) else {
            return;
        };
        if !self.writer.wants_draft() {
            return;
        }
        let (store, meta, expected) = (keeper.store().clone(), meta.clone(), self.expected);
        let draft = spawn_blocking(move || store.begin(&meta, expected)).await;
        match draft {
            Ok(Ok(draft)) => self.writer.spill_to(draft),
            Ok(Err(failure)) => {
                self.worker.complain_of(&failure);
                self.writer.give_up_keeping();
            }
            Err(_) => self.writer.give_up_keeping(),
        }
    }
}
