//! The freshness lifetime of a response (RFC 9111 §4.2.1, §4.2.2), and the facts about a stored response
//! that decide over its reuse, computed once for each.
//!
//! A request's part in that decision is in `reuse`.

use std::borrow::Cow;
use std::time::Duration;

use super::age::{aged, date_value, initial_age};
use super::directives::{FOREVER, ResponseDirectives};
use super::personal::sets_cookies;
use super::policy::{Lift, Policy, RuleFreshness, Ttl, applies};
use super::stored::Meta;
use super::time::{FreshnessLeft, Timestamp};
use super::{validation, vary};
use crate::http::date::{self, UnixSeconds};
use crate::http::fields::Fields;

/// A tenth of the time since the last modification (the typical fraction in RFC 9111 §4.2.2).
const HEURISTIC_DIVISOR: u64 = 10;

/// A guess is never good for longer than a day: past that, HTTP used to demand a warning with every
/// heuristically fresh answer.
const HEURISTIC_MOST: u64 = 24 * 60 * 60;

/// The lifetime of what is kept: longer than any age.
const KEPT: u64 = 2 * FOREVER;

/// A freshness lifetime and what it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lifetime {
    pub seconds: u64,
    pub source: LifetimeSource,
    /// The operator's ceiling cut it short.
    pub capped: bool,
}

/// The origin of a freshness lifetime.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq, Default)]
pub enum LifetimeSource {
    #[error("a rule of the configuration says that it never changes")]
    Kept,
    #[error("a rule of the configuration overrides the origin")]
    ForcedRule,
    #[error("the origin sent s-maxage")]
    SMaxage,
    #[error("the origin sent max-age")]
    MaxAge,
    #[error("the origin sent Expires")]
    Expires,
    #[error("a rule of the configuration sets it, since the origin sent none")]
    Rule,
    #[error("the configured ttl sets it, since the origin sent none")]
    Ttl,
    #[error("it is guessed from Last-Modified, since the origin sent none")]
    Heuristic,
    #[default]
    #[error("the origin sent none and there is nothing to guess it from")]
    Nothing,
}

impl LifetimeSource {
    /// True for one that nobody has said, the origin server as little as the operator.
    pub(super) fn is_guess(self) -> bool {
        matches!(self, Self::Heuristic | Self::Nothing)
    }

    /// True if the operator gave it, whatever the origin server says of freshness.
    pub(super) fn is_forced(self) -> bool {
        matches!(self, Self::Kept | Self::ForcedRule)
    }

    /// True if the origin server itself gave the lifetime.
    pub(super) fn is_explicit(self) -> bool {
        matches!(self, Self::SMaxage | Self::MaxAge | Self::Expires)
    }
}

/// The facts about a stored response that decide over its reuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    pub lifetime: Lifetime,
    /// The age when it was received (corrected_initial_age).
    pub initial_age: Duration,
    pub response_time: Timestamp,
    /// Each use needs a validation.
    pub no_cache: bool,
    /// It is never served stale.
    pub must_revalidate: bool,
    pub has_validator: bool,
    /// It is stored for one client, which alone selects it.
    pub for_one_client: bool,
    /// It does not change while it is fresh (RFC 8246), by its origin server's word or the operator's.
    pub immutable: bool,
    /// It is validated now and then though it is fresh.
    pub versioned: bool,
    /// The seconds after it became stale for which it may be served while it is being validated (RFC 5861 §3).
    pub stale_while_revalidate: u64,
    /// The seconds after it became stale for which it may be served instead of an error (RFC 5861 §4).
    pub stale_if_error: Option<u64>,
}

impl Facts {
    pub fn of(meta: &Meta, policy: &Policy) -> Facts {
        let policy = &*match meta.is_until_close() {
            true => policy.for_unproven_end(),
            false => Cow::Borrowed(policy),
        };
        let directives = ResponseDirectives::of(&meta.fields, &policy.targeted);
        let fields = &meta.fields;
        let lifetime = lifetime(meta.status, fields, &directives, meta.response_time, policy);
        // A validation can bring what forbids storing or matching; what is there then waits for the
        // next validation.
        let unstorable = (directives.private || directives.no_store && !directives.must_understand)
            && policy.lift(meta.variant.is_apart()) == Lift::Nothing;
        // Stored before such responses weren't.
        let explicit = explicit(fields, &directives, meta.response_time).is_some();
        let is_one_client_s = sets_cookies(fields) && !explicit && !policy.ignore_cookies;
        let unmatchable = vary::names(fields).is_none();
        let rule = policy.rule_for(meta.status);
        let no_cache = directives.no_cache && !lifetime.source.is_forced();
        Facts {
            lifetime,
            initial_age: initial_age(fields, meta.request_time, meta.response_time),
            response_time: meta.response_time,
            no_cache: no_cache || unstorable || is_one_client_s || unmatchable,
            must_revalidate: directives.must_revalidate
                || directives.proxy_revalidate
                || directives.s_maxage.is_some(),
            has_validator: validation::has_validator(fields),
            for_one_client: meta.variant.is_for_client(),
            immutable: directives.immutable || lifetime.source == LifetimeSource::Kept,
            versioned: matches!(rule, Some(RuleFreshness::Versioned(_))) && !directives.immutable,
            stale_while_revalidate: directives
                .stale_while_revalidate
                .unwrap_or(policy.stale_while_revalidate),
            stale_if_error: directives.stale_if_error.or(policy.stale_if_error),
        }
    }

    /// The age at `now` (RFC 9111 §4.2.3), never more than 2^31 seconds.
    pub fn current_age(&self, now: Timestamp) -> Duration {
        aged(self.initial_age, now.since(self.response_time))
    }

    /// The freshness left at this age.
    pub fn freshness_left(&self, age: Duration) -> FreshnessLeft {
        FreshnessLeft::of(Duration::from_secs(self.lifetime.seconds), age)
    }
}

/// The freshness lifetime of a response received at `received`, from the first source that has one.
pub(super) fn lifetime(
    status: u16,
    fields: &Fields,
    directives: &ResponseDirectives,
    received: Timestamp,
    policy: &Policy,
) -> Lifetime {
    let date = date_value(fields, received);
    let rule = policy.rule_for(status);
    if rule == Some(RuleFreshness::Kept) {
        return Lifetime {
            seconds: KEPT,
            source: LifetimeSource::Kept,
            capped: false,
        };
    }
    let rule = rule.and_then(RuleFreshness::ttl);
    let forced = rule.filter(|rule| rule.force);
    let ttl = match policy.ttl {
        Ttl::Fixed(seconds) if applies(status) => Some(seconds),
        Ttl::Fixed(_) | Ttl::Heuristic => None,
    };
    let guessable = heuristically_cacheable(status) || directives.public;
    let (seconds, source) = None
        .or(forced.map(|rule| (rule.seconds, LifetimeSource::ForcedRule)))
        .or(explicit(fields, directives, received))
        .or(rule.map(|rule| (rule.seconds, LifetimeSource::Rule)))
        .or(ttl.map(|s| (s, LifetimeSource::Ttl)))
        .or_else(|| {
            Some((
                guess(fields, date).filter(|_| guessable)?,
                LifetimeSource::Heuristic,
            ))
        })
        .unwrap_or((0, LifetimeSource::Nothing));
    let most = policy.max_ttl.unwrap_or(FOREVER).min(FOREVER);
    Lifetime {
        seconds: seconds.min(most),
        source,
        capped: seconds > most,
    }
}

/// The lifetime that the origin server itself gave, if it did, and its source.
pub(super) fn explicit(
    fields: &Fields,
    directives: &ResponseDirectives,
    received: Timestamp,
) -> Option<(u64, LifetimeSource)> {
    let date = date_value(fields, received);
    None.or(directives.s_maxage.map(|s| (s, LifetimeSource::SMaxage)))
        .or(directives.max_age.map(|s| (s, LifetimeSource::MaxAge)))
        .or_else(|| {
            let expires = expires(fields, date, received).filter(|_| !directives.targeted)?;
            Some((expires, LifetimeSource::Expires))
        })
}

/// True for a status that is heuristically cacheable (RFC 9110 §15.1).
pub(super) fn heuristically_cacheable(status: u16) -> bool {
    matches!(
        status,
        200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

/// The lifetime that `Expires` gives: the shortest when there are several lines, and none left when
/// a line is no date (RFC 9111 §5.3).
fn expires(fields: &Fields, date: UnixSeconds, received: Timestamp) -> Option<u64> {
    fields
        .all("expires")
        .map(|line| {
            date::parse_at(line, received.seconds())
                .map_or(0, |expires| expires.saturating_sub(date))
        })
        .min()
}

/// The lifetime guessed from `Last-Modified`.
fn guess(fields: &Fields, date: UnixSeconds) -> Option<u64> {
    let modified = fields.first("last-modified").and_then(date::parse)?;
    Some((date.saturating_sub(modified) / HEURISTIC_DIVISOR).min(HEURISTIC_MOST))
}

#[cfg(test)]
mod tests;
