//! Keys whose answers are of no use to others, remembered for a while by all workers: their clients
//! don't wait for each other, as they would if the answer might be for all of them (RFC 9111 §4).

use super::request::FetchRequest;
use crate::cache::directives::RequestDirectives;
use crate::cache::freshness::Facts;
use crate::cache::key::Key;
use crate::cache::reuse::{Reuse, reuse};
use crate::cache::storing::UncacheableReason;
use crate::http::fields::Fields;
use crate::worker::state::{Worker, now};
use crate::worker::waiting_list::NoStoreReason;

/// For how long, in seconds, after the last such answer.
const REMEMBERED: u64 = 60;

/// True when the last answer for this key was of use to nobody else.
pub fn is_hit_for_miss(worker: &Worker, key: &Key, request: &Fields) -> bool {
    worker.shared.is_hit_for_miss(&name(key, request), now())
}

/// Remembers whether others could use what was fetched, by its facts or the reason why it isn't stored.
pub(super) fn note(
    worker: &Worker,
    request: &FetchRequest,
    fetched: Result<&Facts, NoStoreReason>,
) {
    let Some(key) = request.key().filter(|_| request.head.method.is_safe()) else {
        return;
    };
    let for_others = match fetched {
        Err(why) if is_of_the_request(why) => return,
        Err(_) => false,
        Ok(facts) => is_for_others(facts),
    };
    let name = name(key, &request.head.fields);
    if for_others {
        worker.shared.forget_hit_for_miss(&name);
    } else {
        worker.shared.note_hit_for_miss(&name, now() + REMEMBERED);
    }
}

/// True when a plain request could be answered with it, now or while it is validated.
fn is_for_others(facts: &Facts) -> bool {
    match reuse(&RequestDirectives::default(), facts, now()) {
        Reuse::Fresh { .. } | Reuse::Stale { .. } => true,
        Reuse::Validate { meanwhile, .. } => meanwhile,
    }
}

/// True when it was the request that forbade storing, so that another's may come to something else.
fn is_of_the_request(why: NoStoreReason) -> bool {
    match why {
        NoStoreReason::Bypass => true,
        NoStoreReason::NoStore | NoStoreReason::TooLarge => false,
        NoStoreReason::Rules(why) => match why {
            UncacheableReason::Method
            | UncacheableReason::RequestContent
            | UncacheableReason::RequestNoStore
            | UncacheableReason::Interim
            | UncacheableReason::Partial
            | UncacheableReason::Range
            | UncacheableReason::NotModified => true,
            UncacheableReason::NotUnderstood
            | UncacheableReason::NoStore
            | UncacheableReason::Private
            | UncacheableReason::Authorization
            | UncacheableReason::ConnectionAuth
            | UncacheableReason::Cookie
            | UncacheableReason::SetCookie
            | UncacheableReason::Vary
            | UncacheableReason::Status
            | UncacheableReason::NoLifetime
            | UncacheableReason::NoValidator => false,
        },
    }
}

/// A name for a key's requests with, or without, Authorization and Cookie: they say nothing of each other (RFC 9111 §3.5).
fn name(key: &Key, request: &Fields) -> [u8; 16] {
    let mut hash = *key.hash();
    hash[2] ^= u8::from(request.has("authorization"));
    hash[2] ^= u8::from(request.has("cookie")) << 1;
    hash
}
