//! Chunked transfer coding (RFC 9112 §7.1), decoded.
//!
//! Decoding is strict: sizes that could be read two ways and bare CR are errors, and of a client bare LF and extensions
//! that aren't grammatical. An origin server's lines end at LF, whatever is before it, and then its message is
//! doubtful. Chunk extensions are read past, within a bound.

use bytes::{Buf, Bytes, BytesMut};

use super::extension::Place;
use super::step::{ContentError, ContentStep};
use crate::http::connection::may_be_trailer;
use crate::http::fields::Fields;
use crate::http::head::Sender;
use crate::http::parse::{self, HeadLimits, SectionScan};

/// Hexadecimal digits accepted in one chunk size of a client; of an origin server more zeros count as an extension.
const MAX_DIGITS: u8 = 16;

/// Bytes of chunk extensions accepted over a whole message.
const MAX_EXTENSIONS: usize = 16 * 1024;

/// Bytes of extensions that an origin server may have in each chunk besides: some pad all sizes, in however many chunks.
const PADDING: usize = 16;

const TRAILER_LIMITS: HeadLimits = HeadLimits {
    line: 8 * 1024,
    head: 16 * 1024,
    fields: 64,
};

/// Reads a chunked body from wherever the bytes happen to be cut.
#[derive(Debug)]
pub struct ChunkedDecoder {
    sender: Sender,
    state: State,
    /// The size being read, then what is left of the chunk.
    remaining: u64,
    /// Extension bytes so far.
    extensions: usize,
    /// The search for the trailer section's end.
    scan: SectionScan,
    doubtful: bool,
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
    /// The extensions after the size; no place where they aren't grammatical.
    Extensions(Option<Place>),
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

impl ChunkedDecoder {
    /// A decoder at the start of chunked content from this sender.
    pub fn new(sender: Sender) -> ChunkedDecoder {
        ChunkedDecoder {
            sender,
            state: State::Size { digits: 0 },
            remaining: 0,
            extensions: 0,
            scan: SectionScan::default(),
            doubtful: false,
        }
    }

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
                | State::Extensions(_)
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

    /// True when another recipient could have read it differently.
    pub fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// True once the last chunk has come and no trailer field has begun, with this left to read. RFC 9112 §8 calls content
    /// incomplete whose last chunk hasn't come; that its end may lack is our reading, and others' too.
    pub fn may_end(&self, left: &[u8]) -> bool {
        self.state == State::End || (self.state == State::Trailers && matches!(left, b"" | b"\r"))
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
        let scan = &mut self.scan;
        match parse::parse_trailers(buf, scan, &TRAILER_LIMITS, self.sender)? {
            Some(trailers) => {
                self.state = State::End;
                self.doubtful |= trailers.is_mended;
                let trailers = permitted(trailers.fields);
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
            (State::Size { .. } | State::SizePadding, b'\r') => Ok(State::SizeLf),
            (State::Size { .. } | State::SizePadding, b'\n') => {
                self.tolerate(ContentError::ChunkSize)?;
                Ok(self.size_ended())
            }
            (State::Size { .. } | State::SizePadding, b';') => {
                self.count_extension()?;
                Ok(State::Extensions(Some(Place::BeforeName)))
            }
            (State::Size { .. } | State::SizePadding, b' ' | b'\t') => {
                self.count_extension()?;
                Ok(State::SizePadding)
            }
            (State::Size { .. } | State::SizePadding, _) => Err(ContentError::ChunkSize),
            (State::Extensions(place), _) => self.extension(place, byte),
            (State::SizeLf, b'\n') => Ok(self.size_ended()),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataCr, b'\n') => {
                self.tolerate(ContentError::ChunkEnd)?;
                Ok(State::Size { digits: 0 })
            }
            (State::DataLf, b'\n') => Ok(State::Size { digits: 0 }),
            (State::SizeLf | State::DataCr | State::DataLf, _) => Err(ContentError::ChunkEnd),
            (State::Data | State::Trailers | State::End, _) => Ok(self.state),
        }
    }

    /// Refuses of a client what leaves an origin server's message doubtful.
    fn tolerate(&mut self, fault: ContentError) -> Result<(), ContentError> {
        match self.sender {
            Sender::Client => Err(fault),
            Sender::OriginServer => {
                self.doubtful = true;
                Ok(())
            }
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
        if self.remaining >= 1 << 59 {
            return Err(ContentError::ChunkSize);
        }
        if digits >= MAX_DIGITS {
            self.tolerate(ContentError::ChunkSize)?;
            self.count_extension()?;
        }
        self.remaining = (self.remaining << 4) | u64::from(digit);
        let digits = digits.saturating_add(1);
        Ok(State::Size { digits })
    }

    fn extension(&mut self, place: Option<Place>, byte: u8) -> Result<State, ContentError> {
        let is_end = matches!(byte, b'\r' | b'\n');
        let is_good = match place {
            _ if byte == b'\n' => false,
            None => true,
            Some(place) if is_end => place.may_end(),
            Some(place) => place.after(byte).is_some(),
        };
        if !is_good {
            self.tolerate(ContentError::ChunkExtension)?;
        }
        match byte {
            b'\r' => Ok(State::SizeLf),
            b'\n' => Ok(self.size_ended()),
            _ => {
                self.count_extension()?;
                let place = place.and_then(|place| place.after(byte));
                Ok(State::Extensions(place))
            }
        }
    }

    /// The state after the line that has the size.
    fn size_ended(&mut self) -> State {
        if self.remaining == 0 {
            return State::Trailers;
        }
        if self.sender == Sender::OriginServer {
            let data = usize::try_from(self.remaining).unwrap_or(usize::MAX);
            self.extensions = (self.extensions)
                .saturating_sub(PADDING)
                .saturating_sub(data);
        }
        State::Data
    }

    fn count_extension(&mut self) -> Result<(), ContentError> {
        self.extensions += 1;
        if self.extensions > MAX_EXTENSIONS {
            return Err(ContentError::ChunkExtension);
        }
        Ok(())
    }
}

/// The trailers without those that no trailer may be (RFC 9110 §6.5.1): they go nowhere, nor into the store.
fn permitted(trailers: Fields) -> Fields {
    if trailers.iter().all(|(name, _)| may_be_trailer(name)) {
        return trailers;
    }
    let lines = trailers.iter();
    lines.filter(|(name, _)| may_be_trailer(name)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
