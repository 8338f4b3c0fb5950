//! May a stored response answer this request now (RFC 9111 §4, §4.2.4, §5.2.1; RFC 5861; RFC 8246)?
//!
//! That method, URI and variant match is known by whoever found it. Nothing here allocates: a hit
//! costs one pass over the request's fields and one call of [`reuse`].

use std::time::Duration;

use super::directives::RequestDirectives;
use super::freshness::Facts;
use super::status::Forward;
use super::time::{FreshnessLeft, Timestamp};

/// The use of a stored response that matches a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// It is fresh: answer with it.
    Fresh { age: Duration, left: FreshnessLeft },
    /// It is stale and the client accepts that: answer with it.
    Stale { age: Duration, left: FreshnessLeft },
    /// The origin has to be asked first, conditionally if there is a validator. With
    /// `only-if-cached` the answer is 504 (Gateway Timeout) instead.
    Validate {
        why: ValidateReason,
        /// Its age now.
        age: Duration,
        left: FreshnessLeft,
        /// True when it may answer now if the validation is begun in the background. One who does not
        /// validate in the background waits for the validation.
        meanwhile: bool,
        /// Its use when the validation fails.
        on_error: OnError,
    },
}

impl Reuse {
    /// The age and the freshness left of a response that answers without being validated.
    pub fn answers(self) -> Option<(Duration, FreshnessLeft)> {
        match self {
            Reuse::Fresh { age, left } | Reuse::Stale { age, left } => Some((age, left)),
            Reuse::Validate { .. } => None,
        }
    }
}

/// A reason why a stored response has to be validated before it is used.
#[derive(Debug, strum::IntoStaticStr, thiserror::Error, Clone, Copy, PartialEq, Eq)]
#[strum(serialize_all = "kebab-case")]
pub enum ValidateReason {
    #[error("the request has no-cache")]
    RequestNoCache,
    #[error("the request has no-store")]
    RequestNoStore,
    #[error("it is older than the request's max-age")]
    RequestMaxAge,
    #[error("it does not stay fresh for as long as the request's min-fresh")]
    RequestMinFresh,
    #[error("the response may be used only after validation")]
    NoCache,
    #[error("it is stale")]
    Stale,
    #[error("it is stale, and the response forbids to serve it stale")]
    MustRevalidate,
    #[error("the same client asks for this versioned file again, as it would after a wrong hash")]
    AskedAgain,
    #[error("this versioned file is older than a day")]
    Versioned,
    #[error("it is stale, and neither the origin server nor a rule said for how long it is fresh")]
    NotExplicit,
}

impl ValidateReason {
    /// The reason in Cache-Status: the request refuses a response with freshness left, or it has to
    /// be validated whatever the request says.
    pub fn forward(self, left: FreshnessLeft) -> Forward {
        let by_request = !matches!(
            self,
            Self::NoCache | Self::Stale | Self::MustRevalidate | Self::NotExplicit
        );
        if by_request && left.is_fresh() {
            Forward::Request
        } else {
            Forward::Stale
        }
    }
}

/// The use of a stored response when the origin server doesn't answer (RFC 9111 §4.2.4, RFC 5861 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnError {
    /// Never: the client gets the error.
    No,
    /// When the origin cannot be reached, but not when it answers with an error.
    Disconnected,
    /// When the origin cannot be reached, or answers 500, 502, 503 or 504.
    Error,
    /// Unless the origin's answer is another response or a redirection, or says that there is none any more: it is fresh,
    /// and was asked about all the same.
    Refused,
}

/// True when an origin's answer counts as an error for `stale-if-error` (RFC 5861 §4).
pub fn is_error(status: u16) -> bool {
    matches!(status, 500 | 502 | 503 | 504)
}

/// True when an origin's answer to the validation of a fresh response says nothing of that: such as that its client
/// asks too often (429).
pub fn is_refusal(status: u16) -> bool {
    !matches!(status, 200..=399 | 404 | 410)
}

/// Decides on the use of a stored response for a request at `now`.
pub fn reuse(request: &RequestDirectives, facts: &Facts, now: Timestamp) -> Reuse {
    let age = facts.current_age(now);
    let left = facts.freshness_left(age);
    match objection(request, facts, age, left) {
        Some(why) => Reuse::Validate {
            why,
            age,
            left,
            meanwhile: why == ValidateReason::Stale && meanwhile(request, facts, left),
            on_error: on_error(request, facts, left),
        },
        None if left.is_fresh() => Reuse::Fresh { age, left },
        None => Reuse::Stale { age, left },
    }
}

/// The objection to using the response without validation.
fn objection(
    request: &RequestDirectives,
    facts: &Facts,
    age: Duration,
    left: FreshnessLeft,
) -> Option<ValidateReason> {
    let fresh = left.is_fresh();
    // Whoever says 0 wants to know what holds now, however short a time ago it was asked for.
    let too_old = |max_age| max_age == 0 || age > Duration::from_secs(max_age);
    // While fresh it is as new as one of age 0; no-cache still asks for more.
    let is_as_new = fresh && facts.immutable;
    if request.no_store {
        Some(ValidateReason::RequestNoStore)
    } else if request.no_cache {
        Some(ValidateReason::RequestNoCache)
    } else if facts.no_cache {
        Some(ValidateReason::NoCache)
    } else if !fresh && facts.must_revalidate {
        Some(ValidateReason::MustRevalidate)
    } else if !fresh
        && request
            .max_stale
            .is_none_or(|most| left.staleness() > Duration::from_secs(most))
    {
        Some(ValidateReason::Stale)
    } else if !fresh && facts.lifetime.source.is_guess() {
        Some(ValidateReason::NotExplicit)
    } else if !is_as_new && request.max_age.is_some_and(too_old) {
        Some(ValidateReason::RequestMaxAge)
    } else if request.min_fresh.is_some_and(|least| !left.lasts(least)) {
        Some(ValidateReason::RequestMinFresh)
    } else {
        None
    }
}

/// True when the response's `stale-while-revalidate` covers it. A client that says how fresh it wants
/// a response, or how stale it takes one, gets no staler one.
fn meanwhile(request: &RequestDirectives, facts: &Facts, left: FreshnessLeft) -> bool {
    let said = request.max_age.or(request.min_fresh).or(request.max_stale);
    said.is_none() && covers(facts.stale_while_revalidate, left)
}

fn on_error(request: &RequestDirectives, facts: &Facts, left: FreshnessLeft) -> OnError {
    let forbidden = request.no_store || request.no_cache || facts.no_cache;
    if forbidden || !left.is_fresh() && facts.must_revalidate {
        return OnError::No;
    }
    // What only a guess made fresh was shared as long as that, unless somebody else than a client says so.
    let is_guess = !left.is_fresh() && facts.lifetime.source.is_guess();
    let asked = request.stale_if_error.filter(|_| !is_guess);
    match asked.max(facts.stale_if_error) {
        None if is_guess => OnError::No,
        None => OnError::Disconnected,
        Some(seconds) if covers(seconds, left) => OnError::Error,
        Some(_) => OnError::No,
    }
}

/// True when a permission to serve stale for `seconds` covers a response with this much freshness left.
/// No seconds are no permission, even in the second in which it becomes stale.
fn covers(seconds: u64, left: FreshnessLeft) -> bool {
    seconds > 0 && left.staleness() <= Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests;
