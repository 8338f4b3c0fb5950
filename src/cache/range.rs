//! Range requests (RFC 9110 §13.1.5, §14): what of a selected representation a request asks for, and how
//! that is written in Content-Range.
//!
//! Only `bytes`. Ranges that overlap or touch become one, in the place of the first of them, so that no byte is sent
//! twice. A set of more than [`MOST`] ranges, or one with too much around its parts (`multipart`), is ignored as a whole,
//! as is anything that isn't valid.

use super::multipart;
use crate::http::date::{self, UnixSeconds};
use crate::http::fields::Fields;
use crate::http::head::{Method, RequestHead};
use crate::http::syntax::{elements, is_one_of, saturating_number};
use crate::http::validator::EntityTag;

/// The most ranges that are answered in one response: zchunk asks for hundreds.
pub const MOST: usize = 1_000;

/// The cost, in content that wasn't asked for, at which a range is still answered from the whole.
const NEAR: u64 = 1 << 20;

/// Fields that tell of the content as a whole message has it, or of another part: what is made from a
/// whole leaves them out (§15.3.7, RFC 9530 §2). `Repr-Digest` and the other fields are of the representation.
pub const NOT_OF_A_PART: [&str; 3] = ["content-range", "content-digest", "content-md5"];

/// Consecutive bytes of a representation: never none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The offset of the first byte.
    pub first: u64,
    /// Their number.
    pub len: u64,
}

impl ByteRange {
    pub(crate) fn between(first: u64, end: u64) -> ByteRange {
        let len = end - first;
        ByteRange { first, len }
    }

    /// The offset after the last byte.
    pub fn end(self) -> u64 {
        self.first + self.len
    }

    /// The value of Range that asks for this part of a representation of `length` bytes (§14.2).
    pub fn asked(self, length: u64) -> String {
        match self.end() {
            end if end == length => format!("bytes={}-", self.first),
            end => format!("bytes={}-{}", self.first, end - 1),
        }
    }

    /// The value of Content-Range for this part of a representation of `length` bytes (§14.4).
    pub fn content_range(self, length: u64) -> String {
        format!("bytes {}-{}/{length}", self.first, self.end() - 1)
    }
}

/// The value of Content-Range in a 416 (Range Not Satisfiable) response (§14.4).
pub fn unsatisfied_range(length: u64) -> String {
    format!("bytes */{length}")
}

/// The bytes of a representation that are to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of it, as if no range had been asked for.
    Whole,
    /// One part: 206 (Partial Content).
    Part(ByteRange),
    /// Several parts in the order asked for, disjoint: 206 with `multipart/byteranges`.
    Parts(Vec<ByteRange>),
    /// Nothing of it was asked for: 416 (Range Not Satisfiable).
    Unsatisfiable,
}

/// A range-spec of the `bytes` unit (§14.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spec {
    /// From an offset through another one.
    Int(u64, u64),
    /// So many bytes at the end.
    Suffix(u64),
}

impl Spec {
    /// The part of so long a representation; `None` when it isn't satisfiable.
    fn part(self, length: u64) -> Option<ByteRange> {
        let (first, end) = match self {
            Spec::Int(first, last) => (first, last.saturating_add(1).min(length)),
            Spec::Suffix(suffix) => (length.saturating_sub(suffix), length),
        };
        (first < end).then(|| ByteRange::between(first, end))
    }
}

/// True when the request asks for a range: for GET alone that is defined (§14.2).
pub fn is_asked(request: &RequestHead) -> bool {
    request.method == Method::Get && request.fields.has("range")
}

/// Selects what this request asks for of a representation of `length` bytes that would be sent with this
/// status and these fields. To be asked after the other preconditions (§13.2.2).
pub fn select(request: &RequestHead, status: u16, selected: &Fields, length: u64) -> Selection {
    if status != 200 || request.method != Method::Get {
        return Selection::Whole;
    }
    let Some(specs) = specs(&request.fields) else {
        return Selection::Whole;
    };
    if !if_range_holds(&request.fields, selected) {
        return Selection::Whole;
    }
    let parts = coalesced(specs.iter().filter_map(|spec| spec.part(length)));
    match parts[..] {
        // A suffix of nothing is all that there is of nothing.
        [] if length == 0 && specs.iter().any(|spec| matches!(spec, Spec::Suffix(1..))) => {
            Selection::Whole
        }
        [] => Selection::Unsatisfiable,
        [part] => Selection::Part(part),
        _ if !multipart::is_bounded(parts.len(), selected.first("content-type"), length) => {
            Selection::Whole
        }
        _ => Selection::Parts(parts),
    }
}

/// True when all that is before the range costs little to fetch too: an open range that begins near
/// `ready`, which is how much is there already. Its client then takes what is fetched to its end, and
/// the whole can be stored.
pub fn is_near(request: &RequestHead, ready: u64) -> bool {
    let most = ready.saturating_add(NEAR);
    matches!(specs(&request.fields).as_deref(), Some([Spec::Int(first, u64::MAX)]) if *first <= most)
}

/// True when all that is asked for is among the first `ready` bytes, which are there already, of a representation whose
/// length may be known.
pub fn is_there(request: &RequestHead, length: Option<u64>, ready: u64) -> bool {
    match (specs(&request.fields).as_deref(), length) {
        (Some([spec]), Some(length)) => spec.part(length).is_none_or(|part| part.end() <= ready),
        (Some([Spec::Int(_, last)]), None) => *last < ready,
        _ => false,
    }
}

/// Has the request ask for the whole of what it asks a part of.
pub fn ask_for_the_whole(request: &mut RequestHead) {
    if request.fields.has("range") || request.fields.has("if-range") {
        request.fields = without_range(&request.fields);
    }
}

fn without_range(request: &Fields) -> Fields {
    let about_range = |name: &[u8]| is_one_of(name, &["range", "if-range"]);
    let others = request.iter().filter(|(name, _)| !about_range(name));
    others.collect()
}

/// The parts less what they have in common: those that overlap or touch are one, in the place of the first of them.
fn coalesced(parts: impl Iterator<Item = ByteRange>) -> Vec<ByteRange> {
    let mut placed: Vec<(usize, ByteRange)> = parts.enumerate().collect();
    placed.sort_unstable_by_key(|(_, part)| part.first);
    let mut apart: Vec<(usize, ByteRange)> = Vec::with_capacity(placed.len());
    for (place, part) in placed {
        match apart.last_mut() {
            Some((first_place, last)) if part.first <= last.end() => {
                *last = ByteRange::between(last.first, last.end().max(part.end()));
                *first_place = place.min(*first_place);
            }
            _ => apart.push((place, part)),
        }
    }
    apart.sort_unstable_by_key(|(place, _)| *place);
    apart.into_iter().map(|(_, part)| part).collect()
}

/// The ranges of a valid Range field with the `bytes` unit (§14.1.1); `None` when it is to be ignored.
fn specs(request: &Fields) -> Option<Vec<Spec>> {
    let mut lines = request.all("range");
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return None;
    };
    let equals = memchr::memchr(b'=', line)?;
    if !line[..equals].eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut specs = Vec::new();
    for element in elements(&line[equals + 1..]) {
        if specs.len() == MOST {
            return None;
        }
        specs.push(spec(element)?);
    }
    (!specs.is_empty()).then_some(specs)
}

fn spec(text: &[u8]) -> Option<Spec> {
    let dash = memchr::memchr(b'-', text)?;
    match (&text[..dash], &text[dash + 1..]) {
        // A number that doesn't fit is beyond the end of anything.
        ([], suffix) => Some(Spec::Suffix(saturating_number(suffix)?)),
        (first, []) => Some(Spec::Int(saturating_number(first)?, u64::MAX)),
        (first, last) => {
            let (first, last) = (saturating_number(first)?, saturating_number(last)?);
            (first <= last).then_some(Spec::Int(first, last))
        }
    }
}

/// True when the condition in If-Range is true, or there is none (§13.1.5).
fn if_range_holds(request: &Fields, selected: &Fields) -> bool {
    let mut lines = request.all("if-range");
    let line = match (lines.next(), lines.next()) {
        (None, _) => return true,
        (Some(line), None) => line,
        (Some(_), Some(_)) => return false,
    };
    // A date has spaces, which a tag hasn't.
    if let Some(theirs) = EntityTag::presented(line) {
        let ours = selected.first("etag").and_then(EntityTag::parse);
        return ours.is_some_and(|ours| ours.strong_eq(&theirs));
    }
    let theirs = date::parse(line);
    theirs.is_some() && theirs == strong_date(selected)
}

/// `Last-Modified` where it is a strong validator: not in the second of `Date`, in which what it is about
/// could have changed again (§8.8.2.2).
pub fn strong_date(selected: &Fields) -> Option<UnixSeconds> {
    let at = |name| selected.first(name).and_then(date::parse);
    let (modified, made) = (at("last-modified")?, at("date")?);
    (made > modified).then_some(modified)
}

#[cfg(test)]
#[allow(clippy::type_complexity)]
mod tests;
