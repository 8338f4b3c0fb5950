//! Keys whose answers are of no use to others, remembered for a while by all workers: their clients
//! don't wait for each other, as they would if the answer might be for all of them (RFC 9111 §4).

use super::Order;
use super::outcome::Unstored;
use crate::cache::directives::RequestDirectives;
use crate::cache::freshness::Facts;
use crate::cache::key::Key;
use crate::cache::reuse::{Reuse, reuse};
use crate::cache::storing::NotStored;
use crate::http::fields::Fields;
use crate::worker::state::{Worker, now};

/// For how long, in seconds, after the last such answer.
const REMEMBERED: u64 = 60;

/// Whether the last answer for this key was of use to nobody else.
pub fn is_unshared(worker: &Worker, key: &Key, request: &Fields) -> bool {
    worker.shared.is_unshared(&name(key, request), now())
}

/// Remembers whether others could use what was fetched; `why` when it isn't stored.
pub(super) fn note(worker: &Worker, order: &Order, facts: Option<&Facts>, why: Option<Unstored>) {
    let Some(key) = order.key.as_ref().filter(|_| order.head.method.is_safe()) else {
        return;
    };
    let for_others = match (facts, why) {
        (_, Some(why)) if is_of_the_request(why) => return,
        (Some(facts), None) => is_for_others(facts),
        _ => false,
    };
    let name = name(key, &order.head.fields);
    if for_others {
        worker.shared.forget_unshared(&name);
    } else {
        worker.shared.note_unshared(&name, now() + REMEMBERED);
    }
}

/// Whether a plain request could be answered with it, now or while it is validated.
fn is_for_others(facts: &Facts) -> bool {
    match reuse(&RequestDirectives::default(), facts, now()) {
        Reuse::Fresh { .. } | Reuse::Stale { .. } => true,
        Reuse::Validate { meanwhile, .. } => meanwhile,
    }
}

/// Whether it was the request that forbade storing, so that another's may come to something else.
fn is_of_the_request(why: Unstored) -> bool {
    match why {
        Unstored::Bypass => true,
        Unstored::NoStore | Unstored::TooLarge => false,
        Unstored::Rules(why) => match why {
            NotStored::Method
            | NotStored::RequestContent
            | NotStored::RequestNoStore
            | NotStored::Interim
            | NotStored::Partial
            | NotStored::Range
            | NotStored::NotModified => true,
            NotStored::NotUnderstood
            | NotStored::NoStore
            | NotStored::Private
            | NotStored::Authorization
            | NotStored::Vary
            | NotStored::Status
            | NotStored::NoLifetime
            | NotStored::NoValidator => false,
        },
    }
}

/// What comes of requests with Authorization says nothing of those without (RFC 9111 §3.5).
fn name(key: &Key, request: &Fields) -> [u8; 16] {
    let mut hash = *key.hash();
    hash[2] ^= u8::from(request.has("authorization"));
    hash
}
