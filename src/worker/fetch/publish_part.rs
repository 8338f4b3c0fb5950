//! A part on its way into the store (RFC 9111 §3.3, §3.4), beside those that are stored; and what becomes of them then, behind
//! the requests that brought them: what touches is joined, all of it makes the whole.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::context::Context;
use super::variant_parts::{Entered, VariantParts};
use crate::cache::key::Key;
use crate::cache::stored::Meta;
use crate::store::{StoreError, Whole};
use crate::sys::completions::blocking;
use crate::sys::shared::ClaimReply;
use crate::worker::state::Worker;
use crate::worker::waiting_list::ClaimGuard;

/// The most steps that one part brings about: a bound for what never comes to rest.
const STEPS: usize = 100;

/// The time between two looks whether another is done with the parts of a key, and the most of them.
const TURN: Duration = Duration::from_millis(50);
const TURNS: usize = 200;

/// Stores a part, unless what is stored has it.
pub async fn publish_part(context: Context<'_>, meta: Meta, content: Whole) {
    let Context {
        worker,
        request,
        fetch,
    } = context;
    let (Some(store), Some(key)) = (worker.store.get(), request.key()) else {
        return;
    };
    let part = meta.key.clone();
    let variant = Arc::new(VariantParts {
        epoch: fetch.invalidation_epoch(&part),
        epoch_of_whole: fetch.invalidation_epoch(key),
        part: part.clone(),
        whole: key.clone(),
        presented: request.head.fields.clone(),
        most: request.settings.largest_object,
    });
    let bytes = match &content {
        Whole::Memory(_) => content.len(),
        Whole::Draft { .. } => 0,
    };
    let entering = variant.clone();
    let done = store.run(bytes, move |store| entering.enter(store, meta, content));
    let entered = match done.await {
        Ok(entered) => entered,
        Err(lost) if lost.is_told() => return,
        Err(lost) => return worker.warn_not_stored(&lost),
    };
    match entered {
        Ok(Some(entered)) => {
            fetch.is_stored(&part);
            if matches!(entered, Entered::Untidy) {
                tidy(worker, variant);
            }
        }
        // Others have it, or it was made invalid while it was on its way.
        Ok(None) | Err(StoreError::Gone) => {}
        Err(failure) => worker.warn_of_failure(&failure),
    }
}

/// Has the parts of a variant tidied, behind whoever brought one. A worker that stops leaves them as they are.
fn tidy(worker: &Rc<Worker>, variant: Arc<VariantParts>) {
    let worker = worker.clone();
    tokio::task::spawn_local(async move {
        if let Some(_turn) = turn(&worker, &variant.part).await {
            let mut steps = 0;
            while steps < STEPS && step(&worker, &variant).await {
                steps += 1;
            }
        }
    });
}

/// Makes a step; false when there is none to be made, or what can't be joined stays as it is.
async fn step(worker: &Rc<Worker>, variant: &Arc<VariantParts>) -> bool {
    let (Some(store), Ok(_join)) = (worker.store.get(), worker.joins.acquire().await) else {
        return false;
    };
    let (at, of) = (store.store().clone(), variant.clone());
    let step = match blocking(move || of.next_step(&*at)).await {
        Ok(Ok(Some(step))) => step,
        Ok(Err(failure @ StoreError::Damaged(_))) => {
            worker.note_lost(&failure);
            return false;
        }
        Ok(Ok(None) | Err(_)) | Err(_) => return false,
    };
    let of = variant.clone();
    let done = store.run(0, move |store| of.carry_out(store, step));
    // After a purge those that came since have somebody else to tidy them.
    matches!(done.await, Ok(Ok(())))
}

/// Waits until nobody else joins parts of this key: they come in in several workers, and each would copy the same. Nothing when
/// that takes too long.
async fn turn(worker: &Worker, part: &Key) -> Option<Option<ClaimGuard>> {
    for _ in 0..TURNS {
        match worker.shared.claim(part.hash(), worker.index) {
            ClaimReply::Claimed => {
                let (shared, hash) = (worker.shared.clone(), *part.hash());
                return Some(Some(ClaimGuard::new(shared, hash, worker.index)));
            }
            ClaimReply::TableFull => return Some(None),
            ClaimReply::TakenBy(_) if worker.phase.draining() => return None,
            ClaimReply::TakenBy(_) => sleep(TURN).await,
        }
    }
    None
}
