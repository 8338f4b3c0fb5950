//! The grammar of chunk extensions (RFC 9112 §7.1.1), byte by byte: a quoted string that is still open, or bytes behind
//! one, are where readers disagree about the end of the line.

use crate::http::syntax::{is_field_byte, is_tchar};

/// A place in the grammar, behind a `;`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Token,
    Quoted,
    /// Behind a backslash.
    Escaped,
    QuotedEnd,
    AfterValue,
}

impl Place {
    /// The place after `byte`; none where the grammar has no such byte.
    pub(super) fn after(self, byte: u8) -> Option<Place> {
        use Place::*;
        match (self, byte) {
            (Quoted, b'\\') => Some(Escaped),
            (Quoted, b'"') => Some(QuotedEnd),
            (Quoted | Escaped, _) => is_field_byte(byte).then_some(Quoted),
            (BeforeName | BeforeValue | AfterName | AfterValue, b' ' | b'\t') => Some(self),
            (Name, b' ' | b'\t') => Some(AfterName),
            (Token | QuotedEnd, b' ' | b'\t') => Some(AfterValue),
            (Name | AfterName, b'=') => Some(BeforeValue),
            (Name | AfterName | Token | QuotedEnd | AfterValue, b';') => Some(BeforeName),
            (BeforeValue, b'"') => Some(Quoted),
            (BeforeName | Name, _) => is_tchar(byte).then_some(Name),
            (BeforeValue | Token, _) => is_tchar(byte).then_some(Token),
            (AfterName | AfterValue | QuotedEnd, _) => None,
        }
    }

    /// True where the line may end.
    pub(super) fn may_end(self) -> bool {
        matches!(self, Place::Name | Place::Token | Place::QuotedEnd)
    }
}
