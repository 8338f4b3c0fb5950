//! URIs named through http or with credentials, and the responses to them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::http::testing::fields;

#[test]
fn https_uris_named_through_http() {
    let uri = |error| Err(TargetError::Uri(error));
    #[rustfmt::skip]
    let table = [
        ("http://HTTPS///H:443/a?b", "HTTPS", Ok("absolute https://h/a?b")),
        ("http://https///h", "https:80", Ok("absolute https://h/")),
        ("http://HTTPS///[2001:DB8::1]:8443?q", "HTTPS", Ok("absolute https://[2001:db8::1]:8443/?q")),
        ("http://u:p@HTTPS///v:q@h", "HTTPS", Ok("absolute https://h/")),
        ("http://https///h/a", "h", Ok("absolute https://h/a")),
        ("http://HTTPS///h/é%20?ä#ö", "HTTPS", Ok("absolute https://h/é%20?ä")),
        ("http://https////a", "https", uri(UriError::Host)),
        ("http://https///", "https", uri(UriError::Host)),
        ("http://https///u:p@", "https", uri(UriError::Host)),
        ("http://https///h:0/", "https", uri(UriError::Port)),
        // Not in that form.
        ("http://https//h/a", "https", Ok("absolute http://https//h/a")),
        ("http://https:81///h/a", "https:81", Ok("absolute http://https:81///h/a")),
        ("http://https.///h/", "https.", Ok("absolute http://https.///h/")),
    ];
    for (target, host, expected) in table {
        let got = of("GET", target, Version::Http11, &[host]);
        let got = got.as_ref().map(shown).map_err(|error| *error);
        assert_eq!(got, expected.map(str::to_owned), "{target}");
    }
}

#[test]
fn credentials_of_a_target() {
    let table = [
        ("http://h/", None),
        ("http://@h/", None),
        ("http://user:pass@h/a@b", None),
        ("https://user:pass@h/", None),
        ("http://HTTPS///@h/", None),
        ("http://HTTPS///user@h", Some("user:")),
        ("http://HTTPS///:pass@h", Some(":pass")),
        ("http://HTTPS///a:b:c@h", Some("a:b:c")),
        ("http://HTTPS///u%40x:%3a%25%zz%4@h/", Some("u@x::%%zz%4")),
        ("http://HTTPS///user:pass@h/", Some("user:pass")),
        ("http://user:pass@https///h/", Some("user:pass")),
        ("http://other@https///user:pass@h/", Some("user:pass")),
    ];
    for (text, expected) in table {
        let target = TargetUri::parse(&Bytes::from(text)).unwrap();
        assert!(!target.uri.to_string().contains("pass"), "{text}");
        assert!(!format!("{target:?}").contains("pass"), "{text}");
        let field = |authorized: Fields| {
            let value = authorized.first("authorization").unwrap().to_owned();
            let value = String::from_utf8(value).unwrap();
            let basic = value.strip_prefix("Basic ").unwrap().to_owned();
            String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap()
        };
        let plain = fields(&[("Accept", "*/*")]);
        let got = target.authorized(&plain).map(field);
        assert_eq!(got.as_deref(), expected, "{text}");
        let own = fields(&[("authorization", "Bearer t")]);
        assert_eq!(target.authorized(&own), None, "{text}");
    }
}

#[test]
fn browsers_may_not_name_https_uris_through_http() {
    let table = [
        ("Origin", "http://https", true),
        ("ORIGIN", "null", true),
        ("Cookie", "", true),
        ("Referer", "http://https///a/", true),
        ("Sec-Fetch-Site", "none", true),
        ("sec-ch-ua", "x", true),
        ("Upgrade-Insecure-Requests", "1", true),
        ("Access-Control-Request-Method", "PUT", true),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)", true),
        ("User-Agent", "Debian APT-HTTP/1.3 (3.0)", false),
        ("User-Agent", "curl/8.14 (like Mozilla/5.0)", false),
        ("Secret", "x", false),
        ("Sec", "x", false),
        ("Accept-Language", "de", false),
        ("Authorization", "Basic eA==", false),
        ("Range", "bytes=0-", false),
    ];
    for (name, value, refused) in table {
        let fields = fields(&[("Accept", "*/*"), (name, value)]);
        let of = |text: &'static str| TargetUri::parse(&Bytes::from(text)).unwrap();
        let why = of("http://HTTPS///h/").refused(&fields);
        assert_eq!(why.is_some(), refused, "{name}");
        assert!(why.is_none_or(|why| why.contains(name)), "{name}");
        for plain in ["http://h/", "https://h/", "http://https//h/"] {
            assert_eq!(of(plain).refused(&fields), None, "{name}");
        }
    }
}

#[test]
fn references_go_on_through_http() {
    let base = Uri::parse(&Bytes::from("https://h:444/a/b?c")).unwrap();
    let table = [
        ("/x?y#z", Some("http://HTTPS///h:444/x?y#z")),
        ("x", Some("http://HTTPS///h:444/a/x")),
        ("../../../x/./y", Some("http://HTTPS///h:444/x/y")),
        ("?d", Some("http://HTTPS///h:444/a/b?d")),
        ("#z", Some("http://HTTPS///h:444/a/b?c#z")),
        ("//other/x", Some("http://HTTPS///other/x")),
        ("https://other", Some("http://HTTPS///other")),
        (
            "HTTPS://Other:8443/x?y#z",
            Some("http://HTTPS///Other:8443/x?y#z"),
        ),
        (
            "https://u:p@[::1]/x/../y",
            Some("http://HTTPS///u:p@[::1]/x/../y"),
        ),
        ("/\u{e4} {", Some("http://HTTPS///h:444/\u{e4} {")),
        ("http://other/x", None),
        ("http://HTTPS///other/x", None),
        ("ftp://other/x", None),
        ("mailto:a@b", None),
        ("https:x", None),
        ("\u{e4}?ö#ü", Some("http://HTTPS///h:444/a/\u{e4}?ö#ü")),
        ("\u{e4} x", None),
    ];
    for (reference, expected) in table {
        let got = reference_through_http(&base, reference.as_bytes());
        let got = got.map(|got| String::from_utf8(got).unwrap());
        assert_eq!(got.as_deref(), expected, "{reference}");
    }
}
