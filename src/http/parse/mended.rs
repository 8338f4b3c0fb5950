//! Heads and trailer sections of old and sloppy origin servers, mended as other proxies do before anything reads them:
//! LF alone, folded lines and whitespace before a colon (RFC 9112 §2.2, §5.1, §5.2), control characters in values
//! (RFC 9110 §5.5); lines that are no field lines are dropped.
//!
//! Whatever another recipient could take for a field of framing, or for the end of the section, is refused. In doubt
//! about the rest the connection isn't used again, which a head then says as its origin server would: by `Connection: close`.

use bytes::{BufMut, Bytes, BytesMut};

use super::error::HeadError;
use crate::http::fields::write_line;
use crate::http::syntax::{is_field_byte, is_field_text, is_tchar, is_token, trim};

/// Fields whose lines are refused, not mended.
const FRAMING: [&[u8]; 2] = [b"content-length", b"transfer-encoding"];

/// True for lines that all end with CRLF.
pub(super) fn has_crlf_alone(text: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', text).all(|end| end > 0 && text[end - 1] == b'\r')
}

/// The head of a response, whose field lines begin at `from`, mended.
pub(super) fn mended_head(head: &[u8], from: usize) -> Result<Bytes, HeadError> {
    let mut out = BytesMut::with_capacity(head.len() + 32);
    let (status_line, lines) = head.split_at(from);
    out.put_slice(&cleaned(without_end(status_line))?);
    out.put_slice(b"\r\n");
    mend_lines(&mut out, lines)?;
    write_line(&mut out, b"Connection", b"close");
    out.put_slice(b"\r\n");
    Ok(out.freeze())
}

/// A trailer section, mended.
pub(super) fn mended_trailers(section: &[u8]) -> Result<Bytes, HeadError> {
    let mut out = BytesMut::with_capacity(section.len());
    mend_lines(&mut out, section)?;
    out.put_slice(b"\r\n");
    Ok(out.freeze())
}

/// Writes the good ones of these lines, of which the last is empty.
fn mend_lines(out: &mut BytesMut, lines: &[u8]) -> Result<(), HeadError> {
    let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
    let mut is_over = false;
    for line in lines.split(|byte| *byte == b'\n').map(without_end) {
        // For some the section ends at CR CR LF.
        if is_over {
            return Err(HeadError::BareCr);
        }
        is_over = line.iter().all(|byte| *byte == b'\r');
        mend_line(out, line)?;
    }
    Ok(())
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Writes a line with its value cleaned; nothing of one that is no field line.
fn mend_line(out: &mut BytesMut, line: &[u8]) -> Result<(), HeadError> {
    let colon = memchr::memchr(b':', line);
    let (name, value) = line.split_at(colon.unwrap_or(line.len()));
    let name = trim(name);
    if colon.is_none() || !is_token(name) {
        return match is_like_framing(name) {
            true => Err(HeadError::FieldName),
            false => Ok(()),
        };
    }
    let value = trim(&value[1..]);
    let is_framing = FRAMING.iter().any(|it| name.eq_ignore_ascii_case(it));
    if is_framing && !is_field_text(value) {
        return Err(HeadError::FieldValue);
    }
    write_line(out, name, &cleaned(value)?);
    Ok(())
}

/// The text with a space for each control character. A bare CR, at which a line could end for others, must hide nothing
/// from them.
fn cleaned(text: &[u8]) -> Result<Vec<u8>, HeadError> {
    let mut hidden = text.split(|byte| *byte == b'\r').skip(1);
    if hidden.any(|line| line.is_empty() || is_like_framing(line)) {
        return Err(HeadError::BareCr);
    }
    let clean = |byte: &u8| if is_field_byte(*byte) { *byte } else { b' ' };
    Ok(text.iter().map(clean).collect())
}

/// True for what names a field of framing when all is left out that no name has.
fn is_like_framing(text: &[u8]) -> bool {
    let name = text.iter().filter(|byte| is_tchar(**byte));
    let name: Vec<u8> = name.map(u8::to_ascii_lowercase).collect();
    FRAMING
        .iter()
        .any(|framing| memchr::memmem::find(&name, framing).is_some())
}
