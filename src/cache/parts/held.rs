//! The use of the stored parts of one representation for a request (RFC 9111 §3.3, §3.4): they answer it, are validated
//! before, or lack something that the origin server is asked for.

use super::{Gap, PartialContent, validator};
use crate::cache::range::{self, ByteRange, Selection};
use crate::cache::validation;
use crate::http::fields::Fields;
use crate::http::head::RequestHead;

/// What is stored anew together with what is asked for has to be copied. Beyond what the client wants so much is copied,
/// or so many times what is asked for where that makes it whole: else the parts stay apart.
const COPIED: u64 = 1 << 20;
const COPIED_FOR: u64 = 8;

/// The parts that are held of a representation whose length is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldParts {
    /// By first byte, with something lacking between each two: those that overlap or touch are one.
    runs: Vec<ByteRange>,
    length: u64,
}

impl HeldParts {
    /// These parts of a representation of `length` bytes.
    pub fn new(parts: impl IntoIterator<Item = ByteRange>, length: u64) -> HeldParts {
        let mut parts: Vec<ByteRange> = parts.into_iter().collect();
        parts.sort_unstable_by_key(|part| part.first);
        let mut runs: Vec<ByteRange> = Vec::with_capacity(parts.len());
        for part in parts {
            match runs.last_mut() {
                Some(run) if part.first <= run.end() => {
                    *run = ByteRange::between(run.first, run.end().max(part.end()));
                }
                _ => runs.push(part),
            }
        }
        HeldParts { runs, length }
    }

    /// What is held without a gap, by first byte.
    pub fn runs(&self) -> &[ByteRange] {
        &self.runs
    }

    /// The length of all of the representation.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// True when it is held from beginning to end.
    pub fn has(&self, wanted: ByteRange) -> bool {
        let has = |run: &ByteRange| run.first <= wanted.first && wanted.end() <= run.end();
        self.runs.iter().any(has)
    }

    /// From the first byte that is held to the last one; something may be lacking within.
    pub fn extent(&self) -> Option<PartialContent> {
        let (first, last) = (self.runs.first()?, self.runs.last()?);
        Some(PartialContent {
            part: ByteRange::between(first.first, last.end()),
            length: self.length,
        })
    }

    /// The ranges within this one that aren't held.
    fn gaps(&self, within: ByteRange) -> Vec<ByteRange> {
        let mut gaps = Vec::new();
        let mut at = within.first;
        for run in &self.runs {
            if run.first >= within.end() {
                break;
            }
            if run.first > at {
                gaps.push(ByteRange::between(at, run.first));
            }
            at = at.max(run.end());
        }
        if at < within.end() {
            gaps.push(ByteRange::between(at, within.end()));
        }
        gaps
    }

    /// What is asked for so that a range that isn't held can be answered; nothing where none of it is held, nor
    /// something beside it that is cheaply copied.
    fn lacking(&self, wanted: ByteRange) -> Option<Lacking> {
        let touches = |run: &&ByteRange| run.first <= wanted.end() && wanted.first <= run.end();
        let touching = self.runs.iter().filter(touches);
        let around = touching.fold(wanted, |all, run| {
            ByteRange::between(all.first.min(run.first), all.end().max(run.end()))
        });
        let lacking = self.lacking_of(around)?;
        let beside = around.len - wanted.len;
        let completes = around.len == self.length;
        match beside <= COPIED
            || (completes && beside <= lacking.amount().saturating_mul(COPIED_FOR))
        {
            true => Some(lacking),
            false => self.lacking_of(wanted),
        }
    }

    fn lacking_of(&self, of: ByteRange) -> Option<Lacking> {
        let mut gaps = self.gaps(of);
        // Both responses are there before a client is told anything; the least that is held is asked for again.
        while gaps.len() > 2 {
            let held = |at: &usize| gaps[at + 1].first - gaps[*at].end();
            let at = (0..gaps.len() - 1).min_by_key(held)?;
            let after = gaps.remove(at + 1);
            gaps[at] = ByteRange::between(gaps[at].first, after.end());
        }
        let (first, then) = (*gaps.first()?, gaps.get(1).copied());
        (first != of).then_some(Lacking { of, first, then })
    }
}

/// What is lacking of a range, in one place or two; the rest of it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lacking {
    /// The range.
    pub of: ByteRange,
    /// What is asked for first.
    pub first: ByteRange,
    /// What comes after that and is asked for besides.
    pub then: Option<ByteRange>,
}

impl Lacking {
    /// The number of bytes that are asked for.
    pub fn amount(self) -> u64 {
        self.first.len + self.then.map_or(0, |then| then.len)
    }

    /// The range as a part of a representation of this length.
    pub fn all(self, length: u64) -> PartialContent {
        let part = self.of;
        PartialContent { part, length }
    }

    /// What is asked for first, and what that makes.
    pub fn first_gap(self, length: u64) -> Gap {
        let end = self.then.map_or(self.of.end(), |then| then.first);
        let part = ByteRange::between(self.of.first, end);
        Gap {
            asked: self.first,
            makes: PartialContent { part, length },
        }
    }

    /// What is asked for besides: that makes all of it.
    pub fn second_gap(self, length: u64) -> Option<Gap> {
        let makes = self.all(length);
        self.then.map(|asked| Gap { asked, makes })
    }
}

/// The use of stored parts for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartUse {
    /// They answer the request by themselves.
    Answer,
    /// They would answer the request, but have to be validated before.
    Validate,
    /// The origin server is asked for this, and all is combined.
    Ask(Lacking),
    /// Nothing.
    Nothing,
}

/// Tells the use of stored parts, the most recent of which has these fields. If they aren't `fresh` they may not be used
/// without asking.
pub fn part_use(request: &RequestHead, held: &HeldParts, fields: &Fields, fresh: bool) -> PartUse {
    let lacks = match range::select(request, 200, fields, held.length) {
        Selection::Whole => Some(ByteRange::between(0, held.length)),
        Selection::Part(part) => Some(part),
        Selection::Parts(parts) if !parts.iter().all(|part| held.has(*part)) => {
            return PartUse::Nothing;
        }
        Selection::Parts(_) | Selection::Unsatisfiable => None,
    };
    let Some(wanted) = lacks.filter(|wanted| !held.has(*wanted)) else {
        // Asked under our own condition, the origin server wouldn't look at the client's.
        let ours = validation::has_validator(fields) && !request.fields.has("if-range");
        return match fresh {
            true => PartUse::Answer,
            false if ours => PartUse::Validate,
            false => PartUse::Nothing,
        };
    };
    match validator(fields) {
        Some(_) => held.lacking(wanted).map_or(PartUse::Nothing, PartUse::Ask),
        None => PartUse::Nothing,
    }
}

#[cfg(test)]
#[allow(clippy::type_complexity, clippy::unwrap_used)]
mod tests;
