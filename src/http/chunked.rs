//! Chunked transfer coding (RFC 9112 §7.1), written: sizes, and the end with its trailers.

use bytes::{BufMut, BytesMut};

use super::connection;
use super::fields::{Fields, write_line};

/// Writes the size line of a chunk of `length` bytes; [`CRLF`] goes after the data. For no bytes it
/// writes nothing, as a chunk of that size would end the body.
pub fn write_chunk_head(out: &mut BytesMut, length: usize) {
    if length == 0 {
        return;
    }
    let digits = (usize::BITS - length.leading_zeros()).div_ceil(4);
    for place in (0..digits).rev() {
        out.put_u8(b"0123456789abcdef"[(length >> (place * 4)) & 15]);
    }
    out.put_slice(CRLF);
}

/// The end of a chunk.
pub const CRLF: &[u8] = b"\r\n";

/// Writes the end of a body: the last chunk and the trailers, without those that must not be
/// trailers (RFC 9110 §6.5.1).
pub fn write_last(out: &mut BytesMut, trailers: &Fields) {
    out.put_slice(b"0\r\n");
    for (name, value) in trailers.iter() {
        if connection::may_be_trailer(name) {
            write_line(out, name, value);
        }
    }
    out.put_slice(CRLF);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::http::content::{ContentDecoder, ContentStep};
    use crate::http::framing::Framing;
    use crate::http::head::Sender;
    use crate::http::testing::fields;

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = BytesMut::new();
        let lengths = [1, 9, 10, 15, 16, 255, 256, 4096, 65_535, 70_000];
        for length in lengths {
            write_chunk_head(&mut out, length);
            out.put_bytes(b'x', length);
            out.put_slice(CRLF);
        }
        write_chunk_head(&mut out, 0);
        let trailers: Fields = [
            (&b"X-Digest"[..], &b"1"[..]),
            (b"Content-Length", b"3"),
            (b"transfer-encoding", b"chunked"),
            (b"Host", b"h"),
            (b"Connection", b"close"),
            (b"X-Signature", b"2"),
        ]
        .into_iter()
        .collect();
        write_last(&mut out, &trailers);
        let (mut decoder, mut length) = (ContentDecoder::new(Framing::Chunked, Sender::Client), 0);
        let trailers = loop {
            match decoder.next(&mut out).unwrap() {
                ContentStep::Data(data) => length += data.len(),
                ContentStep::More => panic!("more is wanted"),
                ContentStep::End { trailers } => break trailers,
            }
        };
        assert_eq!(length, lengths.iter().sum::<usize>());
        // RFC 9110 §6.5.1: fields for framing, routing and the like are not sent as trailers.
        assert_eq!(trailers, fields(&[("X-Digest", "1"), ("X-Signature", "2")]));
        assert!(out.is_empty());
    }

    #[test]
    fn chunk_heads() {
        let table: &[(usize, &[u8])] = &[
            (0, b""),
            (1, b"1\r\n"),
            (15, b"f\r\n"),
            (16, b"10\r\n"),
            (0x1234_abcd, b"1234abcd\r\n"),
            (usize::MAX, b"ffffffffffffffff\r\n"),
        ];
        for (length, expected) in table {
            let mut out = BytesMut::new();
            write_chunk_head(&mut out, *length);
            assert_eq!(out, *expected);
        }
    }
}
