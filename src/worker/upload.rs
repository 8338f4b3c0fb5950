//! The content of a client's request on its way up (RFC 9112 §6): from the client's connection, by its framing, into the
//! window that a fetch sends it from. It goes on beside all that is done for the client meanwhile: while a head is
//! awaited, while the response comes, and after that. What the origin server doesn't take is read away.
//!
//! What becomes of the response and of the connections isn't decided here.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::task::consume_budget;
use tokio::time::{Instant, sleep, sleep_until};

use crate::config::display_duration;
use crate::http::content::{ContentDecoder, ContentError, ContentStep};
use crate::http::framing::Framing;
use crate::http::head::Sender;
use crate::store::spool::{Spool, SpoolReader, SpoolWriter};
use crate::sys::stream::Stream;

/// Bytes of request content read at a time.
const READ: usize = 64 << 10;
/// The time between two looks for a reset while the client isn't read from.
const LOOK: Duration = Duration::from_secs(1);

/// A request's content on its way from the client into a fetch; reading it may be given up and taken up again.
pub(super) struct Upload {
    decoder: ContentDecoder,
    spool: Rc<Spool>,
    /// `None` when it is over, or read away.
    writer: Option<SpoolWriter>,
    patience: Patience,
    /// When the client was told to send it.
    asked: Rc<Cell<Option<Instant>>>,
    /// When reading it away began.
    away: Cell<Option<Instant>>,
    /// Some of it has come.
    begun: bool,
    is_over: bool,
}

/// The longest silence of a client that has yet to send content. Amid content that the origin server takes there is none:
/// both are there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    /// None.
    Unlimited,
    /// Before the first of it, from when the client was told to send it.
    First(Duration),
    /// Where nobody takes it any more.
    Away {
        /// Between two pieces.
        silence: Duration,
        /// Until its end.
        whole: Duration,
    },
}

/// A reason why a client's content isn't whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadFault {
    #[error("no content of the request came for {}", display_duration(*limit))]
    Stalled { limit: Duration },
    #[error("the connection closed before the request's content was complete")]
    Closed,
    #[error(transparent)]
    Malformed(#[from] ContentError),
}

impl UploadFault {
    /// The status that tells the client.
    pub(super) fn status(&self) -> u16 {
        match self {
            UploadFault::Stalled { .. } => 408,
            UploadFault::Closed | UploadFault::Malformed(_) => 400,
        }
    }
}

impl Upload {
    /// Content in this framing, and where a fetch reads it; a client that `expects` 100 (Continue) isn't told yet to send it.
    pub(super) fn new(
        framing: Framing,
        patience: Patience,
        expects: bool,
    ) -> (Upload, Option<SpoolReader>) {
        let (spool, writer) = Spool::window();
        let reader = spool.reader();
        let upload = Upload {
            decoder: ContentDecoder::new(framing, Sender::Client),
            spool,
            writer: Some(writer),
            patience,
            asked: Rc::new(Cell::new((!expects).then(Instant::now))),
            away: Cell::new(None),
            begun: false,
            is_over: false,
        };
        (upload, reader)
    }

    /// Sets how long the client may be silent from now on.
    pub(super) fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// The place to note when the client is told to send it.
    pub(super) fn asked(&self) -> Rc<Cell<Option<Instant>>> {
        self.asked.clone()
    }

    /// True when some of it has come.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// True when all of it was read.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Reads it to its end.
    pub(super) async fn run(
        &mut self,
        stream: &Stream,
        buffer: &mut BytesMut,
    ) -> Result<(), UploadFault> {
        while !self.is_over {
            // Many chunks may be there already.
            consume_budget().await;
            match self.decoder.next(buffer)? {
                ContentStep::Data(data) => self.pass_on(data, stream).await?,
                ContentStep::End { trailers } => {
                    self.is_over = true;
                    if let Some(writer) = self.writer.take() {
                        // It is never stored, so that nothing can fail.
                        let _ = writer.finish(trailers).await;
                    }
                }
                ContentStep::More => self.read(stream, buffer).await?,
            }
        }
        Ok(())
    }

    async fn pass_on(&mut self, data: Bytes, stream: &Stream) -> Result<(), UploadFault> {
        self.begun = true;
        stream.note_life();
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        tokio::select! {
            biased;
            () = self.spool.unread() => self.writer = None,
            // A window has no draft that could fail.
            _ = writer.push(data) => {}
            () = failed(stream) => return Err(UploadFault::Closed),
        }
        Ok(())
    }

    async fn read(&mut self, stream: &Stream, buffer: &mut BytesMut) -> Result<(), UploadFault> {
        buffer.reserve(READ);
        tokio::select! {
            biased;
            read = stream.read_some(buffer) => match read {
                Ok(1..) => Ok(()),
                Ok(0) | Err(_) => Err(UploadFault::Closed),
            },
            limit = self.late() => Err(UploadFault::Stalled { limit }),
        }
    }

    /// Resolves with its limit when the client has been silent for too long.
    async fn late(&self) -> Duration {
        match self.patience {
            Patience::First(limit) if !self.begun => {
                loop {
                    let now = Instant::now();
                    // Who isn't told yet is looked at again before that could be so long ago.
                    let late = self.asked.get().unwrap_or(now) + limit;
                    if now >= late {
                        return limit;
                    }
                    sleep_until(late).await;
                }
            }
            Patience::First(_) | Patience::Unlimited => pending().await,
            Patience::Away { silence, whole } => {
                self.spool.unread().await;
                let now = Instant::now();
                let begun = self.away.get().unwrap_or(now);
                self.away.set(Some(begun));
                sleep_until((now + silence).min(begun + whole)).await;
                silence
            }
        }
    }
}

/// Resolves when the client has reset the connection, which nobody reads from; one that has sent all may have closed its half.
async fn failed(stream: &Stream) {
    while !stream.has_failed() {
        sleep(LOOK).await;
    }
}
