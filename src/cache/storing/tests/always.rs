//! What a rule's `store = "always"` stores, and for whom.

use super::*;
use crate::cache::owner::{CLIENT, identified};
use crate::cache::policy::{StoreRule, Ttl};

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
    use StoredFor::{All, Client};
    use UncacheableReason::{
        Authorization, ConnectionAuth, Cookie, NoStore, NoValidator, Private, RequestNoStore,
        Status, Vary,
    };
    let auth = ("Authorization", "Basic eA==");
    let control = |value| ("Cache-Control", value);
    type Row<'a> = (
        &'a [(&'a str, &'a str)],
        u16,
        &'a [(&'a str, &'a str)],
        Result<StoredFor, UncacheableReason>,
        Result<StoredFor, UncacheableReason>,
    );
    // By the RFC; and where the operator says always: for its client alone, or for all.
    #[rustfmt::skip]
    let table: &[Row<'_>] = &[
        (&[], 200, &[], Ok(All), Ok(All)),
        (&[auth], 200, &[control("public")], Ok(All), Ok(All)),
        (&[], 200, &[control("no-store")], Err(NoStore), Ok(Client)),
        (&[], 200, &[control("private")], Err(Private), Ok(Client)),
        (&[], 200, &[control("private, max-age=5")], Err(Private), Ok(Client)),
        (&[], 200, &[control("private=\"X\"")], Ok(All), Ok(All)),
        (&[auth], 200, &[], Err(Authorization), Ok(Client)),
        (&[auth], 200, &[control("no-store, private")], Err(NoStore), Ok(Client)),
        (&[control("no-store")], 200, &[], Err(RequestNoStore), Ok(Client)),
        // What else forbids storing, or makes it useless, still does.
        (&[], 200, &[control("no-store, max-age=0")], Err(NoStore), Err(NoValidator)),
        (&[], 200, &[control("no-store"), ("Vary", "*")], Err(NoStore), Err(Vary)),
        (&[auth], 503, &[], Err(Authorization), Err(Status)),
        (&[("Cookie", "a=b")], 200, &[control("private")], Err(Private), Err(Cookie)),
        (&[("Cookie", "a=b")], 200, &[control("private, max-age=5")], Err(Private), Ok(Client)),
        (&[auth], 200, &[("WWW-Authenticate", "Negotiate eA==")], Err(Authorization), Err(ConnectionAuth)),
    ];
    let [standard, own, public] = policies();
    for (asked, status, answered, by_rules, always) in table {
        let unknown = request("GET", asked);
        let mut head = unknown.clone();
        head.fields = identified(&unknown.fields, b"http://a.example/", None, false);
        let response = response(*status, answered);
        let may = |head, policy| may_store(head, &target(), &response, policy, NOW);
        assert_eq!(may(&head, &standard), *by_rules, "{asked:?} {answered:?}");
        assert_eq!(may(&head, &own), *always, "{asked:?} {answered:?}");
        // Whose client isn't known is stored for nobody.
        assert_eq!(may(&unknown, &own), *by_rules, "{asked:?} {answered:?}");
        let for_all = always.map(|_| All);
        assert_eq!(may(&head, &public), for_all, "{asked:?} {answered:?}");
        assert_eq!(may(&unknown, &public), for_all, "{asked:?} {answered:?}");
    }
}

#[test]
fn what_is_for_one_client_is_selected_by_that_alone() {
    let client = |name: &str| fields(&[("Authorization", name), ("Accept", "b")]);
    let identified = |name| identified(&client(name), b"http://a.example/", None, false);
    for vary in [&[][..], &[("Vary", "Accept, X-0")], &[("Vary", "0-a")]] {
        let meta = stored_response(200, vary).for_client(&identified("a"));
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

/// RFC 9111 §3.2: a 304 that forbids storing.
#[test]
fn updates_of_what_is_stored_always() {
    let asked = identified(
        &fields(&[("Authorization", "a")]),
        b"http://a.example/",
        None,
        false,
    );
    let new = response(304, &[("Cache-Control", "private, no-store")]);
    let shared = stored_response(200, &[]);
    let own = shared.clone().for_client(&asked);
    let [standard, always, public] = policies();
    let table = [
        (&standard, &own, Err(UncacheableReason::NoStore)),
        (&always, &own, Ok(())),
        // What all have takes nothing from what is one client's.
        (&always, &shared, Err(UncacheableReason::NoStore)),
        (&public, &shared, Ok(())),
        (&public, &own, Ok(())),
    ];
    for (policy, meta, expected) in table {
        let got = may_update(&asked, meta, &new, policy, NOW);
        assert_eq!(got, expected, "{policy:?}");
    }
}

/// What was stored while a rule said so waits for validation once it doesn't any more.
#[test]
fn uses_of_what_is_stored_always() {
    use crate::cache::freshness::Facts;
    let shared = stored_response(200, &[("Cache-Control", "private, max-age=60")]);
    let asked = identified(&fields(&[]), b"http://a.example/", None, false);
    let own = shared.clone().for_client(&asked);
    let [standard, always, public] = policies();
    let table = [
        (standard, true, true),
        (always, true, false),
        (public, false, false),
    ];
    for (policy, of_shared, of_own) in table {
        let no_cache = |meta| Facts::of(meta, &policy).no_cache;
        assert_eq!(
            (no_cache(&shared), no_cache(&own)),
            (of_shared, of_own),
            "{policy:?}"
        );
    }
}
