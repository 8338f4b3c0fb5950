//! Content on its way from a spool to a client: small pieces gathered with the head and with each
//! other, large ones written from where they are, chunked where the client needs it (RFC 9112 §7.1).

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::task::consume_budget;

use crate::http::chunked::{CRLF, write_chunk_head, write_last};
use crate::http::fields::Fields;
use crate::http::framing::Framing;
use crate::store::spool::{ContentEnd, Piece, SpoolReader};
use crate::sys::stream::Stream;
use crate::worker::block_reads::FilePart;
use crate::worker::gone::Watched;
use crate::worker::transfers::Transfers;

/// A piece up to this size is copied to what is gathered.
const COPIED: usize = 8 << 10;
/// Bytes gathered before they are written.
const GATHER: usize = 64 << 10;

/// Where content goes.
pub struct Sink<'a> {
    pub stream: &'a Stream,
    pub transfers: &'a Transfers,
    /// The bytes that are gathered, the head first.
    pub out: &'a mut BytesMut,
    pub framing: Framing,
    /// The longest that a client may take nothing.
    pub timeout: Duration,
    /// Bytes of content sent or gathered.
    pub sent: u64,
    /// Set while it waits for content.
    pub waits: &'a Cell<bool>,
}

/// The end of the content.
pub enum SinkEnd {
    /// All of it was sent or gathered.
    Whole,
    /// It was cut off at its source, for this reason.
    Cut(String),
    /// The next bytes were there for faster readers only; the checksum of all before them, where that is known.
    Missed(Option<u128>),
}

impl Sink<'_> {
    /// Sends everything that the reader gives. Fails when the client is gone.
    pub async fn drain(&mut self, reader: &mut SpoolReader) -> io::Result<SinkEnd> {
        loop {
            // Content that is there already and a client that takes it at once would never have it wait.
            consume_budget().await;
            let piece = match reader.next_now() {
                Some(piece) => piece,
                None => {
                    self.flush().await?;
                    self.waits.set(true);
                    let next = reader.next().await;
                    self.waits.set(false);
                    next
                }
            };
            match piece {
                Piece::Memory(data) => self.memory(&data).await?,
                Piece::File { file, offset, len } => {
                    if self.framing == Framing::Chunked {
                        write_chunk_head(self.out, len as usize);
                    }
                    self.flush().await?;
                    let part = FilePart {
                        file: &file,
                        offset,
                        len,
                        blocks: None,
                    };
                    self.transfers.send(self.stream, part, self.timeout).await?;
                    self.sent += len;
                    if self.framing == Framing::Chunked {
                        self.out.put_slice(CRLF);
                    }
                }
                Piece::End(ContentEnd::Whole { trailers }) => {
                    self.last(&trailers);
                    return Ok(SinkEnd::Whole);
                }
                Piece::End(ContentEnd::Cut(why)) => return Ok(SinkEnd::Cut(why.to_string())),
                Piece::Missed { before } => return Ok(SinkEnd::Missed(before)),
            }
        }
    }

    /// As `drain`, while the client is watched: it may leave when there is nothing to write.
    pub async fn drain_to(
        &mut self,
        reader: &mut SpoolReader,
        client: Watched<'_>,
    ) -> io::Result<SinkEnd> {
        tokio::select! {
            biased;
            ended = self.drain(reader) => ended,
            _ = client.gone() => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }

    pub async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let parts = &mut [IoSlice::new(self.out)];
        let done = self.stream.write_all(parts, self.timeout).await;
        self.out.clear();
        done
    }

    async fn memory(&mut self, data: &Bytes) -> io::Result<()> {
        self.sent += data.len() as u64;
        let chunked = self.framing == Framing::Chunked;
        if chunked {
            write_chunk_head(self.out, data.len());
        }
        let after = if chunked { CRLF } else { b"" };
        if data.len() <= COPIED && self.out.len() < GATHER {
            self.out.put_slice(data);
            self.out.put_slice(after);
            return Ok(());
        }
        let parts = &mut [
            IoSlice::new(self.out),
            IoSlice::new(data),
            IoSlice::new(after),
        ];
        let done = self.stream.write_all(parts, self.timeout).await;
        self.out.clear();
        done
    }

    fn last(&mut self, trailers: &Fields) {
        if self.framing == Framing::Chunked {
            write_last(self.out, trailers);
        }
    }
}
