//! Heads and trailer sections out of received bytes (RFC 9112 §2–§5), strictly.
//!
//! Decides where a head ends and refuses what peers could read differently: bare CR or LF, NUL,
//! whitespace where none belongs, folded lines in requests. Field lines are left to httparse once
//! the lines themselves are known to be sound. What a head means is decided elsewhere.

use bytes::{Buf, Bytes, BytesMut};

use super::fields::{self, Fields};
use super::head::{Method, RequestHead, ResponseHead, Version};
use super::lines::{Section, line_end, whole_lines};
use super::syntax::{is_field_byte, is_tchar};

/// The most field lines that any limit can allow.
pub const MAX_FIELDS: usize = 128;

/// Empty lines tolerated before a request line (RFC 9112 §2.2 asks for one at least).
const MAX_EMPTY_LINES: usize = 4;

/// Limits on a head; a larger one is answered with 414 or 431.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of one line, its CRLF not counted.
    pub line: usize,
    /// Bytes of the whole head, the empty line that ends it included.
    pub head: usize,
    /// Field lines, [`MAX_FIELDS`] at most.
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> HeadLimits {
        HeadLimits {
            line: 8 * 1024,
            head: 64 * 1024,
            fields: MAX_FIELDS,
        }
    }
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The first bytes cannot begin an HTTP/1 request line (TLS on a plain port, for example).
    #[error("what was received does not begin as an HTTP request does")]
    NotHttp,
    /// The request line is not `method SP target SP version`.
    #[error("the request line is not a method, a target and a version with one space between them")]
    RequestLine,
    /// The target has bytes that must be percent-encoded.
    #[error("the request target has bytes outside of visible ASCII")]
    TargetBytes,
    /// The status line is not `version SP status SP reason`.
    #[error("the status line is not a version, a status code and a reason")]
    StatusLine,
    /// The major version is not 1.
    #[error("the HTTP version is not 1.0 or 1.1")]
    Version,
    /// CR without LF.
    #[error("a CR is not followed by an LF")]
    BareCr,
    /// LF without CR.
    #[error("an LF is not preceded by a CR")]
    BareLf,
    /// A field line continued on the next.
    #[error("a line begins with whitespace, as folded field lines do")]
    Folded,
    /// A field name is not a token.
    #[error("a field name is empty, has a forbidden character or has whitespace before its colon")]
    FieldName,
    /// A field value has control characters.
    #[error("a field value has a control character")]
    FieldValue,
    /// The request line is longer than the limit.
    #[error("the request line is too long")]
    RequestLineTooLong,
    /// A field line is longer than the limit.
    #[error("a field line is too long")]
    FieldLineTooLong,
    /// The head is larger than the limit.
    #[error("the header section is too large")]
    TooLarge,
    /// There are more field lines than the limit.
    #[error("there are too many field lines")]
    TooManyFields,
}

impl HeadError {
    /// The status code that answers a request with this fault. For a response it is always 502.
    pub fn status(self) -> u16 {
        match self {
            HeadError::Version => 505,
            HeadError::RequestLineTooLong => 414,
            HeadError::FieldLineTooLong | HeadError::TooLarge | HeadError::TooManyFields => 431,
            HeadError::NotHttp
            | HeadError::RequestLine
            | HeadError::TargetBytes
            | HeadError::StatusLine
            | HeadError::BareCr
            | HeadError::BareLf
            | HeadError::Folded
            | HeadError::FieldName
            | HeadError::FieldValue => 400,
        }
    }
}

/// Takes a request head off the front of `buf` once it is there whole; `Ok(None)` asks for more
/// bytes. `scanned` remembers between calls how far it looked: 0 for a new head, and 0 again
/// after each one taken.
pub fn parse_request(
    buf: &mut BytesMut,
    scanned: &mut usize,
    limits: &HeadLimits,
) -> Result<Option<RequestHead>, HeadError> {
    let empty = empty_lines(buf)?;
    if *scanned <= empty {
        *scanned = empty;
        method_so_far(&buf[empty..])?;
    }
    let first = *scanned == empty;
    let found = whole_lines(buf, scanned, limits, Section::Request { start: empty });
    if matches!(found, Ok(Some(_))) {
        *scanned = 0;
        buf.advance(empty);
    } else if first && *scanned > empty {
        // A fault in the request line is told before one that only came after it, and before
        // the rest of the head arrives.
        if let Some(end) = line_end(&buf[empty..]) {
            request_line(&buf[empty..empty + end])?;
        }
    }
    let Some(end) = found? else { return Ok(None) };
    let head = buf.split_to(end - empty).freeze();
    let line = line_end(&head).ok_or(HeadError::RequestLine)?;
    let (method, target, version) = request_line(&head[..line])?;
    Ok(Some(RequestHead {
        method: Method::from_token(&head.slice_ref(method)),
        target: head.slice_ref(target),
        version,
        fields: field_lines(&head, line + 2, limits)?,
    }))
}

/// Takes a response head off the front of `buf`, as [`parse_request`] does a request's. A folded
/// field line is unfolded (RFC 9112 §5.2), and whitespace before a colon is no part of the name (§5.1):
/// before anything reads the fields, so that all see the same ones.
pub fn parse_response(
    buf: &mut BytesMut,
    scanned: &mut usize,
    limits: &HeadLimits,
) -> Result<Option<ResponseHead>, HeadError> {
    let first = *scanned == 0;
    if first && !b"HTTP/".starts_with(&buf[..buf.len().min(5)]) {
        return Err(HeadError::StatusLine);
    }
    let found = whole_lines(buf, scanned, limits, Section::Response);
    if matches!(found, Ok(Some(_))) {
        *scanned = 0;
    } else if first && *scanned > 0 {
        if let Some(end) = line_end(buf) {
            status_line(&buf[..end])?;
        }
    }
    let Some(end) = found? else { return Ok(None) };
    let head = buf.split_to(end).freeze();
    let line = line_end(&head).ok_or(HeadError::StatusLine)?;
    let (version, status, reason) = status_line(&head[..line])?;
    let fields = match field_lines(&head, line + 2, limits) {
        Err(HeadError::FieldName) => field_lines(&closed_up(&head), line + 2, limits)?,
        fields => fields?,
    };
    Ok(Some(ResponseHead {
        status,
        version,
        reason: head.slice_ref(reason),
        fields,
    }))
}

/// Takes a trailer section (RFC 9112 §7.1.2) with the empty line that ends it off the front of
/// `buf`, as [`parse_request`] does a head.
pub fn parse_trailers(
    buf: &mut BytesMut,
    scanned: &mut usize,
    limits: &HeadLimits,
) -> Result<Option<Fields>, HeadError> {
    let Some(end) = whole_lines(buf, scanned, limits, Section::Trailers)? else {
        return Ok(None);
    };
    *scanned = 0;
    let section = buf.split_to(end).freeze();
    if section.len() == 2 {
        return Ok(Some(Fields::default()));
    }
    field_lines(&section, 0, limits).map(Some)
}

/// The head with each colon next to its field's name, and the whitespace that was between them after it.
fn closed_up(head: &Bytes) -> Bytes {
    let mut head = BytesMut::from(&head[..]);
    for line in head.split_mut(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let name = line[..colon].trim_ascii_end().len();
        line[name..=colon].fill(b' ');
        line[name] = b':';
    }
    head.freeze()
}

/// The length of the empty lines before a request line.
fn empty_lines(buf: &[u8]) -> Result<usize, HeadError> {
    let mut length = 0;
    while buf[length..].starts_with(b"\r\n") {
        length += 2;
        if length > MAX_EMPTY_LINES * 2 {
            return Err(HeadError::RequestLine);
        }
    }
    Ok(length)
}

/// Refuses at once what can't become a request line: the method must be a token so far.
fn method_so_far(line: &[u8]) -> Result<(), HeadError> {
    match line.iter().position(|&byte| !is_tchar(byte)) {
        None => Ok(()),
        Some(at) if line[at] == b'\r' || (line[at] == b' ' && at > 0) => Ok(()),
        Some(_) => Err(HeadError::NotHttp),
    }
}

/// Method, target and version of a request line (RFC 9112 §3).
fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], Version), HeadError> {
    let mut spaces = memchr::memchr_iter(b' ', line);
    let (Some(first), Some(second), None) = (spaces.next(), spaces.next(), spaces.next()) else {
        return Err(HeadError::RequestLine);
    };
    let (method, target) = (&line[..first], &line[first + 1..second]);
    if method.is_empty() || target.is_empty() || !method.iter().copied().all(is_tchar) {
        return Err(HeadError::RequestLine);
    }
    let version = version(&line[second + 1..]).ok_or(HeadError::RequestLine)??;
    if !target.iter().all(u8::is_ascii_graphic) {
        return Err(HeadError::TargetBytes);
    }
    Ok((method, target, version))
}

/// Version, status code and reason phrase of a status line (RFC 9112 §4). The space before an
/// empty reason may be missing, as it is from some servers.
fn status_line(line: &[u8]) -> Result<(Version, u16, &[u8]), HeadError> {
    let (Some(name), Some(b' ')) = (line.get(..8), line.get(8)) else {
        return Err(HeadError::StatusLine);
    };
    let version = version(name).ok_or(HeadError::StatusLine)??;
    let status = match line.get(9..12) {
        Some(digits) if digits.iter().all(u8::is_ascii_digit) => digits
            .iter()
            .fold(0, |status, digit| status * 10 + u16::from(digit - b'0')),
        _ => return Err(HeadError::StatusLine),
    };
    let reason = match line.get(12) {
        None => &line[12..],
        Some(b' ') => &line[13..],
        Some(_) => return Err(HeadError::StatusLine),
    };
    if status < 100 || !reason.iter().copied().all(is_field_byte) {
        return Err(HeadError::StatusLine);
    }
    Ok((version, status, reason))
}

/// What a version name says: nothing if it is malformed, an error if the major version isn't 1.
fn version(name: &[u8]) -> Option<Result<Version, HeadError>> {
    match name {
        b"HTTP/1.1" => Some(Ok(Version::Http11)),
        b"HTTP/1.0" => Some(Ok(Version::Http10)),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] => {
            match (major.is_ascii_digit(), minor.is_ascii_digit()) {
                (true, true) if *major == b'1' => Some(Ok(Version::Http11)),
                (true, true) => Some(Err(HeadError::Version)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The fields of `head` from `from` to its end, over the same buffer.
fn field_lines(head: &Bytes, from: usize, limits: &HeadLimits) -> Result<Fields, HeadError> {
    // Few heads have more than 32 field lines; clearing the larger array costs as much as parsing.
    match parse_lines::<32>(head, from, limits) {
        Err(HeadError::TooManyFields) => parse_lines::<MAX_FIELDS>(head, from, limits),
        result => result,
    }
}

fn parse_lines<const N: usize>(
    head: &Bytes,
    from: usize,
    limits: &HeadLimits,
) -> Result<Fields, HeadError> {
    let mut lines = [httparse::EMPTY_HEADER; N];
    match httparse::parse_headers(&head[from..], &mut lines) {
        Ok(httparse::Status::Complete((_, lines))) if lines.len() <= limits.fields => {
            Ok(fields::over(
                head,
                lines.iter().map(|line| (line.name.as_bytes(), line.value)),
            ))
        }
        Ok(httparse::Status::Complete(_)) | Err(httparse::Error::TooManyHeaders) => {
            Err(HeadError::TooManyFields)
        }
        Err(httparse::Error::HeaderName) => Err(HeadError::FieldName),
        Ok(httparse::Status::Partial) | Err(_) => Err(HeadError::FieldValue),
    }
}

#[cfg(test)]
mod tests;
