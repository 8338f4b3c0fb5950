//! The operator's decisions: how long things are kept, and how large they may be.

use crate::common;
use crate::common::origin::{fresh, ok};
use crate::common::{Origin, Proxy};

#[test]
fn the_operator_sets_and_overrides_the_ttl() {
    let config = "ttl = \"10m\"\nmax_ttl = \"20m\"\n\
                  [[rule]]\nmatch = \"*/forced/*\"\nttl = \"15m\"\noverride = true\n\
                  [[rule]]\nmatch = \"*.deb\"\nttl = \"30d\"\n";
    let proxy = Proxy::start(config);
    let origin = Origin::answering(
        |request| match request.target().rsplit('/').next().unwrap() {
            "none" | "package.deb" => ok("", "content"),
            "short" => ok("Cache-Control: max-age=5\r\nX: y\r\n", "content"),
            "long" => ok("Cache-Control: max-age=86400\r\n", "content"),
            "private" => ok("Cache-Control: private\r\n", "content"),
            _ => ok("Cache-Control: no-store\r\n", "content"),
        },
    );
    // The ttl that the second request is told, or none for a miss.
    let rows = [
        ("/none", Some(600)),
        ("/package.deb", Some(1200)),
        ("/short", Some(5)),
        ("/long", Some(1200)),
        ("/private", None),
        ("/never", None),
        ("/forced/short", Some(900)),
        ("/forced/long", Some(900)),
        ("/forced/private", None),
    ];
    for (path, expected) in rows {
        proxy.get(&origin.uri(path));
        let second = proxy.get(&origin.uri(path));
        let ttl = second
            .cache_parameter("ttl")
            .and_then(|ttl| ttl.parse::<i64>().ok());
        match expected {
            None => assert!(!second.is_hit(), "{path}: {}", second.cache_status()),
            Some(expected) => {
                assert!(second.is_hit(), "{path}: {}", second.cache_status());
                let ttl = ttl.expect("a ttl");
                assert!((expected - 4..=expected).contains(&ttl), "{path}: {ttl}");
            }
        }
    }
}

#[test]
fn package_files_are_kept_by_default() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| ok("", "package"));
    for path in [
        "/pool/main/a/a_1.0_amd64.deb",
        "/x.udeb",
        "/dists/x/by-hash/SHA256/0123",
    ] {
        proxy.get(&origin.uri(path));
        let second = proxy.get(&origin.uri(path));
        assert!(second.is_hit(), "{path}: {}", second.cache_status());
    }
    proxy.get(&origin.uri("/dists/stable/InRelease"));
    assert!(!proxy.get(&origin.uri("/dists/stable/InRelease")).is_hit());
}

#[test]
fn what_is_too_large_passes_without_being_stored() {
    let proxy = Proxy::start("largest_object = \"64KiB\"\n");
    let origin = Origin::answering(|request| match request.target() {
        "/chunked" => {
            let mut bytes = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: \
                              chunked\r\n\r\n20000\r\n"
                .to_vec();
            bytes.extend_from_slice(&common::pattern(0x20000));
            bytes.extend_from_slice(b"\r\n0\r\n\r\n");
            bytes
        }
        "/small" => fresh(common::pattern(0x10000)),
        _ => fresh(common::pattern(0x20000)),
    });
    for (path, length, stored) in [
        ("/large", 0x20000, false),
        ("/chunked", 0x20000, false),
        ("/small", 0x10000, true),
    ] {
        for round in 0..2 {
            let response = proxy.get(&origin.uri(path));
            assert!(response.content == common::pattern(length), "{path}");
            assert_eq!(
                response.is_hit(),
                stored && round == 1,
                "{path}: {}",
                response.cache_status()
            );
        }
    }
}
