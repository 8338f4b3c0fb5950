//! The stored parts of what is fetched (RFC 9111 §3.4), and what the origin server is asked about them.

use std::rc::Rc;

use crate::cache::directives::TargetList;
use crate::cache::parts::{Gap, Lacking, PartialContent};
use crate::cache::personal::{PersonalFields, for_others};
use crate::cache::range::ByteRange;
use crate::http::fields::Fields;
use crate::http::head::ResponseHead;
use crate::worker::stored::Stored;
use crate::worker::stored_parts::StoredParts;

/// The stored parts of what is to be fetched.
#[derive(Clone)]
pub struct KnownParts {
    pub parts: Rc<StoredParts>,
    /// The question about them.
    pub ask: Ask,
}

/// A question about stored parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// None: they stay beside what comes.
    Nothing,
    /// Do they still hold?
    Validity,
    /// For this, under the condition that it fits.
    Missing(Lacking),
}

impl KnownParts {
    /// The most recent one, if the origin server is asked whether they still hold.
    pub fn validates(&self) -> Option<&Rc<Stored>> {
        (self.ask == Ask::Validity).then_some(&self.parts.recent)
    }

    /// What is asked for of a range that they lack some of.
    pub fn lacking(&self) -> Option<Lacking> {
        match self.ask {
            Ask::Missing(lacking) => Some(lacking),
            Ask::Nothing | Ask::Validity => None,
        }
    }

    /// The length of the representation.
    pub fn length(&self) -> u64 {
        self.parts.held.length()
    }

    /// The range that its request asks for.
    pub fn missing(&self) -> Option<ByteRange> {
        self.lacking().map(|lacking| lacking.first)
    }

    /// The same parts, with the question for the range that is asked for besides.
    pub fn then(&self) -> Option<KnownParts> {
        let lacking = self.lacking()?;
        let (first, then) = (lacking.then?, None);
        Some(KnownParts {
            ask: Ask::Missing(Lacking {
                first,
                then,
                ..lacking
            }),
            ..self.clone()
        })
    }

    fn first_gap(&self) -> Option<Gap> {
        Some(self.lacking()?.first_gap(self.length()))
    }

    /// The head of what they make together with this response, and the part that this has.
    pub fn joined(
        &self,
        response: &ResponseHead,
        content: Option<u64>,
        targets: &TargetList,
    ) -> Option<(ResponseHead, PartialContent)> {
        let gap = self.first_gap()?;
        let head = gap.filled(self.parts.fields(), response, content, targets)?;
        Some((head, gap.makes))
    }

    /// The same of what they make so, of which this is the head, and the response that has what is asked for besides. What
    /// was for one client alone in the first response isn't among the fields that the second updates: it is named by what
    /// that may replace.
    pub fn joined_besides(
        &self,
        head: &ResponseHead,
        response: &ResponseHead,
        content: Option<u64>,
        targets: &TargetList,
    ) -> Option<(ResponseHead, PartialContent)> {
        let gap = self.lacking()?.second_gap(self.length())?;
        let fields = for_others(&head.fields, targets);
        let mut both = gap.filled(&fields, response, content, targets)?;
        let cookies = PersonalFields::of(&Fields::default(), targets).alone_in(&head.fields);
        both.fields = both.fields.iter().chain(cookies.iter()).collect();
        Some((both, gap.makes))
    }
}
