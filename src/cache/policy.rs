//! The settings for one URI: a freshness lifetime for responses that give none, a ceiling,
//! and the rule whose pattern the URI matches. `config` makes it.
//!
//! Their rank beside the origin's directives is decided in `freshness`.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// The freshness lifetime of responses without an explicit one.
    pub ttl: Ttl,
    /// The longest freshness lifetime, whatever it came from, in seconds.
    pub max_ttl: Option<u64>,
    /// The lifetime that the matching rule sets.
    pub rule: Option<RuleTtl>,
    /// The seconds for which a response without the directive may be served stale while being validated.
    pub stale_while_revalidate: u64,
    /// The seconds for which a response without the directive may be served stale instead of an error.
    pub stale_if_error: Option<u64>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleTtl {
    pub seconds: u64,
    /// It also replaces an explicit lifetime and `no-cache`.
    pub force: bool,
}

/// True for a status to whose responses a configured lifetime applies. An operator who says that
/// packages stay fresh for a month does not mean that a missing one stays missing for a month.
pub(super) fn applies(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 206 | 300 | 301 | 308)
}
