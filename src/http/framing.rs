//! The length of a message's content (RFC 9112 §6): decided once, from its head alone.
//!
//! In requests anything that two peers could read differently is refused: both framing fields, a transfer coding
//! besides chunked, two lengths. Responses of old origin servers are read as others read them, where there is one
//! way to, and their connection isn't used again. Reading the content is content.rs' part.

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
    let framing = match codings_of_request(head.version, &head.fields)? {
        Some(Codings::Chunked) => Framing::Chunked,
        Some(Codings::NotLast) => return Err(FramingError::NotLast),
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
/// Chunked overrides a length, stands for itself however often it is said, and `identity` for nothing. Another coding is
/// refused, as we never ask for one (we send no TE but `trailers`) and could not undo it.
pub fn response_framing(method: &Method, head: &ResponseHead) -> Result<Framing, FramingError> {
    if !has_content(method, head.status) {
        return Ok(Framing::None);
    }
    let length = equal_lengths(&head.fields)?;
    let uncoded = || length.map_or(Framing::UntilClose, Framing::Length);
    match codings_of_response(&head.fields)? {
        None | Some(Coding::Identity) => Ok(uncoded()),
        Some(Coding::Chunked) => Ok(Framing::Chunked),
    }
}

/// True for a response whose fields tell its length in one way alone, whoever reads them: after any other one the
/// connection isn't used again.
pub fn is_framed_plainly(head: &ResponseHead) -> bool {
    let mut codings = head.fields.all("transfer-encoding");
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => {
            coding.eq_ignore_ascii_case(b"chunked")
                && head.version == Version::Http11
                && !head.fields.has("content-length")
        }
        (Some(_), Some(_)) => false,
    }
}

/// The Content-Length that a response states of content that doesn't come with it (RFC 9110 §8.6): none where it
/// would come chunked.
pub fn stated_length(fields: &Fields) -> Option<u64> {
    let coding = codings_of_response(fields).ok()?;
    equal_lengths(fields)
        .ok()?
        .filter(|_| coding != Some(Coding::Chunked))
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

/// The transfer coding of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// None, by the name that RFC 2616 had for it.
    Identity,
    Chunked,
}

fn codings_of_response(fields: &Fields) -> Result<Option<Coding>, FramingError> {
    let mut coding = None;
    for name in fields.elements("transfer-encoding") {
        if name.eq_ignore_ascii_case(b"chunked") {
            coding = Some(Coding::Chunked);
        } else if !name.eq_ignore_ascii_case(b"identity") {
            return Err(FramingError::Coding);
        } else if coding.is_none() {
            coding = Some(Coding::Identity);
        }
    }
    match coding {
        // Nobody can tell what an empty one was to be.
        None if fields.has("transfer-encoding") => Err(FramingError::Coding),
        coding => Ok(coding),
    }
}

/// The transfer codings of a request, as far as they matter.
enum Codings {
    /// Chunked and nothing else.
    Chunked,
    /// Not chunked, or not as the last one or not once.
    NotLast,
    /// Chunked last, over codings that we can't undo.
    Unknown,
}

fn codings_of_request(version: Version, fields: &Fields) -> Result<Option<Codings>, FramingError> {
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
        (1, true) if codings == 1 => Codings::Chunked,
        (1, true) => Codings::Unknown,
        _ => Codings::NotLast,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
