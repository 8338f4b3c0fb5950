//! A request's directives (RFC 9111 §5.2.1), `stale-if-error` in requests (RFC 5861 §4), and `Pragma` (§5.4).
//!
//! They are advisory; what comes of them is decided in `reuse` and `storing`.

use super::{Argument, directives};
use crate::http::fields::Fields;

/// A request's Cache-Control. Where a directive is repeated the most restrictive counts,
/// and an argument that does not parse is read as the most restrictive one, except in `min-fresh`,
/// which without a number says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct RequestDirectives {
    pub no_cache: bool,
    pub no_store: bool,
    /// A stored response or 504 (Gateway Timeout); nothing is forwarded.
    pub only_if_cached: bool,
    pub max_age: Option<u64>,
    pub min_fresh: Option<u64>,
    /// The greatest acceptable staleness; `u64::MAX` for `max-stale` without an argument.
    pub max_stale: Option<u64>,
    /// The greatest staleness acceptable instead of an error.
    pub stale_if_error: Option<u64>,
}

impl RequestDirectives {
    /// The directives in these request fields.
    pub fn of(fields: &Fields) -> RequestDirectives {
        let mut found = RequestDirectives::default();
        let mut cache_control = false;
        let mut pragma_no_cache = false;
        for (name, value) in fields.iter() {
            if name.eq_ignore_ascii_case(b"cache-control") {
                cache_control |= directives(value).next().is_some();
                found.add(value);
            } else if name.eq_ignore_ascii_case(b"pragma") {
                pragma_no_cache |= directives(value).any(|said| said.is("no-cache"));
            }
        }
        // Pragma is for clients that know no Cache-Control.
        found.no_cache |= pragma_no_cache && !cache_control;
        found
    }

    fn add(&mut self, line: &[u8]) {
        for directive in directives(line) {
            let seconds = directive.seconds().unwrap_or(0);
            match directive.lower_case(&mut [0; 24]) {
                b"no-cache" => self.no_cache = true,
                b"no-store" => self.no_store = true,
                b"only-if-cached" => self.only_if_cached |= directive.may_permit(),
                b"max-age" => least(&mut self.max_age, seconds),
                b"max-stale" if directive.argument == Argument::None => {
                    least(&mut self.max_stale, u64::MAX);
                }
                b"max-stale" => least(&mut self.max_stale, seconds),
                b"min-fresh" => self.min_fresh = self.min_fresh.max(directive.seconds()),
                b"stale-if-error" => least(&mut self.stale_if_error, seconds),
                _ => {}
            }
        }
    }
}

/// Keeps the smaller of what is there and `seconds`.
pub(super) fn least(kept: &mut Option<u64>, seconds: u64) {
    *kept = Some(kept.map_or(seconds, |kept| kept.min(seconds)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::fields;

    fn of(lines: &[(&str, &str)]) -> RequestDirectives {
        RequestDirectives::of(&fields(lines))
    }

    #[test]
    fn directives_of_requests() {
        let none = RequestDirectives::default();
        let max_age = |seconds| RequestDirectives {
            max_age: Some(seconds),
            ..none
        };
        let max_stale = |seconds| RequestDirectives {
            max_stale: Some(seconds),
            ..none
        };
        #[rustfmt::skip]
        let table: &[(&str, RequestDirectives)] = &[
            ("", none),
            ("no-cache", RequestDirectives { no_cache: true, ..none }),
            ("No-CACHE", RequestDirectives { no_cache: true, ..none }),
            ("no-cache=x", RequestDirectives { no_cache: true, ..none }),
            ("no-store", RequestDirectives { no_store: true, ..none }),
            ("only-if-cached", RequestDirectives { only_if_cached: true, ..none }),
            ("max-age=0", max_age(0)),
            ("max-age=\"60\"", max_age(60)),
            ("max-age=60, max-age=10", max_age(10)),
            ("max-age=10, max-age=60", max_age(10)),
            ("max-age=x", max_age(0)),
            ("max-age", max_age(0)),
            ("max-stale", max_stale(u64::MAX)),
            ("max-stale=10", max_stale(10)),
            ("max-stale, max-stale=10", max_stale(10)),
            ("max-stale=x", max_stale(0)),
            ("min-fresh=9", RequestDirectives { min_fresh: Some(9), ..none }),
            ("min-fresh=9, min-fresh=20", RequestDirectives { min_fresh: Some(20), ..none }),
            ("min-fresh=x", none),
            ("stale-if-error=60", RequestDirectives { stale_if_error: Some(60), ..none }),
            ("immutable", none),
            // What is malformed asks for what holds now, and permits nothing.
            ("no-cache; x", RequestDirectives { no_cache: true, ..none }),
            ("no-store; max-age=60", RequestDirectives { no_store: true, ..max_age(0) }),
            ("x=\"open, no-cache", RequestDirectives { no_cache: true, ..none }),
            ("max-age=\"60", max_age(0)),
            ("max-age = 60", max_age(0)),
            ("max-age=60; x", max_age(0)),
            ("max-stale; x", max_stale(0)),
            ("max-stale=", max_stale(0)),
            ("min-fresh=9; x", none),
            ("only-if-cached; x", none),
            ("s-maxage=0, must-revalidate, x=\"no-store, no-cache\"", none),
        ];
        for (value, expected) in table {
            assert_eq!(of(&[("Cache-Control", value)]), *expected, "{value}");
        }
    }

    #[test]
    fn pragma_counts_only_without_cache_control() {
        #[rustfmt::skip]
        let table: &[(&[(&str, &str)], bool)] = &[
            (&[("Pragma", "no-cache")], true),
            (&[("pragma", "x, No-Cache")], true),
            (&[("Pragma", "no-cache; x")], true),
            (&[("Pragma", "cache")], false),
            (&[("Pragma", "no-cache"), ("Cache-Control", "max-age=60")], false),
            (&[("Pragma", "no-cache"), ("Cache-Control", "")], true),
            (&[("Cache-Control", "max-stale"), ("Cache-Control", "no-cache")], true),
        ];
        for (lines, expected) in table {
            assert_eq!(of(lines).no_cache, *expected, "{lines:?}");
        }
    }
}
