//! Target URIs (RFC 9112 §3.2, RFC 9110 §4.2): what a request asks for, in one normal form.
//!
//! Scheme and host are lower-cased, the default port, userinfo and an empty path go; dot segments
//! and percent-encoding stay as received. Which targets are served is decided by the worker.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::fields;
use super::head::{Method, RequestHead, Version};

/// The longest host accepted; DNS names have 253 characters at most.
const MAX_HOST: usize = 255;

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

/// Why a target or URI is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not one of the forms of RFC 9112 §3.2, or not the one for its method.
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
    /// An HTTP/1.1 request without a Host field.
    #[error("the Host field is missing")]
    HostFieldMissing,
    /// More than one Host field, or a malformed one.
    #[error("the Host field is repeated or malformed")]
    HostFieldMalformed,
    /// A Host field that names another authority than the target URI does.
    #[error("the Host field differs from the target URI")]
    HostFieldDiffers,
}

impl TargetError {
    /// The status code that answers a request with this fault.
    pub fn status(self) -> u16 {
        match self {
            TargetError::Scheme => 501,
            TargetError::Form
            | TargetError::Host
            | TargetError::Port
            | TargetError::Characters
            | TargetError::HostFieldMissing
            | TargetError::HostFieldMalformed
            | TargetError::HostFieldDiffers => 400,
        }
    }
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
    pub fn parse(text: &Bytes) -> Result<Uri, TargetError> {
        let (scheme, start) = split_scheme(text)?;
        if !text.iter().all(|&byte| is_uri_byte(byte)) {
            return Err(TargetError::Characters);
        }
        let end = text[start..]
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?'))
            .map_or(text.len(), |at| start + at);
        let userinfo = memchr::memrchr(b'@', &text[start..end]).map_or(0, |at| at + 1);
        let authority = &text[start + userinfo..end];
        let (host, port) = split_authority(authority)?;
        let number = match port {
            None | Some(b"") => scheme.default_port(),
            Some(digits) => port_number(digits)?,
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
        let host = ascii(&self.text[self.authority_start()..self.host_end as usize]);
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port to connect to, the scheme's own where the URI names none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as for a Host field: the default port isn't named.
    pub fn authority(&self) -> &str {
        ascii(&self.text[self.authority_start()..self.authority_end as usize])
    }

    /// Path and query, as for a request line in origin-form. Begins with `/`.
    pub fn path_and_query(&self) -> &str {
        ascii(&self.text[self.authority_end as usize..])
    }

    /// Whether there was neither path nor query, which OPTIONS makes `*` (RFC 9112 §3.2.4).
    pub fn is_bare(&self) -> bool {
        self.bare
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

/// Host and port that a CONNECT asks for. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    text: Bytes,
    host_end: usize,
    port: u16,
}

impl Authority {
    /// The authority-form of RFC 9112 §3.2.3: host and port, both there.
    pub fn parse(text: &Bytes) -> Result<Authority, TargetError> {
        if memchr::memchr(b'@', text).is_some() {
            return Err(TargetError::Form);
        }
        let (host, port) = split_authority(text)?;
        let port = port_number(port.ok_or(TargetError::Port)?)?;
        let host_end = host.len();
        let text = if host.iter().any(u8::is_ascii_uppercase) {
            Bytes::from(text.to_ascii_lowercase())
        } else {
            text.clone()
        };
        Ok(Authority {
            text,
            host_end,
            port,
        })
    }

    /// `host:port`.
    pub fn as_str(&self) -> &str {
        ascii(&self.text)
    }

    /// The host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        let host = ascii(&self.text[..self.host_end]);
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A resource on an origin server (absolute-form).
    Absolute(Uri),
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
    /// The target of a request (RFC 9112 §3.2, §3.3), whose Host field must agree with it.
    pub fn of(head: &RequestHead) -> Result<Target, TargetError> {
        let host = host_field(head)?;
        let target = &head.target;
        if head.method == Method::Connect {
            let authority = Authority::parse(target)?;
            return match host {
                Some(field) if !names_authority(field, &authority)? => {
                    Err(TargetError::HostFieldDiffers)
                }
                _ => Ok(Target::Authority(authority)),
            };
        }
        match target.first() {
            Some(b'/') if memchr::memchr(b'#', target).is_some() => Err(TargetError::Characters),
            Some(b'/') => Ok(Target::Origin {
                path: target.clone(),
            }),
            Some(b'*') if target.len() == 1 && head.method == Method::Options => {
                Ok(Target::Asterisk)
            }
            _ => {
                let uri = Uri::parse(target)?;
                match host {
                    Some(field) if !names_origin(field, &uri)? => {
                        Err(TargetError::HostFieldDiffers)
                    }
                    _ => Ok(Target::Absolute(uri)),
                }
            }
        }
    }
}

/// The one Host field, which HTTP/1.1 requires and no request may repeat (RFC 9112 §3.2).
fn host_field(head: &RequestHead) -> Result<Option<&[u8]>, TargetError> {
    let mut lines = head.fields.all("host");
    match (lines.next(), lines.next()) {
        (_, Some(_)) => Err(TargetError::HostFieldMalformed),
        (None, _) if head.version == Version::Http11 => Err(TargetError::HostFieldMissing),
        (Some(field), _) if !field.is_empty() => {
            split_authority(field).map_err(|_| TargetError::HostFieldMalformed)?;
            Ok(Some(field))
        }
        (field, _) => Ok(field),
    }
}

/// Whether a Host field is the authority of `uri`.
fn names_origin(field: &[u8], uri: &Uri) -> Result<bool, TargetError> {
    if field == uri.authority().as_bytes() {
        return Ok(true);
    }
    if field.is_empty() {
        return Ok(false);
    }
    let (host, port) = field_authority(field)?;
    let own = &uri.text[uri.authority_start()..uri.host_end as usize];
    Ok(host.eq_ignore_ascii_case(own) && port.unwrap_or(uri.scheme.default_port()) == uri.port)
}

/// Whether a Host field is the authority that a CONNECT names. Some clients leave the port out.
fn names_authority(field: &[u8], authority: &Authority) -> Result<bool, TargetError> {
    if field.is_empty() {
        return Ok(false);
    }
    let (host, port) = field_authority(field)?;
    Ok(
        host.eq_ignore_ascii_case(&authority.text[..authority.host_end])
            && port.is_none_or(|port| port == authority.port),
    )
}

fn field_authority(field: &[u8]) -> Result<(&[u8], Option<u16>), TargetError> {
    let malformed = |_| TargetError::HostFieldMalformed;
    let (host, port) = split_authority(field).map_err(malformed)?;
    let port = match port {
        None | Some(b"") => None,
        Some(digits) => Some(port_number(digits).map_err(malformed)?),
    };
    Ok((host, port))
}

/// The scheme, and where the authority begins.
fn split_scheme(text: &[u8]) -> Result<(Scheme, usize), TargetError> {
    let colon = memchr::memchr(b':', text).ok_or(TargetError::Form)?;
    if !text[colon..].starts_with(b"://") {
        return Err(TargetError::Form);
    }
    let name = &text[..colon];
    if name.eq_ignore_ascii_case(b"http") {
        Ok((Scheme::Http, colon + 3))
    } else if name.eq_ignore_ascii_case(b"https") {
        Ok((Scheme::Https, colon + 3))
    } else {
        Err(TargetError::Scheme)
    }
}

/// Host (with the brackets of an IPv6 address) and what follows its colon, if there is one.
fn split_authority(authority: &[u8]) -> Result<(&[u8], Option<&[u8]>), TargetError> {
    let end = if authority.first() == Some(&b'[') {
        memchr::memchr(b']', authority).ok_or(TargetError::Host)? + 1
    } else {
        memchr::memchr(b':', authority).unwrap_or(authority.len())
    };
    let (host, rest) = authority.split_at(end);
    if !is_host(host) {
        return Err(TargetError::Host);
    }
    match rest {
        [] => Ok((host, None)),
        [b':', port @ ..] if port.iter().all(u8::is_ascii_digit) => Ok((host, Some(port))),
        [b':', ..] => Err(TargetError::Port),
        _ => Err(TargetError::Host),
    }
}

/// Whether this is a host as the proxy takes it: a name of unreserved characters or an IP address.
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
fn port_number(digits: &[u8]) -> Result<u16, TargetError> {
    match fields::number(digits) {
        Some(port @ 1..=65535) if digits.len() <= 5 => Ok(port as u16),
        _ => Err(TargetError::Port),
    }
}

/// Visible ASCII without `#`. Characters such as `|` or `"`, which RFC 3986 wants encoded but
/// which clients send, pass as they are.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'#'
}

/// Text known to be ASCII.
fn ascii(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

/// Any request target for people to see, whatever it is: userinfo never shown.
pub fn masked(target: &[u8]) -> Cow<'_, str> {
    let start = memchr::memmem::find(target, b"://").map_or(0, |at| at + 3);
    let end = target[start..]
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .map_or(target.len(), |at| start + at);
    match memchr::memrchr(b'@', &target[start..end]) {
        Some(at) => {
            let shown = [&target[..start], b"***", &target[start + at..]].concat();
            Cow::Owned(String::from_utf8_lossy(&shown).into_owned())
        }
        None => String::from_utf8_lossy(target),
    }
}
