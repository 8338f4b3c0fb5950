//! Heads and trailer sections out of received bytes (RFC 9112 §2–§5), strictly.
//!
//! Decides where a head ends and refuses what peers could read differently: bare CR or LF, NUL,
//! whitespace where none belongs, folded lines in requests. What a head means is decided elsewhere.

mod error;
mod field_lines;
mod limits;
mod lines;
mod start_line;

use bytes::{Buf, BytesMut};

pub use error::HeadError;
pub use limits::{HeadLimits, may_be_a_head};

use super::fields::Fields;
use super::head::{Method, RequestHead, ResponseHead};
use field_lines::{closed_up, field_lines};
use lines::{Section, line_end, whole_lines};
use start_line::{method_so_far, request_line, status_line};

/// Empty lines tolerated before a request line (RFC 9112 §2.2 asks for one at least).
const MAX_EMPTY_LINES: usize = 4;

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
        // A fault in the request line is reported before one behind it, and before the rest of
        // the head arrives.
        if let Some(end) = line_end(&buf[empty..]) {
            request_line(&buf[empty..empty + end])?;
        }
    }
    let Some(end) = found? else { return Ok(None) };
    let head = buf.split_to(end - empty).freeze();
    let line = line_end(&head).ok_or(HeadError::RequestLine)?;
    let start = request_line(&head[..line])?;
    Ok(Some(RequestHead {
        method: Method::from_token(&head.slice_ref(start.method)),
        target: head.slice_ref(start.target),
        version: start.version,
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
    let start = status_line(&head[..line])?;
    let fields = match field_lines(&head, line + 2, limits) {
        Err(HeadError::FieldName) => field_lines(&closed_up(&head), line + 2, limits)?,
        fields => fields?,
    };
    Ok(Some(ResponseHead {
        status: start.status,
        version: start.version,
        reason: head.slice_ref(start.reason),
        fields,
    }))
}

/// Takes a trailer section (RFC 9112 §7.1.2) with the empty line that ends it off the front of
/// `buf`, as [`parse_request`] does a head.
pub(super) fn parse_trailers(
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

#[cfg(test)]
mod tests;
