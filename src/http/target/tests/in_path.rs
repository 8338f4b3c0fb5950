//! URIs named in the path of a request to the proxy itself, and the responses to them.

use super::*;
use crate::http::target::{NamedAs, TargetUri, UriForm};
use crate::http::testing::fields;

fn hosts(patterns: &[&'static str]) -> HostPatterns {
    HostPatterns::of(patterns.iter().copied()).unwrap()
}

#[test]
fn uris_named_in_a_path() {
    let table = [
        (
            "/mirror.example/debian/x?y",
            Some("http://mirror.example/debian/x?y"),
        ),
        ("/Mirror.Example:80", Some("http://mirror.example/")),
        (
            "/mirror.example:8080/é%20",
            Some("http://mirror.example:8080/é%20"),
        ),
        ("/192.0.2.1?q", Some("http://192.0.2.1/?q")),
        ("/[::1]:81/a", Some("http://[::1]:81/a")),
        ("/localhost/a", Some("http://localhost/a")),
        (
            "/HTTPS///mirror.example/a",
            Some("https://mirror.example/a"),
        ),
        ("/favicon.ico", Some("http://favicon.ico/")),
        ("/", None),
        ("//mirror.example/", None),
        ("/status", None),
        ("/debian/dists", None),
        ("/u:p@mirror.example/", None),
        ("/HTTPS///u:p@mirror.example/", None),
        ("/HTTPS///", None),
        ("/mirror.example:0/", None),
        ("/mirror .example/", None),
        ("/http://mirror.example/", None),
    ];
    for (path, expected) in table {
        let target = TargetUri::in_path(path.as_bytes());
        let got = target.as_ref().map(|target| target.uri.to_string());
        assert_eq!(got.as_deref(), expected, "{path}");
        assert!(target.is_none_or(|target| target.form == UriForm::InPath));
    }
}

#[test]
fn hosts_that_a_setting_names() {
    let table: &[(&[&str], &str, bool)] = &[
        (&[], "http://a.example/", false),
        (&["a.example"], "http://A.example:80/x", true),
        (&["A.Example"], "http://a.example/", true),
        (&["a.example"], "https://a.example/", true),
        (&["a.example"], "http://a.example:81/", false),
        (&["a.example:81"], "http://a.example:81/", true),
        (&["a.example:81"], "http://a.example/", false),
        (&["a.example:80"], "http://a.example/", true),
        (&["a.example"], "http://b.a.example/", false),
        (&["*.a.example"], "http://b.a.example/", true),
        (&["*.a.example"], "http://c.b.a.example/", true),
        (&["*.a.example"], "http://a.example/", false),
        (&["*.a.example"], "http://ba.example/", false),
        (&["*.a.example"], "http://b.a.example:81/", false),
        (&["*.a.example:81"], "http://b.a.example:81/", true),
        (&["x", "*"], "http://b.a.example:81/", true),
    ];
    for (patterns, uri, expected) in table {
        let uri = Uri::parse(&Bytes::from(*uri)).unwrap();
        assert_eq!(hosts(patterns).has(&uri), *expected, "{patterns:?} {uri}");
    }
    for wrong in [
        "", "http://a", "a/b", "*a", "a.*", "u@h", "a b", "*.", "a:0",
    ] {
        assert_eq!(HostPatterns::of(["a", wrong]), Err(wrong));
    }
}

#[test]
fn references_go_on_in_a_path() {
    let base = Uri::parse(&Bytes::from("http://h.example:81/a/b?c")).unwrap();
    let hosts = hosts(&["h.example:81", "*.other.example"]);
    let named = NamedAs::InPath { base, hosts };
    let table = [
        ("/x?y#z", Some("/h.example:81/x?y#z")),
        ("x", Some("/h.example:81/a/x")),
        ("../../x", Some("/h.example:81/x")),
        ("?d", Some("/h.example:81/a/b?d")),
        ("http://h.example:81/x", Some("/h.example:81/x")),
        ("//cdn.other.example/x", Some("/cdn.other.example/x")),
        (
            "http://cdn.other.example/x#y",
            Some("/cdn.other.example/x#y"),
        ),
        (
            "https://cdn.other.example/x",
            Some("/HTTPS///cdn.other.example/x"),
        ),
        ("http://elsewhere.example/x", None),
        ("http://h.example/x", None),
        ("https://elsewhere.example/x", None),
        ("ftp://cdn.other.example/x", None),
        ("mailto:a@b", None),
    ];
    for (reference, expected) in table {
        let got = named.reference(reference.as_bytes());
        let got = got.map(|got| String::from_utf8(got).unwrap());
        assert_eq!(got.as_deref(), expected, "{reference}");
    }
}

#[test]
fn browsers_may_not_name_uris_in_a_path() {
    let target = TargetUri::in_path(b"/mirror.example/").unwrap();
    for (name, value, refused) in [
        ("Origin", "null", true),
        ("Sec-Fetch-Site", "none", true),
        ("User-Agent", "Mozilla/5.0", true),
        ("User-Agent", "Debian APT-HTTP/1.3", false),
    ] {
        let why = target.refused(&fields(&[(name, value)]));
        assert_eq!(why.is_some(), refused, "{name}");
        assert!(why.is_none_or(|why| why.contains(name)));
    }
}
