//! Tables of requests, responses and ages: one row per clause.
#![allow(clippy::type_complexity)]

use std::time::Duration;

use super::*;
use crate::cache::testing::{NOW, fields, stored};

fn presented(cache_control: &str) -> RequestDirectives {
    RequestDirectives::of(&fields(&[("Cache-Control", cache_control)]))
}

/// Facts of a response with this Cache-Control, received at [`NOW`].
fn facts(cache_control: &str) -> Facts {
    let meta = stored(200, &[("Cache-Control", cache_control), ("ETag", "\"a\"")]);
    Facts::of(&meta, &Default::default())
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Expect {
    Fresh,
    Stale,
    Validate(ValidateReason),
}

fn verdict(reuse: Reuse) -> Expect {
    match reuse {
        Reuse::Fresh { .. } => Expect::Fresh,
        Reuse::Stale { .. } => Expect::Stale,
        Reuse::Validate { why, .. } => Expect::Validate(why),
    }
}

#[test]
fn requests_and_responses() {
    use Expect::{Fresh, Stale, Validate};
    // (Cache-Control of the request, of the response, seconds since it came)
    #[rustfmt::skip]
    let table: &[(&str, &str, u64, Expect)] = &[
        // §4.2: fresh while the lifetime is greater than the age.
        ("", "max-age=60", 0, Fresh),
        ("", "max-age=60", 59, Fresh),
        ("", "max-age=60", 60, Validate(ValidateReason::Stale)),
        ("", "max-age=0", 0, Validate(ValidateReason::Stale)),
        ("", "max-age=99999999999", 1 << 30, Fresh),
        ("", "", 0, Validate(ValidateReason::Stale)),
        // §5.2.2.4
        ("", "max-age=60, no-cache", 0, Validate(ValidateReason::NoCache)),
        ("max-stale", "max-age=60, no-cache", 90, Validate(ValidateReason::NoCache)),
        ("", "max-age=60, no-cache=\"x\"", 0, Fresh),
        // A validation may bring these, though they could not have been stored so.
        ("", "max-age=60, private", 0, Validate(ValidateReason::NoCache)),
        ("", "max-age=60, no-store", 0, Validate(ValidateReason::NoCache)),
        ("", "max-age=60, no-store, must-understand", 0, Fresh),
        // §5.2.1.1
        ("max-age=0", "max-age=60", 0, Validate(ValidateReason::RequestMaxAge)),
        ("max-age=0", "max-age=60", 1, Validate(ValidateReason::RequestMaxAge)),
        ("max-age=10", "max-age=60", 10, Fresh),
        ("max-age=10", "max-age=60", 11, Validate(ValidateReason::RequestMaxAge)),
        ("max-age=100", "max-age=60", 70, Validate(ValidateReason::Stale)),
        ("max-age=100, max-stale=20", "max-age=60", 70, Stale),
        ("max-age=x", "max-age=60", 5, Validate(ValidateReason::RequestMaxAge)),
        // §5.2.1.2
        ("max-stale", "max-age=60", 59, Fresh),
        ("max-stale", "max-age=60", 6000, Stale),
        ("max-stale=10", "max-age=60", 60, Stale),
        ("max-stale=10", "max-age=60", 70, Stale),
        ("max-stale=10", "max-age=60", 71, Validate(ValidateReason::Stale)),
        // What nobody has said a lifetime for is validated by whoever is to have it.
        ("max-stale", "", 0, Validate(ValidateReason::NotExplicit)),
        ("max-stale=10", "public", 5, Validate(ValidateReason::NotExplicit)),
        ("max-stale=x", "max-age=60", 71, Validate(ValidateReason::Stale)),
        // §4.2.4: what forbids to serve stale stands above max-stale.
        ("max-stale", "max-age=60, must-revalidate", 60, Validate(ValidateReason::MustRevalidate)),
        ("max-stale", "max-age=60, proxy-revalidate", 60, Validate(ValidateReason::MustRevalidate)),
        ("max-stale", "s-maxage=60", 60, Validate(ValidateReason::MustRevalidate)),
        ("", "max-age=60, must-revalidate", 59, Fresh),
        // §5.2.1.3
        ("min-fresh=10", "max-age=60", 50, Fresh),
        ("min-fresh=10", "max-age=60", 51, Validate(ValidateReason::RequestMinFresh)),
        ("min-fresh=9999999999999", "max-age=60", 0, Validate(ValidateReason::RequestMinFresh)),
        ("min-fresh=10, max-stale", "max-age=60", 70, Validate(ValidateReason::RequestMinFresh)),
        // §5.2.1.4, §5.2.1.5, §5.2.1.7
        ("no-cache", "max-age=60", 0, Validate(ValidateReason::RequestNoCache)),
        ("no-store", "max-age=60", 0, Validate(ValidateReason::RequestNoStore)),
        ("only-if-cached", "max-age=60", 0, Fresh),
        ("only-if-cached", "max-age=60", 60, Validate(ValidateReason::Stale)),
        // RFC 8246 §2: only while fresh, and not against no-cache.
        ("max-age=0", "max-age=60, immutable", 0, Fresh),
        ("max-age=0", "max-age=60, immutable", 30, Fresh),
        ("max-age=0", "max-age=60, immutable", 60, Validate(ValidateReason::Stale)),
        ("no-cache", "max-age=60, immutable", 30, Validate(ValidateReason::RequestNoCache)),
        ("max-age=0", "max-age=60, immutable=0", 30, Fresh),
        ("immutable, max-age=0", "max-age=60", 30, Validate(ValidateReason::RequestMaxAge)),
    ];
    for (request, response, since, expected) in table {
        let reuse = reuse(
            &presented(request),
            &facts(response),
            NOW + Duration::from_secs(*since),
        );
        assert_eq!(
            verdict(reuse),
            *expected,
            "{request} / {response} / {since}"
        );
    }
}

/// Also where its age, or the clock, is beyond all that a lifetime can be.
#[test]
fn what_is_kept_is_never_stale() {
    use crate::cache::policy::{Policy, RuleFreshness};
    let policy = Policy {
        rule: Some(RuleFreshness::Kept),
        max_ttl: Some(60),
        ..Policy::default()
    };
    #[rustfmt::skip]
    let table: &[(&str, &[(&str, &str)], Expect)] = &[
        ("", &[], Expect::Fresh),
        ("max-age=0", &[], Expect::Fresh),
        ("max-age=0", &[("Cache-Control", "max-age=0, must-revalidate")], Expect::Fresh),
        ("max-age=0", &[("Cache-Control", "no-cache")], Expect::Fresh),
        ("min-fresh=1000000", &[("Expires", "0")], Expect::Fresh),
        ("", &[("Age", "99999999999")], Expect::Fresh),
        ("no-cache", &[], Expect::Validate(ValidateReason::RequestNoCache)),
        ("no-store", &[], Expect::Validate(ValidateReason::RequestNoStore)),
    ];
    for (request, lines, expected) in table {
        for since in [0, 1 << 20, 1 << 40] {
            let facts = Facts::of(&stored(200, lines), &policy);
            let now = NOW + Duration::from_secs(since);
            let got = verdict(reuse(&presented(request), &facts, now));
            assert_eq!(got, *expected, "{request} {lines:?} {since}");
        }
    }
}

/// One that is fresh by a guess is shared for as long as that, and stale for longer only as the operator says.
#[test]
fn a_guess_ends_with_its_lifetime() {
    use crate::cache::policy::{Policy, RuleFreshness, RuleTtl, Ttl};
    let meta = stored(200, &[("Last-Modified", "Sun, 06 Nov 1994 08:32:57 GMT")]);
    let rule = RuleFreshness::Ttl(RuleTtl {
        seconds: 100,
        force: false,
    });
    let by_rule = Policy {
        rule: Some(rule),
        ..Policy::default()
    };
    let by_ttl = Policy {
        ttl: Ttl::Fixed(100),
        ..Policy::default()
    };
    let if_error = Policy {
        stale_if_error: Some(60),
        ..Policy::default()
    };
    // After 1000 s without a change it is fresh for 100 s.
    #[rustfmt::skip]
    let table: &[(&Policy, &str, u64, Option<OnError>)] = &[
        (&Policy::default(), "", 99, None),
        (&Policy::default(), "", 100, Some(OnError::No)),
        (&Policy::default(), "max-stale", 100, Some(OnError::No)),
        (&Policy::default(), "max-age=0", 50, Some(OnError::Disconnected)),
        (&if_error, "", 150, Some(OnError::Error)),
        (&if_error, "", 161, Some(OnError::No)),
        (&by_rule, "", 150, Some(OnError::Disconnected)),
        (&by_rule, "max-stale", 150, None),
        (&by_ttl, "", 150, Some(OnError::Disconnected)),
    ];
    for (policy, request, since, expected) in table {
        let facts = Facts::of(&meta, policy);
        let on_error = match reuse(
            &presented(request),
            &facts,
            NOW + Duration::from_secs(*since),
        ) {
            Reuse::Fresh { .. } | Reuse::Stale { .. } => None,
            Reuse::Validate { on_error, .. } => Some(on_error),
        };
        assert_eq!(on_error, *expected, "{policy:?} {request} {since}");
    }
}

#[test]
fn ages_and_remaining_freshness() {
    // (milliseconds since it came, whether it is fresh, age and freshness left in whole seconds)
    #[rustfmt::skip]
    let table: &[(u64, bool, u64, i64)] = &[
        (0, true, 0, 60), (1, true, 0, 59), (59_000, true, 59, 1), (59_999, true, 59, 0),
        (60_000, false, 60, 0), (60_001, false, 60, -1), (90_000, false, 90, -30),
    ];
    for (since, is_fresh, expected_age, expected_left) in table {
        let now = NOW + Duration::from_millis(*since);
        let reuse = reuse(&presented("max-stale"), &facts("max-age=60"), now);
        assert_eq!(matches!(reuse, Reuse::Fresh { .. }), *is_fresh, "{since}");
        let (age, left) = reuse.answers().expect("max-stale");
        let found = (age.as_secs(), left.seconds());
        assert_eq!(found, (*expected_age, *expected_left), "{since}");
    }
}

/// Seconds that a message counts are whole ones, whenever in a second they begin.
#[test]
fn a_second_lasts_a_thousand_milliseconds() {
    use Expect::{Fresh, Stale, Validate};
    // (Cache-Control of the request, of the response, milliseconds since it came)
    #[rustfmt::skip]
    let table: &[(&str, &str, u64, Expect)] = &[
        ("", "max-age=1", 0, Fresh),
        ("", "max-age=1", 120, Fresh),
        ("", "max-age=1", 999, Fresh),
        ("", "max-age=1", 1000, Validate(ValidateReason::Stale)),
        ("", "max-age=1", 1001, Validate(ValidateReason::Stale)),
        ("max-age=1", "max-age=60", 1000, Fresh),
        ("max-age=1", "max-age=60", 1001, Validate(ValidateReason::RequestMaxAge)),
        ("max-stale=1", "max-age=1", 2000, Stale),
        ("max-stale=1", "max-age=1", 2001, Validate(ValidateReason::Stale)),
        ("min-fresh=1", "max-age=2", 1000, Fresh),
        ("min-fresh=1", "max-age=2", 1001, Validate(ValidateReason::RequestMinFresh)),
    ];
    for (request, response, since, expected) in table {
        for begins in [0, 1, 880, 999] {
            let came = NOW + Duration::from_millis(begins);
            let facts = Facts {
                response_time: came,
                ..facts(response)
            };
            let got = reuse(
                &presented(request),
                &facts,
                came + Duration::from_millis(*since),
            );
            assert_eq!(
                verdict(got),
                *expected,
                "{request} / {response} / {since} {begins}"
            );
        }
    }
    let facts = facts("max-age=60, stale-while-revalidate=1, stale-if-error=1");
    for (since, covered) in [(61_000, true), (61_001, false)] {
        match reuse(&presented(""), &facts, NOW + Duration::from_millis(since)) {
            Reuse::Validate {
                meanwhile,
                on_error,
                ..
            } => {
                assert_eq!((meanwhile, on_error == OnError::Error), (covered, covered));
            }
            other @ (Reuse::Fresh { .. } | Reuse::Stale { .. }) => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_a_validation_leaves_open() {
    use OnError::{Disconnected, Error, No};
    #[rustfmt::skip]
    let table: &[(&str, &str, u64, bool, OnError)] = &[
        // RFC 9111 §4.2.4: disconnected, unless something forbids it.
        ("", "max-age=60", 60, false, Disconnected),
        ("", "max-age=60, must-revalidate", 60, false, No),
        ("", "max-age=60, proxy-revalidate", 60, false, No),
        ("", "s-maxage=60", 60, false, No),
        ("", "max-age=60, no-cache", 0, false, No),
        ("no-cache", "max-age=60", 0, false, No),
        ("no-cache", "max-age=60, stale-if-error=60", 60, false, No),
        ("max-age=0", "max-age=60, must-revalidate", 30, false, Disconnected),
        // Without an explicit lifetime: only as the response itself says.
        ("", "", 0, false, No),
        ("stale-if-error=60", "", 0, false, No),
        ("max-stale", "", 0, false, No),
        ("", "stale-if-error=60", 60, false, Error),
        ("", "stale-while-revalidate=60", 60, true, No),
        // RFC 5861 §3
        ("", "max-age=60, stale-while-revalidate=30", 60, true, Disconnected),
        ("", "max-age=60, stale-while-revalidate=30", 90, true, Disconnected),
        ("", "max-age=60, stale-while-revalidate=30", 91, false, Disconnected),
        ("", "max-age=60, stale-while-revalidate=0", 60, false, Disconnected),
        ("", "max-age=60, stale-while-revalidate=x", 60, false, Disconnected),
        ("", "max-age=60, stale-while-revalidate=30, must-revalidate", 60, false, No),
        ("", "s-maxage=60, stale-while-revalidate=30", 60, false, No),
        ("max-age=100", "max-age=60, stale-while-revalidate=30", 60, false, Disconnected),
        ("max-stale=1", "max-age=60, stale-while-revalidate=30", 62, false, Disconnected),
        ("max-age=0", "max-age=60, stale-while-revalidate=30", 30, false, Disconnected),
        // RFC 5861 §4
        ("", "max-age=600, stale-if-error=1200", 900, false, Error),
        ("", "max-age=600, stale-if-error=1200", 1800, false, Error),
        ("", "max-age=600, stale-if-error=1200", 1801, false, No),
        ("", "max-age=60, stale-if-error=0", 60, false, No),
        ("stale-if-error=60", "max-age=60", 120, false, Error),
        ("stale-if-error=60", "max-age=60", 121, false, No),
        ("stale-if-error=60", "max-age=60, must-revalidate", 60, false, No),
        ("stale-if-error=10", "max-age=60, stale-if-error=60", 100, false, Error),
    ];
    for (request, response, since, expected_meanwhile, expected_on_error) in table {
        match reuse(
            &presented(request),
            &facts(response),
            NOW + Duration::from_secs(*since),
        ) {
            Reuse::Validate {
                meanwhile,
                on_error,
                ..
            } => assert_eq!(
                (meanwhile, on_error),
                (*expected_meanwhile, *expected_on_error),
                "{request} / {response} / {since}"
            ),
            other @ (Reuse::Fresh { .. } | Reuse::Stale { .. }) => {
                panic!("{request} / {response} / {since}: {other:?}")
            }
        }
    }
}

#[test]
fn reasons_in_cache_status() {
    let table: &[(ValidateReason, i64, Forward)] = &[
        (ValidateReason::RequestNoCache, 1, Forward::Request),
        (ValidateReason::RequestMaxAge, 1, Forward::Request),
        (ValidateReason::RequestNoCache, 0, Forward::Stale),
        (ValidateReason::Stale, -5, Forward::Stale),
        (ValidateReason::NoCache, 5, Forward::Stale),
        (ValidateReason::NotExplicit, -5, Forward::Stale),
    ];
    for (why, seconds, expected) in table {
        let (lifetime, age) = (60, (60 - seconds).unsigned_abs());
        let left = FreshnessLeft::of(Duration::from_secs(lifetime), Duration::from_secs(age));
        assert_eq!(why.forward(left), *expected, "{why}");
    }
}

#[test]
fn errors_of_the_origin() {
    let errors: Vec<u16> = (100..1000).filter(|&status| is_error(status)).collect();
    assert_eq!(errors, [500, 502, 503, 504]);
}
