//! The keys of a `[[rule]]`, as written, and how those that belong together come to one rule.
//!
//! Which rule counts for a URI is decided in `rules`.

use super::error::ConfigError;
use super::key_value::KeyValue;
use super::rules::Rule;
use crate::cache::policy::{RuleFreshness, RuleTtl, StoreRule};

pub(super) const RULE: &str = "match class ttl override bypass store public ignore_query ignore_cookies \
    stale_while_revalidate stale_if_error";

const NO_TTL: &str = "[[rule]] has no ttl, such as ttl = \"30d\"";

pub(super) fn rules(entry: &KeyValue) -> Result<Vec<Rule>, ConfigError> {
    let tables = entry.elements("tables, each beginning with [[rule]]")?;
    tables.iter().map(rule).collect()
}

fn rule(table: &KeyValue) -> Result<Rule, ConfigError> {
    let mut rule = Rule::default();
    let mut freshness = FreshnessKeys::default();
    let mut storing = StoringKeys::default();
    for entry in table.table("rule.")? {
        match entry.key.as_str() {
            "rule.match" => rule.globs = entry.globs()?,
            "rule.class" => freshness.is_kept = Some(entry.choice("kept versioned")? == "kept"),
            "rule.ttl" => freshness.seconds = Some(entry.lifetime()?),
            "rule.override" => freshness.force = Some(entry.boolean()?),
            "rule.bypass" => rule.bypass = Some(entry.boolean()?),
            "rule.store" => storing.always = Some(entry.choice("rules always")? == "always"),
            "rule.public" => storing.public = Some(entry.boolean()?),
            "rule.ignore_query" => rule.ignore_query = Some(entry.names()?),
            "rule.ignore_cookies" => rule.ignore_cookies = Some(entry.boolean()?),
            "rule.stale_while_revalidate" => rule.stale_while_revalidate = Some(entry.lifetime()?),
            "rule.stale_if_error" => rule.stale_if_error = Some(entry.none_or_lifetime()?),
            _ => return Err(entry.unknown("rule.", RULE)),
        }
    }
    if rule.globs.is_empty() {
        return Err(table.lacks("[[rule]] has no match, such as match = \"*.deb\""));
    }
    rule.freshness = freshness.said().map_err(|why| table.lacks(why))?;
    rule.store = storing.said().map_err(|why| table.lacks(why))?;
    let silent = Rule {
        globs: rule.globs.clone(),
        ..Rule::default()
    };
    match rule == silent {
        true => Err(table.lacks(NO_TTL)),
        false => Ok(rule),
    }
}

/// The keys that count together for how long a response is fresh.
#[derive(Default)]
struct FreshnessKeys {
    is_kept: Option<bool>,
    seconds: Option<u64>,
    force: Option<bool>,
}

impl FreshnessKeys {
    /// The freshness that they come to, or why they come to none.
    fn said(&self) -> Result<Option<RuleFreshness>, &'static str> {
        let force = self.force.unwrap_or(false);
        let ttl = self.seconds.map(|seconds| RuleTtl { seconds, force });
        match (self.is_kept, ttl) {
            (Some(true), None) if self.force.is_none() => Ok(Some(RuleFreshness::Kept)),
            (Some(true), _) => Err(
                "[[rule]] with class = \"kept\" takes no ttl and no override: what it matches is never stale",
            ),
            (Some(false), ttl) => {
                let seconds = RuleTtl::VERSIONED.seconds;
                let ttl = ttl.unwrap_or(RuleTtl { seconds, force });
                Ok(Some(RuleFreshness::Versioned(ttl)))
            }
            (None, Some(ttl)) => Ok(Some(RuleFreshness::Ttl(ttl))),
            (None, None) if self.force.is_some() => Err(NO_TTL),
            (None, None) => Ok(None),
        }
    }
}

/// The keys that count together for what is stored, and for whom.
#[derive(Default)]
struct StoringKeys {
    always: Option<bool>,
    public: Option<bool>,
}

impl StoringKeys {
    fn said(&self) -> Result<Option<StoreRule>, &'static str> {
        match (self.always, self.public) {
            (Some(true), public) => Ok(Some(StoreRule::Always {
                public: public.unwrap_or(false),
            })),
            (_, Some(true)) => Err(
                "[[rule]] with public = true needs store = \"always\": it says that others get what only that stores",
            ),
            (Some(false), _) => Ok(Some(StoreRule::Standard)),
            (None, _) => Ok(None),
        }
    }
}
