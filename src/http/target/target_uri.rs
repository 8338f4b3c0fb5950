//! The URI of a request in absolute-form, the form in which the client named it, and the credentials in that form
//! (RFC 9110 §4.2.4, RFC 7617 §2).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::authority::UriError;
use super::in_path::{self, HostPatterns};
use super::through_http::{self, browser_field, https_uri};
use super::uri::Uri;
use crate::http::fields::Fields;

/// A target URI as a client named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetUri {
    /// The URI, without userinfo.
    pub uri: Uri,
    /// The form in which it was named.
    pub form: UriForm,
    userinfo: Userinfo,
}

/// The form in which a client names a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UriForm {
    /// As it is.
    Plain,
    /// `http://HTTPS///host/path` for an https URI.
    ThroughHttp,
    /// `/host/path`, to the proxy itself.
    InPath,
}

/// A form other than its own in which a client named the target URI: references in the response go out in it too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum NamedAs {
    ThroughHttp(Uri),
    InPath { base: Uri, hosts: HostPatterns },
}

impl NamedAs {
    /// A reference in the response, in that form; `None` where it stays as it is.
    pub fn reference(&self, reference: &[u8]) -> Option<Vec<u8>> {
        match self {
            NamedAs::ThroughHttp(base) => through_http::reference(base, reference),
            NamedAs::InPath { base, hosts } => in_path::reference(base, hosts, reference),
        }
    }
}

/// The text before the `@` of an authority, as credentials; empty where there are none. Never shown.
#[derive(Clone, Default, PartialEq, Eq)]
struct Userinfo(Bytes);

impl TargetUri {
    /// The URI that `text` names.
    pub fn parse(text: &Bytes) -> Result<TargetUri, UriError> {
        let (uri, userinfo) = Uri::parse_with_userinfo(text)?;
        TargetUri::named_by(uri, userinfo)
    }

    /// The URI that is named in the path of a request to the proxy itself, if it can be one.
    pub fn in_path(path: &[u8]) -> Option<TargetUri> {
        let target = TargetUri::parse(&in_path::named_in(path)?).ok()?;
        let Userinfo(userinfo) = &target.userinfo;
        // "https" alone is a page's name.
        let is_host = target.form == UriForm::ThroughHttp || target.uri.authority() != "https";
        (userinfo.is_empty() && is_host).then_some(TargetUri {
            form: UriForm::InPath,
            ..target
        })
    }

    /// The URI that this one with this userinfo names.
    pub(super) fn named_by(uri: Uri, userinfo: Bytes) -> Result<TargetUri, UriError> {
        let Some(text) = https_uri(&uri) else {
            return Ok(TargetUri {
                uri,
                form: UriForm::Plain,
                // Clients that have credentials for it send a field; userinfo isn't theirs to send (RFC 9110 §4.2.4).
                userinfo: Userinfo::default(),
            });
        };
        let (uri, inner) = Uri::parse_with_userinfo(&text)?;
        Ok(TargetUri {
            uri,
            form: UriForm::ThroughHttp,
            userinfo: Userinfo(if inner.is_empty() { userinfo } else { inner }),
        })
    }

    /// The fields of a request for it with the credentials that its userinfo has; `None` where there are none, or
    /// the client has sent others.
    pub fn authorized(&self, fields: &Fields) -> Option<Fields> {
        let ours = self
            .authorization()
            .filter(|_| !fields.has("authorization"))?;
        let ours = (&b"Authorization"[..], ours.as_bytes());
        Some(fields.iter().chain([ours]).collect())
    }

    /// The reason for which a request with these fields is refused.
    pub fn refused(&self, fields: &Fields) -> Option<String> {
        let name = match self.form {
            UriForm::Plain => None,
            UriForm::ThroughHttp | UriForm::InPath => browser_field(fields),
        }?;
        let why = match self.form {
            UriForm::InPath => {
                "would make one site of all hosts, so that it is for programs such as apt; for a browser this is its HTTP proxy"
            }
            UriForm::Plain | UriForm::ThroughHttp => {
                "would make one site of all https sites, so that it is for programs such as apt; an https URI goes by CONNECT"
            }
        };
        let form = match self.form {
            UriForm::InPath => "a host in the path",
            UriForm::Plain | UriForm::ThroughHttp => "http://HTTPS///host/",
        };
        Some(format!(
            "this request has the field {}, as browsers send it: to them {form} {why}",
            String::from_utf8_lossy(name)
        ))
    }

    fn authorization(&self) -> Option<String> {
        let Userinfo(userinfo) = &self.userinfo;
        if userinfo.is_empty() {
            return None;
        }
        let colon = memchr::memchr(b':', userinfo).unwrap_or(userinfo.len());
        let (user, password) = userinfo.split_at(colon);
        let password = password.get(1..).unwrap_or_default();
        let credentials = [&decoded(user)[..], b":", &decoded(password)].concat();
        Some(format!("Basic {}", STANDARD.encode(credentials)))
    }
}

/// Text with its percent-encoded bytes as they are (RFC 3986 §2.1); a `%` that begins none stays.
fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let encoded = match byte {
            b'%' => digit(at + 1).zip(digit(at + 2)),
            _ => None,
        };
        out.push(encoded.map_or(byte, |(high, low)| (high << 4 | low) as u8));
        at += if encoded.is_some() { 3 } else { 1 };
    }
    out
}

impl fmt::Debug for Userinfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "***" })
    }
}
