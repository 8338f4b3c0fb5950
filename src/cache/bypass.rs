//! Requests that the cache has no part in (RFC 9110 §9, §13; RFC 9111 §4, §4.3.2): they are forwarded
//! as they are and nothing stored is looked up for them.
//!
//! `only-if-cached` is not looked at here: whoever is about to forward a request that has it answers
//! 504 (Gateway Timeout) instead.

use super::directives::RequestDirectives;
use super::status::Forward;
use crate::http::connection_auth::presents;
use crate::http::fields::Fields;
use crate::http::head::{Method, RequestHead};

/// A reason why the cache has no part in a request.
#[derive(Debug, strum::IntoStaticStr, thiserror::Error, Clone, Copy, PartialEq, Eq)]
#[strum(serialize_all = "kebab-case")]
pub enum Bypass {
    #[error("the method is neither GET nor HEAD")]
    Method,
    #[error("the request has content")]
    #[strum(serialize = "request-content")]
    Content,
    #[error("the request has a precondition that only the origin evaluates")]
    Precondition,
    #[error("the request has no-store")]
    #[strum(serialize = "request-no-store")]
    NoStore,
    #[error("a rule of the configuration has it bypass the cache")]
    Rule,
    #[error(
        "it authenticates its connection (NTLM, Negotiate), or goes over one that is authenticated"
    )]
    ConnectionAuth,
}

impl Bypass {
    /// The reason in Cache-Status.
    pub fn forward(self) -> Forward {
        if self == Bypass::Method {
            Forward::Method
        } else {
            Forward::Bypass
        }
    }
}

/// The reason why the cache has no part in this request; `None` when it has.
pub fn bypass(request: &RequestHead, directives: &RequestDirectives) -> Option<Bypass> {
    let fields = &request.fields;
    if !matches!(request.method, Method::Get | Method::Head) {
        Some(Bypass::Method)
    } else if directives.no_store {
        Some(Bypass::NoStore)
    } else if has_content(fields) {
        Some(Bypass::Content)
    } else if fields.has("if-match") || fields.has("if-unmodified-since") {
        Some(Bypass::Precondition)
    } else if presents(fields) {
        Some(Bypass::ConnectionAuth)
    } else {
        None
    }
}

/// True when a request with these fields has content (RFC 9112 §6).
pub(super) fn has_content(fields: &Fields) -> bool {
    let zero = |value: &[u8]| !value.is_empty() && value.iter().all(|&digit| digit == b'0');
    fields.has("transfer-encoding") || fields.all("content-length").any(|value| !zero(value))
}

#[cfg(test)]
#[allow(clippy::type_complexity)]
mod tests {
    use super::*;
    use crate::cache::testing::request;

    #[test]
    fn requests() {
        #[rustfmt::skip]
        let table: &[(&str, &[(&str, &str)], Option<Bypass>)] = &[
            ("GET", &[], None),
            ("HEAD", &[], None),
            ("POST", &[], Some(Bypass::Method)),
            ("OPTIONS", &[], Some(Bypass::Method)),
            ("PROPFIND", &[], Some(Bypass::Method)),
            ("get", &[], Some(Bypass::Method)),
            ("GET", &[("If-None-Match", "*"), ("If-Modified-Since", "x")], None),
            ("GET", &[("If-Match", "\"a\"")], Some(Bypass::Precondition)),
            ("GET", &[("If-Unmodified-Since", "x")], Some(Bypass::Precondition)),
            ("GET", &[("Range", "bytes=0-1")], None),
            ("HEAD", &[("Range", "bytes=0-1")], None),
            ("GET", &[("If-Range", "\"a\"")], None),
            ("GET", &[("Content-Length", "0")], None),
            ("GET", &[("Content-Length", "5")], Some(Bypass::Content)),
            ("GET", &[("Transfer-Encoding", "chunked")], Some(Bypass::Content)),
            ("GET", &[("Cache-Control", "no-store")], Some(Bypass::NoStore)),
            ("GET", &[("Cache-Control", "no-cache, max-age=0, only-if-cached")], None),
            ("GET", &[("Authorization", "Basic eA==")], None),
            ("GET", &[("Authorization", "ntlm TlRM")], Some(Bypass::ConnectionAuth)),
            ("HEAD", &[("Authorization", "Negotiate YII=")], Some(Bypass::ConnectionAuth)),
        ];
        for (method, lines, expected) in table {
            let request = request(method, lines);
            let directives = RequestDirectives::of(&request.fields);
            assert_eq!(
                bypass(&request, &directives),
                *expected,
                "{method} {lines:?}"
            );
        }
    }

    #[test]
    fn reasons_in_cache_status() {
        assert_eq!(Bypass::Method.forward(), Forward::Method);
        for why in [Bypass::Content, Bypass::NoStore, Bypass::Rule] {
            assert_eq!(why.forward(), Forward::Bypass);
        }
    }
}
