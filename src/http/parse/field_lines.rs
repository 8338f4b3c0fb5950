//! Field lines (RFC 9112 §5), which httparse reads once the lines themselves are known to be sound.

use bytes::{Bytes, BytesMut};

use super::error::HeadError;
use super::limits::{HeadLimits, MAX_FIELDS};
use crate::http::fields::{self, Fields};

/// The fields of `head` from `from` to its end, over the same buffer.
pub(super) fn field_lines(
    head: &Bytes,
    from: usize,
    limits: &HeadLimits,
) -> Result<Fields, HeadError> {
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

/// The head with each colon next to its field's name, and the whitespace that was between them after it.
pub(super) fn closed_up(head: &Bytes) -> Bytes {
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
