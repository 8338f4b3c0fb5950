//! The ends of lines of a head or trailer section (RFC 9112 §2.2), which are CRLF, or LF alone where old peers mean nothing
//! else by it: in heads, and in trailers of responses.
//!
//! Bare CR and folded lines in requests are refused here, before anything reads the lines.

use super::error::HeadError;
use super::limits::HeadLimits;

/// What joins a folded line to the one before: no name has it, and in a value it becomes a space (`mended.rs`).
const FOLD: u8 = 0;

/// The state of the search for a section's end, between the reads that bring more of it: nothing is searched twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SectionScan {
    /// The place where the first line begins that isn't whole so far.
    pub(super) line: usize,
    /// The bytes of that line that have no end of it.
    pub(super) searched: usize,
    /// The place where the first field line begins, once that is known.
    pub(super) fields: usize,
    /// The bytes of the request line that are known to be of its method.
    pub(super) method: usize,
}

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

/// The end of the section, after its empty line, when it is all there. Looks at each byte once, and gives the same
/// answer however the bytes were cut on their way here.
pub(super) fn whole_lines(
    buf: &mut [u8],
    scan: &mut SectionScan,
    limits: &HeadLimits,
    section: Section,
) -> Result<Option<usize>, HeadError> {
    let visible = buf.len().min(limits.head);
    while scan.line < visible {
        let at = scan.line;
        if matches!(buf[at], b' ' | b'\t') {
            unfold(buf, at, section, scan.fields)?;
        }
        let line = &buf[at..visible];
        let window = &line[..line.len().min(limits.line + 2)];
        let Some((length, end)) = terminator(window, scan.searched, section)? else {
            let is_longer = line.get(limits.line).is_some_and(|byte| *byte != b'\r');
            if is_longer || line.len() > limits.line + 1 {
                return Err(section.line_too_long(at));
            }
            scan.searched = window.len() - usize::from(window.ends_with(b"\r"));
            break;
        };
        if length > limits.line {
            return Err(section.line_too_long(at));
        }
        if length == 0 && section.start_line() != Some(at) {
            return Ok(Some(at + end));
        }
        scan.line = at + end;
        scan.searched = 0;
        if section.start_line() == Some(at) {
            scan.fields = scan.line;
        }
    }
    if buf.len() >= limits.head {
        return Err(HeadError::TooLarge);
    }
    Ok(None)
}

/// The length of the line at the front of `line`, and the place where the next one begins. Its end isn't before `from`.
fn terminator(
    line: &[u8],
    mut from: usize,
    section: Section,
) -> Result<Option<(usize, usize)>, HeadError> {
    while let Some(found) = memchr::memchr2(b'\r', b'\n', line.get(from..).unwrap_or_default()) {
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
/// else is refused. The field lines begin at `first`.
fn unfold(buf: &mut [u8], at: usize, section: Section, first: usize) -> Result<(), HeadError> {
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
