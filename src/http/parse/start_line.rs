//! Request lines and status lines (RFC 9112 §3, §4).

use bytes::Bytes;

use super::error::HeadError;
use crate::http::fields::Fields;
use crate::http::head::{ResponseHead, Version};
use crate::http::syntax::{is_field_text, is_target_byte, is_tchar, number};

/// The length of the method at the front of `line` so far, of which this much is `known`. Refuses at once what can't become
/// a request line: it must be a token.
pub(super) fn method_so_far(line: &[u8], known: usize) -> Result<usize, HeadError> {
    let mut rest = line.iter().skip(known);
    let at = known
        + rest
            .position(|&byte| !is_tchar(byte))
            .unwrap_or(line.len() - known);
    match line.get(at) {
        None | Some(b'\r') => Ok(at),
        Some(b' ' | b'\n') if at > 0 => Ok(at),
        Some(_) => Err(HeadError::NotHttp),
    }
}

/// The parts of a request line (RFC 9112 §3).
pub(super) struct RequestLine<'a> {
    pub method: &'a [u8],
    pub target: &'a [u8],
    pub version: Version,
}

/// Reads a request line.
pub(super) fn request_line(line: &[u8]) -> Result<RequestLine<'_>, HeadError> {
    let mut spaces = memchr::memchr_iter(b' ', line);
    let (Some(first), Some(second), None) = (spaces.next(), spaces.next(), spaces.next()) else {
        return Err(HeadError::RequestLine);
    };
    let (method, target) = (&line[..first], &line[first + 1..second]);
    if method.is_empty() || target.is_empty() || !method.iter().copied().all(is_tchar) {
        return Err(HeadError::RequestLine);
    }
    let version = version(&line[second + 1..], HeadError::RequestLine)?;
    if !target.iter().copied().all(is_target_byte) {
        return Err(HeadError::TargetBytes);
    }
    Ok(RequestLine {
        method,
        target,
        version,
    })
}

/// True for what may be the beginning of a status line.
pub(super) fn begins_status_line(text: &[u8]) -> bool {
    let begins = |name: &[u8]| name.starts_with(&text[..text.len().min(name.len())]);
    begins(b"HTTP/") || begins(ICY)
}

/// The name that stands for HTTP/1.0 in the status lines of SHOUTcast servers.
const ICY: &[u8] = b"ICY ";

/// The parts of a status line (RFC 9112 §4).
pub(super) struct StatusLine<'a> {
    version: Version,
    status: u16,
    reason: &'a [u8],
    /// It is as the grammar has it, to the last byte.
    pub is_plain: bool,
}

impl StatusLine<'_> {
    /// The head with this status line, which lies in `text`.
    pub fn head(&self, text: &Bytes, fields: Fields) -> ResponseHead {
        ResponseHead {
            status: self.status,
            version: self.version,
            reason: text.slice_ref(self.reason),
            fields,
            has_lost_field: false,
        }
    }
}

/// Reads a status line. Its parts may have any number of spaces and tabs between them (RFC 9112 §4); an empty reason
/// may lack the one before it, as it does from some servers.
pub(super) fn status_line(line: &[u8]) -> Result<StatusLine<'_>, HeadError> {
    let malformed = HeadError::StatusLine;
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let name = line.split(is_blank).next().unwrap_or_default();
    let version = match name {
        b"ICY" => Version::Http10,
        name => version(name, malformed)?,
    };
    let rest = &line[name.len()..];
    let code = trim_start(rest);
    let status = match code.get(..3).and_then(number) {
        Some(status @ 100..) => status as u16,
        _ => return Err(malformed),
    };
    let after = &code[3..];
    if after.first().is_some_and(|byte| !is_blank(byte)) {
        return Err(malformed);
    }
    let has_plain_blanks = rest.len() == code.len() + 1 && matches!(after, [] | [b' ', ..]);
    let is_plain = has_plain_blanks && name != b"ICY" && is_field_text(line);
    Ok(StatusLine {
        version,
        status,
        reason: trim_start(after),
        is_plain: is_plain && rest.starts_with(b" "),
    })
}

fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    text
}

/// The version that a name means; `malformed` where it isn't one at all.
fn version(name: &[u8], malformed: HeadError) -> Result<Version, HeadError> {
    match name {
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9'] => Ok(Version::Http11),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(HeadError::Version),
        _ => Err(malformed),
    }
}
