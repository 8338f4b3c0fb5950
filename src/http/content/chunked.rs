//! Chunked transfer coding (RFC 9112 §7.1), decoded.
//!
//! Decoding is strict: sizes that could be read two ways, bare CR or LF and control characters are
//! errors. Chunk extensions are read past, within a bound over the whole message.

use bytes::{Buf, Bytes, BytesMut};

use super::step::{ContentError, ContentStep};
use crate::http::fields::Fields;
use crate::http::parse::{self, HeadLimits};
use crate::http::syntax::is_field_byte;

/// Hexadecimal digits accepted in one chunk size.
const MAX_DIGITS: u8 = 16;

/// Bytes of chunk extensions accepted over a whole message.
const MAX_EXTENSIONS: usize = 16 * 1024;

const TRAILER_LIMITS: HeadLimits = HeadLimits {
    line: 8 * 1024,
    head: 16 * 1024,
    fields: 64,
};

/// Reads a chunked body from wherever the bytes happen to be cut.
#[derive(Debug)]
pub struct ChunkedDecoder {
    state: State,
    /// The size being read, then what is left of the chunk.
    remaining: u64,
    /// Extension bytes so far.
    extensions: usize,
    /// Bytes of the trailer section that were looked through.
    scanned: usize,
}

/// Places in the grammar, by what the next byte is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A digit of the size; so many came before.
    Size {
        digits: u8,
    },
    /// Whitespace after the size.
    SizePadding,
    /// The extensions after the size.
    Extensions,
    /// The LF after the size and its extensions.
    SizeLf,
    Data,
    /// The CR after chunk data.
    DataCr,
    /// The LF after chunk data.
    DataLf,
    /// The trailer section and the empty line that ends the body.
    Trailers,
    End,
}

impl Default for ChunkedDecoder {
    fn default() -> ChunkedDecoder {
        ChunkedDecoder {
            state: State::Size { digits: 0 },
            remaining: 0,
            extensions: 0,
            scanned: 0,
        }
    }
}

impl ChunkedDecoder {
    /// Takes the next step off the front of `buf`.
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<ContentStep, ContentError> {
        loop {
            match self.state {
                State::Data if buf.is_empty() => return Ok(ContentStep::More),
                State::Data => return Ok(ContentStep::Data(self.data(buf))),
                State::Trailers => return self.trailers(buf),
                State::End => {
                    return Ok(ContentStep::End {
                        trailers: Fields::default(),
                    });
                }
                State::Size { .. }
                | State::SizePadding
                | State::Extensions
                | State::SizeLf
                | State::DataCr
                | State::DataLf => {
                    if !self.between(buf)? {
                        return Ok(ContentStep::More);
                    }
                }
            }
        }
    }

    pub fn is_complete(&self) -> bool {
        self.state == State::End
    }

    /// As much of the chunk as is there.
    fn data(&mut self, buf: &mut BytesMut) -> Bytes {
        let length = (buf.len() as u64).min(self.remaining);
        self.remaining -= length;
        if self.remaining == 0 {
            self.state = State::DataCr;
        }
        buf.split_to(length as usize).freeze()
    }

    fn trailers(&mut self, buf: &mut BytesMut) -> Result<ContentStep, ContentError> {
        match parse::parse_trailers(buf, &mut self.scanned, &TRAILER_LIMITS)? {
            Some(trailers) => {
                self.state = State::End;
                Ok(ContentStep::End { trailers })
            }
            None => Ok(ContentStep::More),
        }
    }

    /// Reads what stands between chunks; true once it got to data or trailers.
    fn between(&mut self, buf: &mut BytesMut) -> Result<bool, ContentError> {
        let mut read = 0;
        let mut arrived = false;
        for &byte in buf.iter() {
            self.state = self.after(byte)?;
            read += 1;
            arrived = matches!(self.state, State::Data | State::Trailers);
            if arrived {
                break;
            }
        }
        buf.advance(read);
        Ok(arrived)
    }

    /// The state after `byte`.
    fn after(&mut self, byte: u8) -> Result<State, ContentError> {
        match (self.state, byte) {
            (State::Size { digits }, _) if byte.is_ascii_hexdigit() => self.digit(digits, byte),
            (State::Size { digits: 0 }, _) => Err(ContentError::ChunkSize),
            (State::Size { .. } | State::SizePadding | State::Extensions, b'\r') => {
                Ok(State::SizeLf)
            }
            (State::Size { .. } | State::SizePadding, b';') => self.extension(),
            (State::Size { .. } | State::SizePadding, b' ' | b'\t') => {
                self.extension()?;
                Ok(State::SizePadding)
            }
            (State::Size { .. } | State::SizePadding, _) => Err(ContentError::ChunkSize),
            (State::Extensions, _) if is_field_byte(byte) => self.extension(),
            (State::Extensions, _) => Err(ContentError::ChunkExtension),
            (State::SizeLf, b'\n') if self.remaining == 0 => Ok(State::Trailers),
            (State::SizeLf, b'\n') => Ok(State::Data),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { digits: 0 }),
            (State::SizeLf | State::DataCr | State::DataLf, _) => Err(ContentError::ChunkEnd),
            (State::Data | State::Trailers | State::End, _) => Ok(self.state),
        }
    }

    fn digit(&mut self, digits: u8, byte: u8) -> Result<State, ContentError> {
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
        Ok(State::Size { digits: digits + 1 })
    }

    fn extension(&mut self) -> Result<State, ContentError> {
        self.extensions += 1;
        if self.extensions > MAX_EXTENSIONS {
            return Err(ContentError::ChunkExtension);
        }
        Ok(State::Extensions)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
