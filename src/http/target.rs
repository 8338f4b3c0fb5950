//! What a request is about (RFC 9112 §3.2, §3.3): one of four forms of target, and a Host field
//! that must agree with it.
//!
//! Stricter than RFC 9112 §3.2.2, which has a proxy ignore a Host field beside an absolute-form:
//! one that names another authority is refused. Which targets are served is the worker's decision.

use std::borrow::Cow;

use bytes::Bytes;

pub use super::authority::Authority;
pub use super::uri::{Scheme, Uri, UriError};

use super::authority;
use super::head::{Method, RequestHead, Version};

/// Why a request's target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The target is none of the four forms, or a malformed one.
    #[error("{0}")]
    Uri(#[from] UriError),
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
            TargetError::Uri(UriError::Scheme) => 501,
            TargetError::Uri(_)
            | TargetError::HostFieldMissing
            | TargetError::HostFieldMalformed
            | TargetError::HostFieldDiffers => 400,
        }
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
        let uri = Uri::parse(target)?;
        let default = uri.scheme().default_port();
        agree(host, uri.bracketed_host(), uri.port(), default)?;
        Ok(Target::Absolute(uri))
    }
}

/// A Host field: the host, which may be empty, and the port if it names one.
type HostField<'a> = (&'a [u8], Option<u16>);

/// The one Host field, which HTTP/1.1 requires and no request may repeat (RFC 9112 §3.2).
fn host_field(head: &RequestHead) -> Result<Option<HostField<'_>>, TargetError> {
    let malformed = |_| TargetError::HostFieldMalformed;
    let mut lines = head.fields.all("host");
    let field = match (lines.next(), lines.next()) {
        (_, Some(_)) => return Err(TargetError::HostFieldMalformed),
        (None, _) if head.version == Version::Http11 => {
            return Err(TargetError::HostFieldMissing);
        }
        (None, _) => return Ok(None),
        (Some(b""), _) => return Ok(Some((b"", None))),
        (Some(field), _) => field,
    };
    let (host, port) = authority::split(field).map_err(malformed)?;
    match port {
        None | Some(b"") => Ok(Some((host, None))),
        Some(digits) => {
            let port = authority::port_number(digits).map_err(malformed)?;
            Ok(Some((host, Some(port))))
        }
    }
}

/// Whether a Host field, if there is one, names this host and port.
fn agree(
    field: Option<HostField<'_>>,
    host: &[u8],
    port: u16,
    default_port: u16,
) -> Result<(), TargetError> {
    match field {
        Some((named, at))
            if !named.eq_ignore_ascii_case(host) || at.unwrap_or(default_port) != port =>
        {
            Err(TargetError::HostFieldDiffers)
        }
        _ => Ok(()),
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::http::fields::Fields;

    const FORM: TargetError = TargetError::Uri(UriError::Form);
    const PORT: TargetError = TargetError::Uri(UriError::Port);
    const DIFFERS: TargetError = TargetError::HostFieldDiffers;
    const MALFORMED: TargetError = TargetError::HostFieldMalformed;

    fn of(
        method: &str,
        target: &str,
        version: Version,
        hosts: &[&str],
    ) -> Result<Target, TargetError> {
        let fields: Fields = hosts
            .iter()
            .map(|host| (&b"Host"[..], host.as_bytes()))
            .collect();
        Target::of(&RequestHead {
            method: Method::from_token(&Bytes::copy_from_slice(method.as_bytes())),
            target: Bytes::copy_from_slice(target.as_bytes()),
            version,
            fields,
        })
    }

    /// The form and what it names, to compare in a table.
    fn shown(target: &Target) -> String {
        match target {
            Target::Absolute(uri) => format!("absolute {uri}"),
            Target::Authority(authority) => {
                format!("authority {} {}", authority.host(), authority.port())
            }
            Target::Asterisk => "asterisk".to_owned(),
            Target::Origin { path } => format!("origin {}", String::from_utf8_lossy(path)),
        }
    }

    #[test]
    fn forms_go_with_methods() {
        let table = [
            // RFC 9112 §3.2.1: origin-form, to a proxy a request for its own pages.
            ("GET", "/a?b", "p:3128", Ok("origin /a?b")),
            ("GET", "//h/a", "p", Ok("origin //h/a")),
            ("GET", "/a", "", Ok("origin /a")),
            (
                "GET",
                "/a#b",
                "p",
                Err(TargetError::Uri(UriError::Characters)),
            ),
            // RFC 9112 §3.2.2: absolute-form.
            ("GET", "http://h/a", "h", Ok("absolute http://h/a")),
            ("POST", "https://h/a", "h", Ok("absolute https://h/a")),
            ("OPTIONS", "http://h", "h", Ok("absolute http://h/")),
            (
                "GET",
                "ftp://h/a",
                "h",
                Err(TargetError::Uri(UriError::Scheme)),
            ),
            // RFC 9112 §3.2.3: authority-form, only CONNECT, always with a port.
            ("CONNECT", "h:443", "h:443", Ok("authority h 443")),
            ("CONNECT", "H:443", "h:443", Ok("authority h 443")),
            (
                "CONNECT",
                "[2001:DB8::1]:443",
                "[2001:db8::1]",
                Ok("authority 2001:db8::1 443"),
            ),
            ("CONNECT", "h", "h", Err(PORT)),
            ("CONNECT", "h:", "h", Err(PORT)),
            ("CONNECT", "h:0", "h", Err(PORT)),
            ("CONNECT", "h:65536", "h", Err(PORT)),
            ("CONNECT", "h:https", "h", Err(PORT)),
            (
                "CONNECT",
                ":443",
                "h",
                Err(TargetError::Uri(UriError::Host)),
            ),
            ("CONNECT", "u@h:443", "h", Err(FORM)),
            ("CONNECT", "http://h:443/", "h", Err(PORT)),
            (
                "CONNECT",
                "/h:443",
                "h",
                Err(TargetError::Uri(UriError::Host)),
            ),
            ("GET", "h:443", "h:443", Err(FORM)),
            ("GET", "h", "h", Err(FORM)),
            // RFC 9112 §3.2.4: asterisk-form, only OPTIONS.
            ("OPTIONS", "*", "p", Ok("asterisk")),
            ("GET", "*", "p", Err(FORM)),
            ("OPTIONS", "*/", "p", Err(FORM)),
        ];
        for (method, target, host, expected) in table {
            let got = of(method, target, Version::Http11, &[host]);
            let got = got.as_ref().map(shown).map_err(|error| *error);
            assert_eq!(got, expected.map(str::to_owned), "{method} {target}");
        }
    }

    #[test]
    fn the_host_field_agrees() {
        use Version::{Http10, Http11};
        type Row<'a> = (
            &'a str,
            &'a str,
            Version,
            &'a [&'a str],
            Option<TargetError>,
        );
        let table: &[Row<'_>] = &[
            // RFC 9112 §3.2: one Host field in HTTP/1.1, at most one in HTTP/1.0.
            (
                "GET",
                "http://h/",
                Http11,
                &[],
                Some(TargetError::HostFieldMissing),
            ),
            ("GET", "/", Http11, &[], Some(TargetError::HostFieldMissing)),
            (
                "CONNECT",
                "h:443",
                Http11,
                &[],
                Some(TargetError::HostFieldMissing),
            ),
            ("GET", "http://h/", Http10, &[], None),
            ("CONNECT", "h:443", Http10, &[], None),
            ("GET", "http://h/", Http11, &["h", "h"], Some(MALFORMED)),
            ("GET", "http://h/", Http10, &["h", "h"], Some(MALFORMED)),
            ("GET", "http://h/", Http11, &["h", ""], Some(MALFORMED)),
            // Malformed values, whatever the form of the target.
            ("GET", "http://h/", Http11, &["h, h"], Some(MALFORMED)),
            ("GET", "http://h/", Http11, &["u@h"], Some(MALFORMED)),
            ("GET", "http://h/", Http11, &["h/"], Some(MALFORMED)),
            ("GET", "http://h/", Http11, &["http://h"], Some(MALFORMED)),
            ("GET", "http://h/", Http11, &["h:80x"], Some(MALFORMED)),
            ("GET", "/", Http11, &["h:99999"], Some(MALFORMED)),
            ("GET", "/", Http10, &["a b"], Some(MALFORMED)),
            ("OPTIONS", "*", Http11, &["[::1"], Some(MALFORMED)),
            // The same authority in other letters, with or without the default port.
            ("GET", "http://h/", Http11, &["H"], None),
            ("GET", "http://H/", Http11, &["h"], None),
            ("GET", "http://h/", Http11, &["h:80"], None),
            ("GET", "http://h/", Http11, &["h:"], None),
            ("GET", "http://h:80/", Http11, &["h"], None),
            ("GET", "https://h/", Http11, &["h:443"], None),
            ("GET", "http://u:p@h:81/", Http11, &["h:81"], None),
            ("GET", "http://[::1]:81/", Http11, &["[::1]:81"], None),
            // Another authority.
            ("GET", "http://h/", Http11, &["i"], Some(DIFFERS)),
            ("GET", "http://h/", Http10, &["i"], Some(DIFFERS)),
            ("GET", "http://h/", Http11, &[""], Some(DIFFERS)),
            ("GET", "http://h/", Http11, &["h."], Some(DIFFERS)),
            ("GET", "http://h/", Http11, &["h:81"], Some(DIFFERS)),
            ("GET", "http://h:81/", Http11, &["h"], Some(DIFFERS)),
            ("GET", "https://h/", Http11, &["h:80"], Some(DIFFERS)),
            // CONNECT, where a Host field without a port is common.
            ("CONNECT", "h:443", Http11, &["h"], None),
            ("CONNECT", "h:8443", Http11, &["h"], None),
            ("CONNECT", "h:443", Http11, &["h:444"], Some(DIFFERS)),
            ("CONNECT", "h:443", Http11, &["i:443"], Some(DIFFERS)),
            ("CONNECT", "h:443", Http11, &[""], Some(DIFFERS)),
        ];
        for (method, target, version, hosts, expected) in table {
            let got = of(method, target, *version, hosts);
            assert_eq!(got.err(), *expected, "{method} {target} {hosts:?}");
        }
    }

    #[test]
    fn userinfo_is_never_shown() {
        let table = [
            ("http://h/a", "http://h/a"),
            ("http://user:secret@h/a@b", "http://***@h/a@b"),
            ("ftp://user:secret@h", "ftp://***@h"),
            ("user:secret@h:443", "***@h:443"),
            ("http://a@secret@h", "http://***@h"),
            ("/a?to=http://user:secret@h/", "/a?to=http://***@h/"),
            ("/a@b", "/a@b"),
            ("", ""),
        ];
        for (target, expected) in table {
            assert_eq!(masked(target.as_bytes()), expected);
        }
    }
}
