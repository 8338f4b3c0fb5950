//! Heads and trailer sections of old and sloppy origin servers, mended as other proxies do before anything reads them:
//! LF alone, folded lines and whitespace before a colon (RFC 9112 §2.2, §5.1, §5.2), control characters in values
//! (RFC 9110 §5.5); lines that are no field lines are dropped, and where one may have been of a field that forbids storing, the head says so.
//!
//! Whatever another recipient could take for a field of framing, or for the end of the section, is refused. In doubt
//! about the rest the connection isn't used again, which a head then says as its origin server would: by `Connection: close`.

use bytes::{BufMut, Bytes, BytesMut};

use super::error::HeadError;
use crate::http::fields::write_line;
use crate::http::syntax::{is_field_byte, is_field_text, is_tchar, is_token, trim};

/// Fields whose lines are refused, not mended.
const FRAMING: [&[u8]; 2] = [b"content-length", b"transfer-encoding"];
/// Fields without which a response could be stored that may not be, or for others than it is for, or for longer: in
/// words that nothing else has, and others.
const OF_STORING: [&[u8]; 5] = [
    b"cache-control",
    b"surrogate-control",
    b"set-cookie",
    b"content-encoding",
    b"content-range",
];
const OF_STORING_SHORT: [&[u8]; 4] = [b"vary", b"pragma", b"expires", b"age"];

/// A head of a response, mended.
pub(super) struct MendedHead {
    pub text: Bytes,
    /// A line was dropped, or lies hidden in a value, that may have been of a field of storing.
    pub has_lost_field: bool,
}

/// What is written of a section, and what is known of its lost lines.
#[derive(Default)]
struct Mending {
    out: BytesMut,
    has_lost_field: bool,
}

/// True for lines that all end with CRLF.
pub(super) fn has_crlf_alone(text: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', text).all(|end| end > 0 && text[end - 1] == b'\r')
}

/// The head of a response, whose field lines begin at `from`, mended.
pub(super) fn mended_head(head: &[u8], from: usize) -> Result<MendedHead, HeadError> {
    let mut mending = Mending::default();
    mending.out.reserve(head.len() + 32);
    let (status_line, lines) = head.split_at(from);
    let status_line = mending.cleaned(without_end(status_line))?;
    mending.out.put_slice(&status_line);
    mending.out.put_slice(b"\r\n");
    mending.lines(lines)?;
    write_line(&mut mending.out, b"Connection", b"close");
    mending.out.put_slice(b"\r\n");
    Ok(MendedHead {
        text: mending.out.freeze(),
        has_lost_field: mending.has_lost_field,
    })
}

/// A trailer section, mended.
pub(super) fn mended_trailers(section: &[u8]) -> Result<Bytes, HeadError> {
    let mut mending = Mending::default();
    mending.lines(section)?;
    mending.out.put_slice(b"\r\n");
    Ok(mending.out.freeze())
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

impl Mending {
    /// Writes the good ones of these lines, of which the last is empty.
    fn lines(&mut self, lines: &[u8]) -> Result<(), HeadError> {
        let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
        let mut is_over = false;
        for line in lines.split(|byte| *byte == b'\n').map(without_end) {
            // For some the section ends at CR CR LF.
            if is_over {
                return Err(HeadError::BareCr);
            }
            is_over = line.iter().all(|byte| *byte == b'\r');
            self.line(line)?;
        }
        Ok(())
    }

    /// Writes a line with its value cleaned; nothing of one that is no field line.
    fn line(&mut self, line: &[u8]) -> Result<(), HeadError> {
        let colon = memchr::memchr(b':', line);
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let name = trim(name);
        if colon.is_none() || !is_token(name) {
            if is_like_framing(name) {
                return Err(HeadError::FieldName);
            }
            self.has_lost_field |= is_like_storing(name);
            return Ok(());
        }
        let value = trim(&value[1..]);
        let is_framing = FRAMING.iter().any(|it| name.eq_ignore_ascii_case(it));
        if is_framing && !is_field_text(value) {
            return Err(HeadError::FieldValue);
        }
        let value = self.cleaned(value)?;
        write_line(&mut self.out, name, &value);
        Ok(())
    }

    /// The text with a space for each control character. A bare CR, at which a line could end for others, must hide
    /// nothing from them.
    fn cleaned(&mut self, text: &[u8]) -> Result<Vec<u8>, HeadError> {
        for hidden in text.split(|byte| *byte == b'\r').skip(1) {
            if hidden.is_empty() || is_like_framing(hidden) {
                return Err(HeadError::BareCr);
            }
            self.has_lost_field |= is_like_storing(hidden);
        }
        let clean = |byte: &u8| if is_field_byte(*byte) { *byte } else { b' ' };
        Ok(text.iter().map(clean).collect())
    }
}

/// True for what names a field of framing when all is left out that no name has.
fn is_like_framing(text: &[u8]) -> bool {
    let name = squeezed(text);
    has_any(&name, &FRAMING)
}

/// True for what names a field of storing so, or has a short name of one as a word.
fn is_like_storing(text: &[u8]) -> bool {
    let is_short = |word: &[u8]| {
        let mut names = OF_STORING_SHORT.iter();
        names.any(|name| word.eq_ignore_ascii_case(name))
    };
    let name = squeezed(text);
    let mut words = text.split(|byte| !is_tchar(*byte));
    has_any(&name, &OF_STORING) || is_short(&name) || words.any(is_short)
}

fn squeezed(text: &[u8]) -> Vec<u8> {
    let name = text.iter().filter(|byte| is_tchar(**byte));
    name.map(u8::to_ascii_lowercase).collect()
}

fn has_any(name: &[u8], fields: &[&[u8]]) -> bool {
    let mut fields = fields.iter();
    fields.any(|field| memchr::memmem::find(name, field).is_some())
}
