//! Targets and Host fields, by the clauses of RFC 9112 §3.2.

mod named;

use super::*;
use crate::http::fields::Fields;

const FORM: TargetError = TargetError::Uri(UriError::Form);
const PORT: TargetError = TargetError::Uri(UriError::Port);
const MISSING: TargetError = TargetError::HostFieldMissing;
const MALFORMED: TargetError = TargetError::HostFieldMalformed;

fn of(method: &str, target: &str, version: Version, hosts: &[&str]) -> Result<Target, TargetError> {
    let fields: Fields = hosts
        .iter()
        .map(|host| (&b"Host"[..], host.as_bytes()))
        .collect();
    Target::of(&RequestHead {
        method: Method::from_token(&Bytes::copy_from_slice(method.as_bytes())),
        target: Bytes::copy_from_slice(target.as_bytes()),
        version,
        fields,
    })
}

/// The form and what it names, to compare in a table.
fn shown(target: &Target) -> String {
    match target {
        Target::Absolute(target) => format!("absolute {}", target.uri),
        Target::Authority(authority) => {
            format!("authority {} {}", authority.host(), authority.port())
        }
        Target::Asterisk => "asterisk".to_owned(),
        Target::Origin { path } => format!("origin {}", String::from_utf8_lossy(path)),
    }
}

#[test]
fn forms_go_with_methods() {
    let table = [
        // RFC 9112 §3.2.1: origin-form, to a proxy a request for its own pages.
        ("GET", "/a?b", "p:3128", Ok("origin /a?b")),
        ("GET", "//h/a", "p", Ok("origin //h/a")),
        ("GET", "/a", "", Ok("origin /a")),
        ("GET", "/a#b", "p", Ok("origin /a")),
        // RFC 9112 §3.2.2: absolute-form.
        ("GET", "http://h/a", "h", Ok("absolute http://h/a")),
        ("POST", "https://h/a", "h", Ok("absolute https://h/a")),
        ("OPTIONS", "http://h", "h", Ok("absolute http://h/")),
        (
            "GET",
            "ftp://h/a",
            "h",
            Err(TargetError::Uri(UriError::Scheme)),
        ),
        // RFC 9112 §3.2.3: authority-form, only CONNECT, always with a port.
        ("CONNECT", "h:443", "h:443", Ok("authority h 443")),
        ("CONNECT", "H:443", "h:443", Ok("authority h 443")),
        (
            "CONNECT",
            "[2001:DB8::1]:443",
            "[2001:db8::1]",
            Ok("authority 2001:db8::1 443"),
        ),
        ("CONNECT", "h", "h", Err(PORT)),
        ("CONNECT", "h:", "h", Err(PORT)),
        ("CONNECT", "h:0", "h", Err(PORT)),
        ("CONNECT", "h:65536", "h", Err(PORT)),
        ("CONNECT", "h:https", "h", Err(PORT)),
        (
            "CONNECT",
            ":443",
            "h",
            Err(TargetError::Uri(UriError::Host)),
        ),
        ("CONNECT", "u@h:443", "h", Err(FORM)),
        ("CONNECT", "http://h:443/", "h", Err(PORT)),
        (
            "CONNECT",
            "/h:443",
            "h",
            Err(TargetError::Uri(UriError::Host)),
        ),
        ("GET", "h:443", "h:443", Err(FORM)),
        ("GET", "h", "h", Err(FORM)),
        // RFC 9112 §3.2.4: asterisk-form, only OPTIONS.
        ("OPTIONS", "*", "p", Ok("asterisk")),
        ("GET", "*", "p", Err(FORM)),
        ("OPTIONS", "*/", "p", Err(FORM)),
    ];
    for (method, target, host, expected) in table {
        let got = of(method, target, Version::Http11, &[host]);
        let got = got.as_ref().map(shown).map_err(|error| *error);
        assert_eq!(got, expected.map(str::to_owned), "{method} {target}");
    }
}

#[test]
fn the_host_field_is_ignored_beside_a_target_that_names_it() {
    use Version::{Http10, Http11};
    type Row<'a> = (
        &'a str,
        &'a str,
        Version,
        &'a [&'a str],
        Option<TargetError>,
    );
    let table: &[Row<'_>] = &[
        // RFC 9112 §3.2: one Host field in HTTP/1.1 where nothing else names the host, never more than one.
        ("GET", "/", Http11, &[], Some(MISSING)),
        ("OPTIONS", "*", Http11, &[], Some(MISSING)),
        ("GET", "/", Http10, &[], None),
        ("OPTIONS", "*", Http10, &[], None),
        // It tells nothing that such a target doesn't.
        ("GET", "http://h/", Http11, &[], None),
        ("CONNECT", "h:443", Http11, &[], None),
        ("GET", "http://h/", Http10, &[], None),
        ("CONNECT", "h:443", Http10, &[], None),
        ("GET", "http://h/", Http11, &["h", "h"], Some(MALFORMED)),
        ("GET", "http://h/", Http10, &["h", "h"], Some(MALFORMED)),
        ("GET", "http://h/", Http11, &["h", ""], Some(MALFORMED)),
        // Malformed values, whatever the form of the target.
        ("GET", "http://h/", Http11, &["h, h"], Some(MALFORMED)),
        (
            "CONNECT",
            "h:443",
            Http11,
            &["h:443", "h:443"],
            Some(MALFORMED),
        ),
        ("CONNECT", "h:443", Http11, &["h:"], None),
        ("CONNECT", "h:443", Http11, &["h/"], Some(MALFORMED)),
        ("GET", "http://h/", Http11, &["\u{e9}"], Some(MALFORMED)),
        ("GET", "http://h/", Http11, &["u@h"], Some(MALFORMED)),
        ("GET", "http://h/", Http11, &["h/"], Some(MALFORMED)),
        ("GET", "http://h/", Http11, &["http://h"], Some(MALFORMED)),
        ("GET", "http://h/", Http11, &["h:80x"], Some(MALFORMED)),
        ("GET", "/", Http11, &["h:99999"], Some(MALFORMED)),
        ("GET", "/", Http10, &["a b"], Some(MALFORMED)),
        ("OPTIONS", "*", Http11, &["[::1"], Some(MALFORMED)),
        // The same authority in other letters, with or without the default port.
        ("GET", "http://h/", Http11, &["H"], None),
        ("GET", "http://H/", Http11, &["h"], None),
        ("GET", "http://h/", Http11, &["h:80"], None),
        ("GET", "http://h/", Http11, &["h:"], None),
        ("GET", "http://h:80/", Http11, &["h"], None),
        ("GET", "https://h/", Http11, &["h:443"], None),
        ("GET", "http://u:p@h:81/", Http11, &["h:81"], None),
        ("GET", "http://[::1]:81/", Http11, &["[::1]:81"], None),
        // Another authority (RFC 9112 §3.2.2).
        ("GET", "http://h/", Http11, &["i"], None),
        ("GET", "http://h/", Http10, &["i"], None),
        ("GET", "http://h/", Http11, &[""], None),
        ("GET", "http://h/", Http11, &["h."], None),
        ("GET", "http://h/", Http11, &["h:81"], None),
        ("GET", "http://h:81/", Http11, &["h"], None),
        ("GET", "https://h/", Http11, &["h:80"], None),
        // CONNECT, where a Host field without a port is common.
        ("CONNECT", "h:443", Http11, &["h"], None),
        ("CONNECT", "h:8443", Http11, &["h"], None),
        ("CONNECT", "h:443", Http11, &["h:444"], None),
        ("CONNECT", "h:443", Http11, &["i:443"], None),
        ("CONNECT", "h:443", Http11, &[""], None),
    ];
    for (method, target, version, hosts, expected) in table {
        let got = of(method, target, *version, hosts);
        assert_eq!(got.err(), *expected, "{method} {target} {hosts:?}");
    }
}

#[test]
fn userinfo_is_never_shown() {
    let table = [
        ("http://h/a", "http://h/a"),
        ("http://user:secret@h/a", "http://***@h/a"),
        ("http://user:secret@h/a@b", "http://***@h/a@b"),
        ("http://user@h", "http://***@h"),
        ("ftp://user:secret@h", "ftp://***@h"),
        ("user:secret@h:443", "***@h:443"),
        ("h:443", "h:443"),
        ("http://a@secret@h", "http://***@h"),
        ("http://a@b:c@h/x@y", "http://***@h/x@y"),
        ("http://h?q=a@b", "http://h?q=a@b"),
        ("/a?to=http://user:secret@h/", "/a?to=http://***@h/"),
        ("/a://b@c", "/a://***@c"),
        ("http://h/a@b", "http://h/a@b"),
        ("/a@b", "/a@b"),
        ("*", "*"),
        ("", ""),
        // Through http, rightly and nearly so.
        ("http://HTTPS///u:secret@h/a@b", "http://HTTPS///***@h/a@b"),
        ("http://https///u:secret@h", "http://https///***@h"),
        ("http://https:80///u:secret@h/", "http://https:80///***@h/"),
        ("http://https:81///u:secret@h/", "http://https:81///***@h/"),
        ("http://https//u:secret@h/", "http://https//***@h/"),
        ("http://https////u:secret@h/", "http://https////***@h/"),
        (
            "http://a:secret@HTTPS///u:secret@h/?c@d",
            "http://***@HTTPS///***@h/?c@d",
        ),
        (
            "http://HTTPS///https://u:secret@h/",
            "http://HTTPS///https://***@h/",
        ),
        (
            "http://HTTPS///h/a@b//c?//d@e",
            "http://HTTPS///h/a@b//c?//d@e",
        ),
        ("http://h//a@b", "http://h//a@b"),
    ];
    for (target, expected) in table {
        assert_eq!(masked(target.as_bytes()), expected.as_bytes(), "{target}");
    }
}

#[test]
fn faults_have_a_status() {
    // RFC 9110 §15.6.2: not a scheme that this proxy has.
    assert_eq!(TargetError::Uri(UriError::Scheme).status(), 501);
    assert_eq!(TargetError::HostFieldMissing.status(), 400);
    assert_eq!(TargetError::HostFieldMalformed.status(), 400);
}
