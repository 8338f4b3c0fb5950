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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn framings() {
        /// Framing, bytes, content, what is left, over, all well if the peer closes now.
        type Row<'a> = (Framing, &'a [u8], &'a [u8], &'a [u8], bool, bool);
        let table: &[Row<'_>] = &[
            (Framing::None, b"next", b"", b"next", true, true),
            (Framing::Length(0), b"next", b"", b"next", true, true),
            (Framing::Length(3), b"abcnext", b"abc", b"next", true, true),
            (Framing::Length(3), b"abc", b"abc", b"", true, true),
            (Framing::Length(3), b"ab", b"ab", b"", false, false),
            (Framing::Length(3), b"", b"", b"", false, false),
            (Framing::Length(u64::MAX), b"abc", b"abc", b"", false, false),
            (Framing::UntilClose, b"abc", b"abc", b"", false, true),
            (Framing::UntilClose, b"", b"", b"", false, true),
            (
                Framing::Chunked,
                b"3\r\nabc\r\n0\r\n\r\nnext",
                b"abc",
                b"next",
                true,
                true,
            ),
            (
                Framing::Chunked,
                b"3\r\nabc\r\n0\r\n",
                b"abc",
                b"",
                false,
                false,
            ),
            (Framing::Chunked, b"3\r\nabc\r\n", b"abc", b"", false, false),
            (Framing::Chunked, b"3\r\nab", b"ab", b"", false, false),
            (Framing::Chunked, b"", b"", b"", false, false),
        ];
        for (framing, bytes, content, left, over, well) in table {
            for step in [1, 2, 1000] {
                let mut decoder = Decoder::new(*framing);
                let (mut buf, mut got, mut ended) = (BytesMut::new(), Vec::new(), false);
                for piece in bytes.chunks(step).chain([&[][..]]) {
                    buf.extend_from_slice(piece);
                    while let Step::Data(data) = read(&mut decoder, &mut buf, &mut ended) {
                        assert!(!data.is_empty());
                        got.extend_from_slice(&data);
                    }
                }
                assert_eq!(got, *content, "{framing:?}");
                assert_eq!(buf, *left, "{framing:?}");
                assert_eq!(
                    (ended, decoder.is_complete()),
                    (*over, *over),
                    "{framing:?}"
                );
                assert_eq!(decoder.eof().is_ok(), *well, "{framing:?}");
            }
        }
    }

    fn read(decoder: &mut Decoder, buf: &mut BytesMut, ended: &mut bool) -> Step {
        let step = decoder.next(buf).unwrap();
        *ended |= matches!(step, Step::End { .. });
        step
    }

    #[test]
    fn content_is_not_copied() {
        let mut buf = BytesMut::from(&b"abcdef"[..]);
        let at = buf.as_ptr();
        match Decoder::new(Framing::Length(4)).next(&mut buf) {
            Ok(Step::Data(data)) => assert_eq!((data.as_ptr(), data.len()), (at, 4)),
            other => panic!("{other:?}"),
        }
    }
}
