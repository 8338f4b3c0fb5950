//! Stored parts (RFC 9111 §3.3, §3.4; RFC 9110 §15.3.7.3): what they may answer and what is to be asked for beside them
//! (`held`), what they are combined with, and which of them stay (`kept`).
//!
//! Each is stored as the 206 that it would be, under a key of its own. Several are of one representation where they
//! have the same strong validator.

mod held;
mod kept;
mod several;

use bytes::Bytes;

pub use held::{HeldParts, Lacking, PartUse, part_use};
pub use kept::{Entry, KeptPart, MOST, Tidying, enters, of_the_most_recent, tidying};
pub use several::{ReceivedPart, boundary, received as received_several};

use super::directives::TargetList;
pub use super::extent::PartialContent;
use super::extent::part_of;
use super::personal::PersonalFields;
use super::range::{self, ByteRange, NOT_OF_A_PART};
use super::stored::Meta;
use super::validation;
use crate::http::date;
use crate::http::fields::Fields;
use crate::http::forward::is_condition;
use crate::http::head::{ResponseHead, Version};
use crate::http::syntax::is_one_of;
use crate::http::validator::EntityTag;

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

/// A range that stored parts lack, and what it makes together with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The range, which the origin server is asked for.
    pub asked: ByteRange,
    /// All of it: what is held, and the range.
    pub makes: PartialContent,
}

impl Gap {
    /// The head of what a response to the request for it makes together with stored parts of these fields, where they can
    /// be combined.
    pub fn filled(
        self,
        ours: &Fields,
        response: &ResponseHead,
        content: Option<u64>,
        targets: &TargetList,
    ) -> Option<ResponseHead> {
        let theirs = received(response, content)?;
        let fits = theirs.part == self.asked && theirs.length == self.makes.length;
        if !fits || !share_validator(ours, &response.fields) {
            return None;
        }
        // The client that asked for the rest sees what came for it alone.
        let alone = PersonalFields::of(&response.fields, targets).alone_in(&response.fields);
        let fields = validation::update(ours, &response.fields, targets);
        let fields = fields.iter().chain(alone.iter()).collect();
        Some(head(&fields, self.makes, response.version))
    }
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
