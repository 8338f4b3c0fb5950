//! The traces of a fetch: a whole response in the store and, when small, in the memory tier; after
//! a 304 the stored response with new metadata. A store that fails costs the client nothing.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use super::context::{Context, Times};
use crate::cache::key::Key;
use crate::cache::policy::Policy;
use crate::cache::stored::Meta;
use crate::cache::validation::refreshed;
use crate::http::head::ResponseHead;
use crate::store::{Checksum, Content, Object, Published, SMALL, StoreError, Whole, place};
use crate::worker::state::Worker;
use crate::worker::stored::Stored;

/// Stores a whole response. Until it is in the store, the fetch answers for it.
pub async fn publish(context: Context<'_>, meta: Meta, whole: Whole) {
    let Context {
        worker,
        request,
        fetch,
    } = context;
    let Some(writer) = &worker.store else {
        return;
    };
    if !fetch.is_valid(&worker.shared, &meta.key) {
        return;
    }
    let small = match &whole {
        Whole::Memory(parts) => joined(parts).map(|content| at_hand(worker, &meta, content)),
        Whole::Draft { .. } => None,
    };
    let part = (!meta.key.is_for_part()).then(|| meta.key.part());
    if let (Some(object), Some(_)) = (&small, &part) {
        let stored = Rc::new(Stored::new(
            copy(object),
            &request.policy,
            &worker.pseudonym,
        ));
        fetch.publishes(stored);
    }
    let place = place(meta.key.hash(), meta.variant.hash());
    worker.shared.forget_hits(&place);
    let (invalidation_epoch, key) = (fetch.invalidation_epoch(&meta.key), meta.key.clone());
    let bytes = match &whole {
        Whole::Memory(parts) => parts.iter().map(Bytes::len).sum::<usize>() as u64,
        Whole::Draft { .. } => 0,
    };
    let done = writer.run(bytes, move |store| {
        let published = store.publish(&meta, whole, invalidation_epoch);
        let mut removed = store.take_removed();
        // The whole takes the place of a part.
        let left =
            |part: &Key| published.is_ok() && !store.displaces_parts() && store.may_have(part);
        if let Some(part) = part.filter(left) {
            removed.extend(store.remove(&part).unwrap_or_default());
        }
        (published, removed)
    });
    let (published, displaced) = match done.await {
        Ok(done) => done,
        Err(lost) => return worker.warn_not_stored(&lost),
    };
    worker.outbox.removed(&displaced);
    match published {
        Ok(published) => {
            fetch.is_stored(&key);
            worker.outbox.published(&published);
            if let Some(object) = small {
                let generation = published.generation;
                remember(
                    worker,
                    &request.policy,
                    Object {
                        generation,
                        ..object
                    },
                );
            }
        }
        // Made invalid while it was on its way.
        Err(StoreError::Gone) => {}
        Err(failure) => {
            worker.warn_of_failure(&failure);
            // A store that is away for a while is no reason to fetch it again and again. When it is back
            // other hosts may have changed the key: then all keys begin a new generation.
            if let (true, Some(object)) = (failure.is_told(), small) {
                remember(worker, &request.policy, object);
            }
        }
    }
}

fn at_hand(worker: &Worker, meta: &Meta, content: Bytes) -> Object {
    Object {
        generation: worker.shared.generation(meta.key.hash()),
        meta: meta.clone(),
        checksum: Checksum::of(&content),
        content: Content::Memory(content),
    }
}

fn copy(object: &Object) -> Object {
    Object {
        meta: object.meta.clone(),
        content: object.content.clone(),
        generation: object.generation,
        checksum: object.checksum,
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
    let generation = object.generation;
    let stored = Rc::new(Stored::new(object, policy, &worker.pseudonym));
    // A file kept open here would keep its place on disk after it is evicted.
    if matches!(stored.object.content, Content::Memory(_)) {
        worker.memory.borrow_mut().insert(
            &stored.object.meta,
            generation,
            stored.weight(),
            stored.clone(),
        );
    }
    stored
}

/// After a 304: the stored response with the fields that it brought (RFC 9111 §4.3.4), in the store too.
pub async fn refresh(
    context: Context<'_>,
    stored: &Rc<Stored>,
    head: &ResponseHead,
    times: Times,
) -> Rc<Stored> {
    let Context {
        worker,
        request,
        fetch,
    } = context;
    let old = &stored.object;
    let presented = &request.head.fields;
    let meta = refreshed(&old.meta, presented, head, times.request, times.response);
    let fresh = |generation| Object {
        meta: meta.clone(),
        content: old.content.clone(),
        generation,
        checksum: old.checksum,
    };
    // Made invalid by an unsafe request meanwhile, it answers this client and nobody else.
    let refreshed = if fetch.is_valid(&worker.shared, &old.meta.key) {
        let invalidation_epoch = fetch.invalidation_epoch(&old.meta.key);
        refresh_in_store(worker, stored, meta.clone(), invalidation_epoch).await
    } else {
        Err(StoreError::Gone)
    };
    match refreshed {
        Ok(published) => {
            fetch.is_stored(&old.meta.key);
            worker.outbox.published(&published);
            remember(worker, &request.policy, fresh(published.generation))
        }
        Err(failure) => {
            // Replaced or removed meanwhile is no failure: this client is answered all the same.
            if !matches!(failure, StoreError::Gone) {
                worker.warn_of_failure(&failure);
            }
            Rc::new(Stored::new(
                fresh(old.generation),
                &request.policy,
                &worker.pseudonym,
            ))
        }
    }
}

async fn refresh_in_store(
    worker: &Worker,
    stored: &Rc<Stored>,
    meta: Meta,
    invalidation_epoch: Option<u32>,
) -> Result<Published, StoreError> {
    let writer = worker.store.as_ref().ok_or(StoreError::Gone)?;
    let old = copy(&stored.object);
    let refreshed = writer.run(0, move |store| {
        store.refresh(&old, &meta, invalidation_epoch)
    });
    refreshed.await.unwrap_or(Err(StoreError::Gone))
}

/// Removes all that is stored under these keys and parts of it, here and in every worker (RFC 9111 §4.4). Returns how
/// many stored responses that were.
pub async fn invalidate(worker: &Rc<Worker>, mut keys: Vec<Key>) -> usize {
    let parts: Vec<Key> = keys
        .iter()
        .filter(|key| !key.is_for_head() && !key.is_for_part())
        .map(Key::part)
        .collect();
    keys.extend(parts);
    let Some(writer) = &worker.store else {
        return 0;
    };
    for key in &keys {
        worker.shared.invalidate(key.hash());
        // Nobody joins what was asked before.
        worker.waiting_lists.clear(key);
    }
    let done = writer.run_surely(move |store| {
        let mut removed = Vec::new();
        let mut failure = None;
        for key in keys {
            match store.remove(&key) {
                Ok(objects) => removed.extend(objects),
                Err(error) => failure = Some(error),
            }
        }
        (removed, failure)
    });
    match done.await {
        Ok((removed, failure)) => {
            worker.outbox.removed(&removed);
            if let Some(failure) = failure {
                worker.warn_of_failure(&failure);
            }
            removed.len()
        }
        Err(lost) => {
            worker.warn_not_stored(&lost);
            0
        }
    }
}
