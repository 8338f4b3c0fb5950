//! Messages to bytes and back: a kind byte, then the fields in order, little-endian, every list and text with its
//! length in front. One table in `message` serves both directions; the fields are in `fields`.
//!
//! The other side is not trusted: every length is checked before it is used, every list has a bound, and exactly the
//! fds that the message names must have come with it. They are owned from the start, so that every error closes them.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::vec::IntoIter;

/// The version of the messages. Both sides say theirs first; a worker that is told another one
/// drains and exits, so that its successor is of the supervisor's version.
pub const VERSION: Version = Version(6);

/// The version that a side speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub u16);

/// The most ids, tokens or object names in one message.
pub(crate) const MAX_ITEMS: usize = 1024;

/// A message, or a field of one, that can be sent.
pub trait Encode {
    /// Appends its bytes, and lists its fds in the order in which decoding takes them.
    fn encode<'a>(&'a self, out: &mut Vec<u8>, fds: &mut Vec<BorrowedFd<'a>>);
}

/// A message, or a field of one, that can be received.
pub trait Decode: Sized {
    /// The most of its kind in one list.
    const MOST: usize = MAX_ITEMS;

    /// Takes it from the front of what has come.
    fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Makes it of exactly these bytes and fds.
    fn decode(bytes: &[u8], fds: Vec<OwnedFd>) -> Result<Self, DecodeError> {
        let fds = fds.into_iter();
        let mut from = Reader { bytes, fds };
        let message = Self::take(&mut from)?;
        match (from.bytes.len(), from.fds.len()) {
            (0, 0) => Ok(message),
            (0, surplus) => Err(DecodeError::SurplusFd(surplus)),
            (surplus, _) => Err(DecodeError::Surplus(surplus)),
        }
    }
}

/// The reason why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum DecodeError {
    #[error("unknown kind {0}")]
    UnknownKind(u8),
    #[error("it speaks version {0} and not {ours}", ours = VERSION.0)]
    Version(u16),
    #[error("message ends too early")]
    Truncated,
    #[error("{0} bytes too many")]
    Surplus(usize),
    #[error("message or its fds cut off")]
    Oversized,
    #[error("{0} items in a list that may not have so many")]
    TooMany(usize),
    #[error("an fd is missing")]
    MissingFd,
    #[error("{0} fds too many")]
    SurplusFd(usize),
    #[error("a field can't be {0}")]
    BadValue(u8),
    #[error("a text is not UTF-8")]
    BadText,
}

/// Bytes and fds that have come and are not decoded yet.
pub struct Reader<'a> {
    bytes: &'a [u8],
    fds: IntoIter<OwnedFd>,
}

impl<'a> Reader<'a> {
    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let split = self.bytes.split_at_checked(length);
        let (taken, rest) = split.ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let split = self.bytes.split_first_chunk();
        let (taken, rest) = split.ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        Ok(*taken)
    }

    pub(super) fn fd(&mut self) -> Result<OwnedFd, DecodeError> {
        self.fds.next().ok_or(DecodeError::MissingFd)
    }
}

/// Encodes and decodes a struct: its fields in the order in which they travel, and how many may be in one list.
macro_rules! record {
    ($name:ident $(<$fd:ident>)? { $($field:ident),+ } at most $most:expr) => {
        impl $(<$fd: Encode>)? Encode for $name $(<$fd>)? {
            fn encode<'a>(&'a self, out: &mut Vec<u8>, fds: &mut Vec<BorrowedFd<'a>>) {
                $(self.$field.encode(out, fds);)+
            }
        }

        impl Decode for $name {
            const MOST: usize = $most;

            fn take(from: &mut Reader<'_>) -> Result<$name, DecodeError> {
                Ok($name { $($field: Decode::take(from)?),+ })
            }
        }
    };
}

/// Encodes and decodes the messages of one direction: the number of each, and its fields in the order in which they travel.
macro_rules! messages {
    ($name:ident $(<$fd:ident>)?: $($kind:literal = $variant:ident { $($field:ident),* })+) => {
        impl $(<$fd: Encode>)? Encode for $name $(<$fd>)? {
            fn encode<'a>(&'a self, out: &mut Vec<u8>, fds: &mut Vec<BorrowedFd<'a>>) {
                match self {
                    $($name::$variant { $($field),* } => {
                        out.push($kind);
                        $($field.encode(out, fds);)*
                    })+
                }
            }
        }

        impl Decode for $name {
            fn take(from: &mut Reader<'_>) -> Result<$name, DecodeError> {
                match u8::take(from)? {
                    $($kind => Ok($name::$variant { $($field: Decode::take(from)?),* }),)+
                    other => Err(DecodeError::UnknownKind(other)),
                }
            }
        }
    };
}

pub(super) use {messages, record};
