//! The request's content on its way up into the fetch, while its response is awaited.

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::task::consume_budget;
use tokio::time::Instant;

use super::awaiting::Down;
use super::route::Refusal;
use super::{After, ClientContent, Exchange};
use crate::http::content::{ContentDecoder, ContentStep};
use crate::http::framing::Framing;
use crate::http::head::Sender;
use crate::store::spool::SpoolWriter;
use crate::sys::stream::Stream;
use crate::worker::gone::{Progress, Watched};
use crate::worker::waiting_list::{FetchOutcome, Ticket};

/// Bytes of request content read at a time.
const READ: usize = 64 << 10;

impl Exchange<'_> {
    /// Sends the request's content into the fetch while waiting for the outcome. When the response
    /// came before all of the content did, the connection can't be kept.
    pub(super) async fn outcome_while_sending(
        &mut self,
        ticket: &mut Ticket,
        framing: Framing,
        writer: SpoolWriter,
    ) -> Result<FetchOutcome, After> {
        let timeout = self.settings.times.body_stall;
        let client = &mut *self.client;
        let upload = Upload {
            stream: &client.stream,
            buffer: &mut client.buffer,
            timeout,
        };
        let writing = Cell::new(false);
        let mut down = Down {
            stream: &client.stream,
            out: &mut client.out,
            version: self.head.version,
            pseudonym: &self.worker.pseudonym,
            timeout,
            writing: &writing,
        };
        let (outcome, sent) = {
            let mut waiting = pin!(down.outcome(ticket, pending()));
            let sending = upload.run(ContentDecoder::new(framing, Sender::Client), writer);
            let ended = tokio::select! {
                biased;
                sent = sending => Sending::Ended(sent),
                outcome = &mut waiting => Sending::Overtaken(outcome),
            };
            match ended {
                Sending::Overtaken(outcome) => (outcome.map_err(UploadEnd::Gone), false),
                Sending::Ended(Err(refusal)) => (Err(UploadEnd::Refused(refusal)), false),
                Sending::Ended(Ok(())) => {
                    let watched = Watched {
                        stream: &client.stream,
                        buffer: &mut client.buffer,
                        response: Progress::Interim(self.head.version, &writing),
                    };
                    let outcome = tokio::select! {
                        biased;
                        outcome = &mut waiting => outcome,
                        () = watched.gone() => Err(After::Over),
                    };
                    (outcome.map_err(UploadEnd::Gone), true)
                }
            }
        };
        if sent && self.keep {
            self.content = ClientContent::Read;
        } else {
            self.keep = false;
        }
        outcome.map_err(|ended| match ended {
            UploadEnd::Gone(after) => after,
            UploadEnd::Refused(Refusal { status, why }) => self.refuse(status, &why),
        })
    }
}

/// The first of two: the content's end, and the outcome.
enum Sending {
    Ended(Result<(), Refusal>),
    /// The outcome, before all of the content was sent.
    Overtaken(Result<FetchOutcome, After>),
}

/// The end of waiting for an outcome that doesn't come.
enum UploadEnd {
    Gone(After),
    /// The client's content is refused.
    Refused(Refusal),
}

/// A request's content on its way from the client into the fetch.
struct Upload<'a> {
    stream: &'a Stream,
    buffer: &'a mut BytesMut,
    timeout: Duration,
}

impl Upload<'_> {
    /// Sends all of it, or says why it can't.
    async fn run(
        self,
        mut decoder: ContentDecoder,
        mut writer: SpoolWriter,
    ) -> Result<(), Refusal> {
        loop {
            // Many chunks may be there already.
            consume_budget().await;
            match decoder.next(self.buffer) {
                // A window has no draft that could fail.
                Ok(ContentStep::Data(data)) => drop(writer.push(data).await),
                Ok(ContentStep::End { trailers }) => {
                    // It is never stored, so that nothing can fail.
                    let _ = writer.finish(trailers).await;
                    return Ok(());
                }
                Ok(ContentStep::More) => {
                    self.buffer.reserve(READ);
                    let deadline = Instant::now() + self.timeout;
                    match self.stream.read(self.buffer, deadline).await {
                        Ok(1..) => {}
                        Err(why) if why.kind() == io::ErrorKind::TimedOut => {
                            let limit = self.timeout.as_secs();
                            let why = format!("no content of the request came for {limit} s");
                            return Err(Refusal { status: 408, why });
                        }
                        Ok(0) | Err(_) => {
                            let why =
                                "the connection closed before the request's content was complete";
                            return Err(Refusal {
                                status: 400,
                                why: why.into(),
                            });
                        }
                    }
                }
                Err(why) => {
                    return Err(Refusal {
                        status: 400,
                        why: why.to_string(),
                    });
                }
            }
        }
    }
}
