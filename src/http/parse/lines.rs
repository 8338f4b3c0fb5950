//! The ends of lines of a head or trailer section (RFC 9112 §2.2), which are CRLF.
//!
//! Bare CR and LF, and folded lines in requests, are refused here, before anything reads the lines.

use super::error::HeadError;
use super::limits::HeadLimits;

/// A section of a message that [`whole_lines`] finds the end of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// A head whose request line begins at `start`, after empty lines.
    Request {
        start: usize,
    },
    Response,
    Trailers,
}

impl Section {
    /// The place where the start line begins, in a section that has one.
    fn start_line(self) -> Option<usize> {
        match self {
            Section::Request { start } => Some(start),
            Section::Response => Some(0),
            Section::Trailers => None,
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
    // The place where the line begins that was read last, as it is unfolded: looked for once.
    let mut begins = None;
    while *scanned < visible {
        let at = *scanned;
        if matches!(buf[at], b' ' | b'\t') {
            begins = Some(unfold(buf, at, begins, section)?);
        } else {
            begins = Some(at);
        }
        let line = &buf[at..visible];
        let Some(length) = memchr::memchr2(b'\r', b'\n', &line[..line.len().min(limits.line + 1)])
        else {
            if line.len() > limits.line {
                return Err(section.line_too_long(at));
            }
            break;
        };
        match (line[length], line.get(length + 1)) {
            (b'\n', _) => return Err(HeadError::BareLf),
            (_, Some(b'\n')) => {}
            (_, Some(_)) => return Err(HeadError::BareCr),
            (_, None) => break,
        }
        if length == 0 && section.start_line() != Some(at) {
            return Ok(Some(at + 2));
        }
        *scanned = at + length + 2;
    }
    if buf.len() >= limits.head {
        return Err(HeadError::TooLarge);
    }
    Ok(None)
}

/// Deals with the line at `at`, which begins with whitespace: a response's is joined to the one
/// before by blanking the CRLF between them, anything else is refused. Returns where the line begins that it
/// is a part of now, which may be known.
fn unfold(
    buf: &mut [u8],
    at: usize,
    begins: Option<usize>,
    section: Section,
) -> Result<usize, HeadError> {
    let begins = match begins {
        Some(begins) => begins,
        None if at < 2 => at,
        None => memchr::memrchr(b'\n', &buf[..at - 2]).map_or(0, |end| end + 1),
    };
    // There is no field yet that it could go on.
    if section != Section::Response || at == 0 || begins == 0 {
        return Err(HeadError::Folded);
    }
    if !buf[begins..at].contains(&b':') {
        // A name isn't to be put together out of two lines.
        return Err(HeadError::FieldName);
    }
    buf[at - 2..at].fill(b' ');
    Ok(begins)
}

/// The place of the CRLF of the first line.
pub(super) fn line_end(text: &[u8]) -> Option<usize> {
    let end = memchr::memchr(b'\n', text)?;
    (end > 0 && text[end - 1] == b'\r').then(|| end - 1)
}
