//! URIs of origin servers (RFC 9110 §4.2) in one normal form, which is what keys are made of.
//!
//! Scheme and host are lower-cased, the default port, userinfo and an empty path go; dot segments
//! and percent-encoding stay as received.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::authority;

/// A scheme that can be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// http
    Http,
    /// https
    Https,
}

impl Scheme {
    /// The scheme as it stands in a URI.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// The port used where a URI names none.
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// Why a URI or an authority is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// Not an absolute URI with an authority.
    #[error("the request target has not the form that goes with its method")]
    Form,
    /// A scheme other than http and https.
    #[error("the scheme of the target URI is neither http nor https")]
    Scheme,
    /// No host, or one with characters that no host has.
    #[error("the host of the target URI is missing or malformed")]
    Host,
    /// A port that isn't a number from 1 to 65535, or none where one must be.
    #[error("the port of the target URI is missing or not a number from 1 to 65535")]
    Port,
    /// A fragment, or bytes that must be percent-encoded.
    #[error("the target URI has a fragment or characters that must be percent-encoded")]
    Characters,
}

/// An http or https URI in normal form. Equal URIs have equal text. Cheap to clone.
#[derive(Clone)]
pub struct Uri {
    text: Bytes,
    scheme: Scheme,
    /// Where the host ends, its brackets included; it begins after `://`.
    host_end: u32,
    /// Where the authority ends and the path begins.
    authority_end: u32,
    port: u16,
    bare: bool,
}

impl Uri {
    /// The URI that `text` is: absolute, http or https, without a fragment. Copies only when
    /// `text` isn't in normal form already.
    pub fn parse(text: &Bytes) -> Result<Uri, UriError> {
        let (scheme, start) = split_scheme(text)?;
        if !text.iter().all(|&byte| is_uri_byte(byte)) {
            return Err(UriError::Characters);
        }
        let end = text[start..]
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?'))
            .map_or(text.len(), |at| start + at);
        let userinfo = userinfo_length(&text[start..end])?;
        let (host, port) = authority::split(&text[start + userinfo..end])?;
        let number = match port {
            None | Some(b"") => scheme.default_port(),
            Some(digits) => authority::port_number(digits)?,
        };
        let explicit = number != scheme.default_port();
        let rest = &text[end..];
        let normal = text.starts_with(scheme.as_str().as_bytes())
            && userinfo == 0
            && rest.first() == Some(&b'/')
            && !host.iter().any(u8::is_ascii_uppercase)
            && match port {
                None => true,
                Some(digits) => explicit && digits.first() != Some(&b'0'),
            };
        let mut uri = Uri {
            text: Bytes::new(),
            scheme,
            host_end: (start + host.len()) as u32,
            authority_end: end as u32,
            port: number,
            bare: rest.is_empty(),
        };
        if normal {
            uri.text = text.clone();
        } else {
            uri.write_normal(host, rest, explicit);
        }
        Ok(uri)
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

    /// The URI that a reference names, read relative to this one (RFC 3986 §5.2), as in Location.
    /// Its fragment, which isn't part of what is fetched, is left out.
    pub fn resolve(&self, reference: &[u8]) -> Result<Uri, UriError> {
        let end = memchr::memchr(b'#', reference).unwrap_or(reference.len());
        let reference = &reference[..end];
        if has_scheme(reference) {
            return Uri::parse(&Bytes::copy_from_slice(reference));
        }
        let (path, query) = split_query(reference);
        let base = self.path_and_query().as_bytes();
        let (base_path, _) = split_query(base);
        let origin = &self.text[..self.authority_end as usize];
        let whole = match path {
            [b'/', b'/', ..] => {
                let scheme = self.scheme.as_str().as_bytes();
                [scheme, b":", reference].concat()
            }
            [] if query.is_empty() => return Ok(self.clone()),
            [] => [origin, base_path, query].concat(),
            [b'/', ..] => [origin, &without_dots(path), query].concat(),
            _ => {
                let folder = memchr::memrchr(b'/', base_path).map_or(0, |at| at + 1);
                let merged = [&base_path[..folder], path].concat();
                [origin, &without_dots(&merged), query].concat()
            }
        };
        Uri::parse(&Bytes::from(whole))
    }

    /// This URI without the query parameters (`name` or `name=value`, between `&`) whose name is
    /// one to be dropped; without `?` when none is left.
    pub fn without_parameters(&self, dropped: impl Fn(&str) -> bool) -> Uri {
        let Some((path, query)) = self.as_str().split_once('?') else {
            return self.clone();
        };
        let kept = |parameter: &&str| !dropped(parameter.split('=').next().unwrap_or_default());
        if query.split('&').all(|parameter| kept(&parameter)) {
            return self.clone();
        }
        let mut text = path.to_owned();
        for (at, parameter) in query.split('&').filter(kept).enumerate() {
            text.push(if at == 0 { '?' } else { '&' });
            text.push_str(parameter);
        }
        Uri {
            text: text.into(),
            ..self.clone()
        }
    }

    /// The whole URI.
    pub fn as_str(&self) -> &str {
        ascii(&self.text)
    }

    /// The whole URI as bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.text
    }

    /// The URI for people to see: without userinfo, which the normal form never has.
    pub fn masked(&self) -> &str {
        self.as_str()
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, for resolving and connecting: an IPv6 address comes without its brackets.
    pub fn host(&self) -> &str {
        authority::without_brackets(ascii(self.bracketed_host()))
    }

    /// The port to connect to, the scheme's own where the URI names none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as for a Host field: the default port isn't named.
    pub fn authority(&self) -> &str {
        ascii(&self.text[self.authority_start()..self.authority_end as usize])
    }

    /// Scheme and authority, `http://host:port`: what connections are kept by.
    pub fn origin(&self) -> &str {
        ascii(&self.text[..self.authority_end as usize])
    }

    /// Path and query, as for a request line in origin-form. Begins with `/`.
    pub fn path_and_query(&self) -> &str {
        ascii(&self.text[self.authority_end as usize..])
    }

    /// Whether there was neither path nor query, which OPTIONS makes `*` (RFC 9112 §3.2.4).
    pub fn is_bare(&self) -> bool {
        self.bare
    }

    /// The host as in an authority, with the brackets of an IPv6 address.
    pub(super) fn bracketed_host(&self) -> &[u8] {
        &self.text[self.authority_start()..self.host_end as usize]
    }

    fn authority_start(&self) -> usize {
        self.scheme.as_str().len() + 3
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Uri) -> bool {
        self.text == other.text
    }
}

impl Eq for Uri {}

impl std::hash::Hash for Uri {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uri({})", self.as_str())
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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

/// Whether a reference begins with a scheme.
fn has_scheme(reference: &[u8]) -> bool {
    let end = reference
        .iter()
        .position(|byte| matches!(byte, b':' | b'/' | b'?'));
    end.is_some_and(|end| {
        reference[end] == b':'
            && reference[0].is_ascii_alphabetic()
            && reference[..end]
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    })
}

/// Path, and query with its question mark.
fn split_query(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(memchr::memchr(b'?', text).unwrap_or(text.len()))
}

/// A path that begins with `/`, its `.` and `..` segments followed (RFC 3986 §5.2.4).
fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = path.split(|&byte| byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            b"." => {}
            b".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if segments.peek().is_none() {
            kept.push(b"");
        }
    }
    let mut whole = Vec::with_capacity(path.len());
    for segment in kept {
        whole.push(b'/');
        whole.extend_from_slice(segment);
    }
    whole
}

/// The length of the userinfo before a host, its `@` included. What others might take for the end
/// of the authority or for another userinfo is refused, as the host would be in doubt.
fn userinfo_length(authority: &[u8]) -> Result<usize, UriError> {
    let Some(at) = memchr::memrchr(b'@', authority) else {
        return Ok(0);
    };
    match memchr::memchr2(b'@', b'\\', &authority[..at]) {
        Some(_) => Err(UriError::Host),
        None => Ok(at + 1),
    }
}

/// Visible ASCII without `#`. Characters such as `|` or `"`, which RFC 3986 wants encoded but
/// which clients send, pass as they are.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'#'
}

/// Text known to be ASCII.
pub(super) fn ascii(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
