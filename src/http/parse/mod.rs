//! Heads and trailer sections out of received bytes (RFC 9112 §2–§5).
//!
//! Decides where a head ends and refuses in requests what peers could read differently: bare CR, NUL, whitespace where
//! none belongs, folded lines. Responses are mended where that is safe. What a head means is decided elsewhere.

mod error;
mod field_lines;
mod limits;
mod lines;
mod mended;
mod start_line;

use bytes::{Buf, BytesMut};

pub use error::HeadError;
pub use limits::{HeadLimits, may_be_a_head};

use super::fields::Fields;
use super::head::{Method, RequestHead, ResponseHead, Sender};
use field_lines::field_lines;
pub use lines::SectionScan;
use lines::{Section, first_line, whole_lines};
use mended::{has_crlf_alone, mended_head, mended_trailers};
use start_line::{begins_status_line, method_so_far, request_line, status_line};

/// Empty lines tolerated before a request line (RFC 9112 §2.2 asks for one at least).
const MAX_EMPTY_LINES: usize = 4;

/// Takes a request head off the front of `buf` once it is there whole; `Ok(None)` asks for more
/// bytes. `scan` remembers between calls how far it looked; it begins anew after each head taken.
pub fn parse_request(
    buf: &mut BytesMut,
    scan: &mut SectionScan,
    limits: &HeadLimits,
) -> Result<Option<RequestHead>, HeadError> {
    let empty = empty_lines(buf)?;
    let first = scan.line <= empty;
    if scan.line < empty {
        *scan = SectionScan {
            line: empty,
            ..SectionScan::default()
        };
    }
    if first {
        scan.method = method_so_far(&buf[empty..], scan.method)?;
    }
    let found = whole_lines(buf, scan, limits, Section::Request { start: empty });
    if matches!(found, Ok(Some(_))) {
        *scan = SectionScan::default();
        buf.advance(empty);
    } else if first && scan.line > empty {
        // A fault in the request line is reported before one behind it, and before the rest of
        // the head arrives.
        if let Some((line, _)) = first_line(&buf[empty..]) {
            request_line(line)?;
        }
    }
    let Some(end) = found? else { return Ok(None) };
    let head = buf.split_to(end - empty).freeze();
    let (line, from) = first_line(&head).ok_or(HeadError::RequestLine)?;
    let start = request_line(line)?;
    Ok(Some(RequestHead {
        method: Method::from_token(&head.slice_ref(start.method)),
        target: head.slice_ref(start.target),
        version: start.version,
        fields: field_lines(&head, from, limits)?,
    }))
}

/// Takes a response head off the front of `buf`, as [`parse_request`] does a request's, and mends it where it must.
pub fn parse_response(
    buf: &mut BytesMut,
    scan: &mut SectionScan,
    limits: &HeadLimits,
) -> Result<Option<ResponseHead>, HeadError> {
    let first = scan.line == 0;
    if first && !begins_status_line(buf) {
        return Err(HeadError::StatusLine);
    }
    let found = whole_lines(buf, scan, limits, Section::Response);
    if matches!(found, Ok(Some(_))) {
        *scan = SectionScan::default();
    } else if first && scan.line > 0 {
        if let Some((line, _)) = first_line(buf) {
            status_line(line)?;
        }
    }
    let Some(end) = found? else { return Ok(None) };
    let head = buf.split_to(end).freeze();
    let (line, from) = first_line(&head).ok_or(HeadError::StatusLine)?;
    let start = status_line(line)?;
    if start.is_plain && has_crlf_alone(&head) {
        match field_lines(&head, from, limits) {
            Err(HeadError::FieldName | HeadError::FieldValue) => {}
            fields => return Ok(Some(start.head(&head, fields?))),
        }
    }
    let mended = mended_head(&head, from)?;
    let head = mended.text;
    let (line, from) = first_line(&head).ok_or(HeadError::StatusLine)?;
    let fields = field_lines(&head, from, &limits.with_added(1))?;
    Ok(Some(ResponseHead {
        has_lost_field: mended.has_lost_field,
        ..status_line(line)?.head(&head, fields)
    }))
}

/// Trailer fields as they were received, or as they were mended.
#[derive(Default)]
pub(super) struct Trailers {
    pub fields: Fields,
    pub is_mended: bool,
}

/// Takes a trailer section (RFC 9112 §7.1.2) with the empty line that ends it off the front of
/// `buf`, as [`parse_request`] and [`parse_response`] do a head.
pub(super) fn parse_trailers(
    buf: &mut BytesMut,
    scan: &mut SectionScan,
    limits: &HeadLimits,
    sender: Sender,
) -> Result<Option<Trailers>, HeadError> {
    let kind = match sender {
        Sender::Client => Section::TrailersOfRequest,
        Sender::OriginServer => Section::TrailersOfResponse,
    };
    let Some(end) = whole_lines(buf, scan, limits, kind)? else {
        return Ok(None);
    };
    *scan = SectionScan::default();
    let section = buf.split_to(end).freeze();
    if section == b"\r\n"[..] {
        return Ok(Some(Trailers::default()));
    }
    let fields = field_lines(&section, 0, limits);
    let is_mended = sender == Sender::OriginServer
        && (matches!(fields, Err(HeadError::FieldName | HeadError::FieldValue))
            || !has_crlf_alone(&section));
    let fields = match is_mended {
        true => field_lines(&mended_trailers(&section)?, 0, limits),
        false => fields,
    };
    Ok(Some(Trailers {
        fields: fields?,
        is_mended,
    }))
}

/// The length of the empty lines before a request line.
fn empty_lines(buf: &[u8]) -> Result<usize, HeadError> {
    let (mut length, mut lines) = (0, 0);
    while let [b'\r', b'\n', ..] | [b'\n', ..] = buf[length..] {
        length += if buf[length] == b'\r' { 2 } else { 1 };
        lines += 1;
        if lines > MAX_EMPTY_LINES {
            return Err(HeadError::RequestLine);
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
