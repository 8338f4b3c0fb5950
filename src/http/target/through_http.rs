//! The form `http://HTTPS///host/path`, in which clients that send https URIs only into tunnels, as apt does, have a
//! cache fetch them: which URI it names, what a reference in a response becomes in it, and who may use it.
//!
//! To a browser all https sites would be one web origin in that form (RFC 6454 §4), so its requests are told apart.

use bytes::Bytes;

use super::uri::{Scheme, Uri, has_scheme};
use crate::http::fields::Fields;
use crate::http::syntax::is_one_of;

/// Stands in that form for `https://`.
const PREFIX: &[u8] = b"http://HTTPS///";

/// Fields that browsers send and the programs that the form is for don't.
const OF_BROWSERS: &[&str] = &[
    "cookie",
    "dnt",
    "origin",
    "ping-from",
    "ping-to",
    "referer",
    "service-worker",
    "upgrade-insecure-requests",
];
/// Beginnings of names of such fields. Scripts can't set or remove any `Sec-` field.
const BEGINNINGS: [&str; 2] = ["sec-", "access-control-request-"];

/// The https URI that is named by this one in that form.
pub(super) fn https_uri(uri: &Uri) -> Option<Bytes> {
    let named = uri.scheme() == Scheme::Http && uri.authority() == "https";
    let rest = uri.path_and_query().strip_prefix(b"///");
    rest.filter(|_| named)
        .map(|rest| Bytes::from([b"https://", rest].concat()))
}

/// A reference in a response from `base`, for a client that named `base` in that form, which goes on in it: what is
/// relative or an https URI. Anything else stays as it is: `None`.
pub fn reference(base: &Uri, reference: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = reference.split_at(reference.len().min("https://".len()));
    if scheme.eq_ignore_ascii_case(b"https://") {
        return Some([PREFIX, rest].concat());
    }
    if has_scheme(reference) {
        return None;
    }
    if let [b'/', b'/', rest @ ..] = reference {
        return Some([PREFIX, rest].concat());
    }
    let fragment = memchr::memchr(b'#', reference).unwrap_or(reference.len());
    match (base.resolve(reference), reference) {
        (Ok(uri), _) => {
            let path = uri.path_and_query();
            let authority = uri.authority().as_bytes();
            Some([PREFIX, authority, path, &reference[fragment..]].concat())
        }
        // With characters that should be percent-encoded, which it keeps.
        (Err(_), [b'/', ..]) => Some([PREFIX, base.authority().as_bytes(), reference].concat()),
        (Err(_), _) => None,
    }
}

/// The name of a field by which these are the fields of a browser's request.
pub(super) fn browser_field(fields: &Fields) -> Option<&[u8]> {
    let begins = |name: &[u8], beginning: &str| {
        name.get(..beginning.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(beginning.as_bytes()))
    };
    let mut lines = fields.iter();
    let of_browser = |(name, value): &(&[u8], &[u8])| {
        is_one_of(name, OF_BROWSERS)
            || BEGINNINGS.iter().any(|beginning| begins(name, beginning))
            || (name.eq_ignore_ascii_case(b"user-agent") && begins(value, "mozilla/"))
    };
    lines.find(of_browser).map(|(name, _)| name)
}
