//! What is stored for a URL, in sentences, for `cacheproxy explain`.

use std::fmt::Write as _;

use super::list::fields_of;
use super::output::{amount, duration};
use crate::cache::freshness::{Facts, LifetimeSource};
use crate::cache::plan::Candidate;
use crate::cache::time::Timestamp;
use crate::cache::validation::conditional_fields;
use crate::http::fields::Fields;
use crate::store::admin::StoredResponse;
use crate::sys::printable::printable;

/// The sentence that says what is stored for a URL at all: so many whole responses and ones of which there are parts, and one to HEAD.
pub(super) fn headline(url: &str, whole: usize, parts: usize, of_head: bool) -> String {
    match (whole, parts, of_head) {
        (0, 0, false) => format!("Nothing is stored for GET {url}"),
        (0, 0, true) => {
            format!("Only a response to HEAD is stored for {url}, which answers HEAD only.")
        }
        (0, 1, _) => format!("Only a part of a response is stored for {url}"),
        (0, parts, _) => {
            format!("Only parts of responses are stored for {url}, of {parts} variants")
        }
        (1, _, _) => format!("One response is stored for {url}"),
        (whole, _, _) => format!("{whole} variants are stored for {url}"),
    }
}

/// A stored response, and what is known of it.
pub(super) struct ExplainedResponse {
    pub(super) stored: StoredResponse,
    pub(super) facts: Facts,
    /// About how often it answered; None when no proxy runs.
    pub(super) hits: Option<u32>,
}

impl ExplainedResponse {
    pub(super) fn is_selected_by(&self, request: &Fields) -> bool {
        self.stored.meta.is_selected_by(request)
    }

    pub(super) fn candidate(&self) -> Candidate<'_> {
        Candidate {
            facts: &self.facts,
            fields: &self.stored.meta.fields,
            local: self.stored.meta.local,
        }
    }
}

/// Says what it is, how old, and until when it is fresh.
pub(super) fn described(known: &ExplainedResponse, now: Timestamp) -> String {
    let ExplainedResponse {
        stored,
        facts,
        hits,
    } = known;
    let StoredResponse { info, meta } = stored;
    let age = facts.current_age(now);
    let (status, size) = (meta.status, amount(info.content));
    let mut text = format!("Status {status}, {size} of content");
    match fields_of(&meta.variant).as_str() {
        "" => text.push_str(".\n"),
        fields => {
            let _ = writeln!(text, ", for requests with {fields}.");
        }
    }
    let is_kept = facts.lifetime.source == LifetimeSource::Kept;
    let left = facts.freshness_left(age);
    let state = match left.is_fresh() {
        true if is_kept => "never stale".to_owned(),
        true => format!("fresh for {} more", duration(left.seconds().unsigned_abs())),
        false => format!("stale since {}", duration(left.staleness().as_secs())),
    };
    let age = duration(age.as_secs());
    let _ = writeln!(text, "   Its age is {age}, and it is {state}.");
    let capped = if facts.lifetime.capped {
        ", cut short by max_ttl"
    } else {
        ""
    };
    let source = facts.lifetime.source;
    let _ = match is_kept {
        true => writeln!(text, "   Its freshness lifetime has no end: {source}."),
        false => writeln!(
            text,
            "   Its freshness lifetime is {}: {source}{capped}.",
            duration(facts.lifetime.seconds)
        ),
    };
    let validators: Vec<String> = conditional_fields(&meta.fields)
        .map(|(name, value)| format!("{name}: {}", printable(value)))
        .collect();
    match validators.as_slice() {
        [] => text.push_str("   It has no validator, so a stale one is fetched anew.\n"),
        some => text.push_str(&format!("   It is validated with {}.\n", some.join(", "))),
    }
    match hits {
        Some(1) => text.push_str("   It answered about 1 request.\n"),
        Some(hits) => text.push_str(&format!("   It answered about {hits} requests.\n")),
        None => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_said() {
        let table = [
            (0, 0, false, "Nothing is stored for GET u"),
            (
                0,
                0,
                true,
                "Only a response to HEAD is stored for u, which answers HEAD only.",
            ),
            (0, 1, false, "Only a part of a response is stored for u"),
            (0, 1, true, "Only a part of a response is stored for u"),
            (
                0,
                2,
                false,
                "Only parts of responses are stored for u, of 2 variants",
            ),
            (1, 1, true, "One response is stored for u"),
            (2, 0, false, "2 variants are stored for u"),
        ];
        for (whole, parts, of_head, expected) in table {
            assert_eq!(headline("u", whole, parts, of_head), expected);
        }
    }
}
