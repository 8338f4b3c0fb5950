//! The length of a message's content (RFC 9112 §6): decided once, from its head alone.
//!
//! Anything that two peers could read differently is refused: both framing fields, a transfer coding
//! besides chunked, unequal lengths. Reading the content is content.rs' part.

use super::fields::Fields;
use super::head::{Method, RequestHead, ResponseHead, Version};
use super::syntax::{number, trim};

/// The delimitation of a message's content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no content, whatever the fields say.
    #[default]
    None,
    /// So many bytes.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
    /// All bytes until the connection closes (responses only).
    UntilClose,
}

impl Framing {
    /// The length of the content, where this tells it.
    pub fn length(self) -> Option<u64> {
        match self {
            Framing::None => Some(0),
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::UntilClose => None,
        }
    }
}

/// A fault that leaves a message's length in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum FramingError {
    #[error("Content-Length is not a number")]
    Length,
    #[error("Content-Length is given more than once")]
    Lengths,
    #[error("Transfer-Encoding and Content-Length are both given")]
    Both,
    #[error("Transfer-Encoding is given in an HTTP/1.0 message")]
    OldVersion,
    #[error("chunked is not the last transfer coding, or not the only one of its name")]
    NotLast,
    #[error("a transfer coding other than chunked is used")]
    Coding,
    #[error("content is announced in a request whose method has none")]
    NoContent,
}

impl FramingError {
    /// The status code that answers a request with this fault. For a response it is always 502.
    pub fn status(self) -> u16 {
        if self == FramingError::Coding {
            501
        } else {
            400
        }
    }
}

/// The framing of a request's content (RFC 9112 §6.3).
pub fn request_framing(head: &RequestHead) -> Result<Framing, FramingError> {
    let framing = match transfer_codings(head.version, &head.fields)? {
        Some(Codings::Chunked) => Framing::Chunked,
        Some(Codings::NotLast | Codings::Unchunked) => return Err(FramingError::NotLast),
        Some(Codings::Unknown) => return Err(FramingError::Coding),
        None => {
            let mut lines = head.fields.all("content-length");
            match (lines.next(), lines.next()) {
                (None, _) => Framing::None,
                (Some(_), Some(_)) => return Err(FramingError::Lengths),
                (Some(value), None) => Framing::Length(number(value).ok_or(FramingError::Length)?),
            }
        }
    };
    let none = matches!(framing, Framing::None | Framing::Length(0));
    if !none && matches!(head.method, Method::Connect | Method::Trace) {
        return Err(FramingError::NoContent);
    }
    Ok(framing)
}

/// The framing of the content of a response to a request with this method (RFC 9112 §6.3).
///
/// A transfer coding besides chunked is refused, as we never ask for one (we send no TE but
/// `trailers`) and could not undo it.
pub fn response_framing(method: &Method, head: &ResponseHead) -> Result<Framing, FramingError> {
    if !has_content(method, head.status) {
        return Ok(Framing::None);
    }
    match transfer_codings(head.version, &head.fields)? {
        Some(Codings::Chunked) => Ok(Framing::Chunked),
        Some(Codings::NotLast) => Err(FramingError::NotLast),
        Some(Codings::Unknown | Codings::Unchunked) => Err(FramingError::Coding),
        None => Ok(equal_lengths(&head.fields)?.map_or(Framing::UntilClose, Framing::Length)),
    }
}

/// True if a response with this status to a request with this method has content at all
/// (RFC 9112 §6.3, the first two rules).
pub fn has_content(method: &Method, status: u16) -> bool {
    !(matches!(status, 100..=199 | 204 | 304)
        || *method == Method::Head
        || (*method == Method::Connect && (200..300).contains(&status)))
}

/// The Content-Length that a response states: `5, 5` and repeated lines are accepted when all are
/// equal (RFC 9110 §8.6).
pub fn equal_lengths(fields: &Fields) -> Result<Option<u64>, FramingError> {
    let mut length = None;
    for line in fields.all("content-length") {
        for element in line.split(|&byte| byte == b',') {
            let stated = number(trim(element)).ok_or(FramingError::Length)?;
            if length.is_some_and(|length| length != stated) {
                return Err(FramingError::Lengths);
            }
            length = Some(stated);
        }
    }
    Ok(length)
}

/// The transfer codings of a message, as far as they matter.
enum Codings {
    /// Chunked and nothing else.
    Chunked,
    /// Chunked, but not last or not once.
    NotLast,
    /// No chunked at all.
    Unchunked,
    /// Chunked last, over codings that we can't undo.
    Unknown,
}

fn transfer_codings(version: Version, fields: &Fields) -> Result<Option<Codings>, FramingError> {
    if !fields.has("transfer-encoding") {
        return Ok(None);
    }
    if version == Version::Http10 {
        return Err(FramingError::OldVersion);
    }
    if fields.has("content-length") {
        return Err(FramingError::Both);
    }
    let (mut codings, mut chunked, mut last) = (0, 0, false);
    for coding in fields.elements("transfer-encoding") {
        last = coding.eq_ignore_ascii_case(b"chunked");
        chunked += usize::from(last);
        codings += 1;
    }
    Ok(Some(match (chunked, last) {
        (0, _) => Codings::Unchunked,
        (1, true) if codings == 1 => Codings::Chunked,
        (1, true) => Codings::Unknown,
        _ => Codings::NotLast,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
