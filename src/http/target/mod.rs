//! The target of a request (RFC 9112 §3.2, §3.3): one of four forms, and a Host field that must agree
//! with it.
//!
//! Stricter than RFC 9112 §3.2.2, which has a proxy ignore a Host field beside an absolute-form:
//! one that names another authority is refused. Which targets are served is the worker's decision.

mod authority;
mod target_uri;
mod through_http;
mod uri;

use std::borrow::Cow;

use bytes::Bytes;

pub use authority::{Authority, UriError};
pub use target_uri::{TargetUri, UriForm};
pub use through_http::reference as reference_through_http;
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
    #[error("the Host field differs from the target URI")]
    HostFieldDiffers,
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
    /// The target of a request, with whose Host field it must agree.
    pub fn of(head: &RequestHead) -> Result<Target, TargetError> {
        let host = host_field(head)?;
        let target = &head.target;
        if head.method == Method::Connect {
            let authority = Authority::parse(target)?;
            let port = authority.port();
            // Some clients leave the port out of the Host field of a CONNECT.
            agree(host, authority.bracketed_host(), port, port)?;
            return Ok(Target::Authority(authority));
        }
        if target.first() == Some(&b'/') {
            return match memchr::memchr(b'#', target) {
                Some(_) => Err(UriError::Characters.into()),
                None => Ok(Target::Origin {
                    path: target.clone(),
                }),
            };
        }
        if target.as_ref() == b"*" && head.method == Method::Options {
            return Ok(Target::Asterisk);
        }
        let (uri, userinfo) = Uri::parse_with_userinfo(target)?;
        let default = uri.scheme().default_port();
        agree(host, uri.bracketed_host(), uri.port(), default)?;
        Ok(Target::Absolute(TargetUri::named_by(uri, userinfo)?))
    }
}

/// The one Host field, which HTTP/1.1 requires and no request may repeat (RFC 9112 §3.2).
fn host_field(head: &RequestHead) -> Result<Option<HostPort<'_>>, TargetError> {
    let mut lines = head.fields.all("host");
    match (lines.next(), lines.next()) {
        (_, Some(_)) => Err(TargetError::HostFieldMalformed),
        (None, _) if head.version == Version::Http11 => Err(TargetError::HostFieldMissing),
        (None, _) => Ok(None),
        (Some(host @ b""), _) => Ok(Some(HostPort { host, port: None })),
        (Some(field), _) => HostPort::parse(field)
            .map(Some)
            .map_err(|_| TargetError::HostFieldMalformed),
    }
}

/// Refuses a Host field, if there is one, that names another host or port.
fn agree(
    field: Option<HostPort<'_>>,
    host: &[u8],
    port: u16,
    default_port: u16,
) -> Result<(), TargetError> {
    let agrees = field.is_none_or(|named| {
        named.host.eq_ignore_ascii_case(host) && named.port.unwrap_or(default_port) == port
    });
    agrees.then_some(()).ok_or(TargetError::HostFieldDiffers)
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
