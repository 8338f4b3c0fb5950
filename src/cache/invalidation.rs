//! What a request that may have changed the origin's state makes invalid (RFC 9111 §4.4): its target
//! URI, and those of the same origin that the response's Location and Content-Location name.
//!
//! Stored responses of every method and variant under these URIs go; that is the store's part.

use bytes::Bytes;

use crate::http::head::{Method, ResponseHead};
use crate::http::target::Uri;

/// The URIs that this response to this request invalidates. Safe methods and errors invalidate none.
pub fn invalidates(method: &Method, target: &Uri, response: &ResponseHead) -> Vec<Uri> {
    if method.is_safe() || !(200..400).contains(&response.status) {
        return Vec::new();
    }
    let mut uris = vec![target.clone()];
    for name in ["location", "content-location"] {
        let named = response
            .fields
            .first(name)
            .and_then(|value| resolve(target, value));
        if let Some(uri) = named {
            if same_origin(&uri, target) && !uris.contains(&uri) {
                uris.push(uri);
            }
        }
    }
    uris
}

/// Whether scheme, host and port are the same (RFC 9110 §4.3.1). Anything else is none of this
/// origin's business, and could be used to empty the cache of others.
fn same_origin(one: &Uri, other: &Uri) -> bool {
    one.scheme() == other.scheme() && one.host() == other.host() && one.port() == other.port()
}

/// The URI that a reference means, seen from `base` (RFC 3986 §5.2), without its fragment.
pub(super) fn resolve(base: &Uri, reference: &[u8]) -> Option<Uri> {
    let reference = std::str::from_utf8(reference).ok()?;
    let reference = reference.split('#').next()?;
    let scheme = base.scheme().as_str();
    let origin = format!("{scheme}://{}", base.authority());
    let path = base.path_and_query().split('?').next()?;
    let absolute = if has_scheme(reference) {
        reference.to_owned()
    } else if let Some(rest) = reference.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if reference.is_empty() {
        base.as_str().to_owned()
    } else if reference.starts_with('?') {
        format!("{origin}{path}{reference}")
    } else if reference.starts_with('/') {
        format!("{origin}{}", without_dots(reference))
    } else {
        let folder = &path[..=path.rfind('/')?];
        format!("{origin}{}", without_dots(&format!("{folder}{reference}")))
    };
    Uri::parse(&Bytes::from(absolute)).ok()
}

/// Whether a reference begins with a scheme, so that it is a URI already.
fn has_scheme(reference: &str) -> bool {
    let end = reference.find([':', '/', '?']).unwrap_or(0);
    reference[end..].starts_with(':') && reference.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// An absolute path, and perhaps a query, with its dot segments removed (RFC 3986 §5.2.4).
fn without_dots(path_and_query: &str) -> String {
    let (path, query) = match path_and_query.find('?') {
        Some(at) => path_and_query.split_at(at),
        None => (path_and_query, ""),
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::type_complexity)]
mod tests {
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
            (&[("Location", "/\u{e9}")], &[]),
            (&[("Refresh", "/z")], &[]),
        ];
        let target = uri("http://a.example/x/y?q");
        for (lines, expected) in table {
            let invalid = invalidates(&Method::Post, &target, &response(201, lines));
            let named: Vec<&str> = invalid[1..].iter().map(Uri::as_str).collect();
            assert_eq!(invalid[0], target);
            assert_eq!(named, *expected, "{lines:?}");
        }
    }
}
