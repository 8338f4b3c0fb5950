//! The traces of a fetch: a whole response in the store and, when small, in the memory tier; after
//! a 304 the stored response with new metadata. A store that fails costs the client nothing.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use super::claim::unclaim;
use super::context::Context;
use super::publish_part::publish_part;
use super::storable::check_size;
use crate::cache::freshness::Facts;
use crate::cache::key::Key;
use crate::cache::owner::StoredFor;
use crate::cache::personal::PersonalFields;
use crate::cache::policy::Policy;
use crate::cache::refresh::is_worth_storing;
use crate::cache::stored::Meta;
use crate::cache::storing::{UncacheableReason, may_update};
use crate::cache::time::FetchTimes;
use crate::cache::validation::refreshed;
use crate::http::head::ResponseHead;
use crate::store::{Checksum, Content, Object, Publication, SMALL, StoreError, Whole, place};
use crate::worker::open_store::{Removal, note_unremoved};
use crate::worker::state::Worker;
use crate::worker::stored::Stored;
use crate::worker::waiting_list::Validated;

/// Stores a whole response. Until it is in the store, the fetch answers for it.
pub async fn publish(context: Context<'_>, meta: Meta, whole: Whole) {
    let Context {
        worker,
        request,
        fetch,
    } = context;
    let Some(store) = worker.store.get() else {
        return;
    };
    // Before it is seen whether the key is valid: one that is made invalid afterwards begins another.
    let generation = worker.shared.generation(meta.key.hash());
    if !fetch.is_valid(&worker.shared, &meta.key) {
        return;
    }
    if meta.key.is_for_part() {
        return publish_part(context, meta, whole).await;
    }
    let content = match &whole {
        Whole::Memory(parts) => joined(parts),
        Whole::Draft { .. } => None,
    };
    // What came from the network lies in buffers that are much larger.
    let whole = content
        .clone()
        .map_or(whole, |content| Whole::Memory(vec![content]));
    let small = content.map(|content| {
        let object = Object {
            generation,
            meta: meta.clone(),
            checksum: Checksum::of(&content),
            content: Content::Memory(content),
        };
        Rc::new(Stored::new(object, &request.policy, &worker.pseudonym))
    });
    if let Some(stored) = &small {
        fetch.publishes(stored.clone());
    }
    let place = place(meta.key.hash(), meta.variant.hash());
    worker.shared.forget_hits(&place);
    let (invalidation_epoch, key) = (fetch.invalidation_epoch(&meta.key), meta.key.clone());
    let done = store.publish(Publication {
        meta,
        whole,
        invalidation_epoch,
    });
    let published = match done.await {
        Ok(published) => published,
        Err(lost) => {
            if !lost.is_told() {
                worker.warn_not_stored(&lost);
            }
            // As long as the store hangs it isn't fetched again and again. A change of the key meanwhile is seen by its
            // generation.
            if let Some(stored) = small.filter(|_| lost.is_told()) {
                keep_at_hand(worker, &stored, generation);
            }
            return;
        }
    };
    match published {
        Ok(published) => {
            fetch.is_stored(&key);
            if let Some(stored) = small {
                keep_at_hand(worker, &stored, published.generation);
            }
        }
        // Made invalid while it was on its way.
        Err(StoreError::Gone) => {}
        Err(failure) => {
            worker.warn_of_failure(&failure);
            // A store that is away for a while is no reason to fetch it again and again. When it is back
            // other hosts may have changed the key: then all keys begin a new generation.
            if let (true, Some(stored)) = (failure.is_told(), small) {
                keep_at_hand(worker, &stored, generation);
            }
        }
    }
}

/// Small content in one piece of its own, so that no larger buffer is kept alive by it.
fn joined(parts: &[Bytes]) -> Option<Bytes> {
    let len: usize = parts.iter().map(Bytes::len).sum();
    (len as u64 <= SMALL).then(|| {
        let mut all = BytesMut::with_capacity(len);
        parts.iter().for_each(|part| all.extend_from_slice(part));
        all.freeze()
    })
}

/// Puts a stored response into the memory tier.
pub fn remember(worker: &Worker, policy: &Policy, object: Object) -> Rc<Stored> {
    let stored = Rc::new(Stored::new(object, policy, &worker.pseudonym));
    keep_at_hand(worker, &stored, stored.object.generation);
    stored
}

/// Puts what is small into the memory tier, as what was stored in this generation of its key.
fn keep_at_hand(worker: &Worker, stored: &Rc<Stored>, generation: u32) {
    let object = &stored.object;
    // A file kept open here would keep its place on disk after it is evicted.
    let is_part = object.meta.key.is_for_part();
    if matches!(object.content, Content::Memory(_)) && !is_part {
        let (weight, value) = (stored.weight(), stored.clone());
        let mut memory = worker.memory.borrow_mut();
        memory.insert(&object.meta, generation, weight, value);
    }
}

/// After a 304: the stored response with the fields that it brought (RFC 9111 §4.3.4), for the client that asked. What
/// others may have of it is stored.
pub async fn refresh(
    context: Context<'_>,
    stored: &Rc<Stored>,
    head: &ResponseHead,
    times: FetchTimes,
) -> Validated {
    let Context {
        worker, request, ..
    } = context;
    let (old, policy) = (&stored.object.meta, &request.policy);
    let targets = &policy.targeted;
    let presented = &request.head.fields;
    let refreshed = |head, whom| refreshed(old, presented, head, times, targets, whom);
    let alone = PersonalFields::of(&head.fields, targets).alone_in(&head.fields);
    let permitted = may_update(presented, old, head, policy, times.response);
    let all = refreshed(head, permitted.unwrap_or(StoredFor::All));
    let shared = match permitted {
        Ok(_) => Ok(keep(context, stored, all.clone()).await),
        Err(why @ (UncacheableReason::Private | UncacheableReason::NoStore)) => {
            // Nobody is to have it without asking any more, nor anything else of what this client got.
            let lines = head.fields.iter();
            let fields = lines.filter(|(name, _)| targets.governs(name)).collect();
            let head = ResponseHead {
                fields,
                ..head.clone()
            };
            let meta = refreshed(&head, StoredFor::All);
            keep(context, stored, meta).await;
            Err(why)
        }
        Err(why) => Err(why),
    };
    let own = match &shared {
        Ok(shared) if alone.is_empty() && request.parts().is_none() => shared.clone(),
        _ => {
            // Of parts not only the one that was validated for all.
            let parts = request.parts().map(|known| &known.parts);
            let mut own = parts.map_or_else(
                || Object {
                    meta: all.clone(),
                    ..stored.object.clone()
                },
                |parts| parts.answer(&request.head, &all),
            );
            own.meta.fields = own.meta.fields.iter().chain(alone.iter()).collect();
            let own = Stored::for_one_client(own, policy, &worker.pseudonym);
            Rc::new(own)
        }
    };
    Validated { own, shared }
}

/// Stores a stored response with new metadata.
async fn keep(context: Context<'_>, stored: &Rc<Stored>, meta: Meta) -> Rc<Stored> {
    let Context {
        worker,
        request,
        fetch,
    } = context;
    let old = &stored.object;
    let mut fresh = old.clone();
    fresh.meta = meta.clone();
    if check_size(&meta).is_err() {
        invalidate(worker, vec![meta.key.clone()]).await;
        return Rc::new(Stored::new(fresh, &request.policy, &worker.pseudonym));
    }
    let facts = Facts::of(&meta, &request.policy);
    if !is_worth_storing(&old.meta, &meta, &facts) {
        fetch.is_stored(&old.meta.key);
        return Rc::new(Stored::new(fresh, &request.policy, &worker.pseudonym));
    }
    // Before that is looked at: one that is made invalid afterwards begins another.
    let generation = worker.shared.generation(old.meta.key.hash());
    // Made invalid by an unsafe request meanwhile, it answers this client and nobody else.
    let is_valid = fetch.is_valid(&worker.shared, &old.meta.key);
    let refreshed = match worker.store.get().filter(|_| is_valid) {
        Some(store) => {
            let (old, epoch) = (old.clone(), fetch.invalidation_epoch(&old.meta.key));
            let done = store.run(0, move |store| store.refresh(&old, &meta, epoch));
            done.await.unwrap_or_else(|lost| Err(lost.into()))
        }
        None => Err(StoreError::Gone),
    };
    match refreshed {
        Ok(published) => {
            fetch.is_stored(&old.meta.key);
            fresh.generation = published.generation;
            remember(worker, &request.policy, fresh)
        }
        // It needn't be validated again and again while the store is away.
        Err(failure) if failure.is_told() => {
            fresh.generation = generation;
            remember(worker, &request.policy, fresh)
        }
        Err(failure) => {
            // Replaced or removed meanwhile is no failure: this client is answered all the same.
            if !matches!(failure, StoreError::Gone) {
                worker.warn_of_failure(&failure);
            }
            Rc::new(Stored::new(fresh, &request.policy, &worker.pseudonym))
        }
    }
}

/// Removes all that is stored under these keys and parts of it, here and in every worker (RFC 9111 §4.4). Returns how
/// many stored responses that were; none where that isn't known yet, as the store hangs: then they don't answer any more
/// all the same.
pub async fn invalidate(worker: &Rc<Worker>, mut keys: Vec<Key>) -> Option<usize> {
    let parts: Vec<Key> = keys
        .iter()
        .filter(|key| !key.is_for_head() && !key.is_for_part())
        .map(Key::part)
        .collect();
    keys.extend(parts);
    // They won't get there.
    let mut count = 0;
    for key in &keys {
        count += worker.waiting_lists.on_their_way(&worker.shared, key);
        worker.shared.invalidate(key.hash());
        // Nobody joins what was asked before.
        worker.waiting_lists.clear(key);
        unclaim(worker, key);
    }
    let Some(store) = worker.store.get() else {
        // It may come back with what it had.
        note_unremoved(&worker.shared, &keys);
        return Some(count);
    };
    match store.remove(keys).await {
        Removal::Done(removed) => Some(count + removed.len()),
        Removal::Outstanding(failure) => {
            if let Some(failure) = failure {
                worker.warn_of_failure(&failure);
            }
            None
        }
    }
}
