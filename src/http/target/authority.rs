//! Host and port (RFC 3986 §3.2, RFC 9112 §3.2.3): of a CONNECT, of a Host field, within a URI.
//!
//! Only their syntax; whether a host may be connected to is decided by the worker.

use bytes::Bytes;

use crate::http::syntax::number;

/// The longest host accepted; DNS names have 253 characters at most.
const MAX_HOST: usize = 255;

/// A fault of a URI or an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum UriError {
    #[error("the request target has not the form that goes with its method")]
    Form,
    #[error("the scheme of the target URI is neither http nor https")]
    Scheme,
    #[error("the host of the target URI is missing or malformed")]
    Host,
    #[error("the port of the target URI is missing or not a number from 1 to 65535")]
    Port,
    #[error("the target URI has spaces or control characters, which must be percent-encoded")]
    Characters,
}

/// Host and port that a CONNECT asks for. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    text: Bytes,
    host_end: usize,
    port: u16,
}

impl Authority {
    /// The authority-form of RFC 9112 §3.2.3: host and port, both there.
    pub fn parse(text: &Bytes) -> Result<Authority, UriError> {
        if memchr::memchr(b'@', text).is_some() {
            return Err(UriError::Form);
        }
        let HostPort { host, port } = HostPort::parse(text)?;
        let port = port.ok_or(UriError::Port)?;
        let host_end = host.len();
        let mut text = text.clone();
        if host.iter().any(u8::is_ascii_uppercase) {
            text = text.to_ascii_lowercase().into();
        }
        Ok(Authority {
            text,
            host_end,
            port,
        })
    }

    /// The host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        without_brackets(ascii(self.bracketed_host()))
    }

    /// The host with the brackets of an IPv6 address.
    pub(super) fn bracketed_host(&self) -> &[u8] {
        &self.text[..self.host_end]
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Host and port as an authority names them.
pub(super) struct HostPort<'a> {
    /// With the brackets of an IPv6 address.
    pub host: &'a [u8],
    /// None where there is no colon, or nothing after it.
    pub port: Option<u16>,
}

impl HostPort<'_> {
    /// Reads an authority without userinfo.
    pub(super) fn parse(authority: &[u8]) -> Result<HostPort<'_>, UriError> {
        let end = if authority.first() == Some(&b'[') {
            memchr::memchr(b']', authority).ok_or(UriError::Host)? + 1
        } else {
            memchr::memchr(b':', authority).unwrap_or(authority.len())
        };
        let (host, rest) = authority.split_at(end);
        if !is_host(host) {
            return Err(UriError::Host);
        }
        let port = match rest {
            [] | [b':'] => None,
            [b':', digits @ ..] => Some(port_number(digits)?),
            _ => return Err(UriError::Host),
        };
        Ok(HostPort { host, port })
    }
}

/// True for a host as the proxy takes it: a name of unreserved characters or an IP address.
/// Percent-encoding and sub-delimiters, which RFC 3986 allows but no resolvable name has, are not.
fn is_host(host: &[u8]) -> bool {
    if let [b'[', address @ .., b']'] = host {
        return std::str::from_utf8(address)
            .is_ok_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    }
    !host.is_empty()
        && host.len() <= MAX_HOST
        && host
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

/// A port from 1 to 65535; leading zeros are accepted within five digits.
fn port_number(digits: &[u8]) -> Result<u16, UriError> {
    match number(digits) {
        Some(port @ 1..=65535) if digits.len() <= 5 => Ok(port as u16),
        _ => Err(UriError::Port),
    }
}

/// A host as for connecting: an IPv6 address without its brackets.
pub(super) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// Text known to be ASCII.
pub(super) fn ascii(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}
