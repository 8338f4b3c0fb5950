//! Stored parts (RFC 9111 §3.3, §3.4; RFC 9110 §15.3.7.3): what a part may answer, what is to be asked for
//! beside it, and what it is combined with.
//!
//! A part is stored as the 206 that it would be, under a key of its own.

use bytes::Bytes;

use super::directives::TargetList;
pub use super::extent::PartialContent;
use super::extent::part_of;
use super::personal::PersonalFields;
use super::range::{self, ByteRange, NOT_OF_A_PART, Selection};
use super::stored::Meta;
use super::validation;
use crate::http::date;
use crate::http::fields::Fields;
use crate::http::forward::is_condition;
use crate::http::head::{RequestHead, ResponseHead, Version};
use crate::http::syntax::is_one_of;
use crate::http::validator::EntityTag;

/// Adding to a part copies it. Where that doesn't make it whole, at most so much is copied, or so many times
/// what is added: else who asks for piece after piece would have it all copied each time.
const COPIED: u64 = 1 << 20;
const COPIED_FOR: u64 = 8;

/// What a stored part lacks of a larger one, or of the whole: it touches the stored part, so that they can be combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    /// Something right before it, or right after it.
    Beside(ByteRange),
    /// Something on both sides.
    #[allow(missing_docs)]
    Around { before: ByteRange, after: ByteRange },
}

impl Lacking {
    /// The range that is asked for first.
    pub fn first(self) -> ByteRange {
        match self {
            Lacking::Beside(range) | Lacking::Around { before: range, .. } => range,
        }
    }

    /// The range after the stored part that is asked for besides.
    pub fn then_after(self) -> Option<ByteRange> {
        match self {
            Lacking::Beside(_) => None,
            Lacking::Around { after, .. } => Some(after),
        }
    }

    /// The number of bytes.
    pub fn amount(self) -> u64 {
        self.first().len + self.then_after().map_or(0, |after| after.len)
    }

    /// The bytes of `wanted` that aren't in `held`; nothing where they don't touch, or it has all of them.
    fn of(wanted: ByteRange, held: ByteRange) -> Option<Lacking> {
        if wanted.first > held.end() || held.first > wanted.end() {
            return None;
        }
        let before =
            (wanted.first < held.first).then(|| ByteRange::between(wanted.first, held.first));
        let after =
            (held.end() < wanted.end()).then(|| ByteRange::between(held.end(), wanted.end()));
        match (before, after) {
            (Some(before), Some(after)) => Some(Lacking::Around { before, after }),
            (before, after) => before.or(after).map(Lacking::Beside),
        }
    }
}

/// The use of a stored part for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartUse {
    /// It answers the request by itself.
    Answer,
    /// It would answer the request, but has to be validated before.
    Validate,
    /// The origin server is asked for this, and all is combined.
    Ask(Lacking),
    /// Nothing.
    Nothing,
}

/// Tells the use of a stored part with these fields. One that isn't `fresh` may not be used without asking.
pub fn part_use(
    request: &RequestHead,
    held: PartialContent,
    fields: &Fields,
    fresh: bool,
) -> PartUse {
    let wanted = match range::select(request, 200, fields, held.length) {
        Selection::Whole => ByteRange::between(0, held.length),
        Selection::Part(part) if !held.has(part) => part,
        Selection::Parts(parts) if !parts.iter().all(|part| held.has(*part)) => {
            return PartUse::Nothing;
        }
        Selection::Part(_) | Selection::Parts(_) | Selection::Unsatisfiable => {
            // Asked under our own condition, the origin server wouldn't look at the client's.
            let ours = validation::has_validator(fields) && !request.fields.has("if-range");
            return match fresh {
                true => PartUse::Answer,
                false if ours => PartUse::Validate,
                false => PartUse::Nothing,
            };
        }
    };
    if held.is_whole() || validator(fields).is_none() {
        return PartUse::Nothing;
    }
    let Some(lacking) = Lacking::of(wanted, held.part) else {
        return PartUse::Nothing;
    };
    let completes = held.part.len + lacking.amount() == held.length;
    let cheap = COPIED.max(lacking.amount().saturating_mul(COPIED_FOR));
    match completes || held.part.len <= cheap {
        true => PartUse::Ask(lacking),
        false => PartUse::Nothing,
    }
}

/// The condition under which more of a stored part is asked for, the value of If-Range: a strong
/// validator (RFC 9111 §3.4).
pub fn validator(fields: &Fields) -> Option<&[u8]> {
    match strong_tag(fields) {
        Some(_) => fields.first("etag"),
        None => range::strong_date(fields).and(fields.first("last-modified")),
    }
}

fn strong_tag(fields: &Fields) -> Option<EntityTag<'_>> {
    let tag = fields.first("etag").and_then(EntityTag::parse);
    tag.filter(|tag| !tag.weak)
}

/// True when both are of the same representation, by a strong validator that they share. A date proves nothing beside
/// entity tags that differ: files of several versions have the same one where it was set (SOURCE_DATE_EPOCH).
pub fn share_validator(stored: &Fields, new: &Fields) -> bool {
    match strong_tag(stored) {
        Some(ours) => strong_tag(new).is_some_and(|theirs| ours.strong_eq(&theirs)),
        None => {
            let date = range::strong_date(stored);
            let same_date = date.is_some() && date == range::strong_date(new);
            same_date && strong_tag(new).is_none() && have_same_tag(stored, new)
        }
    }
}

/// True when both have the same entity tag, by weak comparison, or neither has any.
fn have_same_tag(one: &Fields, other: &Fields) -> bool {
    match (one.first("etag"), other.first("etag")) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            match (EntityTag::parse(one), EntityTag::parse(other)) {
                (Some(one), Some(other)) => one.weak_eq(&other),
                // Compared as they stand where neither is one.
                (None, None) => one == other,
                (Some(_), None) | (None, Some(_)) => false,
            }
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// True when a response to a request under If-Range is of another representation: what it says against the condition
/// counts all the same. It needs no validator where the condition was one by a strong tag, or by a date alone.
pub(crate) fn is_of_another(ours: &Fields, response: &Fields) -> bool {
    let may_lack_tag = strong_tag(ours).is_some() || !ours.has("etag");
    if response.has("etag") || !may_lack_tag {
        return !share_validator(ours, response);
    }
    let modified = |fields: &Fields| fields.first("last-modified").and_then(date::parse);
    let said = modified(response);
    said.is_some() && said != modified(ours)
}

/// The fields of a request, as `presented`, for the rest of a representation of which these are the fields: from `first`
/// on, to `end` where it isn't to go on to its own end. If-Range is its one condition, where there is a strong validator.
pub(crate) fn ask_for_rest(
    presented: &Fields,
    fields: &Fields,
    first: u64,
    end: Option<u64>,
) -> Fields {
    let asked = match end {
        Some(end) => format!("bytes={first}-{}", end - 1),
        None => format!("bytes={first}-"),
    };
    let range = [(&b"Range"[..], asked.as_bytes())];
    let condition = validator(fields).map(|validator| (&b"If-Range"[..], validator));
    let is_kept = |name: &[u8]| !is_condition(name) && !name.eq_ignore_ascii_case(b"range");
    let kept = presented.iter().filter(|(name, _)| is_kept(name));
    kept.chain(range).chain(condition).collect()
}

/// The part that a response has, content of this length with it: a 206 of one part of a representation
/// whose length it tells.
pub fn received(response: &ResponseHead, content: Option<u64>) -> Option<PartialContent> {
    let held = part_of(response.status, &response.fields)?;
    (content == Some(held.part.len)).then_some(held)
}

/// The part that a stored response has; the whole of what isn't a part.
pub fn stored(meta: &Meta, content: u64) -> PartialContent {
    let first = part_of(meta.status, &meta.fields).filter(|held| held.part.len == content);
    first.unwrap_or(PartialContent {
        part: ByteRange::between(0, content),
        length: content,
    })
}

/// The whole or part that a stored part and a response to the request for more of it make, where they can be
/// combined: its head, and what it has of the representation.
pub fn combined(
    ours: &Fields,
    held: PartialContent,
    asked: ByteRange,
    response: &ResponseHead,
    content: Option<u64>,
    targets: &TargetList,
) -> Option<(ResponseHead, PartialContent)> {
    let theirs = received(response, content)?;
    let fits = theirs.part == asked && theirs.length == held.length;
    if !fits || !share_validator(ours, &response.fields) {
        return None;
    }
    let both = PartialContent {
        part: ByteRange {
            first: held.part.first.min(asked.first),
            len: held.part.len + asked.len,
        },
        length: held.length,
    };
    // The client that asked for the rest sees what came for it alone.
    let alone = PersonalFields::of(&response.fields, targets).alone_in(&response.fields);
    let fields = validation::update(ours, &response.fields, targets);
    let fields = fields.iter().chain(alone.iter()).collect();
    Some((head(&fields, both, response.version), both))
}

/// The head of a response that has this much of a representation: a 206, or a 200 when it has all of it.
pub fn head(fields: &Fields, held: PartialContent, version: Version) -> ResponseHead {
    let range = held.part.content_range(held.length);
    let said = (&b"Content-Range"[..], range.as_bytes());
    let said = (!held.is_whole()).then_some(said);
    let kept = fields
        .iter()
        .filter(|(name, _)| !is_one_of(name, &NOT_OF_A_PART));
    let (status, reason) = match held.is_whole() {
        true => (200, "OK"),
        false => (206, "Partial Content"),
    };
    ResponseHead {
        version,
        status,
        reason: Bytes::from_static(reason.as_bytes()),
        fields: kept.chain(said).collect(),
        has_lost_field: false,
    }
}

#[cfg(test)]
#[allow(clippy::type_complexity, clippy::unwrap_used)]
mod tests;
