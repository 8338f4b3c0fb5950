//! Invalidation by a request that may have changed the origin's state (RFC 9111 §4.4): of its target
//! URI, and of those of the same origin that the response's Location and Content-Location name.
//!
//! Stored responses of every method and variant under these URIs go; that is the store's part.

use crate::http::head::{Method, ResponseHead};
use crate::http::target::Uri;

/// The URIs that this response to this request invalidates. Safe methods and errors invalidate none.
pub fn invalidates(method: &Method, target: &Uri, response: &ResponseHead) -> Vec<Uri> {
    if method.is_safe() || !(200..400).contains(&response.status) {
        return Vec::new();
    }
    let mut uris = vec![target.clone()];
    for name in ["location", "content-location"] {
        let reference = response.fields.first(name);
        if let Some(Ok(uri)) = reference.map(|reference| target.resolve(reference)) {
            if same_origin(&uri, target) && !uris.contains(&uri) {
                uris.push(uri);
            }
        }
    }
    uris
}

/// True when scheme, host and port are the same (RFC 9110 §4.3.1). Anything else is none of this
/// origin's business, and could be used to empty the cache of others.
fn same_origin(one: &Uri, other: &Uri) -> bool {
    one.scheme() == other.scheme() && one.host() == other.host() && one.port() == other.port()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::type_complexity)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::cache::testing::response;

    fn uri(text: &str) -> Uri {
        Uri::parse(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn method(token: &str) -> Method {
        Method::from_token(&Bytes::copy_from_slice(token.as_bytes()))
    }

    #[test]
    fn methods_and_statuses() {
        #[rustfmt::skip]
        let table: &[(&str, u16, bool)] = &[
            ("POST", 200, true), ("PUT", 201, true), ("DELETE", 204, true), ("PATCH", 200, true),
            ("M-SEARCH", 200, true), ("get", 200, true), ("POST", 299, true),
            ("POST", 302, true), ("POST", 399, true),
            ("GET", 200, false), ("HEAD", 200, false), ("OPTIONS", 200, false), ("TRACE", 200, false),
            ("POST", 400, false), ("PUT", 412, false), ("DELETE", 500, false), ("POST", 999, false),
            ("POST", 100, false),
        ];
        for (token, status, expected) in table {
            let target = uri("http://a.example/x");
            let invalid = invalidates(&method(token), &target, &response(*status, &[]));
            let expected = if *expected { vec![target] } else { vec![] };
            assert_eq!(invalid, expected, "{token} {status}");
        }
    }

    #[test]
    fn uris_named_in_the_response() {
        // The target is http://a.example/x/y?q.
        #[rustfmt::skip]
        let table: &[(&[(&str, &str)], &[&str])] = &[
            (&[("Location", "http://a.example/z")], &["http://a.example/z"]),
            (&[("Content-Location", "http://a.example/z")], &["http://a.example/z"]),
            (&[("Location", "/z"), ("Content-Location", "/w")], &["http://a.example/z", "http://a.example/w"]),
            (&[("Location", "/z"), ("Content-Location", "/z")], &["http://a.example/z"]),
            (&[("Location", "HTTP://A.EXAMPLE:80/z#f")], &["http://a.example/z"]),
            (&[("Location", "//a.example/z")], &["http://a.example/z"]),
            (&[("Location", "z")], &["http://a.example/x/z"]),
            (&[("Location", "z/./w/../?r=../s")], &["http://a.example/x/z/?r=../s"]),
            (&[("Location", "../../../z")], &["http://a.example/z"]),
            (&[("Location", "..")], &["http://a.example/"]),
            (&[("Location", "?r")], &["http://a.example/x/y?r"]),
            (&[("Location", "\u{e9}?\"")], &["http://a.example/x/\u{e9}?\""]),
            (&[("Location", "")], &[]),
            (&[("Location", "#f")], &[]),
            (&[("Location", "/x/y?q")], &[]),
            // Not of the same origin (§4.4).
            (&[("Location", "http://b.example/z")], &[]),
            (&[("Location", "//b.example/z")], &[]),
            (&[("Location", "https://a.example/z")], &[]),
            (&[("Location", "http://a.example:81/z")], &[]),
            (&[("Location", "http://a.example.b.example/z")], &[]),
            (&[("Location", "mailto:a@a.example")], &[]),
            (&[("Location", "http://a.example:99999/z")], &[]),
            (&[("Location", "/ \u{e9}")], &[]),
            (&[("Refresh", "/z")], &[]),
        ];
        let target = uri("http://a.example/x/y?q");
        for (lines, expected) in table {
            let invalid = invalidates(&Method::Post, &target, &response(201, lines));
            let named: Vec<String> = invalid[1..].iter().map(Uri::to_string).collect();
            assert_eq!(invalid[0], target);
            assert_eq!(named, *expected, "{lines:?}");
        }
    }
}
