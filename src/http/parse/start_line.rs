//! Request lines and status lines (RFC 9112 §3, §4).

use super::error::HeadError;
use crate::http::head::Version;
use crate::http::syntax::{is_field_byte, is_target_byte, is_tchar, number};

/// Refuses at once what can't become a request line: the method must be a token so far.
pub(super) fn method_so_far(line: &[u8]) -> Result<(), HeadError> {
    match line.iter().position(|&byte| !is_tchar(byte)) {
        None => Ok(()),
        Some(at) if line[at] == b'\r' || (line[at] == b' ' && at > 0) => Ok(()),
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

/// The parts of a status line (RFC 9112 §4).
pub(super) struct StatusLine<'a> {
    pub version: Version,
    pub status: u16,
    pub reason: &'a [u8],
}

/// Reads a status line. The space before an empty reason may be missing, as it is from some servers.
pub(super) fn status_line(line: &[u8]) -> Result<StatusLine<'_>, HeadError> {
    let (Some(name), Some(b' ')) = (line.get(..8), line.get(8)) else {
        return Err(HeadError::StatusLine);
    };
    let version = version(name, HeadError::StatusLine)?;
    let status = match line.get(9..12).and_then(number) {
        Some(status @ 100..) => status as u16,
        _ => return Err(HeadError::StatusLine),
    };
    let reason = match line.get(12) {
        None => &line[12..],
        Some(b' ') => &line[13..],
        Some(_) => return Err(HeadError::StatusLine),
    };
    if !reason.iter().copied().all(is_field_byte) {
        return Err(HeadError::StatusLine);
    }
    Ok(StatusLine {
        version,
        status,
        reason,
    })
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
