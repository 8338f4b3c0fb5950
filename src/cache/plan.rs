//! The plan for a request that the cache may answer (RFC 9111 §4; RFC 9110 §14; RFC 5861): one decision from the
//! request, what could answer it, and now. Workers carry it out, `explain` prints it.
//!
//! Nothing is looked up or sent here. Who selected the candidates has compared method, URI and variant.

mod failure;

use std::time::Duration;

use super::bypass::{Bypass, bypass};
use super::directives::RequestDirectives;
use super::freshness::Facts;
use super::parts::{HeldParts, Lacking, PartUse, part_use};
use super::range;
use super::reuse::{OnError, Reuse, ValidateReason, reuse};
use super::status::Forward;
use super::time::{FreshnessLeft, Timestamp};
use super::validation::{Condition, Selected, client_condition};
use super::versioned::{self, Remembered, with_class};
use crate::http::fields::Fields;
use crate::http::head::{Method, RequestHead};

pub use failure::{ValidationFailure, answers_instead};

/// A request as presented, with what is known of who sent it.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    pub head: &'a RequestHead,
    pub directives: RequestDirectives,
    /// A reason beside those in its head for which the cache has no part in it.
    pub bypass: Option<Bypass>,
    /// Its client may have what came from this machine's own addresses.
    pub is_local: bool,
    /// The memory of earlier requests for it, if it is for a versioned file.
    pub remembered: Remembered,
    /// Its origin server is known to hang.
    pub origin_hangs: bool,
}

/// A response that could answer, as far as the rules need to know it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub facts: &'a Facts,
    pub fields: &'a Fields,
    /// Only clients on this machine may have it.
    pub local: bool,
}

/// A response that is being received, and may be shared.
#[derive(Debug, Clone, Copy)]
pub struct Growing<'a> {
    pub facts: &'a Facts,
    /// The response as others than the one that brought it see it.
    pub selected: Selected<'a>,
    /// The length of its content, where its head tells it.
    pub length: Option<u64>,
    /// The bytes of its content that are there.
    pub ready: u64,
    /// All of them are; it is on its way into the store, in place of what that has.
    pub is_whole: bool,
}

/// All that could answer a request now.
#[derive(Debug, Clone, Copy, Default)]
pub struct Candidates<'a> {
    pub stored: Option<Candidate<'a>>,
    /// Where nothing is selected: others are stored for the URI, which this request doesn't select.
    pub other_variants: bool,
    /// The most recent of the stored parts that its client may have, and what they have of the representation.
    pub parts: Option<(Candidate<'a>, &'a HeldParts)>,
    /// The response that a running fetch receives.
    pub growing: Option<Growing<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateSource {
    Stored,
    Parts,
    /// The response that a running fetch receives.
    Growing,
}

/// An answer from what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reused {
    pub from: CandidateSource,
    pub age: Duration,
    pub left: FreshnessLeft,
    pub behind: Behind,
}

/// The validation of an answer after it, without the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// None.
    Nothing,
    /// By the first who gets it (RFC 5861 §3).
    Validate,
    /// By one request at a time for all of an origin server's, as that hangs (RFC 9111 §4.2.4).
    TryOrigin,
}

/// The extent of what is asked of the origin server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The whole, which others may wait for.
    Whole,
    /// The part that this client asks for, which is of no use to others.
    AsPresented,
}

/// The fate of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// The cache has no part in it.
    Bypass(Bypass),
    Refuse(PlanRefusal),
    Answer(Reused),
    Obtain(Obtain),
}

/// A question to the origin server, with its reason and extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obtain {
    pub question: Question,
    /// The reason in Cache-Status where another's fetch of the whole answers.
    pub forward: Forward,
    pub scope: Scope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Does the stored response still hold? Asked conditionally, if that has a validator.
    Validate {
        why: ValidateReason,
        on_error: OnError,
    },
    /// Do the stored parts, which have all that is wanted, still hold?
    ValidateParts { why: ValidateReason },
    /// For what the stored parts lack of what is wanted.
    Complete(Lacking),
    /// For the range as it is presented, as the stored response can't be validated.
    FetchRange { on_error: OnError },
    /// For a response; nothing that is stored has a part in it.
    Fetch,
}

impl Obtain {
    /// The reason in Cache-Status where its own fetch answers.
    pub fn own_forward(&self) -> Forward {
        if matches!(self.question, Question::Complete(_)) {
            Forward::Partial
        } else {
            self.forward
        }
    }

    /// The use of the stored response where asking fails.
    pub fn on_error(&self) -> Option<OnError> {
        match self.question {
            Question::Validate { on_error, .. } | Question::FetchRange { on_error } => {
                Some(on_error)
            }
            Question::ValidateParts { .. } | Question::Complete(_) | Question::Fetch => None,
        }
    }

    /// The detail in Cache-Status.
    pub fn detail(&self) -> Option<&'static str> {
        match self.question {
            Question::Validate { why, .. } | Question::ValidateParts { why } => Some(why.into()),
            Question::Complete(_) | Question::FetchRange { .. } | Question::Fetch => {
                (self.scope == Scope::AsPresented).then_some("range")
            }
        }
    }
}

/// A reason for which a request that the cache may answer is refused.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum PlanRefusal {
    #[error("only-if-cached was asked for, and nothing stored may be used")]
    OnlyIfCached,
}

impl PlanRefusal {
    pub fn status(self) -> u16 {
        match self {
            PlanRefusal::OnlyIfCached => 504,
        }
    }
}

/// Plans what becomes of a request at `now`.
pub fn plan(request: &Presented<'_>, candidates: &Candidates<'_>, now: Timestamp) -> Plan {
    if let Some(why) = bypass(request.head, &request.directives).or(request.bypass) {
        return match request.directives.only_if_cached {
            true => Plan::Refuse(PlanRefusal::OnlyIfCached),
            false => Plan::Bypass(why),
        };
    }
    // What is on its way into the store is as what is stored.
    let growing = candidates.growing.filter(|growing| {
        let Presented {
            head,
            directives,
            remembered,
            ..
        } = request;
        !growing.is_whole
            || !versioned::asks_again(head, directives, growing.facts, *remembered, now)
    });
    let candidates = &Candidates {
        growing,
        ..*candidates
    };
    if let Some(growing) = candidates.growing.filter(|growing| growing.is_whole) {
        if let Some(answer) = from_growing(request, &growing, now) {
            return answer;
        }
    }
    // Who may not have it is as one for whom nothing is stored; where it came from is judged when it is connected to.
    let stored = candidates.stored.as_ref();
    match stored.filter(|stored| request.is_local || !stored.local) {
        Some(stored) => from_stored(request, stored, candidates, now),
        None => without_stored(request, candidates, now),
    }
}

fn from_stored(
    request: &Presented<'_>,
    stored: &Candidate<'_>,
    candidates: &Candidates<'_>,
    now: Timestamp,
) -> Plan {
    let only_if_cached = request.directives.only_if_cached;
    let (directives, facts) = (&request.directives, stored.facts);
    let plain = reuse(directives, facts, now);
    match with_class(
        plain,
        request.head,
        directives,
        facts,
        request.remembered,
        now,
    ) {
        Reuse::Fresh { age, left } | Reuse::Stale { age, left } => {
            answer(CandidateSource::Stored, (age, left), Behind::Nothing)
        }
        Reuse::Validate {
            meanwhile: true,
            age,
            left,
            ..
        } => {
            let behind = match (only_if_cached, request.origin_hangs) {
                (true, _) => Behind::Nothing,
                (false, true) => Behind::TryOrigin,
                (false, false) => Behind::Validate,
            };
            answer(CandidateSource::Stored, (age, left), behind)
        }
        Reuse::Validate {
            why,
            age,
            left,
            on_error,
            ..
        } => {
            let growing = candidates.growing.as_ref();
            if let Some(answer) = growing.and_then(|growing| from_growing(request, growing, now)) {
                return answer;
            }
            if only_if_cached {
                return Plan::Refuse(PlanRefusal::OnlyIfCached);
            }
            if request.origin_hangs && answers_instead(on_error, ValidationFailure::Hangs) {
                return answer(CandidateSource::Stored, (age, left), Behind::TryOrigin);
            }
            let forward = why.forward(left);
            // Without a validator it is fetched anew, and then a distant range is asked for as it is.
            if !stored.facts.has_validator && !wants_whole(request.head, 0) {
                return obtain(
                    Question::FetchRange { on_error },
                    forward,
                    Scope::AsPresented,
                );
            }
            obtain(Question::Validate { why, on_error }, forward, Scope::Whole)
        }
    }
}

fn without_stored(request: &Presented<'_>, candidates: &Candidates<'_>, now: Timestamp) -> Plan {
    let (head, directives) = (request.head, &request.directives);
    let mut missing = None;
    let mut validate = None;
    if let Some((part, held)) = &candidates.parts {
        let usable = reuse(directives, part.facts, now);
        let fresh = usable.answers();
        // Nobody asks again for a part: that is a request for all.
        let remembered = request.remembered;
        let is_due = versioned::is_due(usable, head, directives, part.facts, remembered, now);
        let behind = match is_due && !request.origin_hangs {
            true => Behind::Validate,
            false => Behind::Nothing,
        };
        let own = !has_condition(head);
        match (part_use(head, held, part.fields, fresh.is_some()), usable) {
            (PartUse::Answer, Reuse::Fresh { age, left } | Reuse::Stale { age, left }) => {
                return answer(CandidateSource::Parts, (age, left), behind);
            }
            (PartUse::Ask(lacking), _) if own => {
                missing = Some((lacking, lacking.of.len == held.length()));
            }
            (PartUse::Validate, Reuse::Validate { why, left, .. }) if own => {
                validate = Some((why, why.forward(left)));
            }
            _ => {}
        }
    }
    let growing = candidates.growing.as_ref();
    if let Some(answer) = growing.and_then(|growing| from_growing(request, growing, now)) {
        return answer;
    }
    if directives.only_if_cached {
        return Plan::Refuse(PlanRefusal::OnlyIfCached);
    }
    if let Some((why, forward)) = validate {
        return obtain(Question::ValidateParts { why }, forward, Scope::AsPresented);
    }
    let forward = match candidates.other_variants {
        true => Forward::VaryMiss,
        false => Forward::UriMiss,
    };
    match missing {
        Some((lacking, true)) => obtain(Question::Complete(lacking), forward, Scope::Whole),
        _ if wants_whole(head, 0) => obtain(Question::Fetch, forward, Scope::Whole),
        Some((lacking, false)) => obtain(Question::Complete(lacking), forward, Scope::AsPresented),
        None => obtain(Question::Fetch, forward, Scope::AsPresented),
    }
}

fn obtain(question: Question, forward: Forward, scope: Scope) -> Plan {
    Plan::Obtain(Obtain {
        question,
        forward,
        scope,
    })
}

fn answer(from: CandidateSource, (age, left): (Duration, FreshnessLeft), behind: Behind) -> Plan {
    Plan::Answer(Reused {
        from,
        age,
        left,
        behind,
    })
}

/// The answer from what is being received: of its head alone, or if enough of the content is there or soon will be.
fn from_growing(request: &Presented<'_>, growing: &Growing<'_>, now: Timestamp) -> Option<Plan> {
    let head = request.head;
    let condition = client_condition(&head.method, &head.fields, growing.selected);
    let is_there = growing.is_whole
        || head.method == Method::Head
        || condition == Condition::NotModified
        || !range::is_asked(head)
        || range::is_near(head, growing.ready)
        || range::is_there(head, growing.length, growing.ready);
    let usable = reuse(&request.directives, growing.facts, now).answers();
    let may_share = is_there && !request.directives.no_cache;
    Some(answer(
        CandidateSource::Growing,
        usable.filter(|_| may_share)?,
        Behind::Nothing,
    ))
}

/// True when the request has a condition of the client's own, which its fetch then carries.
pub fn has_condition(head: &RequestHead) -> bool {
    head.fields.has("if-none-match") || head.fields.has("if-modified-since")
}

/// True when a request is best served by fetching the whole: it asks for that, or for what comes soon after
/// the bytes that are `ready`.
pub(super) fn wants_whole(head: &RequestHead, ready: u64) -> bool {
    !range::is_asked(head) || (range::is_near(head, ready) && !has_condition(head))
}

#[cfg(test)]
#[allow(clippy::type_complexity)]
mod tests;
