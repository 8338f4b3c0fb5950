//! Texts and fields in records: each behind its length, which is not trusted when it is read.

use bytes::{Buf, Bytes};

use crate::http::fields::{Fields, over};

pub(super) fn put(out: &mut Vec<u8>, text: &[u8]) {
    // Longer text than this exceeds the bound on the whole file or slot, which is checked at the end.
    out.extend_from_slice(&(text.len().min(u32::MAX as usize) as u32).to_le_bytes());
    out.extend_from_slice(text);
}

/// Takes the text that comes next; None when it is not all there.
pub(super) fn take(bytes: &mut Bytes) -> Option<Bytes> {
    let length = split(bytes)?.0.len();
    bytes.advance(4);
    Some(bytes.split_to(length))
}

/// The text that comes next, and what follows it.
pub(super) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

/// Names and values, one after the other.
pub(super) fn put_fields(out: &mut Vec<u8>, fields: &Fields) {
    for (name, value) in fields.iter() {
        put(out, name);
        put(out, value);
    }
}

/// The fields that `bytes` are; None when they are not all there and nothing more.
pub(super) fn decode_fields(bytes: &Bytes) -> Option<Fields> {
    let mut rest = &bytes[..];
    let mut lines = Vec::with_capacity(24);
    while !rest.is_empty() {
        let (name, after) = split(rest)?;
        let (value, after) = split(after)?;
        lines.push((name, value));
        rest = after;
    }
    Some(over(bytes, lines.into_iter()))
}
