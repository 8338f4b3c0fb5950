//! URIs of origin servers (RFC 9110 §4.2) in one normal form, which is what keys are made of.
//!
//! Scheme and host are lower-cased, the default port, userinfo, fragment and an empty path go; dot segments,
//! percent-encoding and what should be percent-encoded and isn't stay as received.

mod normal_form;
mod reference;

use std::fmt;

use bytes::Bytes;

use super::authority::{ascii, without_brackets};

pub(super) use reference::has_scheme;

/// A scheme that can be fetched.
#[derive(Debug, strum::IntoStaticStr, Clone, Copy, PartialEq, Eq, Hash)]
#[strum(serialize_all = "lowercase")]
#[allow(missing_docs)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }

    pub(crate) fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
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
    /// This URI without the query parameters (`name` or `name=value`, between `&`) whose name is
    /// one to be dropped; without `?` when none is left.
    pub fn without_parameters(&self, dropped: impl Fn(&[u8]) -> bool) -> Uri {
        let Some(mark) = memchr::memchr(b'?', &self.text) else {
            return self.clone();
        };
        let kept = |parameter: &&[u8]| {
            let mut parts = parameter.split(|byte| *byte == b'=');
            !dropped(parts.next().unwrap_or_default())
        };
        let parameters = || self.text[mark + 1..].split(|byte| *byte == b'&');
        if parameters().all(|parameter| kept(&parameter)) {
            return self.clone();
        }
        let mut text = self.text[..mark].to_vec();
        for (at, parameter) in parameters().filter(kept).enumerate() {
            text.push(if at == 0 { b'?' } else { b'&' });
            text.extend_from_slice(parameter);
        }
        Uri {
            text: text.into(),
            ..self.clone()
        }
    }

    /// The whole URI. Its path and query may have any bytes from 0x80 on, which needn't be UTF-8.
    pub fn as_bytes(&self) -> &Bytes {
        &self.text
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, for resolving and connecting: an IPv6 address comes without its brackets.
    pub fn host(&self) -> &str {
        without_brackets(ascii(self.bracketed_host()))
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
    pub fn path_and_query(&self) -> &[u8] {
        &self.text[self.authority_end as usize..]
    }

    /// True if there was neither path nor query, which OPTIONS makes `*` (RFC 9112 §3.2.4).
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
        write!(f, "Uri({self})")
    }
}

/// For people and logs: bytes that aren't UTF-8 are lost.
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
