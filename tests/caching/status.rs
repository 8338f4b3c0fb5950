//! The fields of a hit: Age, Cache-Status, and what other caches said.

use crate::common::origin::{fresh, ok};
use crate::common::{Origin, Proxy};

#[test]
fn a_hit_says_so_with_age_and_ttl() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| match request.target() {
        "/aged" => ok(
            "Cache-Control: max-age=60\r\nAge: 20\r\nETag: \"e\"\r\nX-A: 1\r\n",
            "content",
        ),
        _ => fresh("content"),
    });
    let first = proxy.get(&origin.uri("/aged"));
    assert_eq!(
        first.cache_parameter("fwd").as_deref(),
        Some("uri-miss"),
        "{}",
        first.cache_status()
    );
    assert!(
        first.cache_parameter("stored").is_some(),
        "{}",
        first.cache_status()
    );
    let hit = proxy.get(&origin.uri("/aged"));
    assert!(hit.is_hit(), "{}", hit.cache_status());
    let age = hit
        .age()
        .expect("RFC 9111 §5.1: Age in a response without validation");
    assert!((20..40).contains(&age), "{age}");
    let ttl: i64 = hit.cache_parameter("ttl").expect("ttl").parse().unwrap();
    // Both are rounded down.
    let lost = 60 - age as i64 - ttl;
    assert!((0..=1).contains(&lost), "{age} {ttl}");
    assert_eq!(hit.head.all("age").len(), 1, "{:?}", hit.head.fields);
    for name in ["date", "etag", "x-a", "cache-control"] {
        assert_eq!(hit.head.all(name), first.head.all(name), "{name}");
    }
    assert_eq!(hit.first("content-length"), Some("7"));
    assert!(hit.head.has("via"), "{:?}", hit.head.fields);
    assert_eq!(
        hit.cache_status().split(';').next(),
        first.cache_status().split(';').next()
    );
}

#[test]
fn what_other_caches_say_is_kept() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| {
        ok(
            "Cache-Control: max-age=60\r\nCache-Status: nearer.example; hit; ttl=5\r\n",
            "content",
        )
    });
    for round in 0..2 {
        let response = proxy.get(&origin.uri("/"));
        let all = response.head.all("cache-status").join(", ");
        assert!(
            all.starts_with("nearer.example; hit; ttl=5, "),
            "RFC 9211 §2: {all}"
        );
        assert_eq!(response.is_hit(), round == 1, "{all}");
    }
}
