//! A stored part of what is fetched (RFC 9111 §3.4), and what the origin server is asked about it.

use std::rc::Rc;

use crate::cache::directives::TargetList;
use crate::cache::parts::{self, Lacking, PartialContent};
use crate::cache::personal::{PersonalFields, for_others};
use crate::cache::range::ByteRange;
use crate::http::fields::Fields;
use crate::http::head::ResponseHead;
use crate::worker::stored::Stored;

/// A stored part of what is to be fetched.
#[derive(Clone)]
pub struct StoredPart {
    pub stored: Rc<Stored>,
    /// The part of the representation that it has.
    pub held: PartialContent,
    /// The question about it.
    pub ask: Ask,
}

/// A question about a stored part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// None: it stays beside what comes, unless that is more.
    Nothing,
    /// Does it still hold?
    Validity,
    /// For this, under the condition that it fits.
    Missing(Lacking),
}

impl StoredPart {
    /// The stored response, if the origin server is asked whether it still holds.
    pub fn validates(&self) -> Option<&Rc<Stored>> {
        (self.ask == Ask::Validity).then_some(&self.stored)
    }

    fn lacking(&self) -> Option<Lacking> {
        match self.ask {
            Ask::Missing(lacking) => Some(lacking),
            Ask::Nothing | Ask::Validity => None,
        }
    }

    /// The range that its request asks for.
    pub fn missing(&self) -> Option<ByteRange> {
        self.lacking().map(Lacking::first)
    }

    /// The same part, with the question for the range after it that is asked for besides.
    pub fn then_after(&self) -> Option<StoredPart> {
        let after = self.lacking()?.then_after()?;
        Some(StoredPart {
            ask: Ask::Missing(Lacking::Beside(after)),
            ..self.clone()
        })
    }

    /// True when it begins before what is asked for.
    pub fn comes_first(&self) -> bool {
        (self.missing()).is_none_or(|missing| self.held.part.first < missing.first)
    }

    /// The head of what it makes together with this response, and the part that this has.
    pub fn joined(
        &self,
        response: &ResponseHead,
        content: Option<u64>,
        targets: &TargetList,
    ) -> Option<(ResponseHead, PartialContent)> {
        let ours = &self.stored.object.meta.fields;
        parts::combined(ours, self.held, self.missing()?, response, content, targets)
    }

    /// The same of what it makes so, and the response that has what comes after it. What was for one client alone in the
    /// first response isn't among the fields that the second updates: it is named by what that may replace.
    pub fn joined_besides(
        &self,
        (head, held): &(ResponseHead, PartialContent),
        response: &ResponseHead,
        content: Option<u64>,
        targets: &TargetList,
    ) -> Option<(ResponseHead, PartialContent)> {
        let asked = self.lacking()?.then_after()?;
        let fields = for_others(&head.fields, targets);
        let (mut both, held) = parts::combined(&fields, *held, asked, response, content, targets)?;
        let cookies = PersonalFields::of(&Fields::default(), targets).alone_in(&head.fields);
        both.fields = both.fields.iter().chain(cookies.iter()).collect();
        Some((both, held))
    }

    /// True when it is of the same representation and no shorter than another part.
    pub fn outdoes(&self, other: ByteRange, validated: &Fields) -> bool {
        let ours = &self.stored.object.meta.fields;
        other.len <= self.held.part.len && parts::share_validator(ours, validated)
    }
}
