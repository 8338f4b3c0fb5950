//! Field lines (RFC 9112 §5), which httparse reads once the lines themselves are known to be sound.

use bytes::Bytes;

use super::error::HeadError;
use super::limits::HeadLimits;
use crate::http::fields::{self, Fields};

/// The fields of `head` from `from` to its end, over the same buffer.
pub(super) fn field_lines(
    head: &Bytes,
    from: usize,
    limits: &HeadLimits,
) -> Result<Fields, HeadError> {
    let most = limits.fields;
    // Few heads have more than 32 field lines; clearing a larger array costs as much as parsing.
    let few = &mut [httparse::EMPTY_HEADER; 32];
    match parse_lines(head, from, &mut few[..most.min(32)]) {
        Err(HeadError::TooManyFields) if most > 32 => {}
        result => return result,
    }
    let more = &mut [httparse::EMPTY_HEADER; 128];
    match parse_lines(head, from, &mut more[..most.min(128)]) {
        Err(HeadError::TooManyFields) if most > 128 => {}
        result => return result,
    }
    parse_lines(head, from, &mut vec![httparse::EMPTY_HEADER; most])
}

fn parse_lines<'h>(
    head: &'h Bytes,
    from: usize,
    lines: &mut [httparse::Header<'h>],
) -> Result<Fields, HeadError> {
    match httparse::parse_headers(&head[from..], lines) {
        Ok(httparse::Status::Complete((_, lines))) => Ok(fields::over(
            head,
            lines.iter().map(|line| (line.name.as_bytes(), line.value)),
        )),
        Err(httparse::Error::TooManyHeaders) => Err(HeadError::TooManyFields),
        Err(httparse::Error::HeaderName) => Err(HeadError::FieldName),
        Ok(httparse::Status::Partial) | Err(_) => Err(HeadError::FieldValue),
    }
}
