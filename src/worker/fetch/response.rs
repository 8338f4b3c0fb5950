//! A final response received: what it means for the store, its content into the spool, the
//! connection back into the pool, the whole into the store.

use std::rc::Rc;

use super::claim::{Claim, claim};
use super::connection::{Connection, ConnectionSource};
use super::content::{IncomingContent, Joint};
use super::context::Context;
use super::partial::beginning;
use super::precedent;
use super::publish::{invalidate, publish, refresh};
use super::received::{Combined, Received};
use super::resume::Resumable;
use super::round_trip::Response;
use super::storable::superseded;
use super::unasked::selected_by_304;
use crate::cache::freshness::Facts;
use crate::cache::invalidation::invalidates;
use crate::cache::key::Key;
use crate::cache::parts::PartialContent;
use crate::cache::personal::{PersonalFields, for_others};
use crate::cache::range;
use crate::cache::reuse::is_error;
use crate::cache::stored::Meta;
use crate::cache::time::{FetchTimes, Timestamp};
use crate::cache::validation::head_agrees;
use crate::http::fields::Fields;
use crate::http::framing::{Framing, response_framing};
use crate::http::head::{Method, ResponseHead};
use crate::http::persistence::{NextUse, next_use};
use crate::http::target::Uri;
use crate::store::spool::{Keep, Spool, SpoolWriter};
use crate::worker::state::{Worker, cache_uri, now};
use crate::worker::waiting_list::{
    Answer, FetchError, FetchOutcome, Listing, NoStoreReason, Shareable, Stage,
};

impl Context<'_> {
    /// Takes a response to its end; false when that didn't come.
    pub async fn receive(self, response: Response, request_time: Timestamp) -> bool {
        let Context {
            worker,
            request,
            fetch,
        } = self;
        let Response {
            head,
            connection,
            after,
            ..
        } = response;
        let times = FetchTimes {
            request: request_time,
            response: now(),
            received: worker.boot_time(),
        };
        if head.status == 304 {
            if let Some(stored) = selected_by_304(request, &head) {
                self.give_back(connection, &head, Framing::None);
                let validated = refresh(self, stored, &head, times).await;
                let facts = validated.shared.as_ref().map(|stored| &stored.facts);
                precedent::note(
                    worker,
                    request,
                    facts.map_err(|why| NoStoreReason::Rules(*why)),
                );
                fetch.enter(Stage::Settled(FetchOutcome::Validated(validated)));
                return true;
            }
        }
        self.make_invalid(&head, times).await;
        let framing = match response_framing(&request.head.method, &head) {
            Ok(framing) => framing,
            Err(why) => {
                let host = request.host();
                let error = Rc::new(FetchError::Framing { host, why });
                fetch.enter(Stage::Settled(FetchOutcome::Failed(error)));
                return false;
            }
        };
        let received = Received {
            head,
            framing,
            connection,
            after,
        };
        let arrival = self.settle(&received, times).await;
        self.take_content(arrival, received).await
    }

    /// Carries out what the head alone says of what is stored (RFC 9111 §4.4, §4.3.5).
    async fn make_invalid(self, head: &ResponseHead, times: FetchTimes) {
        let request = self.request;
        let uris = invalidates(&request.head.method, &request.uri, head);
        if !uris.is_empty() {
            invalidate(self.worker, self.keys(&uris)).await;
            // Its own response is newer.
            self.fetch.renew_epochs(&self.worker.shared);
        }
        let Some(found) = request.found() else {
            return;
        };
        // The stored response to GET is updated with a response to HEAD that agrees with it, and not used any
        // more where they disagree.
        let meta = &found.object.meta;
        if request.head.method != Method::Head || meta.key.is_for_head() || head.status != 200 {
            return;
        }
        let length = found.object.content.len();
        if meta.status == 200 && head_agrees(&head.fields, &meta.fields, length) {
            refresh(self, found, head, times).await;
        } else {
            invalidate(self.worker, vec![meta.key.clone()]).await;
        }
    }

    fn keys(self, uris: &[Uri]) -> Vec<Key> {
        let both = |uri| {
            let uri = cache_uri(&self.request.settings, uri);
            [Key::of(&uri), Key::of_head(&uri)]
        };
        uris.iter().flat_map(both).collect()
    }

    /// Decides what is stored, and lets clients and others have the response from now on.
    async fn settle(self, received: &Received, times: FetchTimes) -> Arrival {
        let Context {
            worker,
            request,
            fetch,
        } = self;
        let Combined {
            head,
            joint,
            framing,
            wanted,
        } = received.combined(request, worker.store.takes_responses(), times);
        let over = match &wanted {
            Ok(_) => Vec::new(),
            Err(why) => superseded(request, &head, *why),
        };
        let (spool, writer) = Spool::new(match &wanted {
            Ok(_) => Keep::All,
            Err(_) => Keep::Window,
        });
        let sharing = match &wanted {
            Ok(meta) => Ok(Shareable {
                facts: Facts::of(meta, &request.policy),
                fields: for_others(&head.fields, &request.policy.targeted),
                response_time: times.response,
                selecting: meta.selecting().unwrap_or_default(),
                variant: meta.variant.clone(),
            }),
            Err(why) => Err(*why),
        };
        if !is_error(head.status) {
            // An origin server in trouble isn't to get more requests for it.
            let facts = sharing.as_ref().map(|shareable| &shareable.facts);
            precedent::note(worker, request, facts.map_err(|why| *why));
        }
        let ranged = range::is_asked(&request.head);
        let listing = (wanted.is_ok() && joint.is_none() && !ranged).then(|| self.enlist());
        let status = received.head.status;
        fetch.enter(Stage::Growing(Rc::new(Answer {
            uri: request.uri.clone(),
            head,
            framing,
            ranged: joint.is_none() && ranged,
            part: joint.filter(|held| !held.is_whole()),
            received: status,
            spool,
            sharing,
        })));
        // After those who wait have heard of it: then they ask about what is over no more.
        if !over.is_empty() {
            invalidate(worker, over).await;
        }
        Arrival {
            wanted,
            length: framing.length(),
            joint,
            writer,
            _listing: listing.flatten(),
        }
    }

    /// Lets others find a fetch that was one client's own: its response turned out to be for all.
    fn enlist(self) -> Option<Listing> {
        let worker = self.worker;
        let key = self.request.key()?;
        if self.fetch.listed().is_some() {
            return None;
        }
        if let Claim::Ours(claim) = claim(worker, key, self.request.requester.is_local()) {
            self.fetch.announce_claim(claim);
        }
        Some(worker.waiting_lists.enlist(key.clone(), self.fetch))
    }

    /// Takes the content to its end, and stores what is to be stored; false when it was cut off.
    async fn take_content(self, arrival: Arrival, received: Received) -> bool {
        let Context {
            worker,
            request,
            fetch,
        } = self;
        let Received {
            head,
            framing,
            connection,
            after,
        } = received;
        // That on which the last of it comes.
        let last = after
            .as_ref()
            .map(|after| (after.head.clone(), after.framing));
        let last = last.unwrap_or_else(|| (head.clone(), framing));
        let joint = arrival
            .joint
            .zip(request.parts())
            .and_then(|(joint, known)| known.lacking().map(|lacking| (joint, known, lacking)))
            .map(|(joint, known, lacking)| Joint {
                parts: &known.parts,
                lacking,
                head: &head,
                instead: Resumable::of_joint(&head, joint),
                after: after.map(|after| (after, Resumable::of_joint(&head, joint))),
            });
        let resumable = match joint {
            Some(_) => None,
            None => Resumable::of(self, &head, arrival.length),
        };
        fetch.set_resumable(resumable.is_some());
        let length = arrival.length;
        let mut content = IncomingContent::new(self, connection, arrival.writer, length, resumable);
        let meta = arrival.wanted.as_ref().ok();
        let done = tokio::select! {
            biased;
            done = content.take_all(framing, joint, meta) => done,
            () = fetch.deserted() => Err("every client has left".to_owned()),
        };
        let (connection, writer) = content.into_parts();
        let is_whole = done.is_ok();
        match (done, arrival.wanted) {
            (Ok(trailers), wanted) => {
                // A recipient may discard trailer fields; whoever reads along is to have these no more than the header's.
                let trailers = match &wanted {
                    Ok(meta) => {
                        let targets = &request.policy.targeted;
                        PersonalFields::of(&meta.fields, targets).absent_from(&trailers)
                    }
                    Err(_) => trailers,
                };
                if let Some(connection) = connection {
                    self.give_back(connection, &last.0, last.1);
                }
                self.finish(writer, wanted.ok(), trailers).await;
            }
            (Err(why), Ok(meta)) => {
                if let Some(key) = request.key() {
                    worker.waiting_lists.strike(key, fetch);
                }
                self.keep_beginning(writer, &meta, arrival.length, &why)
                    .await;
            }
            (Err(why), Err(_)) => writer.cut(&why),
        }
        is_whole
    }

    async fn finish(self, writer: SpoolWriter, meta: Option<Meta>, trailers: Fields) {
        // Counted before its clients are told that it is whole, and may leave.
        let _storing = Storing::new(self.worker);
        match (writer.finish(trailers.clone()).await, meta) {
            (Ok(Some(whole)), Some(mut meta)) => {
                meta.trailers = trailers;
                publish(self, meta, whole).await;
            }
            (Err(failure), _) => self.worker.warn_of_failure(&failure),
            _ => {}
        }
    }

    /// Stores what there is of a response that broke off.
    async fn keep_beginning(
        self,
        writer: SpoolWriter,
        meta: &Meta,
        length: Option<u64>,
        why: &str,
    ) {
        let Some(meta) = beginning(self.request, meta, length, writer.len()) else {
            return writer.cut(why);
        };
        match writer.cut_keeping(why).await {
            Ok(Some(whole)) => publish(self, meta, whole).await,
            Ok(None) => {}
            Err(failure) => self.worker.warn_of_failure(&failure),
        }
    }

    /// Keeps the connection for the next request, when it is at the end of the response and fit for one.
    pub(super) fn give_back(self, connection: Connection, head: &ResponseHead, framing: Framing) {
        let Connection {
            transport,
            buffer,
            destination,
            course,
            source,
        } = connection;
        // While content is still sent on it, it isn't fit.
        let Some(transport) = Rc::into_inner(transport).filter(|_| buffer.is_empty()) else {
            return;
        };
        let request = self.request;
        let (pool, origin) = (&self.worker.pool, request.uri.origin());
        match next_use(&request.head, &course, head, framing) {
            NextUse::Nobody => {}
            NextUse::Anyone if source != ConnectionSource::Pinned => {
                pool.put(origin, transport, destination);
            }
            NextUse::Anyone | NextUse::SameClient => {
                pool.pin(&request.pinned, origin, transport, destination);
            }
        }
    }
}

/// A response whose content is still to come.
struct Arrival {
    wanted: Result<Meta, NoStoreReason>,
    /// Of the content, with that of the stored part where both are joint.
    length: Option<u64>,
    /// The part of the representation that it has together with the stored one.
    joint: Option<PartialContent>,
    writer: SpoolWriter,
    _listing: Option<Listing>,
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
