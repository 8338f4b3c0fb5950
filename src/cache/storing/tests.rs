//! Tables of requests and responses: one row per clause of RFC 9111 §3.
#![allow(clippy::type_complexity, clippy::unwrap_used)]

mod always;
mod policies;

use super::*;
use crate::cache::testing::{DATE, NOW, fields, request, response, stored as stored_response};

type Lines<'a> = &'a [(&'a str, &'a str)];

fn target() -> Uri {
    Uri::parse(&"http://a.example/x?y".into()).unwrap()
}

fn verdict(
    method: &str,
    asked: Lines,
    status: u16,
    answered: Lines,
) -> Result<(), UncacheableReason> {
    let policy = Policy::default();
    may_store(
        &request(method, asked),
        &target(),
        &response(status, answered),
        &policy,
        NOW,
    )
    .map(|_| ())
}

#[test]
fn requests() {
    #[rustfmt::skip]
    let table: &[(&str, Lines, Result<(), UncacheableReason>)] = &[
        ("GET", &[], Ok(())),
        ("HEAD", &[], Ok(())),
        ("POST", &[], Err(UncacheableReason::Method)),
        ("OPTIONS", &[], Err(UncacheableReason::Method)),
        ("QUERY", &[], Err(UncacheableReason::Method)),
        ("GET", &[("Cache-Control", "no-store")], Err(UncacheableReason::RequestNoStore)),
        ("GET", &[("Cache-Control", "a=\"no-store\"")], Ok(())),
        ("GET", &[("Cache-Control", "no-cache, max-age=0")], Ok(())),
        ("GET", &[("Pragma", "no-cache")], Ok(())),
        ("GET", &[("Content-Length", "3")], Err(UncacheableReason::RequestContent)),
        ("GET", &[("Transfer-Encoding", "chunked")], Err(UncacheableReason::RequestContent)),
        ("GET", &[("Content-Length", "0")], Ok(())),
        ("GET", &[("Cookie", "a=b")], Ok(())),
    ];
    for (method, lines, expected) in table {
        let verdict = verdict(method, lines, 200, &[("Cache-Control", "max-age=60")]);
        assert_eq!(verdict, *expected, "{method} {lines:?}");
    }
}

/// RFC 9110 §9.3.3: what says that it is what GET would bring, and for how long.
#[test]
fn post() {
    const LOCATION: (&str, &str) = ("Content-Location", "/x?y");
    const FRESH: (&str, &str) = ("Cache-Control", "max-age=60");
    let expires = ("Expires", "Thu, 01 Jan 2099 00:00:00 GMT");
    let whole = ("Content-Location", "http://a.example/x?y#z");
    #[rustfmt::skip]
    let table: &[(Lines, u16, Lines, Result<(), UncacheableReason>)] = &[
        (&[], 200, &[FRESH, LOCATION], Ok(())),
        (&[("Content-Length", "3")], 200, &[expires, whole], Ok(())),
        (&[], 200, &[("Cache-Control", "s-maxage=1"), LOCATION], Ok(())),
        (&[], 200, &[FRESH], Err(UncacheableReason::Method)),
        (&[], 200, &[FRESH, ("Content-Location", "/x")], Err(UncacheableReason::Method)),
        (&[], 200, &[FRESH, ("Content-Location", "http://b.example/x?y")], Err(UncacheableReason::Method)),
        (&[], 200, &[("ETag", "\"1\""), LOCATION], Err(UncacheableReason::Method)),
        (&[], 200, &[("Cache-Control", "public"), LOCATION], Err(UncacheableReason::Method)),
        (&[], 201, &[FRESH, LOCATION], Err(UncacheableReason::Method)),
        (&[], 206, &[FRESH, LOCATION], Err(UncacheableReason::Method)),
        (&[], 404, &[FRESH, LOCATION], Err(UncacheableReason::Method)),
        (&[], 200, &[("Cache-Control", "max-age=60, private"), LOCATION], Err(UncacheableReason::Private)),
        (&[("Cache-Control", "no-store")], 200, &[FRESH, LOCATION], Err(UncacheableReason::RequestNoStore)),
        (&[("Authorization", "Basic x")], 200, &[FRESH, LOCATION], Err(UncacheableReason::Authorization)),
    ];
    for (asked, status, answered, expected) in table {
        let verdict = verdict("POST", asked, *status, answered);
        assert_eq!(verdict, *expected, "{asked:?} {status} {answered:?}");
    }
}

#[test]
fn a_response_that_authenticates_a_connection() {
    let table = [
        ("NTLM", Ok(())),
        ("Basic", Ok(())),
        ("NTLM TlRM", Err(UncacheableReason::ConnectionAuth)),
    ];
    for (challenge, expected) in table {
        let answered = [
            ("Cache-Control", "public, max-age=60"),
            ("WWW-Authenticate", challenge),
        ];
        assert_eq!(verdict("GET", &[], 401, &answered), expected, "{challenge}");
    }
}

/// The answer to a request for a range is stored where it is the whole, or as a part: see `parts`.
#[test]
fn ranges() {
    let table = [
        (200, Ok(())),
        (206, Err(UncacheableReason::Partial)),
        (203, Err(UncacheableReason::Range)),
        (301, Err(UncacheableReason::Range)),
        (404, Err(UncacheableReason::Range)),
        (416, Err(UncacheableReason::Range)),
    ];
    let range = [("Range", "bytes=0-1")];
    for (status, expected) in table {
        let answered = [("Cache-Control", "max-age=60")];
        let got = verdict("GET", &range, status, &answered);
        assert_eq!(got, expected, "{status}");
    }
}

#[test]
fn statuses() {
    const MAX_AGE: Lines = &[("Cache-Control", "max-age=60")];
    const UNDERSTAND: Lines = &[("Cache-Control", "max-age=60, must-understand, no-store")];
    for status in 100..1000 {
        let explicit = match status {
            ..200 => Err(UncacheableReason::Interim),
            206 => Err(UncacheableReason::Partial),
            304 => Err(UncacheableReason::NotModified),
            _ => Ok(()),
        };
        assert_eq!(verdict("GET", &[], status, MAX_AGE), explicit, "{status}");

        let guessable = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501].contains(&status);
        let guessed = match explicit {
            Ok(()) if !guessable => Err(UncacheableReason::Status),
            verdict => verdict,
        };
        assert_eq!(
            verdict("GET", &[], status, &[("ETag", "\"a\"")]),
            guessed,
            "{status}"
        );

        let known = [
            200..=205,
            300..=303,
            307..=308,
            305..=305,
            400..=417,
            421..=422,
            426..=426,
            500..=505,
        ];
        let understood = match explicit {
            Ok(()) if !known.iter().any(|range| range.contains(&status)) => {
                Err(UncacheableReason::NotUnderstood)
            }
            verdict => verdict,
        };
        assert_eq!(
            verdict("GET", &[], status, UNDERSTAND),
            understood,
            "{status}"
        );
    }
}

#[test]
fn directives_and_fields() {
    let tagged = ("ETag", "\"a\"");
    #[rustfmt::skip]
    let table: &[(u16, Lines, Result<(), UncacheableReason>)] = &[
        (200, &[("Cache-Control", "no-store, max-age=60")], Err(UncacheableReason::NoStore)),
        (200, &[("Cache-Control", "max-age=60"), ("Cache-Control", "No-Store")], Err(UncacheableReason::NoStore)),
        (200, &[("Cache-Control", "public, no-store"), tagged], Err(UncacheableReason::NoStore)),
        (200, &[("Cache-Control", "private, max-age=60")], Err(UncacheableReason::Private)),
        (200, &[("Cache-Control", "private, s-maxage=60")], Err(UncacheableReason::Private)),
        (200, &[("Cache-Control", "private=\"a\", max-age=60")], Ok(())),
        (200, &[("Cache-Control", "private=\"vary\", max-age=60")], Err(UncacheableReason::Private)),
        (200, &[("Cache-Control", "max-age=60"), ("Vary", "*")], Err(UncacheableReason::Vary)),
        (200, &[("Cache-Control", "max-age=60"), ("Vary", "a, *")], Err(UncacheableReason::Vary)),
        (200, &[("Cache-Control", "max-age=60"), ("Vary", "a")], Ok(())),
        // Cookies that are set: only what has an explicit lifetime.
        (200, &[("Cache-Control", "max-age=60"), ("Set-Cookie", "a=b")], Ok(())),
        (200, &[("Cache-Control", "s-maxage=60"), ("set-cookie", "a=b")], Ok(())),
        (200, &[("Cache-Control", "max-age=0"), tagged, ("Set-Cookie", "a=b")], Err(UncacheableReason::SetCookie)),
        (200, &[("Expires", "Sun, 06 Nov 2094 08:49:37 GMT"), ("Set-Cookie", "a=b")], Ok(())),
        (200, &[("Last-Modified", DATE), ("Set-Cookie", "a=b")], Err(UncacheableReason::SetCookie)),
        (200, &[tagged, ("SET-COOKIE", "")], Err(UncacheableReason::SetCookie)),
        (200, &[tagged, ("Set-Cookie2", "a=b")], Err(UncacheableReason::SetCookie)),
        (200, &[tagged, ("Cache-Control", "public"), ("Set-Cookie", "a=b")], Err(UncacheableReason::SetCookie)),
        (200, &[tagged, ("Cache-Control", "no-cache=\"Set-Cookie\""), ("Set-Cookie", "a=b")], Err(UncacheableReason::SetCookie)),
        (404, &[("Last-Modified", DATE), ("Set-Cookie", "a=b")], Err(UncacheableReason::SetCookie)),
        // Without an explicit lifetime.
        (200, &[], Err(UncacheableReason::NoLifetime)),
        (200, &[("Cache-Control", "public")], Err(UncacheableReason::NoLifetime)),
        (200, &[tagged], Ok(())),
        (200, &[("ETag", "W/\"a\"")], Ok(())),
        (200, &[("ETag", "a")], Ok(())),
        (200, &[("ETag", "\"a")], Err(UncacheableReason::NoLifetime)),
        (200, &[("Last-Modified", DATE)], Ok(())),
        (200, &[("Last-Modified", "today")], Err(UncacheableReason::NoLifetime)),
        (302, &[tagged], Err(UncacheableReason::Status)),
        (302, &[("Cache-Control", "public"), tagged], Ok(())),
        (302, &[("Cache-Control", "max-age=60")], Ok(())),
        (302, &[("Cache-Control", "s-maxage=60")], Ok(())),
        (302, &[("Expires", "Sun, 06 Nov 2094 08:49:37 GMT")], Ok(())),
        (404, &[("Cache-Control", "max-age=60")], Ok(())),
        (404, &[], Err(UncacheableReason::NoLifetime)),
        // Reusable only after validation.
        (200, &[("Cache-Control", "no-cache"), tagged], Ok(())),
        (200, &[("Cache-Control", "no-cache, max-age=60")], Err(UncacheableReason::NoValidator)),
        (200, &[("Cache-Control", "no-cache=\"a\", max-age=60")], Ok(())),
        (200, &[("Cache-Control", "max-age=0"), tagged], Ok(())),
        (200, &[("Cache-Control", "max-age=0")], Err(UncacheableReason::NoValidator)),
        (200, &[("Cache-Control", "max-age=x")], Err(UncacheableReason::NoValidator)),
        (200, &[("Cache-Control", "max-age=0, stale-if-error=60")], Ok(())),
        (200, &[("Cache-Control", "max-age=0, stale-while-revalidate=60")], Ok(())),
        (200, &[("Cache-Control", "max-age=0, stale-if-error=0")], Err(UncacheableReason::NoValidator)),
        (200, &[("Expires", "0")], Err(UncacheableReason::NoValidator)),
        (200, &[("Expires", DATE)], Err(UncacheableReason::NoValidator)),
        (200, &[("Expires", "0"), tagged], Ok(())),
        // must-understand lifts no-store and nothing else.
        (200, &[("Cache-Control", "must-understand, no-store, max-age=60")], Ok(())),
        (200, &[("Cache-Control", "must-understand, private, max-age=60")], Err(UncacheableReason::Private)),
        (499, &[("Cache-Control", "must-understand, max-age=60")], Err(UncacheableReason::NotUnderstood)),
        // A response's Pragma means nothing (§5.4), nor do requests' directives.
        (200, &[("Pragma", "no-cache, no-store"), ("Cache-Control", "max-age=60")], Ok(())),
        (200, &[("Cache-Control", "max-age=60, only-if-cached, min-fresh=99")], Ok(())),
    ];
    for (status, lines, expected) in table {
        assert_eq!(
            verdict("GET", &[], *status, lines),
            *expected,
            "{status} {lines:?}"
        );
    }
}

#[test]
fn authorization() {
    #[rustfmt::skip]
    let table: &[(&str, Result<(), UncacheableReason>)] = &[
        ("max-age=60", Err(UncacheableReason::Authorization)),
        ("max-age=60, public", Ok(())),
        ("s-maxage=60", Ok(())),
        ("max-age=60, must-revalidate", Ok(())),
        ("max-age=60, proxy-revalidate", Err(UncacheableReason::Authorization)),
        ("max-age=60, immutable", Err(UncacheableReason::Authorization)),
        ("max-age=60, public=\"a\"", Ok(())),
        ("public, private, max-age=60", Err(UncacheableReason::Private)),
    ];
    for (cache_control, expected) in table {
        let asked = &[("Authorization", "Basic eA==")];
        let answered = &[("Cache-Control", *cache_control)];
        assert_eq!(
            verdict("GET", asked, 200, answered),
            *expected,
            "{cache_control}"
        );
    }
}

/// As with Authorization, but that an explicit lifetime permits to share as well.
#[test]
fn cookies_of_the_request() {
    let (tagged, modified) = (("ETag", "\"a\""), ("Last-Modified", DATE));
    let control = |directives| ("Cache-Control", directives);
    const COOKIE: Result<(), UncacheableReason> = Err(UncacheableReason::Cookie);
    #[rustfmt::skip]
    let table: &[(Lines, Result<(), UncacheableReason>)] = &[
        (&[tagged], COOKIE),
        (&[modified], COOKIE),
        (&[control("no-cache"), tagged], COOKIE),
        (&[control("max-age=0"), tagged], COOKIE),
        (&[control("max-age=x"), tagged], COOKIE),
        (&[("Expires", "0"), tagged], COOKIE),
        (&[control("stale-if-error=60"), tagged], COOKIE),
        (&[control("max-age=60")], Ok(())),
        (&[control("max-age=60, no-cache"), tagged], Ok(())),
        (&[control("s-maxage=0"), tagged], Ok(())),
        (&[("Expires", "Sun, 06 Nov 2094 08:49:37 GMT")], Ok(())),
        (&[control("public"), modified], Ok(())),
        (&[control("must-revalidate"), modified], Ok(())),
        (&[control("private, max-age=60")], Err(UncacheableReason::Private)),
        (&[control("public"), modified, ("Set-Cookie", "a=b")], Err(UncacheableReason::SetCookie)),
    ];
    for (lines, expected) in table {
        for name in ["Cookie", "cookie"] {
            let got = verdict("GET", &[(name, "a=b")], 200, lines);
            assert_eq!(got, *expected, "{lines:?}");
        }
    }
}

#[test]
fn fields_of_a_304_that_others_may_have() {
    use UncacheableReason::{Authorization, Cookie, NoStore, Private, SetCookie};
    let tagged = ("ETag", "\"a\"");
    let fresh = ("Cache-Control", "max-age=60");
    let cookie = &[("Cookie", "a=b")];
    let auth = &[("Authorization", "Basic eA==")];
    #[rustfmt::skip]
    let table: &[(Lines, Lines, Lines, Result<(), UncacheableReason>)] = &[
        (&[], &[tagged], &[], Ok(())),
        (&[], &[tagged], &[("Set-Cookie", "a=b")], Err(SetCookie)),
        (&[], &[tagged, fresh], &[("Set-Cookie", "a=b")], Ok(())),
        (&[], &[tagged], &[fresh, ("Set-Cookie", "a=b")], Ok(())),
        (&[], &[tagged, fresh], &[("Cache-Control", "private")], Err(Private)),
        (&[], &[tagged, fresh], &[("Cache-Control", "no-store")], Err(NoStore)),
        (cookie, &[tagged], &[], Err(Cookie)),
        (cookie, &[tagged, fresh], &[], Ok(())),
        (cookie, &[tagged, fresh], &[("Cache-Control", "max-age=0")], Err(Cookie)),
        (auth, &[tagged, fresh], &[], Err(Authorization)),
        (auth, &[tagged], &[("Cache-Control", "public")], Ok(())),
    ];
    for (asked, stored, new, expected) in table {
        let policy = Policy::default();
        let (asked, stored, head) = (
            fields(asked),
            stored_response(200, stored),
            response(304, new),
        );
        let got = may_update(&asked, &stored, &head, &policy, NOW);
        let expected = expected.map(|()| StoredFor::All);
        assert_eq!(got, expected, "{asked:?} {stored:?} {new:?}");
    }
}

/// Nor does the operator's word lift it: nobody knows what the line said.
#[test]
fn a_lost_field_may_have_forbidden_it() {
    let lost = |status| ResponseHead {
        has_lost_field: true,
        ..response(
            status,
            &[("Cache-Control", "max-age=60"), ("ETag", "\"a\"")],
        )
    };
    for policy in always::policies() {
        let asked = request("GET", &[]);
        let stored = may_store(&asked, &target(), &lost(200), &policy, NOW);
        assert_eq!(stored, Err(UncacheableReason::LostField));
        let old = stored_response(200, &[("ETag", "\"a\"")]);
        let updated = may_update(&asked.fields, &old, &lost(304), &policy, NOW);
        assert_eq!(updated, Err(UncacheableReason::LostField));
    }
}

#[test]
fn the_rest_of_content_may_forbid_more_than_its_beginning() {
    let control = |value| fields(&[("Cache-Control", value)]);
    for (first, rest, expected) in [
        ("max-age=60", "max-age=60", false),
        ("max-age=60", "max-age=0, no-cache", false),
        ("max-age=60", "private, max-age=60", true),
        ("max-age=60", "no-store", true),
        ("private", "private", false),
        ("private", "no-store", true),
        ("no-store", "max-age=60", false),
    ] {
        let got = forbids_more(&control(first), &control(rest), &Policy::default());
        assert_eq!(got, expected, "{first} {rest}");
    }
}
