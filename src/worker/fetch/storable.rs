//! The marks that a response leaves in the store: the metadata stored of it, or the reason why nothing is; and the
//! stored responses that it shows to be over.

use super::partial;
use super::request::FetchRequest;
use crate::cache::key::Key;
use crate::cache::owner::StoredFor;
use crate::cache::parts::{self, PartialContent};
use crate::cache::stored::Meta;
use crate::cache::storing::{UncacheableReason, may_store};
use crate::cache::time::FetchTimes;
use crate::http::framing::Framing;
use crate::http::head::{Method, ResponseHead};
use crate::http::parse::may_be_a_head;
use crate::worker::waiting_list::NoStoreReason;

/// A response whose head is there.
pub struct ReceivedHead<'a> {
    /// The head: where it is combined with a stored part, that of both.
    pub head: &'a ResponseHead,
    /// The part of the representation that it has, where it is combined with a stored part.
    pub joint: Option<PartialContent>,
    /// A line was lost of a head that it came with.
    pub has_lost_field: bool,
    pub framing: Framing,
    /// It came from this machine's own addresses.
    pub local: bool,
    /// There is a store that works.
    pub has_store: bool,
    pub times: FetchTimes,
}

/// The metadata to store of this response, by the rules and what the store takes. A 206 that came alone may be a
/// part to store.
pub fn storable(
    request: &FetchRequest,
    received: &ReceivedHead<'_>,
) -> Result<Meta, NoStoreReason> {
    let key = request.key().cloned().ok_or(NoStoreReason::Bypass)?;
    let (head, length, times) = (received.head, received.framing.length(), received.times);
    let held = (received.joint).or_else(|| partial::received_alone(request, head, length));
    let has_several = held.is_none() && partial::has_several(request, head, length);
    let (head, key) = match held {
        None if has_several => (head.clone(), key.part()),
        None => (head.clone(), key),
        Some(held) if held.is_whole() => (parts::head(&head.fields, held, head.version), key),
        Some(held) => (parts::head(&head.fields, held, head.version), key.part()),
    };
    // A part may be stored where the whole might be (RFC 9111 §3.3).
    let is_part = held.is_some() || has_several;
    let status = if is_part { 200 } else { head.status };
    let whole = ResponseHead {
        status,
        has_lost_field: received.has_lost_field,
        ..head.clone()
    };
    let (presented, policy) = (&request.head, &request.policy);
    let whom = may_store(presented, &request.uri, &whole, policy, times.response)
        .map_err(NoStoreReason::Rules)?;
    if !received.has_store {
        return Err(NoStoreReason::NoStore);
    }
    if length.is_some_and(|length| length > request.settings.largest_object) {
        return Err(NoStoreReason::TooLarge);
    }
    let mut meta = Meta::of(key, presented, &head, times, &policy.targeted);
    let part = request.parts().filter(|_| received.joint.is_some());
    let part = part.map(|known| known.parts.meta());
    // What is put together is for those alone that may have all of it.
    if whom == StoredFor::Named || part.is_some_and(|part| part.variant.is_apart()) {
        meta = meta.apart(&presented.fields);
    }
    if received.framing == Framing::UntilClose {
        meta = meta.until_close();
    }
    check_size(&meta)?;
    meta.local = received.local || part.is_some_and(|part| part.local);
    Ok(meta)
}

/// Refuses metadata that is larger than what one response to one request could have: the fields may have been put
/// together of many responses. What passes is no more than a store takes.
pub fn check_size(meta: &Meta) -> Result<(), NoStoreReason> {
    if !may_be_a_head(meta.fields.iter()) {
        return Err(NoStoreReason::TooLarge);
    }
    match meta.has_long_variant() {
        true => Err(NoStoreReason::Rules(UncacheableReason::LongVariant)),
        false => Ok(()),
    }
}

/// The keys of what is stored and over, as this response shows that isn't stored itself: it would otherwise come
/// back after something newer was seen (RFC 9111 §4).
pub fn superseded(request: &FetchRequest, head: &ResponseHead, why: NoStoreReason) -> Vec<Key> {
    let is_newer = request.head.method == Method::Get
        && matches!(head.status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 410)
        && matches!(
            why,
            NoStoreReason::Rules(
                UncacheableReason::NoStore
                    | UncacheableReason::SetCookie
                    | UncacheableReason::NoLifetime
                    | UncacheableReason::NoValidator
                    | UncacheableReason::Status
                    | UncacheableReason::LostField
            )
        );
    if !is_newer {
        return Vec::new();
    }
    let part = request.parts().map(|known| &known.parts.recent);
    let known = request.found().into_iter().chain(part);
    known.map(|stored| stored.object.meta.key.clone()).collect()
}
