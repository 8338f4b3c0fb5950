//! A response's directives (RFC 9111 §5.2.2), with those of RFC 5861 (stale content) and RFC 8246 (immutable).
//!
//! The arguments of `private` and `no-cache` are read here too: fields that may not be kept.

use super::request::least;
use super::targeted::targeted;
use super::{Argument, Directive, TargetList, directives};
use crate::http::fields::Fields;
use crate::http::names::FieldNames;
use crate::http::syntax::{elements, is_one_of, is_tchar};

/// Fields that decide whether and how a stored response is reused. A directive that would have one
/// of them left out is read as if it had no argument: what remains could not be reused rightly.
const DECIDING: [&str; 6] = [
    "age",
    "content-encoding",
    "content-type",
    "date",
    "expires",
    "vary",
];

/// A response's Cache-Control, or the targeted field that this cache obeys instead. Where a directive is repeated the most
/// restrictive counts (RFC 9111 §4.2.1): the smallest number is never longer than the first occurrence, and an argument
/// that does not parse counts as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct ResponseDirectives {
    /// They are of a targeted field, beside which Cache-Control and Expires say nothing.
    pub targeted: bool,
    pub max_age: Option<u64>,
    pub s_maxage: Option<u64>,
    /// Reused only after validation. The qualified form does not count: see [`withheld`].
    pub no_cache: bool,
    pub no_store: bool,
    /// Not stored by a shared cache. The qualified form does not count: see [`withheld`].
    pub private: bool,
    /// May be stored though it otherwise could not be.
    pub public: bool,
    pub must_revalidate: bool,
    /// Never served stale by a shared cache.
    pub proxy_revalidate: bool,
    /// Stored only by a cache that understands the status code.
    pub must_understand: bool,
    pub immutable: bool,
    /// The seconds after it became stale for which it may be served while it is being validated.
    pub stale_while_revalidate: Option<u64>,
    /// The seconds after it became stale for which it may be served instead of an error.
    pub stale_if_error: Option<u64>,
}

impl ResponseDirectives {
    /// The directives in these response fields.
    pub fn of(fields: &Fields, targets: &TargetList) -> ResponseDirectives {
        let mut found = ResponseDirectives::default();
        if let Some(members) = targeted(fields, targets) {
            found.targeted = true;
            for directive in members {
                found.add(directive, targets);
            }
            return found;
        }
        let mut knows_cache_control = false;
        for directive in fields.all("cache-control").flat_map(directives) {
            knows_cache_control = true;
            found.add(directive, targets);
        }
        // Pragma is of origin servers that know no Cache-Control (RFC 9111 §5.4).
        found.no_cache |= !knows_cache_control && has_pragma(fields);
        found
    }

    fn add(&mut self, directive: Directive<'_>, targets: &TargetList) {
        let seconds = directive.seconds().unwrap_or(0);
        let is_unqualified = || named_fields(directive.argument, targets).is_none();
        match directive.lower_case(&mut [0; 24]) {
            b"max-age" => least(&mut self.max_age, seconds),
            b"s-maxage" => least(&mut self.s_maxage, seconds),
            b"no-cache" => self.no_cache |= is_unqualified(),
            b"no-store" => self.no_store = true,
            b"private" => self.private |= is_unqualified(),
            b"public" => self.public |= directive.may_permit(),
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"must-understand" => self.must_understand |= directive.may_permit(),
            b"immutable" => self.immutable |= directive.may_permit(),
            b"stale-while-revalidate" => least(&mut self.stale_while_revalidate, seconds),
            b"stale-if-error" => least(&mut self.stale_if_error, seconds),
            _ => {}
        }
    }
}

/// True for fields with `Pragma: no-cache`.
fn has_pragma(fields: &Fields) -> bool {
    let mut said = fields.all("pragma").flat_map(directives);
    said.any(|directive| directive.is("no-cache"))
}

/// The fields that `private="…"` or `no-cache="…"` name: a shared cache does not keep them, so that they
/// are in no answer made without validation (RFC 9111 §5.2.2.4, §5.2.2.7).
pub(in crate::cache) fn withheld<'a>(fields: &'a Fields, targets: &TargetList) -> FieldNames<'a> {
    let names = |directive: Directive<'a>| {
        let names_some = directive.is("private") || directive.is("no-cache");
        named_fields(directive.argument, targets).filter(|_| names_some)
    };
    match targeted(fields, targets) {
        Some(members) => members
            .into_iter()
            .filter_map(names)
            .flat_map(elements)
            .collect(),
        None => {
            let said = fields.all("cache-control").flat_map(directives);
            said.filter_map(names).flat_map(elements).collect()
        }
    }
}

/// The list of field names in the argument of `private` or `no-cache`; `None` when the directive is
/// unqualified or has to be read so, because the list is empty, malformed or names a deciding field.
fn named_fields<'a>(argument: Argument<'a>, targets: &TargetList) -> Option<&'a [u8]> {
    let Argument::Text(list) = argument else {
        return None;
    };
    let decides = |name: &[u8]| is_one_of(name, &DECIDING) || targets.governs(name);
    let usable = |name: &[u8]| name.iter().all(|&b| is_tchar(b)) && !decides(name);
    (elements(list).next().is_some() && elements(list).all(usable)).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[&str]) -> Fields {
        lines
            .iter()
            .map(|line| (&b"Cache-Control"[..], line.as_bytes()))
            .collect()
    }

    #[test]
    fn directives_of_responses() {
        type D = ResponseDirectives;
        let none = D::default();
        let max_age = |seconds| D {
            max_age: Some(seconds),
            ..none
        };
        #[rustfmt::skip]
        let table: &[(&[&str], D)] = &[
            (&[], none),
            (&["max-age=60"], max_age(60)),
            (&["MaX-aGe=60"], max_age(60)),
            (&["max-age=\"60\""], max_age(60)),
            (&["max-age=060"], max_age(60)),
            (&["max-age=99999999999999999999"], max_age(super::super::FOREVER)),
            (&["max-age=60, max-age=10"], max_age(10)),
            (&["max-age=10", "max-age=60"], max_age(10)),
            (&["max-age=60, max-age=x"], max_age(0)),
            (&["max-age"], max_age(0)),
            (&["max-age="], max_age(0)),
            (&["max-age=-1"], max_age(0)),
            (&["max-age=1.5"], max_age(0)),
            (&["max-age='60'"], max_age(0)),
            (&["max-age = 60"], max_age(0)),
            (&["max-age=60 10"], max_age(0)),
            (&["max-age: 60"], max_age(0)),
            (&["x=\"max-age=60\""], none),
            (&["x=\"a, max-age=60\", max-age=1"], max_age(1)),
            (&["x-max-age=60, max-age-x=60"], none),
            (&["s-maxage=9, max-age=60"], D { s_maxage: Some(9), ..max_age(60) }),
            (&["s-maxage=x"], D { s_maxage: Some(0), ..none }),
            (&["no-store"], D { no_store: true, ..none }),
            (&["No-Store=1"], D { no_store: true, ..none }),
            (&["no-cache"], D { no_cache: true, ..none }),
            (&["no-cache=\"x\""], none),
            (&["no-cache=x"], none),
            (&["no-cache=\"\""], D { no_cache: true, ..none }),
            (&["no-cache=\"x y\""], D { no_cache: true, ..none }),
            (&["no-cache=\"x, Vary\""], D { no_cache: true, ..none }),
            (&["no-cache=\"x\", no-cache"], D { no_cache: true, ..none }),
            (&["private"], D { private: true, ..none }),
            (&["private=\"x, y\""], none),
            (&["private=\"x"], D { private: true, ..none }),
            (&["private=\"cache-control\""], D { private: true, ..none }),
            (&["public"], D { public: true, ..none }),
            (&["must-revalidate"], D { must_revalidate: true, ..none }),
            (&["proxy-revalidate"], D { proxy_revalidate: true, ..none }),
            (&["must-understand, no-store"], D { must_understand: true, no_store: true, ..none }),
            (&["immutable, immutable=1"], D { immutable: true, ..none }),
            (&["stale-while-revalidate=5"], D { stale_while_revalidate: Some(5), ..none }),
            (&["stale-while-revalidate"], D { stale_while_revalidate: Some(0), ..none }),
            (&["stale-if-error=5, stale-if-error=3"], D { stale_if_error: Some(3), ..none }),
            (&["max-stale=5, min-fresh=1, only-if-cached"], none),
        ];
        for (lines, expected) in table {
            assert_eq!(
                D::of(&fields(lines), &TargetList::NONE),
                *expected,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn what_is_malformed_restricts_and_permits_nothing() {
        type D = ResponseDirectives;
        let none = D::default();
        let stale = D {
            max_age: Some(0),
            ..none
        };
        let no_store = D {
            no_store: true,
            ..none
        };
        let private = D {
            private: true,
            ..none
        };
        let no_cache = D {
            no_cache: true,
            ..none
        };
        #[rustfmt::skip]
        let table: &[(&[&str], D)] = &[
            (&["no-store; private"], D { private: true, ..no_store }),
            (&["NO-STORE;PRIVATE;NO-CACHE"], D { private: true, no_cache: true, ..no_store }),
            (&["private; max-age=60"], D { max_age: Some(0), ..private }),
            (&["max-age=60; private"], D { max_age: Some(0), ..private }),
            (&["no-store no-cache"], D { no_cache: true, ..no_store }),
            (&["no-store="], no_store),
            (&["no-store:"], no_store),
            (&["=no-store"], no_store),
            (&["no-store\""], no_store),
            (&["\"no-store\""], no_store),
            (&["\"no-store, max-age=60\""], D { max_age: Some(0), ..no_store }),
            (&["x=\"open, no-store"], no_store),
            (&["max-age=\"60, no-store"], D { max_age: Some(0), ..no_store }),
            (&["max-age=60, x=\"open, private, y"], D { max_age: Some(60), ..private }),
            (&["x=\"open, y=no-store"], no_store),
            (&["x=\"open", "no-store\""], no_store),
            (&["private=\"x", "y\""], private),
            (&["private = \"x\""], private),
            (&["no-cache = x"], no_cache),
            (&["no-cache=\"x\\\"\""], no_cache),
            (&["must-revalidate; x"], D { must_revalidate: true, ..none }),
            (&["proxy-revalidate="], D { proxy_revalidate: true, ..none }),
            (&["s-maxage=60; x"], D { s_maxage: Some(0), ..none }),
            (&["x=\"open, max-age=60"], stale),
            (&["max-age=\"60"], stale),
            (&["max-age=60s"], stale),
            (&["max-age=60 s, max-age=60"], stale),
            (&["max-age==60"], stale),
            (&["max-age=,60"], stale),
            (&["public; max-age=60"], stale),
            (&["public="], none),
            (&["public; x"], none),
            (&["immutable; x"], none),
            (&["must-understand; no-store"], no_store),
            (&["stale-while-revalidate=60; x"], D { stale_while_revalidate: Some(0), ..none }),
            (&["x;no-stores, xno-store;"], none),
            // By the grammar, whatever it says.
            (&["x=\"no-store; private\", y=no-store"], none),
            (&["x=\"\\\", no-store\""], none),
        ];
        for (lines, expected) in table {
            assert_eq!(
                D::of(&fields(lines), &TargetList::NONE),
                *expected,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn pragma_counts_only_without_cache_control() {
        #[rustfmt::skip]
        let table: &[(&[(&str, &str)], bool)] = &[
            (&[("Pragma", "no-cache")], true),
            (&[("pragma", "x, No-Cache")], true),
            (&[("Pragma", "x"), ("Pragma", "no-cache")], true),
            (&[("Pragma", "x; no-cache")], true),
            (&[("Pragma", "cache")], false),
            (&[("Pragma", "x=\"no-cache\"")], false),
            (&[("Pragma", "no-cache"), ("Expires", "0")], true),
            (&[("Pragma", "no-cache"), ("Cache-Control", "max-age=60")], false),
            (&[("Cache-Control", "x"), ("Pragma", "no-cache")], false),
            (&[("Cache-Control", ""), ("Pragma", "no-cache")], true),
            (&[("Cache-Control", " ,\t,"), ("Pragma", "no-cache")], true),
        ];
        for (lines, expected) in table {
            let found =
                ResponseDirectives::of(&crate::http::testing::fields(lines), &TargetList::NONE);
            assert_eq!(found.no_cache, *expected, "{lines:?}");
        }
    }

    /// A head's worth of the worst takes no time that could be noticed.
    #[test]
    fn the_longest_value_is_read_in_one_pass() {
        for piece in ["\"", "a=\"", "\\", "a;", ",", "=", "no-store\",\""] {
            let long = piece.repeat((256 << 10) / piece.len());
            let began = std::time::Instant::now();
            let found = ResponseDirectives::of(&fields(&[&long]), &TargetList::NONE);
            assert!(began.elapsed().as_secs() < 5, "{piece}");
            assert_eq!(found.no_store, piece.starts_with("no-store"));
        }
    }

    #[test]
    fn fields_named_by_private_and_no_cache() {
        let table: &[(&[&str], &str, bool)] = &[
            (&["private=\"Set-Cookie\""], "set-cookie", true),
            (&["private=\"a, Set-Cookie\""], "SET-COOKIE", true),
            (&["no-cache=set-cookie"], "Set-Cookie", true),
            (&["max-age=1", "no-cache=\"a\", private=\"b\""], "b", true),
            (&["private=\"a\""], "b", false),
            (&["x=\"a\""], "a", false),
            (&["private"], "a", false),
            (&["private=\"a, vary\""], "a", false),
        ];
        for (lines, name, expected) in table {
            assert_eq!(
                withheld(&fields(lines), &TargetList::NONE).contains(name.as_bytes()),
                *expected,
                "{lines:?}"
            );
        }
    }
}
