//! RFC 9213: fields that count in place of Cache-Control, where the operator says so.

use super::common::conversation::hold;
use super::common::origin::ok;
use super::common::proxy::run;
use super::common::{Origin, Proxy};

const TARGETED: &str = "targeted = [\"A-Cache-Control\", \"CDN-Cache-Control\"]\n";

#[test]
fn sections_2_1_and_2_2() {
    hold(TARGETED, include_str!("targeted.txt"));
}

#[test]
fn by_default_there_are_none() {
    let text = "none :: GET > 200 | Cache-Control: max-age=60 | CDN-Cache-Control: no-store > miss\n    GET > > hit 0\n";
    hold("", text);
}

/// What is stored is used as the configuration says when it is used.
#[test]
fn a_reload_counts_for_what_is_stored() {
    let proxy = Proxy::start(TARGETED);
    let origin = Origin::answering(|request| match request.target() {
        "/cdn" => ok(
            "Cache-Control: private\r\nCDN-Cache-Control: max-age=60\r\nETag: \"a\"\r\n",
            "cdn",
        ),
        _ => ok(
            "Cache-Control: max-age=60, private=\"X-A\"\r\nCDN-Cache-Control: max-age=60\r\nX-A: 1\r\n",
            "named",
        ),
    });
    let (cdn, named) = (origin.uri("/cdn"), origin.uri("/named"));
    for _ in 0..2 {
        proxy.get(&cdn);
        proxy.get(&named);
    }
    assert!(proxy.get(&cdn).is_hit());
    assert_eq!(proxy.get(&named).first("x-a"), Some("1"));
    proxy.write_config("");
    let reload = run(&[
        "reload",
        "--runtime-dir",
        proxy.runtime_dir().to_str().unwrap(),
    ]);
    assert!(reload.status.success(), "{reload:?}");
    let after = proxy.get(&cdn);
    assert!(!after.is_hit(), "{}", after.cache_status());
    let after = proxy.get(&named);
    assert!(after.is_hit(), "{}", after.cache_status());
    assert_eq!(after.first("x-a"), None);
}
