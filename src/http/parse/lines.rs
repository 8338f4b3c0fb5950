//! The ends of lines of a head or trailer section (RFC 9112 §2.2), which are CRLF, or LF alone where old peers mean nothing
//! else by it: in heads, and in trailers of responses.
//!
//! Bare CR and folded lines in requests are refused here, before anything reads the lines.

use super::error::HeadError;
use super::limits::HeadLimits;

/// What joins a folded line to the one before: no name has it, and in a value it becomes a space (`mended.rs`).
const FOLD: u8 = 0;

/// A section of a message that [`whole_lines`] finds the end of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// A head whose request line begins at `start`, after empty lines.
    Request {
        start: usize,
    },
    Response,
    TrailersOfRequest,
    TrailersOfResponse,
}

impl Section {
    /// The place where the start line begins, in a section that has one.
    fn start_line(self) -> Option<usize> {
        match self {
            Section::Request { start } => Some(start),
            Section::Response => Some(0),
            Section::TrailersOfRequest | Section::TrailersOfResponse => None,
        }
    }

    /// True for what an origin server sent, which is mended where it can be.
    fn is_mended(self) -> bool {
        match self {
            Section::Request { .. } | Section::TrailersOfRequest => false,
            Section::Response | Section::TrailersOfResponse => true,
        }
    }

    fn line_too_long(self, at: usize) -> HeadError {
        if self == (Section::Request { start: at }) {
            HeadError::RequestLineTooLong
        } else {
            HeadError::FieldLineTooLong
        }
    }
}

/// The end of the section, after its empty line, when it is all there. `scanned` is where the
/// first line begins that was not whole so far. Looks at each whole line once, and gives the same
/// answer however the bytes were cut on their way here.
pub(super) fn whole_lines(
    buf: &mut [u8],
    scanned: &mut usize,
    limits: &HeadLimits,
    section: Section,
) -> Result<Option<usize>, HeadError> {
    let visible = buf.len().min(limits.head);
    while *scanned < visible {
        let at = *scanned;
        if matches!(buf[at], b' ' | b'\t') {
            unfold(buf, at, section)?;
        }
        let line = &buf[at..visible];
        let window = &line[..line.len().min(limits.line + 2)];
        let Some((length, end)) = terminator(window, section)? else {
            let is_longer = line.get(limits.line).is_some_and(|byte| *byte != b'\r');
            if is_longer || line.len() > limits.line + 1 {
                return Err(section.line_too_long(at));
            }
            break;
        };
        if length > limits.line {
            return Err(section.line_too_long(at));
        }
        if length == 0 && section.start_line() != Some(at) {
            return Ok(Some(at + end));
        }
        *scanned = at + end;
    }
    if buf.len() >= limits.head {
        return Err(HeadError::TooLarge);
    }
    Ok(None)
}

/// The length of the line at the front of `line`, and the place where the next one begins.
fn terminator(line: &[u8], section: Section) -> Result<Option<(usize, usize)>, HeadError> {
    let mut from = 0;
    while let Some(found) = memchr::memchr2(b'\r', b'\n', &line[from..]) {
        let at = from + found;
        match (line[at], line.get(at + 1)) {
            (b'\n', _) if section == Section::TrailersOfRequest => return Err(HeadError::BareLf),
            (b'\n', _) => return Ok(Some((at, at + 1))),
            (_, Some(b'\n')) => return Ok(Some((at, at + 2))),
            (_, Some(_)) if !section.is_mended() => return Err(HeadError::BareCr),
            (_, Some(_)) => from = at + 1,
            (_, None) => break,
        }
    }
    Ok(None)
}

/// Deals with the line at `at`, which begins with whitespace: an origin server's is joined to the one before, anything
/// else is refused.
fn unfold(buf: &mut [u8], at: usize, section: Section) -> Result<(), HeadError> {
    let first = section.start_line().map_or(0, |_| {
        memchr::memchr(b'\n', &buf[..at]).map_or(0, |end| end + 1)
    });
    // There is no field yet that it could go on.
    if !section.is_mended() || at == first {
        return Err(HeadError::Folded);
    }
    let end = if buf[..at].ends_with(b"\r\n") { 2 } else { 1 };
    buf[at - end..at].fill(FOLD);
    Ok(())
}

/// The first line of a text, and the place where the next one begins.
pub(super) fn first_line(text: &[u8]) -> Option<(&[u8], usize)> {
    let end = memchr::memchr(b'\n', text)?;
    let line = &text[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), end + 1))
}
