//! The content of a client's request on its way up (RFC 9112 §6): from the client's connection, by its framing, into the
//! window that a fetch sends it from. It goes on beside all that is done for the client meanwhile: while a head is
//! awaited, while the response comes, and after that. What the origin server doesn't take is read away.
//!
//! What becomes of the response and of the connections isn't decided here.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::task::consume_budget;
use tokio::time::{Instant, sleep};

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
    /// Some of it has come.
    begun: bool,
    is_over: bool,
}

/// The longest silences of a client that has yet to send content.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Patience {
    /// Before the first of it.
    pub(super) first: Option<Duration>,
    /// Between two pieces.
    pub(super) next: Option<Duration>,
    /// When reading it away ends.
    pub(super) away: Option<Instant>,
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
    /// Content in this framing, and where a fetch reads it.
    pub(super) fn new(framing: Framing, patience: Patience) -> (Upload, Option<SpoolReader>) {
        let (spool, writer) = Spool::window();
        let reader = spool.reader();
        let upload = Upload {
            decoder: ContentDecoder::new(framing, Sender::Client),
            spool,
            writer: Some(writer),
            patience,
            begun: false,
            is_over: false,
        };
        (upload, reader)
    }

    /// Sets how long the client may be silent from now on.
    pub(super) fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
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
        let Patience { first, next, away } = self.patience;
        let silence = if self.begun { next } else { first };
        let late = silence.map(|silence| Instant::now() + silence);
        let away = away.filter(|_| self.writer.is_none());
        buffer.reserve(READ);
        let read = match late.into_iter().chain(away).min() {
            Some(deadline) => stream.read(buffer, deadline).await,
            None => stream.read_some(buffer).await,
        };
        match read {
            Ok(1..) => Ok(()),
            Err(why) if why.kind() == io::ErrorKind::TimedOut => Err(UploadFault::Stalled {
                limit: silence.unwrap_or_default(),
            }),
            Ok(0) | Err(_) => Err(UploadFault::Closed),
        }
    }
}

/// Resolves when the client has reset the connection, which nobody reads from; one that has sent all may have closed its half.
async fn failed(stream: &Stream) {
    while !stream.has_failed() {
        sleep(LOOK).await;
    }
}
