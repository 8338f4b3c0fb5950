//! Tables of responses and their lifetimes: one row per clause of RFC 9111 §4.2.
#![allow(clippy::type_complexity)]

use super::*;
use crate::cache::directives::TargetList;
use crate::cache::policy::{RuleFreshness, RuleTtl, StoreRule};
use crate::cache::testing::{DATE, NOW, stored};

type Lines<'a> = &'a [(&'a str, &'a str)];

const HEURISTIC: Policy = Policy {
    targeted: TargetList::NONE,
    store: StoreRule::Standard,
    ttl: Ttl::Heuristic,
    max_ttl: None,
    rule: None,
    stale_while_revalidate: 0,
    stale_if_error: None,
    ignore_cookies: false,
};

fn facts(status: u16, lines: Lines, policy: &Policy) -> Facts {
    Facts::of(&stored(status, lines), policy)
}

#[test]
fn explicit_lifetimes() {
    use LifetimeSource::{Expires, MaxAge, Nothing, SMaxage};
    const HOUR_ON: &str = "Sun, 06 Nov 1994 09:49:37 GMT";
    const DAY_ON: &str = "Mon, 07 Nov 1994 08:49:37 GMT";
    #[rustfmt::skip]
    let table: &[(Lines, u64, LifetimeSource)] = &[
        (&[], 0, Nothing),
        // The order of §4.2.1.
        (&[("Cache-Control", "max-age=60")], 60, MaxAge),
        (&[("Cache-Control", "max-age=60, s-maxage=10")], 10, SMaxage),
        (&[("Cache-Control", "s-maxage=90, max-age=60")], 90, SMaxage),
        (&[("Cache-Control", "s-maxage=0, max-age=60"), ("Expires", HOUR_ON)], 0, SMaxage),
        (&[("Cache-Control", "max-age=60"), ("Expires", HOUR_ON)], 60, MaxAge),
        (&[("Cache-Control", "max-age=60"), ("Expires", "0")], 60, MaxAge),
        (&[("Cache-Control", "max-age=x"), ("Expires", HOUR_ON)], 0, MaxAge),
        (&[("Cache-Control", "extension"), ("Expires", HOUR_ON)], 3600, Expires),
        // Expires counts from Date, and from the time of receipt without one.
        (&[("Expires", HOUR_ON), ("Date", DATE)], 3600, Expires),
        (&[("Expires", HOUR_ON), ("Date", HOUR_ON)], 0, Expires),
        (&[("Expires", DAY_ON), ("Date", HOUR_ON)], 23 * 3600, Expires),
        (&[("Expires", DATE), ("Date", HOUR_ON)], 0, Expires),
        (&[("Expires", HOUR_ON), ("Date", "soon")], 3600, Expires),
        // Forms of dates; what is none is in the past (§5.3).
        (&[("Expires", "Sunday, 06-Nov-94 09:49:37 GMT")], 3600, Expires),
        (&[("Expires", "Sunday, 06-Nov-95 08:49:37 GMT")], 365 * 86_400, Expires),
        (&[("Expires", "Sunday, 06-Nov-93 08:49:37 GMT")], 0, Expires),
        (&[("Expires", "Sun Nov  6 09:49:37 1994")], 3600, Expires),
        (&[("Expires", "sun, 06 nov 1994 09:49:37 gmt")], 3600, Expires),
        (&[("Expires", "Sun, 06 Nov 1994 09:49:37 CET")], 0, Expires),
        (&[("Expires", "Sun, 06 Nov 1994 09:49:37 +0000")], 0, Expires),
        (&[("Expires", "Sun, 06 Nov 1994 09:49 GMT")], 0, Expires),
        (&[("Expires", "0")], 0, Expires),
        (&[("Expires", "-1")], 0, Expires),
        (&[("Expires", "")], 0, Expires),
        (&[("Expires", "3600")], 0, Expires),
        (&[("Expires", "Sun, 06 Nov 1994 09:49:37 GMT, Sun, 06 Nov 1994 09:49:37 GMT")], 0, Expires),
        // Repeated: the shortest.
        (&[("Expires", DAY_ON), ("Expires", HOUR_ON)], 3600, Expires),
        (&[("Expires", HOUR_ON), ("Expires", "x")], 0, Expires),
        (&[("Cache-Control", "max-age=60"), ("Cache-Control", "max-age=10")], 10, MaxAge),
        // Overflow (§1.2.2).
        (&[("Cache-Control", "max-age=99999999999999999999")], FOREVER, MaxAge),
        (&[("Expires", "Fri, 31 Dec 9999 23:59:59 GMT")], FOREVER, Expires),
        // The present with no-cache has a lifetime all the same: each use is validated.
        (&[("Cache-Control", "max-age=60, no-cache")], 60, MaxAge),
    ];
    for (lines, seconds, source) in table {
        for status in [200, 302, 404, 599] {
            let facts = facts(status, lines, &HEURISTIC);
            assert_eq!(
                (facts.lifetime.seconds, facts.lifetime.source),
                (*seconds, *source),
                "{lines:?}"
            );
        }
    }
}

#[test]
fn heuristic_lifetimes() {
    use LifetimeSource::{Expires, Heuristic, MaxAge, Nothing};
    const HOUR_AGO: Lines = &[("Last-Modified", "Sun, 06 Nov 1994 07:49:37 GMT")];
    #[rustfmt::skip]
    let table: &[(u16, Lines, u64, LifetimeSource)] = &[
        (200, HOUR_AGO, 360, Heuristic),
        (404, HOUR_AGO, 360, Heuristic),
        (302, HOUR_AGO, 0, Nothing),
        (302, &[("Cache-Control", "public"), HOUR_AGO[0]], 360, Heuristic),
        (200, &[("Cache-Control", "public")], 0, Nothing),
        (200, &[("Last-Modified", DATE)], 0, Heuristic),
        (200, &[("Last-Modified", "Sun, 06 Nov 1994 08:49:38 GMT")], 0, Heuristic),
        (200, &[("Last-Modified", "Fri, 06 Nov 1992 08:49:37 GMT")], 86_400, Heuristic),
        (200, &[("Last-Modified", "long ago")], 0, Nothing),
        (200, &[("ETag", "\"a\"")], 0, Nothing),
        // Never with an explicit expiration time.
        (200, &[("Expires", "0"), HOUR_AGO[0]], 0, Expires),
        (200, &[("Cache-Control", "max-age=0"), HOUR_AGO[0]], 0, MaxAge),
    ];
    for (status, lines, seconds, source) in table {
        let facts = facts(*status, lines, &HEURISTIC);
        assert_eq!(
            (facts.lifetime.seconds, facts.lifetime.source),
            (*seconds, *source),
            "{status} {lines:?}"
        );
    }
}

#[test]
fn configured_lifetimes() {
    use LifetimeSource::{ForcedRule, Heuristic, Kept, MaxAge, Nothing, Rule, SMaxage};
    let fixed = Ttl::Fixed(600);
    let rule = Some(RuleFreshness::Ttl(RuleTtl {
        seconds: 900,
        force: false,
    }));
    let forced = Some(RuleFreshness::Ttl(RuleTtl {
        seconds: 900,
        force: true,
    }));
    let versioned = Some(RuleFreshness::Versioned(RuleTtl::VERSIONED));
    let kept = Some(RuleFreshness::Kept);
    let modified = ("Last-Modified", "Sun, 06 Nov 1994 07:49:37 GMT");
    let max_age = ("Cache-Control", "max-age=60");
    #[rustfmt::skip]
    let table: &[(Policy, u16, Lines, u64, LifetimeSource, bool)] = &[
        (Policy { ttl: fixed, ..HEURISTIC }, 200, &[], 600, LifetimeSource::Ttl, false),
        (Policy { ttl: fixed, ..HEURISTIC }, 200, &[modified], 600, LifetimeSource::Ttl, false),
        (Policy { ttl: fixed, ..HEURISTIC }, 200, &[max_age], 60, MaxAge, false),
        (Policy { ttl: fixed, ..HEURISTIC }, 404, &[], 0, Nothing, false),
        (Policy { ttl: fixed, ..HEURISTIC }, 404, &[modified], 360, Heuristic, false),
        (Policy { ttl: fixed, rule, ..HEURISTIC }, 200, &[], 900, Rule, false),
        (Policy { rule, ..HEURISTIC }, 200, &[max_age], 60, MaxAge, false),
        (Policy { rule, ..HEURISTIC }, 404, &[], 0, Nothing, false),
        (Policy { rule: forced, ..HEURISTIC }, 200, &[max_age], 900, ForcedRule, false),
        (Policy { rule: forced, ..HEURISTIC }, 200, &[("Cache-Control", "s-maxage=0")], 900, ForcedRule, false),
        (Policy { rule: forced, ..HEURISTIC }, 200, &[("Expires", "0")], 900, ForcedRule, false),
        (Policy { rule: forced, ..HEURISTIC }, 404, &[max_age], 60, MaxAge, false),
        (Policy { max_ttl: Some(30), ..HEURISTIC }, 200, &[max_age], 30, MaxAge, true),
        (Policy { max_ttl: Some(30), ..HEURISTIC }, 200, &[("Cache-Control", "s-maxage=30")], 30, SMaxage, false),
        (Policy { max_ttl: Some(30), ..HEURISTIC }, 200, &[modified], 30, Heuristic, true),
        (Policy { max_ttl: Some(30), rule: forced, ..HEURISTIC }, 200, &[], 30, ForcedRule, true),
        (Policy { ttl: fixed, rule: versioned, ..HEURISTIC }, 200, &[], 2_592_000, Rule, false),
        (Policy { rule: versioned, ..HEURISTIC }, 200, &[max_age], 60, MaxAge, false),
        (Policy { max_ttl: Some(30), rule: versioned, ..HEURISTIC }, 200, &[], 30, Rule, true),
        (Policy { rule: versioned, ..HEURISTIC }, 404, &[], 0, Nothing, false),
        (Policy { ttl: fixed, rule: kept, ..HEURISTIC }, 200, &[], KEPT, Kept, false),
        (Policy { rule: kept, ..HEURISTIC }, 206, &[max_age], KEPT, Kept, false),
        (Policy { rule: kept, ..HEURISTIC }, 200, &[("Expires", "0")], KEPT, Kept, false),
        (Policy { max_ttl: Some(30), rule: kept, ..HEURISTIC }, 200, &[], KEPT, Kept, false),
        (Policy { rule: kept, ..HEURISTIC }, 404, &[max_age], 60, MaxAge, false),
        (Policy { rule: kept, ..HEURISTIC }, 404, &[], 0, Nothing, false),
        (Policy { ttl: Ttl::Fixed(u64::MAX), ..HEURISTIC }, 200, &[], FOREVER, LifetimeSource::Ttl, true),
    ];
    for (policy, status, lines, seconds, source, capped) in table {
        let facts = facts(*status, lines, policy);
        assert_eq!(
            (
                facts.lifetime.seconds,
                facts.lifetime.source,
                facts.lifetime.capped
            ),
            (*seconds, *source, *capped),
            "{policy:?} {status} {lines:?}"
        );
    }
}

#[test]
fn forced_rules_lift_no_cache_and_nothing_else() {
    let rule = Some(RuleFreshness::Ttl(RuleTtl {
        seconds: 900,
        force: true,
    }));
    let forced = Policy { rule, ..HEURISTIC };
    let kept = Policy {
        rule: Some(RuleFreshness::Kept),
        ..HEURISTIC
    };
    #[rustfmt::skip]
    let table: &[(&Policy, Lines, bool)] = &[
        (&HEURISTIC, &[], false),
        (&HEURISTIC, &[("Cache-Control", "no-cache")], true),
        (&HEURISTIC, &[("Cache-Control", "no-cache=a")], false),
        (&forced, &[("Cache-Control", "no-cache")], false),
        (&forced, &[("Cache-Control", "private")], true),
        (&forced, &[("Cache-Control", "no-store")], true),
        (&forced, &[("Vary", "*")], true),
        (&kept, &[("Cache-Control", "no-cache")], false),
        (&kept, &[("Cache-Control", "private")], true),
        (&kept, &[("Cache-Control", "no-store")], true),
    ];
    for (policy, lines, expected) in table {
        assert_eq!(facts(200, lines, policy).no_cache, *expected, "{lines:?}");
    }
}

#[test]
fn the_other_facts() {
    let plain = Facts {
        response_time: NOW,
        ..Facts::default()
    };
    let lifetime = |source| Lifetime {
        seconds: 60,
        source,
        capped: false,
    };
    let max_age = Facts {
        lifetime: lifetime(LifetimeSource::MaxAge),
        ..plain
    };
    #[rustfmt::skip]
    let table: &[(Lines, Facts)] = &[
        (&[], plain),
        (&[("Age", "5")], Facts { initial_age: Duration::from_secs(5), ..plain }),
        (&[("Date", "Sun, 06 Nov 1994 08:49:30 GMT")], Facts { initial_age: Duration::from_secs(7), ..plain }),
        (&[("ETag", "\"a\"")], Facts { has_validator: true, ..plain }),
        (&[("Cache-Control", "max-age=60, must-revalidate")], Facts { must_revalidate: true, ..max_age }),
        (&[("Cache-Control", "max-age=60, proxy-revalidate")], Facts { must_revalidate: true, ..max_age }),
        (&[("Cache-Control", "s-maxage=60")], Facts { must_revalidate: true, lifetime: lifetime(LifetimeSource::SMaxage), ..max_age }),
        (&[("Cache-Control", "max-age=60, immutable")], Facts { immutable: true, ..max_age }),
        (&[("Cache-Control", "max-age=60, stale-while-revalidate=7")], Facts { stale_while_revalidate: 7, ..max_age }),
        (&[("Cache-Control", "max-age=60, stale-if-error=7")], Facts { stale_if_error: Some(7), ..max_age }),
    ];
    for (lines, expected) in table {
        assert_eq!(facts(200, lines, &HEURISTIC), *expected, "{lines:?}");
    }
}

#[test]
fn configured_staleness_is_for_responses_that_say_nothing_of_it() {
    let policy = Policy {
        stale_while_revalidate: 30,
        stale_if_error: Some(90),
        ..HEURISTIC
    };
    #[rustfmt::skip]
    let table: &[(Lines, u64, Option<u64>)] = &[
        (&[], 30, Some(90)),
        (&[("Cache-Control", "max-age=60")], 30, Some(90)),
        (&[("Cache-Control", "max-age=60, stale-while-revalidate=7")], 7, Some(90)),
        (&[("Cache-Control", "max-age=60, stale-while-revalidate=0")], 0, Some(90)),
        (&[("Cache-Control", "max-age=60, stale-if-error=7")], 30, Some(7)),
        (&[("Cache-Control", "max-age=60, stale-if-error=0")], 30, Some(0)),
    ];
    for (lines, while_validated, on_error) in table {
        let facts = facts(200, lines, &policy);
        let found = (facts.stale_while_revalidate, facts.stale_if_error);
        assert_eq!(found, (*while_validated, *on_error), "{lines:?}");
    }
}

#[test]
fn current_ages() {
    const AT: u64 = NOW.millis();
    const LONGEST: u64 = FOREVER * 1000;
    // (corrected_initial_age, response_time, now, current_age), in milliseconds
    let table: &[(u64, u64, u64, u64)] = &[
        (0, AT, AT, 0),
        (10_000, AT, AT + 5000, 15_000),
        (10_001, AT + 999, AT + 1001, 10_003),
        (10_000, AT, AT - 5000, 10_000),
        (LONGEST, AT, AT + 5000, LONGEST),
        (0, 0, u64::MAX, LONGEST),
    ];
    for (initial_age, response_time, now, expected) in table {
        let facts = Facts {
            initial_age: Duration::from_millis(*initial_age),
            response_time: Timestamp::from_millis(*response_time),
            ..Facts::default()
        };
        let age = facts.current_age(Timestamp::from_millis(*now));
        assert_eq!(age, Duration::from_millis(*expected));
    }
}

/// A class is of a file that came, to its end; a ttl is of what else a rule matches too.
#[test]
fn responses_that_a_class_is_for() {
    const TTL: RuleTtl = RuleTtl::VERSIONED;
    use LifetimeSource::{Kept, Nothing, Rule};
    for status in [200, 203, 204, 206, 300, 301, 308, 404] {
        let is_file = matches!(status, 200 | 203 | 206);
        let of_file = |source| if is_file { source } else { Nothing };
        let (rule, has_ttl) = (if status == 404 { Nothing } else { Rule }, status != 404);
        for (freshness, expected, until_close) in [
            (RuleFreshness::Kept, of_file(Kept), of_file(Rule)),
            (RuleFreshness::Versioned(TTL), of_file(Rule), of_file(Rule)),
            (RuleFreshness::Ttl(TTL), rule, rule),
        ] {
            let policy = Policy {
                rule: Some(freshness),
                ..HEURISTIC
            };
            let whole = facts(status, &[], &policy);
            assert_eq!(whole.lifetime.source, expected, "{status} {freshness:?}");
            let is_versioned = is_file && freshness == RuleFreshness::Versioned(TTL);
            assert_eq!(whole.versioned, is_versioned, "{status} {freshness:?}");
            let cut = Facts::of(&stored(status, &[]).until_close(), &policy);
            assert_eq!(cut.lifetime.source, until_close, "{status} {freshness:?}");
            let is_ttl = matches!(freshness, RuleFreshness::Ttl(_));
            assert_eq!(cut.versioned, is_file && !is_ttl, "{status} {freshness:?}");
            assert!(has_ttl || cut.lifetime.seconds == 0, "{status}");
        }
    }
}
