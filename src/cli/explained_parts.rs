//! The stored parts of a URL, by representation, in sentences, for `cacheproxy explain`.

use super::described::ExplainedResponse;
use super::list::fields_of;
use super::output::amount;
use crate::cache::parts::{self, HeldParts, KeptPart, PartialContent};
use crate::cache::plan::Candidate;
use crate::cache::range::ByteRange;
use crate::http::fields::Fields;

/// The most ranges that are named.
const NAMED: usize = 8;

/// The stored parts of one representation.
pub(super) struct ExplainedParts<'a> {
    recent: &'a ExplainedResponse,
    held: HeldParts,
}

impl<'a> ExplainedParts<'a> {
    /// All of these, by variant and representation.
    pub(super) fn of(parts: &'a [ExplainedResponse]) -> Vec<ExplainedParts<'a>> {
        let mut left: Vec<&ExplainedResponse> = parts.iter().collect();
        let mut groups = Vec::new();
        while let Some(variant) = left.first().map(|part| part.stored.meta.variant.clone()) {
            let (of_variant, others): (Vec<_>, Vec<_>) =
                (left.into_iter()).partition(|part| part.stored.meta.variant == variant);
            let kept: Vec<_> = of_variant.iter().map(|part| kept(part)).collect();
            left = others;
            if let Some((places, recent)) = parts::of_the_most_recent(&kept) {
                let ranges = places.iter().map(|at| kept[*at].held.part);
                groups.push(ExplainedParts {
                    held: HeldParts::new(ranges, kept[recent].held.length),
                    recent: of_variant[recent],
                });
                let rest = of_variant.iter().enumerate();
                let rest = rest.filter(|(at, _)| !places.contains(at));
                left.extend(rest.map(|(_, part)| *part));
            }
        }
        groups
    }

    pub(super) fn is_selected_by(&self, request: &Fields) -> bool {
        self.recent.is_selected_by(request)
    }

    pub(super) fn candidate(&self) -> (Candidate<'_>, &HeldParts) {
        (self.recent.candidate(), &self.held)
    }

    /// Says how much of a response they have, and what they are good for.
    pub(super) fn described(&self) -> String {
        let whom = match fields_of(&self.recent.stored.meta.variant).as_str() {
            "" => String::new(),
            fields => format!(", for requests with {fields}"),
        };
        let runs = self.held.runs();
        let range = |run: &ByteRange| format!("{} to {}", run.first, run.end().saturating_sub(1));
        let mut ranges: Vec<String> = runs.iter().take(NAMED).map(range).collect();
        if runs.len() > NAMED {
            ranges.push(format!("{} more ranges", runs.len() - NAMED));
        }
        let last = ranges.pop().unwrap_or_default();
        let ranges = match ranges.is_empty() {
            true => last,
            false => format!("{} and {last}", ranges.join(", ")),
        };
        format!(
            "{} of it are stored{whom}: bytes {ranges} of {}. They answer ranges within; only the rest is asked for where \
             it has a strong validator.\n",
            amount(runs.iter().map(|run| run.len).sum()),
            self.held.length()
        )
    }
}

fn kept(part: &ExplainedResponse) -> KeptPart<'_> {
    KeptPart {
        fields: &part.stored.meta.fields,
        received: part.stored.meta.response_time,
        held: held(part),
    }
}

fn held(part: &ExplainedResponse) -> PartialContent {
    parts::stored(&part.stored.meta, part.stored.info.content)
}
