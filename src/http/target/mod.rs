//! The target of a request (RFC 9112 §3.2, §3.3): one of four forms.
//!
//! Beside a target that names its host the Host field is ignored and may be missing (§3.2.2); one that is repeated or
//! malformed is refused all the same (§3.2). Which targets are served is the worker's decision.

mod authority;
mod in_path;
mod target_uri;
mod through_http;
mod uri;

use std::borrow::Cow;

use bytes::Bytes;

pub use authority::{Authority, UriError};
pub use in_path::HostPatterns;
pub use target_uri::{NamedAs, TargetUri, UriForm};
#[cfg(test)]
use through_http::reference as reference_through_http;
pub use uri::{Scheme, Uri};

use super::head::{Method, RequestHead, Version};
use authority::HostPort;

/// A fault of a request's target or Host field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum TargetError {
    #[error("{0}")]
    Uri(#[from] UriError),
    #[error("the Host field is missing")]
    HostFieldMissing,
    #[error("the Host field is repeated or malformed")]
    HostFieldMalformed,
}

impl TargetError {
    /// The status code that answers a request with this fault.
    pub fn status(self) -> u16 {
        if self == TargetError::Uri(UriError::Scheme) {
            501
        } else {
            400
        }
    }
}

/// The target of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A resource on an origin server (absolute-form).
    Absolute(TargetUri),
    /// A tunnel (authority-form, CONNECT only).
    Authority(Authority),
    /// The proxy itself (asterisk-form, OPTIONS only).
    Asterisk,
    /// One of the proxy's own pages (origin-form).
    Origin {
        /// Path and query.
        path: Bytes,
    },
}

impl Target {
    /// The target of a request.
    pub fn of(head: &RequestHead) -> Result<Target, TargetError> {
        let has_host = has_host_field(head)?;
        let target = &head.target;
        if head.method == Method::Connect {
            return Ok(Target::Authority(Authority::parse(target)?));
        }
        let names_no_host = if target.first() == Some(&b'/') {
            Target::Origin {
                path: without_fragment(target),
            }
        } else if target.as_ref() == b"*" && head.method == Method::Options {
            Target::Asterisk
        } else {
            return Ok(Target::Absolute(TargetUri::parse(target)?));
        };
        match has_host || head.version == Version::Http10 {
            true => Ok(names_no_host),
            false => Err(TargetError::HostFieldMissing),
        }
    }
}

/// True for a request with a Host field, which may be empty; a repeated or malformed one is a fault (RFC 9112 §3.2).
fn has_host_field(head: &RequestHead) -> Result<bool, TargetError> {
    let mut lines = head.fields.all("host");
    match (lines.next(), lines.next()) {
        (None, _) => Ok(false),
        (Some(b""), None) => Ok(true),
        (Some(field), None) if HostPort::parse(field).is_ok() => Ok(true),
        (Some(_), _) => Err(TargetError::HostFieldMalformed),
    }
}

/// A request target without its fragment, which no client should send (RFC 9110 §7.1).
pub fn without_fragment(target: &Bytes) -> Bytes {
    match memchr::memchr(b'#', target) {
        Some(at) => target.slice(..at),
        None => target.clone(),
    }
}

/// A request target or URI without the credentials that it may have, for people to see:
/// `http://user:secret@host/` becomes `http://***@host/`, as does what follows `http://HTTPS///`, or nearly that.
pub fn masked(target: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'@', target).is_none() {
        return Cow::Borrowed(target);
    }
    let start = memchr::memmem::find(target, b"://").map_or(0, |at| at + 3);
    let (scheme, rest) = target.split_at(start);
    let end = rest.iter().position(|byte| b"?#".contains(byte));
    let (hierarchy, query) = rest.split_at(end.unwrap_or(rest.len()));
    let mut segments = hierarchy.split(|&byte| byte == b'/');
    let authority = without_userinfo(segments.next().unwrap_or_default());
    let host = authority.split(|byte| b"@:".contains(byte));
    let through_http = host
        .into_iter()
        .any(|part| part.eq_ignore_ascii_case(b"https"));
    let mut shown = [scheme, &authority].concat();
    let mut after_empty = false;
    for segment in segments {
        shown.push(b'/');
        match through_http && after_empty {
            true => shown.extend_from_slice(&without_userinfo(segment)),
            false => shown.extend_from_slice(segment),
        }
        after_empty = segment.is_empty();
    }
    shown.extend_from_slice(query);
    Cow::Owned(shown)
}

fn without_userinfo(authority: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memrchr(b'@', authority) {
        Some(at) => Cow::Owned([b"***", &authority[at..]].concat()),
        None => Cow::Borrowed(authority),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
