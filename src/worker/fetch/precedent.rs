//! Precedents: what earlier answers told of a key and of its path, remembered for a while by all workers. Clients don't wait
//! for each other's fetch where the answer is of no use to them (RFC 9111 §4; Varnish's hit-for-miss), and do where it
//! was for all.

use super::request::FetchRequest;
use crate::cache::collapsing::{Precedent, is_personal};
use crate::cache::directives::RequestDirectives;
use crate::cache::freshness::Facts;
use crate::cache::key::{Hash, Key};
use crate::cache::reuse::{Reuse, reuse};
use crate::cache::storing::UncacheableReason;
use crate::http::fields::Fields;
use crate::worker::state::{Worker, now};
use crate::worker::waiting_list::NoStoreReason;

/// For how long, in seconds, after the last answer.
const REMEMBERED: u64 = 60 * 60;

/// The precedent of a request for this key; that of its path, where the key has a query and none of its own.
pub fn precedent(worker: &Worker, key: &Key, request: &Fields) -> Precedent {
    let of = |hash| {
        worker
            .shared
            .precedent(&name(hash, request), now().seconds())
    };
    let known = of(*key.hash()).or_else(|| of(key.path()?));
    match known {
        Some(true) => Precedent::Shared,
        Some(false) => Precedent::Own,
        None => Precedent::Unknown,
    }
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
    let is_shared = match fetched {
        Err(why) if is_of_the_request(why) => return,
        Err(_) => false,
        Ok(facts) => is_for_others(facts),
    };
    let presented = &request.head.fields;
    let path = key.path();
    // That others may wait is what is taken of any other key.
    if is_shared && path.is_none() && !is_personal(presented, request.policy.ignore_cookies) {
        worker
            .shared
            .forget_precedent(&name(*key.hash(), presented));
        return;
    }
    for hash in [Some(*key.hash()), path].into_iter().flatten() {
        let (name, until) = (name(hash, presented), now().seconds() + REMEMBERED);
        worker.shared.note_precedent(&name, is_shared, until);
    }
}

/// True when a plain request that waited could be answered with it when it came, or while it is validated.
fn is_for_others(facts: &Facts) -> bool {
    if facts.for_one_client {
        return false;
    }
    match reuse(&RequestDirectives::default(), facts, facts.response_time) {
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
            | UncacheableReason::NotModified
            | UncacheableReason::LongVariant => true,
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
            | UncacheableReason::LostField
            | UncacheableReason::NoValidator => false,
        },
    }
}

/// A name for a key's requests with, or without, Authorization and Cookie: they say nothing of each other (RFC 9111 §3.5).
fn name(mut hash: Hash, request: &Fields) -> Hash {
    hash[2] ^= u8::from(request.has("authorization"));
    hash[2] ^= u8::from(request.has("cookie")) << 1;
    hash
}
