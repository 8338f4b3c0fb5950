//! Content off a connection, by the framing its head gave it (RFC 9112 §6.3, §8).
//!
//! Bytes come out as they arrive and are never copied. Whether a message that ended early was
//! complete is told by [`Decoder::eof`]; what to do about it isn't decided here.

use bytes::{Bytes, BytesMut};

use super::chunked;
use super::fields::Fields;
use super::framing::Framing;
use super::parse::HeadError;

/// One step through a message's content.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Some content.
    Data(Bytes),
    /// Nothing until more bytes arrive.
    More,
    /// The message is over; what is left in the buffer belongs to the next one.
    End {
        /// Trailer fields, which only a chunked message can have.
        trailers: Fields,
    },
}

/// Why content can't be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// A chunk size that isn't a hexadecimal number, or one that is too large.
    #[error("a chunk size is malformed or too large")]
    ChunkSize,
    /// Chunk extensions with control characters, or too much of them.
    #[error("a chunk extension is malformed, or there is too much of them")]
    ChunkExtension,
    /// CRLF missing after a chunk size or chunk data.
    #[error("a chunk or its size does not end with CRLF")]
    ChunkEnd,
    /// A malformed or oversized trailer section.
    #[error("in the trailer section: {0}")]
    Trailers(#[from] HeadError),
    /// The connection closed before the message was complete.
    #[error("the connection closed before the content was complete")]
    Incomplete,
}

/// Reads one message's content.
#[derive(Debug)]
pub struct Decoder {
    rest: Rest,
}

/// What is still to come.
#[derive(Debug)]
enum Rest {
    Length(u64),
    Chunked(chunked::Decoder),
    UntilClose,
}

impl Decoder {
    /// A decoder at the start of content framed so.
    pub fn new(framing: Framing) -> Decoder {
        Decoder {
            rest: match framing {
                Framing::None => Rest::Length(0),
                Framing::Length(length) => Rest::Length(length),
                Framing::Chunked => Rest::Chunked(chunked::Decoder::default()),
                Framing::UntilClose => Rest::UntilClose,
            },
        }
    }

    /// Takes the next step off the front of `buf`. After [`Step::End`] it stays at the end.
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<Step, ContentError> {
        match &mut self.rest {
            Rest::Length(0) => Ok(Step::End {
                trailers: Fields::default(),
            }),
            Rest::Chunked(chunked) => chunked.next(buf),
            Rest::Length(_) | Rest::UntilClose if buf.is_empty() => Ok(Step::More),
            Rest::Length(left) => {
                let length = (buf.len() as u64).min(*left);
                *left -= length;
                Ok(Step::Data(buf.split_to(length as usize).freeze()))
            }
            Rest::UntilClose => Ok(Step::Data(buf.split().freeze())),
        }
    }

    /// Whether the message is over without anything more being read.
    pub fn is_complete(&self) -> bool {
        match &self.rest {
            Rest::Length(left) => *left == 0,
            Rest::Chunked(chunked) => chunked.is_complete(),
            Rest::UntilClose => false,
        }
    }

    /// What the peer's closing means: all well when the message is complete or ends this way.
    pub fn eof(&self) -> Result<(), ContentError> {
        if self.is_complete() || matches!(self.rest, Rest::UntilClose) {
            Ok(())
        } else {
            Err(ContentError::Incomplete)
        }
    }
}
