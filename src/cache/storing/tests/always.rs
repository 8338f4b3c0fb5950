//! What a rule's `store = "always"` stores, and for whom.

use super::*;
use crate::cache::directives::RequestDirectives;
use crate::cache::owner::testing::identified;
use crate::cache::owner::{self, Asker, CLIENT};
use crate::cache::policy::{StoreRule, Ttl};
use crate::cache::testing::TIMES;

fn policy(store: StoreRule) -> Policy {
    Policy {
        ttl: Ttl::Fixed(600),
        store,
        ..Policy::default()
    }
}

/// By the rules of the RFC; stored always, for one client alone; for all.
pub(super) fn policies() -> [Policy; 3] {
    let always = |public| policy(StoreRule::Always { public });
    [policy(StoreRule::Standard), always(false), always(true)]
}

#[test]
fn what_is_stored_for_whom() {
    use StoredFor::{All, Named};
    use UncacheableReason::{
        Authorization, ConnectionAuth, Cookie, NoStore, NoValidator, Private, RequestNoStore,
        SetCookie, Status, Vary,
    };
    let auth = ("Authorization", "Basic eA==");
    let control = |value| ("Cache-Control", value);
    type Row<'a> = (
        &'a [(&'a str, &'a str)],
        u16,
        &'a [(&'a str, &'a str)],
        Result<StoredFor, UncacheableReason>,
        Result<StoredFor, UncacheableReason>,
        Result<StoredFor, UncacheableReason>,
    );
    // By the RFC; and where the operator says always: for its client alone; for all.
    #[rustfmt::skip]
    let table: &[Row<'_>] = &[
        (&[], 200, &[], Ok(All), Ok(All), Ok(All)),
        (&[auth], 200, &[control("public")], Ok(All), Ok(All), Ok(All)),
        (&[], 200, &[control("no-store")], Err(NoStore), Ok(Named), Ok(Named)),
        (&[], 200, &[control("private")], Err(Private), Ok(Named), Ok(Named)),
        (&[], 200, &[control("private, max-age=5")], Err(Private), Ok(Named), Ok(Named)),
        (&[], 200, &[control("private=\"X\"")], Ok(All), Ok(All), Ok(All)),
        (&[auth], 200, &[], Err(Authorization), Ok(Named), Ok(Named)),
        (&[auth], 200, &[control("no-store, private")], Err(NoStore), Ok(Named), Ok(Named)),
        (&[control("no-store")], 200, &[], Err(RequestNoStore), Ok(Named), Ok(Named)),
        // What else forbids storing, or makes it useless, still does.
        (&[], 200, &[control("no-store, max-age=0")], Err(NoStore), Err(NoValidator), Err(NoValidator)),
        (&[], 200, &[control("no-store"), ("Vary", "*")], Err(NoStore), Err(Vary), Err(Vary)),
        (&[auth], 503, &[], Err(Authorization), Err(Status), Err(Status)),
        (&[("Cookie", "a=b")], 200, &[control("private")], Err(Private), Ok(Named), Err(Cookie)),
        (&[("Cookie", "a=b")], 200, &[control("private, max-age=5")], Err(Private), Ok(Named), Ok(Named)),
        (&[("Cookie", "a=b")], 200, &[], Err(Cookie), Ok(Named), Err(Cookie)),
        (&[], 200, &[("Set-Cookie", "a=b")], Err(SetCookie), Ok(Named), Err(SetCookie)),
        (&[("Cookie", "a=b"), auth], 200, &[("Set-Cookie", "a=b"), control("private")], Err(Private), Ok(Named), Err(Cookie)),
        (&[auth], 200, &[("WWW-Authenticate", "Negotiate eA==")], Err(Authorization), Err(ConnectionAuth), Err(ConnectionAuth)),
    ];
    let [standard, own, public] = policies();
    for (asked, status, answered, by_rules, for_client, for_all) in table {
        let unknown = request("GET", asked);
        let response = response(*status, answered);
        let may = |fields: Fields, policy| {
            let head = RequestHead {
                fields,
                ..unknown.clone()
            };
            may_store(&head, &target(), &response, policy, NOW)
        };
        let identified = identified(&unknown.fields, b"http://a.example/");
        let row = format!("{asked:?} {answered:?}");
        assert_eq!(may(identified.clone(), &standard), *by_rules, "{row}");
        assert_eq!(may(identified, &own), *for_client, "{row}");
        assert_eq!(may(for_all_of(&unknown.fields), &public), *for_all, "{row}");
        // Whose client isn't known is stored for nobody.
        assert_eq!(may(unknown.fields.clone(), &own), *by_rules, "{row}");
    }
}

/// The fields of a request under a rule that says `public`.
fn for_all_of(request: &Fields) -> Fields {
    let asker = Asker {
        uri: b"http://a.example/",
        place: None,
        secret: None,
        ignore_cookies: false,
    };
    let rule = StoreRule::Always { public: true };
    let fields = owner::apply(rule, &mut RequestDirectives::default(), request, &asker);
    fields.expect("it is told what is for all")
}

#[test]
fn what_only_public_lets_all_have_is_selected_under_that_alone() {
    let plain = fields(&[("Accept", "b")]);
    for vary in [&[][..], &[("Vary", "Accept")]] {
        let meta = stored_response(200, vary).apart(&for_all_of(&plain));
        assert!(meta.variant.is_apart() && !meta.variant.is_for_client());
        assert!(meta.is_selected_by(&for_all_of(&plain)), "{vary:?}");
        let own = identified(&plain, b"http://a.example/");
        assert!(!meta.is_selected_by(&plain) && !meta.is_selected_by(&own));
        assert!(crate::cache::sound::check(&meta).is_ok(), "{vary:?}");
    }
}

#[test]
fn what_is_for_one_client_is_selected_by_that_alone() {
    let client = |name: &str| fields(&[("Authorization", name), ("Accept", "b")]);
    let identified = |name| identified(&client(name), b"http://a.example/");
    for vary in [&[][..], &[("Vary", "Accept, X-0")], &[("Vary", "0-a")]] {
        let meta = stored_response(200, vary).apart(&identified("a"));
        assert!(meta.variant.is_for_client());
        assert!(meta.is_selected_by(&identified("a")), "{vary:?}");
        assert!(!meta.is_selected_by(&identified("b")), "{vary:?}");
        assert!(!meta.is_selected_by(&client("a")), "{vary:?}");
        // Nor by one who says that the field ends at this hop.
        let mut named: Vec<_> = Vec::new();
        let other = identified("b");
        named.extend(other.iter());
        named.push((b"Connection", CLIENT.as_bytes()));
        assert!(!meta.is_selected_by(&named.into_iter().collect()));
        assert!(crate::cache::sound::check(&meta).is_ok(), "{vary:?}");
    }
    let plain = stored_response(200, &[]);
    assert!(!plain.variant.is_for_client() && plain.is_selected_by(&identified("b")));
    // No origin server can name the field.
    let named = stored_response(200, &[("Vary", CLIENT)]);
    assert_eq!(named.selecting(), None);
}

/// RFC 9111 §3.2: a 304 that forbids storing. What is stored is never for more than before.
#[test]
fn updates_of_what_is_stored_always() {
    use crate::cache::validation::refreshed;
    let client = fields(&[("Authorization", "a")]);
    let asked = identified(&client, b"http://a.example/");
    let public_asked = for_all_of(&client);
    let personal = response(304, &[("Cache-Control", "private, no-store")]);
    let shared_again = response(304, &[("Cache-Control", "public, max-age=60")]);
    let shared = stored_response(200, &[]);
    let own = shared.clone().apart(&asked);
    let lifted = shared.clone().apart(&public_asked);
    let [standard, always, public] = policies();
    let refused = Err(UncacheableReason::NoStore);
    let table = [
        (&standard, &asked, &own, &personal, refused),
        (&always, &asked, &own, &personal, Ok(&own)),
        (&always, &asked, &own, &shared_again, Ok(&own)),
        // What all have takes nothing from what is one client's.
        (&always, &asked, &shared, &personal, refused),
        (&always, &asked, &shared, &shared_again, Ok(&shared)),
        (&public, &public_asked, &shared, &personal, Ok(&lifted)),
        (&public, &public_asked, &shared, &shared_again, Ok(&shared)),
        (&public, &public_asked, &lifted, &personal, Ok(&lifted)),
        (&public, &public_asked, &lifted, &shared_again, Ok(&lifted)),
    ];
    for (policy, presented, meta, new, expected) in table {
        let got = may_update(presented, meta, new, policy, NOW);
        let targets = &policy.targeted;
        let got = got.map(|whom| refreshed(meta, presented, new, TIMES, targets, whom).variant);
        let expected = expected.map(|meta| meta.variant.clone());
        assert_eq!(got, expected, "{policy:?} {meta:?} {new:?}");
    }
}

/// What was stored while a rule said so waits for validation once it doesn't any more.
#[test]
fn uses_of_what_is_stored_always() {
    use crate::cache::freshness::Facts;
    let shared = stored_response(200, &[("Cache-Control", "private, max-age=60")]);
    let own = (shared.clone()).apart(&identified(&fields(&[]), b"http://a.example/"));
    let lifted = shared.clone().apart(&for_all_of(&fields(&[])));
    let [standard, always, public] = policies();
    let table = [
        (standard, true, true),
        (always, true, false),
        (public, true, false),
    ];
    for (policy, of_shared, of_apart) in table {
        let no_cache = |meta| Facts::of(meta, &policy).no_cache;
        assert_eq!(no_cache(&shared), of_shared, "{policy:?}");
        assert_eq!(no_cache(&own), of_apart, "{policy:?}");
        assert_eq!(no_cache(&lifted), of_apart, "{policy:?}");
        assert!(Facts::of(&own, &policy).for_one_client);
        assert!(!Facts::of(&lifted, &policy).for_one_client);
    }
}
