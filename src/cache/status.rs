//! The Cache-Status field (RFC 9211): one list member that says how this cache handled a request.
//!
//! It goes at the end of what caches nearer the origin wrote, and only on responses that came from
//! the origin or the store: a response that the proxy makes up has no member (RFC 9211 §2).

use std::fmt::Write;

use bytes::{BufMut, BytesMut};

use crate::http::syntax::is_tchar;

/// The greatest magnitude of an integer in a structured field (RFC 8941 §3.3.1).
const GREATEST: i64 = 999_999_999_999_999;

/// The handling of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheStatus<'a> {
    handling: Handling,
    /// The remaining freshness in seconds; negative when stale.
    pub ttl: Option<i64>,
    /// Our own reason, a token where there is one.
    pub detail: Option<&'a str>,
}

/// An answer from the store or a request forwarded: `hit` and `fwd` exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handling {
    Hit,
    Forwarded {
        why: Forward,
        /// The status the origin answered with, where it is not that of the response sent.
        status: Option<u16>,
        /// True when the response was stored.
        stored: bool,
        /// True when another one's fetch answered; `None` when that was not tried.
        collapsed: Option<bool>,
    },
}

/// A reason for which a request went forward (RFC 9211 §2.2).
#[derive(Debug, strum::IntoStaticStr, Clone, Copy, PartialEq, Eq)]
#[strum(serialize_all = "kebab-case")]
pub enum Forward {
    /// The cache was told not to handle this request.
    Bypass,
    /// The method has to be forwarded.
    Method,
    /// Nothing is stored for the URI.
    UriMiss,
    /// Something is stored for the URI, but not this variant.
    VaryMiss,
    /// A fresh stored response, which the request did not accept.
    Request,
    /// A stored response that has to be validated.
    Stale,
    /// A stored part that lacks what was asked for.
    Partial,
}

impl<'a> CacheStatus<'a> {
    /// Answered from the store with this much freshness left.
    pub fn hit(ttl: i64) -> CacheStatus<'a> {
        CacheStatus {
            handling: Handling::Hit,
            ttl: Some(ttl),
            detail: None,
        }
    }

    /// Forwarded for this reason; the rest is filled in as it becomes known.
    pub fn forwarded(why: Forward) -> CacheStatus<'a> {
        CacheStatus {
            handling: Handling::Forwarded {
                why,
                status: None,
                stored: false,
                collapsed: None,
            },
            ttl: None,
            detail: None,
        }
    }

    /// Says which status the origin server answered with, where the request was forwarded.
    pub fn set_received(&mut self, with: u16) {
        if let Handling::Forwarded { status, .. } = &mut self.handling {
            *status = Some(with);
        }
    }

    pub(crate) fn set_stored(&mut self) {
        if let Handling::Forwarded { stored, .. } = &mut self.handling {
            *stored = true;
        }
    }

    /// Says that another request's fetch answered this one.
    pub fn set_collapsed(&mut self) {
        if let Handling::Forwarded { collapsed, .. } = &mut self.handling {
            *collapsed = Some(true);
        }
    }

    /// Appends the field value to `out`.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_slice(b"cacheproxy");
        match self.handling {
            Handling::Hit => out.put_slice(b"; hit"),
            Handling::Forwarded {
                why,
                status,
                stored,
                collapsed,
            } => {
                out.put_slice(b"; fwd=");
                out.put_slice(<&str>::from(why).as_bytes());
                if let Some(status) = status {
                    integer(out, "; fwd-status=", i64::from(status));
                }
                if stored {
                    out.put_slice(b"; stored");
                }
                match collapsed {
                    Some(true) => out.put_slice(b"; collapsed"),
                    Some(false) => out.put_slice(b"; collapsed=?0"),
                    None => {}
                }
            }
        }
        if let Some(ttl) = self.ttl {
            integer(out, "; ttl=", ttl.clamp(-GREATEST, GREATEST));
        }
        if let Some(detail) = self.detail {
            out.put_slice(b"; detail=");
            if is_token(detail) {
                out.put_slice(detail.as_bytes());
            } else {
                string(out, detail);
            }
        }
    }
}

fn integer(out: &mut BytesMut, parameter: &str, number: i64) {
    // A BytesMut grows: writing to it has no error to give.
    let _ = write!(out, "{parameter}{number}");
}

/// Writes a structured-field String (RFC 8941 §3.3.3), which has no place for anything but
/// printable ASCII: other characters become `?`.
fn string(out: &mut BytesMut, text: &str) {
    out.put_u8(b'"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.put_slice(&[b'\\', character as u8]),
            ' '..='~' => out.put_u8(character as u8),
            _ => out.put_u8(b'?'),
        }
    }
    out.put_u8(b'"');
}

/// True when the text can be a structured-field Token (RFC 8941 §3.3.4).
fn is_token(text: &str) -> bool {
    let allowed = |b: &u8| is_tchar(*b) || matches!(b, b':' | b'/');
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '*')
        && text.as_bytes().iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(why: Forward, status: Option<u16>, stored: bool) -> CacheStatus<'static> {
        CacheStatus {
            handling: Handling::Forwarded {
                why,
                status,
                stored,
                collapsed: None,
            },
            ..CacheStatus::forwarded(why)
        }
    }

    fn detail(detail: &str) -> CacheStatus<'_> {
        CacheStatus {
            detail: Some(detail),
            ..CacheStatus::forwarded(Forward::UriMiss)
        }
    }

    fn collapsed(reused: bool) -> CacheStatus<'static> {
        CacheStatus {
            handling: Handling::Forwarded {
                why: Forward::UriMiss,
                status: None,
                stored: true,
                collapsed: Some(reused),
            },
            ..CacheStatus::forwarded(Forward::UriMiss)
        }
    }

    #[test]
    fn what_becomes_known() {
        let mut status = CacheStatus::forwarded(Forward::UriMiss);
        status.set_received(200);
        assert_eq!(status, forwarded(Forward::UriMiss, Some(200), false));
        status.set_stored();
        assert_eq!(status, forwarded(Forward::UriMiss, Some(200), true));
        let mut status = CacheStatus::forwarded(Forward::UriMiss);
        status.set_stored();
        status.set_collapsed();
        assert_eq!(status, collapsed(true));
        // Of what nobody was asked for there is nothing to say.
        let mut status = CacheStatus::hit(1);
        status.set_received(200);
        status.set_stored();
        status.set_collapsed();
        assert_eq!(status, CacheStatus::hit(1));
    }

    #[test]
    fn members() {
        #[rustfmt::skip]
        let table: &[(CacheStatus, &str)] = &[
            (CacheStatus::hit(376), "hit; ttl=376"),
            (CacheStatus::hit(-412), "hit; ttl=-412"),
            (CacheStatus::hit(i64::MIN), "hit; ttl=-999999999999999"),
            (CacheStatus::hit(i64::MAX), "hit; ttl=999999999999999"),
            (CacheStatus::forwarded(Forward::Bypass), "fwd=bypass"),
            (CacheStatus::forwarded(Forward::Method), "fwd=method"),
            (CacheStatus::forwarded(Forward::VaryMiss), "fwd=vary-miss"),
            (CacheStatus::forwarded(Forward::Request), "fwd=request"),
            (CacheStatus::forwarded(Forward::Partial), "fwd=partial"),
            (forwarded(Forward::UriMiss, Some(200), true), "fwd=uri-miss; fwd-status=200; stored"),
            (forwarded(Forward::Stale, Some(304), false), "fwd=stale; fwd-status=304"),
            (collapsed(true), "fwd=uri-miss; stored; collapsed"),
            (collapsed(false), "fwd=uri-miss; stored; collapsed=?0"),
            (detail("no-store"), "fwd=uri-miss; detail=no-store"),
            (detail("*x:y/z"), "fwd=uri-miss; detail=*x:y/z"),
            (detail("a b"), r#"fwd=uri-miss; detail="a b""#),
            (detail("9a"), r#"fwd=uri-miss; detail="9a""#),
            (detail(""), r#"fwd=uri-miss; detail="""#),
            (detail("\"\\é"), r#"fwd=uri-miss; detail="\"\\?""#),
            (detail("x\r\ny"), r#"fwd=uri-miss; detail="x??y""#),
        ];
        for (status, expected) in table {
            let mut out = BytesMut::new();
            status.write(&mut out);
            assert_eq!(out, format!("cacheproxy; {expected}"));
        }
    }
}
