//! Chunked transfer coding (RFC 9112 §7.1), both ways.
//!
//! Decoding is strict: sizes that could be read two ways, bare CR or LF and control characters are
//! errors. Chunk extensions are read past, within a bound over the whole message.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::connection;
use super::content::{ContentError, Step};
use super::fields::Fields;
use super::parse::{self, HeadLimits};
use super::syntax::is_field_byte;

/// Hexadecimal digits accepted in one chunk size.
const MAX_DIGITS: u8 = 16;

/// Bytes of chunk extensions accepted over a whole message.
const MAX_EXTENSIONS: usize = 16 * 1024;

/// How large a trailer section may be.
const TRAILER_LIMITS: HeadLimits = HeadLimits {
    line: 8 * 1024,
    head: 16 * 1024,
    fields: 64,
};

/// Reads a chunked body from wherever the bytes happen to be cut.
#[derive(Debug)]
pub struct Decoder {
    place: Place,
    /// The size being read, then what is left of the chunk.
    remaining: u64,
    /// Extension bytes so far.
    extensions: usize,
    /// How far the trailer section was looked through.
    scanned: usize,
}

/// Places in the grammar: what the next byte is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A digit of the size; so many came before.
    Size { digits: u8 },
    /// Whitespace after the size.
    SizePadding,
    /// The extensions after the size.
    Extensions,
    /// The LF after the size and its extensions.
    SizeLf,
    /// Chunk data.
    Data,
    /// The CR after chunk data.
    DataCr,
    /// The LF after chunk data.
    DataLf,
    /// The trailer section and the empty line that ends the body.
    Trailers,
    /// After the body.
    End,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            place: Place::Size { digits: 0 },
            remaining: 0,
            extensions: 0,
            scanned: 0,
        }
    }
}

impl Decoder {
    /// Takes the next step off the front of `buf`.
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<Step, ContentError> {
        loop {
            match self.place {
                Place::Data if buf.is_empty() => return Ok(Step::More),
                Place::Data => return Ok(Step::Data(self.data(buf))),
                Place::Trailers => return self.trailers(buf),
                Place::End => {
                    return Ok(Step::End {
                        trailers: Fields::default(),
                    });
                }
                Place::Size { .. }
                | Place::SizePadding
                | Place::Extensions
                | Place::SizeLf
                | Place::DataCr
                | Place::DataLf => {
                    if !self.between(buf)? {
                        return Ok(Step::More);
                    }
                }
            }
        }
    }

    /// Whether the whole body has been read.
    pub fn is_complete(&self) -> bool {
        self.place == Place::End
    }

    /// As much of the chunk as is there.
    fn data(&mut self, buf: &mut BytesMut) -> Bytes {
        let length = (buf.len() as u64).min(self.remaining);
        self.remaining -= length;
        if self.remaining == 0 {
            self.place = Place::DataCr;
        }
        buf.split_to(length as usize).freeze()
    }

    fn trailers(&mut self, buf: &mut BytesMut) -> Result<Step, ContentError> {
        match parse::parse_trailers(buf, &mut self.scanned, &TRAILER_LIMITS)? {
            Some(trailers) => {
                self.place = Place::End;
                Ok(Step::End { trailers })
            }
            None => Ok(Step::More),
        }
    }

    /// Reads what stands between chunks; true once it got to data or trailers.
    fn between(&mut self, buf: &mut BytesMut) -> Result<bool, ContentError> {
        let mut read = 0;
        let mut arrived = false;
        for &byte in buf.iter() {
            self.place = self.after(byte)?;
            read += 1;
            arrived = matches!(self.place, Place::Data | Place::Trailers);
            if arrived {
                break;
            }
        }
        buf.advance(read);
        Ok(arrived)
    }

    /// The place after `byte`.
    fn after(&mut self, byte: u8) -> Result<Place, ContentError> {
        match (self.place, byte) {
            (Place::Size { digits }, _) if byte.is_ascii_hexdigit() => self.digit(digits, byte),
            (Place::Size { digits: 0 }, _) => Err(ContentError::ChunkSize),
            (Place::Size { .. } | Place::SizePadding | Place::Extensions, b'\r') => {
                Ok(Place::SizeLf)
            }
            (Place::Size { .. } | Place::SizePadding, b';') => self.extension(),
            (Place::Size { .. } | Place::SizePadding, b' ' | b'\t') => {
                self.extension()?;
                Ok(Place::SizePadding)
            }
            (Place::Size { .. } | Place::SizePadding, _) => Err(ContentError::ChunkSize),
            (Place::Extensions, _) if is_field_byte(byte) => self.extension(),
            (Place::Extensions, _) => Err(ContentError::ChunkExtension),
            (Place::SizeLf, b'\n') if self.remaining == 0 => Ok(Place::Trailers),
            (Place::SizeLf, b'\n') => Ok(Place::Data),
            (Place::DataCr, b'\r') => Ok(Place::DataLf),
            (Place::DataLf, b'\n') => Ok(Place::Size { digits: 0 }),
            (Place::SizeLf | Place::DataCr | Place::DataLf, _) => Err(ContentError::ChunkEnd),
            (Place::Data | Place::Trailers | Place::End, _) => Ok(self.place),
        }
    }

    fn digit(&mut self, digits: u8, byte: u8) -> Result<Place, ContentError> {
        if digits == 0 {
            self.remaining = 0;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => (byte | 0x20) - b'a' + 10,
        };
        // The top bit stays clear, so that a size fits a file offset.
        if digits >= MAX_DIGITS || self.remaining >= 1 << 59 {
            return Err(ContentError::ChunkSize);
        }
        self.remaining = (self.remaining << 4) | u64::from(digit);
        Ok(Place::Size { digits: digits + 1 })
    }

    fn extension(&mut self) -> Result<Place, ContentError> {
        self.extensions += 1;
        if self.extensions > MAX_EXTENSIONS {
            return Err(ContentError::ChunkExtension);
        }
        Ok(Place::Extensions)
    }
}

/// Writes what goes before `length` bytes of data; [`CRLF`] goes after them. For no bytes it
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

/// What ends a chunk.
pub const CRLF: &[u8] = b"\r\n";

/// Writes the end of a body: the last chunk and the trailers, without those that must not be
/// trailers (RFC 9110 §6.5.1).
pub fn write_last(out: &mut BytesMut, trailers: &Fields) {
    out.put_slice(b"0\r\n");
    for (name, value) in trailers.iter() {
        if connection::may_be_trailer(name) {
            out.put_slice(name);
            out.put_slice(b": ");
            out.put_slice(value);
            out.put_slice(CRLF);
        }
    }
    out.put_slice(CRLF);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
