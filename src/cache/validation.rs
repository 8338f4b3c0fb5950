//! Validation (RFC 9111 §4.3, §3.2; RFC 9110 §13): the conditions we send, the update by a 304 (Not
//! Modified), and a client's own conditions answered from a stored response.
//!
//! `If-Match` and `If-Unmodified-Since` are the origin's alone: see `bypass`.

use super::directives::{TargetList, withheld};
use super::owner::StoredFor;
use super::personal::PersonalFields;
use super::provenance::Provenance;
use super::stored::{Meta, dated, storable};
use super::time::{FetchTimes, Timestamp};
use super::vary;
use crate::http::date;
use crate::http::fields::Fields;
use crate::http::framing::stated_length;
use crate::http::head::{Method, ResponseHead};
use crate::http::names::FieldNames;
use crate::http::syntax::is_one_of;
use crate::http::validator::{EntityTag, EntityTags};

/// Fields of a 304 that do not update the stored response (RFC 9111 §3.2), besides those that are
/// never stored: Content-Range belongs to partial responses, and with another Content-Encoding the
/// content as it is stored could no longer be read. Everything else is updated, as we keep content
/// and fields as they were received.
const NOT_UPDATED: [&str; 2] = ["content-encoding", "content-range"];

/// True if a request for a stored response with these fields can be made conditional.
pub fn has_validator(fields: &Fields) -> bool {
    conditional_fields(fields).next().is_some()
}

/// The preconditions that ask whether a stored response with these fields is still valid: both
/// validators, where it has both (RFC 9111 §4.3.1). None when it has no validator.
pub fn conditional_fields(stored: &Fields) -> impl Iterator<Item = (&'static str, &[u8])> {
    let is_tag = |tag: &&[u8]| EntityTag::parse(tag).is_some();
    let is_date = |at: &&[u8]| date::parse(at).is_some();
    let tag = stored.first("etag").filter(is_tag);
    let modified = stored.first("last-modified").filter(is_date);
    let modified = modified.map(|at| ("If-Modified-Since", at));
    let tag = tag.map(|tag| ("If-None-Match", tag));
    tag.into_iter().chain(modified)
}

/// True if a 304 with these fields, which answers our condition on this stored response alone, is
/// about this stored response (RFC 9111 §4.3.4). One that is not updates nothing: the request is
/// made again without a condition. Without an entity tag it can only be about the one that we asked for;
/// Last-Modified, which may be another one on each of several servers, counts only where there was none.
pub fn identifies(not_modified: &Fields, stored: &Fields) -> bool {
    match (entity_tag(not_modified), entity_tag(stored)) {
        (Some(theirs), ours) => ours.is_some_and(|ours| ours.weak_eq(&theirs)),
        (None, Some(_)) => true,
        (None, None) => same_date("last-modified", not_modified, stored),
    }
}

fn entity_tag(fields: &Fields) -> Option<EntityTag<'_>> {
    fields.first("etag").and_then(EntityTag::parse)
}

/// True if a 200 response to HEAD agrees with a stored response whose content has this length, and
/// so may update it; if not, the stored response is to be considered stale (RFC 9111 §4.3.5).
pub fn head_agrees(head: &Fields, stored: &Fields, length: u64) -> bool {
    let tag = head.first("etag");
    let tags_agree = tag.is_none_or(|tag| stored.first("etag") == Some(tag));
    let is_strong = entity_tag(head).is_some_and(|tag| !tag.weak);
    let is_coded = head.has("transfer-encoding") && stated_length(head).is_none();
    let mut lengths = head.all("content-length");
    let length_agrees = is_coded || lengths.all(|value| value == length.to_string().as_bytes());
    let dates_agree = is_strong || same_date("last-modified", head, stored);
    tags_agree && length_agrees && dates_agree
}

/// True if a date field of the new response, where it has one, is that of the stored one.
fn same_date(name: &str, new: &Fields, stored: &Fields) -> bool {
    let at = |fields: &Fields| fields.first(name).map(date::parse);
    !new.has(name) || at(new) == at(stored)
}

/// The stored fields, updated with those of a newer response (RFC 9111 §3.2): every field of the new
/// one takes the place of the stored lines with its name. A stored `Age` goes in any case: it counts from
/// before the validation.
///
/// An earlier `Last-Modified` of the same representation, as another server has it, stays out: a client that has an
/// older representation of a time between the two would be told that it has this one.
pub fn update(stored: &Fields, new: &Fields, targets: &TargetList) -> Fields {
    let modified = |fields: &Fields| fields.first("last-modified").and_then(date::parse);
    let is_earlier = modified(new) < modified(stored);
    let new: Fields = storable(new, targets)
        .iter()
        .filter(|(name, _)| !is_one_of(name, &NOT_UPDATED))
        .filter(|(name, _)| !is_earlier || !name.eq_ignore_ascii_case(b"last-modified"))
        .collect();
    let brought: FieldNames<'_> = new.iter().map(|(name, _)| name).collect();
    let withheld = withheld(&new, targets);
    let replaced = |name: &[u8]| name.eq_ignore_ascii_case(b"age") || brought.contains(name);
    let kept = stored
        .iter()
        .filter(|(name, _)| !replaced(name) && !withheld.contains(name));
    kept.chain(new.iter()).collect()
}

/// The metadata of a stored response after this response validated it. `presented` are the fields
/// of the request: should `Vary` have changed, they choose the variant. It is never for more than before.
pub fn refreshed(
    stored: &Meta,
    presented: &Fields,
    new: &ResponseHead,
    times: FetchTimes,
    targets: &TargetList,
    whom: StoredFor,
) -> Meta {
    let new = dated(new.fields.clone(), times.response);
    let fields = update(&stored.fields, &new, targets);
    let is_apart = stored.variant.is_apart() || whom == StoredFor::Named;
    let variant = match vary::selecting(&fields, is_apart) {
        Some(names) if stored.selecting().as_ref() != Some(&names) => {
            vary::variant_of(&names, presented)
        }
        _ => stored.variant.clone(),
    };
    Meta {
        variant,
        request_time: times.request,
        response_time: times.response,
        provenance: Provenance {
            received: times.received,
            ..stored.provenance.clone()
        },
        fields,
        ..stored.clone()
    }
}

/// The outcome of a client's own condition on a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It doesn't hold back the response.
    Send,
    /// The client has what it would get: 304.
    NotModified,
}

/// A response as far as a client's condition is about it.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Selected<'a> {
    pub status: u16,
    pub fields: &'a Fields,
    pub response_time: Timestamp,
}

impl<'a> From<&'a Meta> for Selected<'a> {
    fn from(meta: &'a Meta) -> Selected<'a> {
        Selected {
            status: meta.status,
            fields: &meta.fields,
            response_time: meta.response_time,
        }
    }
}

/// Evaluates a client's `If-None-Match`, or without one its `If-Modified-Since`, against the
/// response that answers it (RFC 9111 §4.3.2, RFC 9110 §13.2.2).
pub fn client_condition<'a>(
    method: &Method,
    request: &Fields,
    selected: impl Into<Selected<'a>>,
) -> Condition {
    let stored: Selected<'_> = selected.into();
    let applies =
        matches!(method, Method::Get | Method::Head) && matches!(stored.status, 200 | 206);
    let unchanged = match EntityTags::of(request, "if-none-match") {
        Some(EntityTags::Any) => true,
        Some(tags) => {
            let ours = entity_tag(stored.fields);
            ours.is_some_and(|ours| tags.weak_match(&ours))
        }
        None => unmodified_since(request, &stored),
    };
    if applies && unchanged {
        Condition::NotModified
    } else {
        Condition::Send
    }
}

/// True if `If-Modified-Since` is one valid date that is not before the stored response's
/// modification, for which its `Date` stands in where it has no `Last-Modified`.
fn unmodified_since(request: &Fields, stored: &Selected<'_>) -> bool {
    let mut lines = request.all("if-modified-since");
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let stored_at = |name| stored.fields.first(name).and_then(date::parse);
    let modified = stored_at("last-modified")
        .or_else(|| stored_at("date"))
        .unwrap_or(stored.response_time.seconds());
    date::parse(line).is_some_and(|since| modified <= since)
}

/// The fields of a 304 (Not Modified) that we make from a stored response (RFC 9110 §15.4.5).
/// Last-Modified is among them only where there is no ETag; what is for the client alone, where it was left in.
pub fn not_modified_fields(stored: &Fields, targets: &TargetList) -> Fields {
    const KEPT: [&str; 5] = ["content-location", "date", "etag", "expires", "vary"];
    let personal = PersonalFields::of(stored, targets);
    let kept = |name: &[u8]| {
        is_one_of(name, &KEPT)
            || targets.governs(name)
            || personal.has(name)
            || name.eq_ignore_ascii_case(b"last-modified") && !stored.has("etag")
    };
    stored.iter().filter(|(name, _)| kept(name)).collect()
}

#[cfg(test)]
mod tests;
