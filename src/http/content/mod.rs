//! Content off a connection, by the framing its head gave it (RFC 9112 §6.3, §8).
//!
//! Bytes come out as they arrive and are never copied. [`ContentDecoder::eof`] tells if a message that
//! ended early was complete; what to do about it isn't decided here.

mod chunked;
mod extension;
mod step;

use bytes::BytesMut;

use super::fields::Fields;
use super::framing::Framing;
use super::head::Sender;
use chunked::ChunkedDecoder;
pub use step::{ContentError, ContentStep};

/// Reads one message's content.
#[derive(Debug)]
pub struct ContentDecoder {
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    Length(u64),
    Chunked(ChunkedDecoder),
    UntilClose,
}

impl ContentDecoder {
    /// A decoder at the start of content from this sender, framed so.
    pub fn new(framing: Framing, sender: Sender) -> ContentDecoder {
        ContentDecoder {
            rest: match framing {
                Framing::None => Rest::Length(0),
                Framing::Length(length) => Rest::Length(length),
                Framing::Chunked => Rest::Chunked(ChunkedDecoder::new(sender)),
                Framing::UntilClose => Rest::UntilClose,
            },
        }
    }

    /// Takes the next step off the front of `buf`. After [`ContentStep::End`] it stays at the end.
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<ContentStep, ContentError> {
        match &mut self.rest {
            Rest::Length(0) => Ok(ContentStep::End {
                trailers: Fields::default(),
            }),
            Rest::Chunked(chunked) => chunked.next(buf),
            Rest::Length(_) | Rest::UntilClose if buf.is_empty() => Ok(ContentStep::More),
            Rest::Length(left) => {
                let length = (buf.len() as u64).min(*left);
                *left -= length;
                Ok(ContentStep::Data(buf.split_to(length as usize).freeze()))
            }
            Rest::UntilClose => Ok(ContentStep::Data(buf.split().freeze())),
        }
    }

    /// True once the message is over, without anything more being read.
    pub fn is_complete(&self) -> bool {
        match &self.rest {
            Rest::Length(left) => *left == 0,
            Rest::Chunked(chunked) => chunked.is_complete(),
            Rest::UntilClose => false,
        }
    }

    /// True when another recipient could have read it differently: its connection isn't used again.
    pub fn is_doubtful(&self) -> bool {
        match &self.rest {
            Rest::Chunked(chunked) => chunked.is_doubtful(),
            Rest::Length(_) | Rest::UntilClose => false,
        }
    }

    /// Takes note of the peer's closing with this left to read: all well when the message is complete or ends this way.
    pub fn eof(&self, left: &[u8]) -> Result<(), ContentError> {
        let ended = self.has_all(left) || matches!(self.rest, Rest::UntilClose);
        ended.then_some(()).ok_or(ContentError::Incomplete)
    }

    /// True when the content is complete with this left to read and whatever comes now, though the line that ends it may lack (RFC 9112 §8).
    pub fn has_all(&self, left: &[u8]) -> bool {
        match &self.rest {
            Rest::Chunked(chunked) => chunked.may_end(left),
            Rest::Length(_) | Rest::UntilClose => self.is_complete(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn doubt_is_of_chunked_content_alone() {
        for (framing, bytes, expected) in [
            (Framing::Chunked, &b"3\nabc\n0\n\n"[..], true),
            (Framing::Chunked, b"3\r\nabc\r\n0\r\n\r\n", false),
            (Framing::Length(3), b"abc", false),
            (Framing::UntilClose, b"abc", false),
        ] {
            let mut decoder = ContentDecoder::new(framing, Sender::OriginServer);
            let mut buf = BytesMut::from(bytes);
            while matches!(decoder.next(&mut buf), Ok(ContentStep::Data(_))) {}
            assert_eq!(decoder.is_doubtful(), expected, "{framing:?}");
        }
    }

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
                true,
            ),
            (
                Framing::Chunked,
                b"3\r\nabc\r\n0\r\nX: y",
                b"abc",
                b"X: y",
                false,
                false,
            ),
            (
                Framing::Chunked,
                b"3\r\nabc\r\n0\r\n\r",
                b"abc",
                b"\r",
                false,
                true,
            ),
            (
                Framing::Chunked,
                b"3\r\nabc\r\n0\r",
                b"abc",
                b"",
                false,
                false,
            ),
            (
                Framing::Chunked,
                b"3\r\nabc\r\n0",
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
                let mut decoder = ContentDecoder::new(*framing, Sender::Client);
                let (mut buf, mut got, mut ended) = (BytesMut::new(), Vec::new(), false);
                for piece in bytes.chunks(step).chain([&[][..]]) {
                    buf.extend_from_slice(piece);
                    while let ContentStep::Data(data) = read(&mut decoder, &mut buf, &mut ended) {
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
                assert_eq!(decoder.eof(&buf).is_ok(), *well, "{framing:?}");
            }
        }
    }

    fn read(decoder: &mut ContentDecoder, buf: &mut BytesMut, ended: &mut bool) -> ContentStep {
        let step = decoder.next(buf).unwrap();
        *ended |= matches!(step, ContentStep::End { .. });
        step
    }

    #[test]
    fn content_is_not_copied() {
        let mut buf = BytesMut::from(&b"abcdef"[..]);
        let at = buf.as_ptr();
        match ContentDecoder::new(Framing::Length(4), Sender::Client).next(&mut buf) {
            Ok(ContentStep::Data(data)) => assert_eq!((data.as_ptr(), data.len()), (at, 4)),
            other => panic!("{other:?}"),
        }
    }
}
