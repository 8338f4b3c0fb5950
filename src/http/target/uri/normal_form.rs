//! URIs read into their normal form (RFC 9110 §4.2.3), and those refused whose host could be in doubt.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Scheme, Uri};
use crate::http::syntax::is_target_byte;
use crate::http::target::authority::{HostPort, UriError};
use crate::http::target::without_fragment;

impl Uri {
    /// The URI that `text` is: absolute, http or https; its fragment is none of a proxy's business (RFC 9110 §7.1).
    /// Copies only when `text` isn't in normal form already.
    pub fn parse(text: &Bytes) -> Result<Uri, UriError> {
        Uri::parse_with_userinfo(text).map(|(uri, _)| uri)
    }

    /// The same, and its userinfo without the `@`, which isn't part of the URI here; empty where there is none.
    pub(in crate::http::target) fn parse_with_userinfo(
        text: &Bytes,
    ) -> Result<(Uri, Bytes), UriError> {
        let text = &without_fragment(text);
        let (scheme, start) = split_scheme(text)?;
        if !text.iter().copied().all(is_target_byte) {
            return Err(UriError::Characters);
        }
        let end = text[start..]
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?'))
            .map_or(text.len(), |at| start + at);
        let userinfo = userinfo_length(&text[start..end])?;
        let HostPort { host, port } = HostPort::parse(&text[start + userinfo..end])?;
        let port = port.unwrap_or(scheme.default_port());
        let explicit = port != scheme.default_port();
        let host_end = start + userinfo + host.len();
        let rest = &text[end..];
        let normal = text.starts_with(scheme.as_str().as_bytes())
            && userinfo == 0
            && rest.first() == Some(&b'/')
            && !host.iter().any(u8::is_ascii_uppercase)
            && match &text[host_end..end] {
                [] => true,
                [b':', b'0', ..] => false,
                _ => explicit,
            };
        let mut uri = Uri {
            text: Bytes::new(),
            scheme,
            host_end: host_end as u32,
            authority_end: end as u32,
            port,
            bare: rest.is_empty(),
        };
        if normal {
            uri.text = text.clone();
        } else {
            uri.write_normal(host, rest, explicit);
        }
        let userinfo = text.slice(start..start + userinfo.saturating_sub(1));
        Ok((uri, userinfo))
    }

    fn write_normal(&mut self, host: &[u8], rest: &[u8], explicit_port: bool) {
        let mut out = BytesMut::with_capacity(host.len() + rest.len() + 16);
        out.put_slice(self.scheme.as_str().as_bytes());
        out.put_slice(b"://");
        out.extend(host.iter().map(u8::to_ascii_lowercase));
        self.host_end = out.len() as u32;
        if explicit_port {
            out.put_u8(b':');
            out.put_slice(self.port.to_string().as_bytes());
        }
        self.authority_end = out.len() as u32;
        if rest.first() != Some(&b'/') {
            out.put_u8(b'/');
        }
        out.put_slice(rest);
        self.text = out.freeze();
    }
}

/// The scheme, and where the authority begins.
fn split_scheme(text: &[u8]) -> Result<(Scheme, usize), UriError> {
    let colon = memchr::memchr(b':', text).ok_or(UriError::Form)?;
    if !text[colon..].starts_with(b"://") {
        return Err(UriError::Form);
    }
    let name = &text[..colon];
    if name.eq_ignore_ascii_case(b"http") {
        Ok((Scheme::Http, colon + 3))
    } else if name.eq_ignore_ascii_case(b"https") {
        Ok((Scheme::Https, colon + 3))
    } else {
        Err(UriError::Scheme)
    }
}

/// The length of the userinfo before a host, its `@` included. What others might take for the end
/// of the authority or for another userinfo is refused, as the host would be in doubt.
fn userinfo_length(authority: &[u8]) -> Result<usize, UriError> {
    let Some(at) = memchr::memrchr(b'@', authority) else {
        return Ok(0);
    };
    let doubtful = |byte: &u8| matches!(byte, b'@' | b'\\') || !byte.is_ascii();
    match authority[..at].iter().any(doubtful) {
        true => Err(UriError::Host),
        false => Ok(at + 1),
    }
}
