//! URIs by the clauses of RFC 9110 §4.2 and the examples of RFC 3986 §5.4.

use super::*;
use crate::http::target::authority::UriError;

fn parsed(text: &str) -> Result<Uri, UriError> {
    Uri::parse(&Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn normal_form() {
    let table = [
        ("http://h.example/a?b", Ok("http://h.example/a?b")),
        // Scheme and host are case-insensitive, path and query are not (RFC 9110 §4.2.3).
        ("HTTP://H.Example/A?B", Ok("http://h.example/A?B")),
        ("hTTps://h/", Ok("https://h/")),
        // An empty path is the path "/" (RFC 9110 §4.2.3).
        ("http://h", Ok("http://h/")),
        ("http://h?q", Ok("http://h/?q")),
        // The default port, or none after a colon, is no port at all (RFC 9110 §4.2.3).
        ("http://h:80/", Ok("http://h/")),
        ("http://h:/", Ok("http://h/")),
        ("http://h:080/", Ok("http://h/")),
        ("https://h:443/", Ok("https://h/")),
        ("https://h:80/", Ok("https://h:80/")),
        ("http://h:443/", Ok("http://h:443/")),
        ("http://h:08080/", Ok("http://h:8080/")),
        ("http://h:65535/", Ok("http://h:65535/")),
        // Userinfo is not passed on (RFC 9110 §4.2.4).
        ("http://user:pass@h/a", Ok("http://h/a")),
        ("http://@h/a", Ok("http://h/a")),
        ("http://a@b@h/a", Err(UriError::Host)),
        ("http://h/a@b", Ok("http://h/a@b")),
        // IPv6 literals (RFC 3986 §3.2.2).
        ("http://[::1]/", Ok("http://[::1]/")),
        (
            "http://[2001:DB8::A]:8080/",
            Ok("http://[2001:db8::a]:8080/"),
        ),
        (
            "http://[::ffff:192.0.2.1]/",
            Ok("http://[::ffff:192.0.2.1]/"),
        ),
        ("http://192.0.2.1:81", Ok("http://192.0.2.1:81/")),
        // Left alone: dot segments, percent-encoding, what clients send unencoded.
        ("http://h/a/../b/./c", Ok("http://h/a/../b/./c")),
        ("http://h/%7e%7E~", Ok("http://h/%7e%7E~")),
        ("http://h/a|b{c}\"^`[d]", Ok("http://h/a|b{c}\"^`[d]")),
        (
            "http://h/é%c3%A9語?ä=\u{a0}",
            Ok("http://h/é%c3%A9語?ä=\u{a0}"),
        ),
        ("HTTP://H?é", Ok("http://h/?é")),
        ("http://h/%?%%2%zz%4", Ok("http://h/%?%%2%zz%4")),
        ("http://h//a", Ok("http://h//a")),
        // A fragment is cut off, wherever it begins (RFC 3986 §3.5).
        ("http://h/a#f", Ok("http://h/a")),
        ("http://h/a?b#f?/#g", Ok("http://h/a?b")),
        ("http://h/#", Ok("http://h/")),
        ("http://h#f", Ok("http://h/")),
        ("http://h#@i/", Ok("http://h/")),
        ("http://h:81#f é", Ok("http://h:81/")),
        ("http://#h/", Err(UriError::Host)),
        ("#f", Err(UriError::Form)),
        (
            "http://my_host-1.example./",
            Ok("http://my_host-1.example./"),
        ),
        // No host, or none that could be (RFC 9110 §4.2.1).
        ("http:///a", Err(UriError::Host)),
        ("http://", Err(UriError::Host)),
        ("http://:80/", Err(UriError::Host)),
        ("http://user@/", Err(UriError::Host)),
        ("http://h%41/", Err(UriError::Host)),
        ("http://h\\@x/", Err(UriError::Host)),
        ("http://h\\x/", Err(UriError::Host)),
        ("http://[::1/", Err(UriError::Host)),
        ("http://[::1]x/", Err(UriError::Host)),
        ("http://[::g]/", Err(UriError::Host)),
        ("http://[fe80::1%25eth0]/", Err(UriError::Host)),
        ("http://[v1.x]/", Err(UriError::Host)),
        ("http://::1/", Err(UriError::Host)),
        ("http://h:0/", Err(UriError::Port)),
        ("http://h:65536/", Err(UriError::Port)),
        ("http://h:000080/", Err(UriError::Port)),
        ("http://h:+80/", Err(UriError::Port)),
        ("http://h:80:80/", Err(UriError::Port)),
        ("http://h:a/", Err(UriError::Port)),
        ("http://h/a b", Err(UriError::Characters)),
        ("http://h/\t", Err(UriError::Characters)),
        ("http://h/\u{7f}", Err(UriError::Characters)),
        ("http://h/a b#c", Err(UriError::Characters)),
        ("http://\u{e9}/", Err(UriError::Host)),
        ("http://\u{e9}@h/", Err(UriError::Host)),
        ("http://h:\u{b2}/", Err(UriError::Port)),
        ("ftp://h/", Err(UriError::Scheme)),
        ("ws://h/", Err(UriError::Scheme)),
        ("://h/", Err(UriError::Scheme)),
        ("http:/h/", Err(UriError::Form)),
        ("http:h", Err(UriError::Form)),
        ("//h/", Err(UriError::Form)),
        ("h:80", Err(UriError::Form)),
        ("", Err(UriError::Form)),
    ];
    for (text, expected) in table {
        let got = parsed(text);
        assert_eq!(
            got.as_ref().map(Uri::to_string),
            expected.as_ref().map(|text| (*text).to_owned()),
            "{text}"
        );
        if let Ok(uri) = got {
            assert_eq!(parsed(&uri.to_string()).unwrap(), uri, "{text} again");
        }
    }
    assert_eq!(
        parsed(&format!("http://{}/", "h".repeat(256))),
        Err(UriError::Host)
    );
}

#[test]
fn parts() {
    let table = [
        // text, host, port, authority, path and query, bare
        ("http://H/a?b", "h", 80, "h", "/a?b", false),
        ("https://h:444", "h", 444, "h:444", "/", true),
        ("http://[::1]:80/", "::1", 80, "[::1]", "/", false),
        ("http://u:p@[::A]:81?q", "::a", 81, "[::a]:81", "/?q", false),
    ];
    for (text, host, port, authority, path, bare) in table {
        let uri = parsed(text).unwrap();
        assert_eq!(uri.host(), host, "{text}");
        assert_eq!(uri.port(), port, "{text}");
        assert_eq!(uri.authority(), authority, "{text}");
        assert_eq!(uri.path_and_query(), path.as_bytes(), "{text}");
        assert_eq!(uri.is_bare(), bare, "{text}");
    }
}

#[test]
fn bytes_that_are_no_text_stay() {
    for text in [&b"http://h/\xff\xfe?\x80"[..], b"http://h/\xe4"] {
        let uri = Uri::parse(&Bytes::from(text)).unwrap();
        assert_eq!(uri.as_bytes(), text);
        assert_eq!(uri.path_and_query(), &text[8..]);
        assert_ne!(
            uri,
            parsed(&uri.to_string()).unwrap(),
            "replaced is another"
        );
    }
}

#[test]
fn a_normal_uri_is_not_copied() {
    for text in ["http://h/", "https://h:8080/a?b", "http://[::1]/"] {
        let text = Bytes::copy_from_slice(text.as_bytes());
        let uri = Uri::parse(&text).unwrap();
        assert_eq!(uri.as_bytes().as_ptr(), text.as_ptr(), "{uri}");
    }
}

#[test]
fn references() {
    let base = parsed("http://a:81/b/c/d;p?q").unwrap();
    let table = [
        // The examples of RFC 3986 §5.4, as far as they are http; fragments go.
        ("g", "http://a:81/b/c/g"),
        ("./g", "http://a:81/b/c/g"),
        ("g/", "http://a:81/b/c/g/"),
        ("/g", "http://a:81/g"),
        ("//g", "http://g/"),
        ("?y", "http://a:81/b/c/d;p?y"),
        ("g?y", "http://a:81/b/c/g?y"),
        ("#s", "http://a:81/b/c/d;p?q"),
        ("g#s", "http://a:81/b/c/g"),
        (";x", "http://a:81/b/c/;x"),
        ("", "http://a:81/b/c/d;p?q"),
        (".", "http://a:81/b/c/"),
        ("./", "http://a:81/b/c/"),
        ("..", "http://a:81/b/"),
        ("../", "http://a:81/b/"),
        ("../g", "http://a:81/b/g"),
        ("../..", "http://a:81/"),
        ("../../g", "http://a:81/g"),
        ("../../../g", "http://a:81/g"),
        ("/./g", "http://a:81/g"),
        ("/../g", "http://a:81/g"),
        ("g.", "http://a:81/b/c/g."),
        ("..g", "http://a:81/b/c/..g"),
        ("./../g", "http://a:81/b/g"),
        ("./g/.", "http://a:81/b/c/g/"),
        ("g/../h", "http://a:81/b/c/h"),
        ("g?y/../x", "http://a:81/b/c/g?y/../x"),
        ("g:h/", "g:h/"),
        ("https://G/x#y", "https://g/x"),
        ("HTTP://A:80/z#f", "http://a/z"),
        ("z/./w/../?r=../s", "http://a:81/b/c/z/?r=../s"),
        ("a/b:c", "http://a:81/b/c/a/b:c"),
        ("?a:b", "http://a:81/b/c/d;p?a:b"),
        ("é/../è?ä#ö", "http://a:81/b/c/è?ä"),
    ];
    for (reference, expected) in table {
        match base.resolve(reference.as_bytes()) {
            Ok(uri) => assert_eq!(uri.to_string(), expected, "{reference}"),
            Err(error) => assert_eq!((error, expected), (UriError::Form, reference)),
        }
    }
    assert_eq!(
        base.resolve("/ \u{e9}".as_bytes()),
        Err(UriError::Characters)
    );
    assert_eq!(base.resolve(b"http://a:99999/z"), Err(UriError::Port));
    assert_eq!(base.resolve(b"mailto:a@a.example"), Err(UriError::Form));
    assert_eq!(base.resolve(b"g h"), Err(UriError::Characters));
    assert_eq!(base.resolve(b"//"), Err(UriError::Host));
}

#[test]
fn parameters_are_left_out() {
    let table = [
        ("http://h/a", "http://h/a"),
        ("http://h/a?", "http://h/a?"),
        ("http://h/a?x=1", "http://h/a"),
        ("http://h/a?x", "http://h/a"),
        ("http://h/a?b&x=1&c=?&x", "http://h/a?b&c=?"),
        ("http://h/a?x=1&b=x", "http://h/a?b=x"),
        ("http://h/a?X=1&xx=2&&", "http://h/a?X=1&xx=2&&"),
        ("http://h:81/a?x=1&", "http://h:81/a?"),
    ];
    for (text, expected) in table {
        let uri = Uri::parse(&Bytes::from(text)).unwrap();
        let without = uri.without_parameters(|name| name == b"x");
        assert_eq!(without.to_string(), expected, "{text}");
        assert_eq!(without.authority(), uri.authority(), "{text}");
    }
}
