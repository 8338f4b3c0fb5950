//! The operator's settings beside what the origin server says.

use super::*;
use crate::cache::policy::{RuleFreshness, RuleTtl, Ttl};

#[test]
fn policies() {
    let ttl = Policy {
        ttl: Ttl::Fixed(600),
        ..Policy::default()
    };
    let none = Policy {
        ttl: Ttl::Fixed(0),
        ..Policy::default()
    };
    let rule = |force| Policy {
        rule: Some(RuleFreshness::Ttl(RuleTtl {
            seconds: 600,
            force,
        })),
        ..Policy::default()
    };
    let kept = Policy {
        rule: Some(RuleFreshness::Kept),
        ..Policy::default()
    };
    let auth = &[("Authorization", "Basic eA==")];
    let cookie = &[("Cookie", "a=b")];
    let ignoring = Policy {
        ignore_cookies: true,
        ..Policy::default()
    };
    #[rustfmt::skip]
    let table: &[(&Policy, Lines, u16, Lines, Result<(), UncacheableReason>)] = &[
        (&ttl, &[], 200, &[], Ok(())),
        (&ttl, &[], 404, &[], Err(UncacheableReason::NoLifetime)),
        (&ttl, &[], 302, &[], Err(UncacheableReason::Status)),
        (&ttl, &[], 500, &[], Err(UncacheableReason::Status)),
        (&ttl, &[], 200, &[("Cache-Control", "no-store")], Err(UncacheableReason::NoStore)),
        (&ttl, &[], 200, &[("Cache-Control", "no-cache")], Err(UncacheableReason::NoValidator)),
        (&ttl, auth, 200, &[], Err(UncacheableReason::Authorization)),
        // A lifetime that the operator sets is nobody's word on whose the response is.
        (&ttl, cookie, 200, &[], Err(UncacheableReason::Cookie)),
        (&ttl, &[], 200, &[("Set-Cookie", "a=b")], Err(UncacheableReason::SetCookie)),
        (&rule(true), cookie, 200, &[], Err(UncacheableReason::Cookie)),
        (&rule(true), cookie, 200, &[("Cache-Control", "max-age=60")], Ok(())),
        (&ignoring, cookie, 200, &[("ETag", "\"a\""), ("Set-Cookie", "a=b")], Ok(())),
        (&ignoring, cookie, 200, &[("Cache-Control", "private")], Err(UncacheableReason::Private)),
        (&ignoring, auth, 200, &[("ETag", "\"a\"")], Err(UncacheableReason::Authorization)),
        (&none, &[], 200, &[], Err(UncacheableReason::NoValidator)),
        (&rule(false), &[], 200, &[], Ok(())),
        (&rule(false), &[], 200, &[("Expires", "0")], Err(UncacheableReason::NoValidator)),
        (&rule(false), &[], 404, &[], Err(UncacheableReason::NoLifetime)),
        (&rule(true), &[], 200, &[("Expires", "0")], Ok(())),
        (&rule(true), &[], 200, &[("Cache-Control", "no-cache, max-age=0")], Ok(())),
        (&rule(true), &[], 200, &[("Cache-Control", "no-store")], Err(UncacheableReason::NoStore)),
        (&rule(true), &[], 200, &[("Cache-Control", "private")], Err(UncacheableReason::Private)),
        (&rule(true), &[], 200, &[("Vary", "*")], Err(UncacheableReason::Vary)),
        (&rule(true), auth, 200, &[], Err(UncacheableReason::Authorization)),
        (&rule(true), &[], 404, &[("Cache-Control", "max-age=0")], Err(UncacheableReason::NoValidator)),
        (&kept, &[], 200, &[], Ok(())),
        (&kept, &[], 200, &[("Cache-Control", "no-cache, max-age=0")], Ok(())),
        (&kept, &[], 200, &[("Cache-Control", "no-store")], Err(UncacheableReason::NoStore)),
        (&kept, &[], 200, &[("Cache-Control", "private")], Err(UncacheableReason::Private)),
        (&kept, auth, 200, &[], Err(UncacheableReason::Authorization)),
        (&kept, &[], 404, &[], Err(UncacheableReason::NoLifetime)),
        (&kept, &[], 302, &[], Err(UncacheableReason::Status)),
        (&rule(true), &[], 503, &[], Err(UncacheableReason::Status)),
    ];
    for (policy, asked, status, answered, expected) in table {
        let verdict = may_store(
            &request("GET", asked),
            &target(),
            &response(*status, answered),
            policy,
            NOW,
        );
        let verdict = verdict.map(|_| ());
        assert_eq!(verdict, *expected, "{policy:?} {status} {answered:?}");
    }
}
