//! Waiting for what a fetch comes to: interim responses go down meanwhile, and the request's content
//! goes up, at the same time.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;

use super::{After, Exchange, Refusal};
use crate::http::content::{ContentDecoder, ContentStep};
use crate::http::forward::{ResponseAs, write_response_head};
use crate::http::framing::Framing;
use crate::http::head::{ResponseHead, Version};
use crate::store::spool::SpoolWriter;
use crate::sys::stream::Stream;
use crate::worker::fetch::{News, Outcome, Ticket};

/// How much request content is read at a time.
const READ: usize = 64 << 10;

impl Exchange<'_> {
    /// Waits for the outcome, passing interim responses on.
    pub(super) async fn outcome(&mut self, ticket: &mut Ticket) -> Result<Outcome, After> {
        let mut down = Down {
            stream: &self.client.stream,
            out: &mut self.client.out,
            version: self.head.version,
            pseudonym: &self.worker.pseudonym,
            timeout: self.settings.times.body_stall,
        };
        down.outcome(ticket).await
    }

    /// Sends the request's content into the fetch while waiting for the outcome. When the response
    /// came before all of the content did, the connection can't be kept.
    pub(super) async fn outcome_while_sending(
        &mut self,
        ticket: &mut Ticket,
        writer: SpoolWriter,
    ) -> Result<Outcome, After> {
        let timeout = self.settings.times.body_stall;
        // Responses to earlier requests of the pipeline must not wait for this content.
        if self.client.flush(timeout).await.is_err() {
            return Err(After::Over);
        }
        let client = &mut *self.client;
        let upload = Upload {
            stream: &client.stream,
            buffer: &mut client.buffer,
            timeout,
        };
        let mut down = Down {
            stream: &client.stream,
            out: &mut client.out,
            version: self.head.version,
            pseudonym: &self.worker.pseudonym,
            timeout,
        };
        let (outcome, sent) = {
            let mut sending = pin!(upload.run(ContentDecoder::new(self.framing), writer));
            let mut waiting = pin!(down.outcome(ticket));
            tokio::select! {
                biased;
                sent = &mut sending => match sent {
                    Ok(()) => (waiting.await.map_err(Ended::Gone), true),
                    Err(refusal) => (Err(Ended::Refused(refusal)), false),
                },
                outcome = &mut waiting => (outcome.map_err(Ended::Gone), false),
            }
        };
        if sent && self.keep {
            self.framing = Framing::None;
        } else {
            self.keep = false;
        }
        outcome.map_err(|ended| match ended {
            Ended::Gone(after) => after,
            Ended::Refused(Refusal(status, why)) => self.refuse(status, &why),
        })
    }
}

/// How waiting for an outcome ended without one.
enum Ended {
    /// The client is gone.
    Gone(After),
    /// The client's content is refused.
    Refused(Refusal),
}

/// Where interim responses go while the outcome is awaited.
struct Down<'a> {
    stream: &'a Stream,
    out: &'a mut BytesMut,
    version: Version,
    pseudonym: &'a str,
    timeout: Duration,
}

impl Down<'_> {
    /// Waits for the outcome, passing interim responses on.
    async fn outcome(&mut self, ticket: &mut Ticket) -> Result<Outcome, After> {
        loop {
            let head = match ticket.news().await {
                News::Outcome(outcome) => return Ok(outcome),
                News::Interim(head) => head,
            };
            interim(self.out, &head, self.version, self.pseudonym);
            let parts = &mut [io::IoSlice::new(self.out)];
            let written = self.stream.write_all(parts, self.timeout).await;
            self.out.clear();
            if written.is_err() {
                return Err(After::Over);
            }
        }
    }
}

/// Gathers an interim response, which HTTP/1.0 doesn't know (RFC 9110 §15.2).
pub fn interim(out: &mut BytesMut, head: &ResponseHead, client: Version, pseudonym: &str) {
    if client == Version::Http10 {
        return;
    }
    let how = ResponseAs {
        framing: Framing::None,
        keep_alive: true,
        client,
        via: Some((head.version, pseudonym)),
        extra: &[],
        without: &[],
    };
    write_response_head(out, head.status, &head.reason, &head.fields, &how);
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
                            return Err(Refusal(408, why));
                        }
                        Ok(0) | Err(_) => {
                            let why =
                                "the connection closed before the request's content was complete";
                            return Err(Refusal(400, why.into()));
                        }
                    }
                }
                Err(why) => return Err(Refusal(400, why.to_string())),
            }
        }
    }
}
