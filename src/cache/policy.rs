//! The settings for one URI: a freshness lifetime for responses that give none, a ceiling,
//! and the rule whose pattern the URI matches. `config` makes it.
//!
//! Their rank beside the origin's directives is decided in `freshness`.

use std::borrow::Cow;

use super::directives::TargetList;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// The targeted fields that count in place of Cache-Control.
    pub targeted: TargetList,
    /// The freshness lifetime of responses without an explicit one.
    pub ttl: Ttl,
    /// The longest freshness lifetime, whatever it came from, in seconds.
    pub max_ttl: Option<u64>,
    /// The freshness that the matching rule sets.
    pub rule: Option<RuleFreshness>,
    /// The seconds for which a response without the directive may be served stale while being validated.
    pub stale_while_revalidate: u64,
    /// The seconds for which a response without the directive may be served stale instead of an error.
    pub stale_if_error: Option<u64>,
    /// The responses that are stored, and for whom.
    pub store: StoreRule,
    /// Responses are for all though cookies came or went with them; the cookies themselves never are.
    pub ignore_cookies: bool,
}

/// The freshness lifetime of a response that has no explicit one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ttl {
    /// A fraction of the time since `Last-Modified` (RFC 9111 §4.2.2).
    #[default]
    Heuristic,
    /// Seconds.
    Fixed(u64),
}

/// The freshness that a rule sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleFreshness {
    Ttl(RuleTtl),
    /// A file that never changes under its URI is never stale, whatever the origin server, `ttl` and `max_ttl` say.
    Kept,
    /// A file whose name tells its version has a lifetime; `versioned` says when it is validated before that ends.
    Versioned(RuleTtl),
}

impl RuleFreshness {
    pub(super) fn ttl(self) -> Option<RuleTtl> {
        match self {
            RuleFreshness::Ttl(ttl) | RuleFreshness::Versioned(ttl) => Some(ttl),
            RuleFreshness::Kept => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleTtl {
    pub seconds: u64,
    /// It also replaces an explicit lifetime and `no-cache`.
    pub force: bool,
}

/// The storing of what no-store, private or Authorization forbids to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreRule {
    /// As RFC 9111 §3 says.
    #[default]
    Standard,
    /// It is stored: for all, or else for the client alone whose request brought it.
    Always { public: bool },
}

/// The part of what forbids to store a response that the operator lifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lift {
    Nothing,
    /// no-store, private and Authorization.
    ForAll,
    /// Cookies that came or went, too: no other client gets what followed from them.
    ForClient,
}

impl RuleTtl {
    /// The lifetime of versioned files, where their rule sets none.
    pub const VERSIONED: RuleTtl = RuleTtl {
        seconds: 30 * 24 * 60 * 60,
        force: false,
    };
}

impl Policy {
    /// The part that the operator lifts of what forbids to store a response, where that is kept apart for those that the
    /// rule is for.
    pub(super) fn lift(&self, is_apart: bool) -> Lift {
        match self.store {
            StoreRule::Always { public: true } if is_apart => Lift::ForAll,
            StoreRule::Always { public: false } if is_apart => Lift::ForClient,
            StoreRule::Always { .. } | StoreRule::Standard => Lift::Nothing,
        }
    }

    /// True for a URI whose file is validated now and then though it is fresh.
    pub fn is_versioned(&self) -> bool {
        matches!(self.rule, Some(RuleFreshness::Versioned(_)))
    }

    /// The freshness that the rule sets for a response with this status. A class is of a file: a redirection to it, or
    /// from it, has none.
    pub(super) fn rule_for(&self, status: u16) -> Option<RuleFreshness> {
        self.rule.filter(|rule| match rule {
            RuleFreshness::Ttl(_) => applies(status),
            RuleFreshness::Kept | RuleFreshness::Versioned(_) => matches!(status, 200 | 203 | 206),
        })
    }

    /// The policy for a response whose end nothing proves: a file that may have been cut short isn't kept for ever.
    pub(super) fn for_unproven_end(&self) -> Cow<'_, Policy> {
        match self.rule {
            Some(RuleFreshness::Kept) => Cow::Owned(Policy {
                rule: Some(RuleFreshness::Versioned(RuleTtl::VERSIONED)),
                ..self.clone()
            }),
            Some(RuleFreshness::Ttl(_) | RuleFreshness::Versioned(_)) | None => Cow::Borrowed(self),
        }
    }
}

/// True for a status to whose responses a configured lifetime applies. An operator who says that
/// packages stay fresh for a month does not mean that a missing one stays missing for a month.
pub(super) fn applies(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 206 | 300 | 301 | 308)
}
