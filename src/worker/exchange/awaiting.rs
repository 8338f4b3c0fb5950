//! Waiting for what a fetch comes to, while interim responses go down to the client (RFC 9110 §15.2).

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;

use super::{After, Exchange};
use crate::http::forward::{ResponseAs, write_response_head};
use crate::http::framing::Framing;
use crate::http::head::{ResponseHead, Version};
use crate::sys::stream::Stream;
use crate::worker::gone::{Progress, Watched};
use crate::worker::upload::{Upload, UploadFault};
use crate::worker::waiting_list::{FetchEvent, FetchOutcome, Ticket};

impl Exchange<'_> {
    /// Waits for the outcome, passing interim responses on, unless the client leaves before.
    pub(super) async fn outcome(&mut self, ticket: &mut Ticket) -> Result<FetchOutcome, After> {
        let client = &mut *self.client;
        let version = self.head.version;
        let writing = Cell::new(false);
        let asked = client.upload.as_ref().map(Upload::asked);
        let mut down = Down {
            stream: &client.stream,
            out: &mut client.out,
            version,
            pseudonym: &self.worker.pseudonym,
            timeout: self.settings.times.body_stall,
            writing: &writing,
            asked: asked.as_deref(),
        };
        let watched = Watched {
            stream: &client.stream,
            buffer: &mut client.buffer,
            upload: &mut client.upload,
            response: Progress::Interim(version, &writing),
        };
        let outcome = down.outcome(ticket, watched.gone()).await;
        outcome.map_err(|ended| match ended {
            WaitingEnd::Gone => After::Over,
            WaitingEnd::BadContent(fault) => {
                self.client.upload = None;
                self.refuse(fault.status(), &fault.to_string())
            }
        })
    }
}

/// The way that interim responses go while the outcome is awaited.
pub(super) struct Down<'a> {
    pub(super) stream: &'a Stream,
    pub(super) out: &'a mut BytesMut,
    pub(super) version: Version,
    pub(super) pseudonym: &'a str,
    pub(super) timeout: Duration,
    /// Set while an interim response is being written.
    pub(super) writing: &'a Cell<bool>,
    /// When the client was told to send its content, for one who has some.
    pub(super) asked: Option<&'a Cell<Option<Instant>>>,
}

impl Down<'_> {
    /// Waits for the outcome, passing interim responses on, until the client has `gone`.
    pub(super) async fn outcome(
        &mut self,
        ticket: &mut Ticket,
        gone: impl Future<Output = Result<(), UploadFault>>,
    ) -> Result<FetchOutcome, WaitingEnd> {
        let mut gone = pin!(gone);
        loop {
            let event = tokio::select! {
                biased;
                event = ticket.event() => event,
                ended = &mut gone => return Err(match ended {
                    Ok(()) => WaitingEnd::Gone,
                    Err(fault) => WaitingEnd::BadContent(fault),
                }),
            };
            let head = match event {
                FetchEvent::Outcome(outcome) => return Ok(outcome),
                FetchEvent::Interim(head) => head,
            };
            // A client may read nothing before it has sent all of its content.
            tokio::select! {
                biased;
                written = self.interim(&head) => written.map_err(|_| WaitingEnd::Gone)?,
                _ = &mut gone => return Err(WaitingEnd::Gone),
            }
        }
    }

    /// Passes an interim response on.
    pub(super) async fn interim(&mut self, head: &ResponseHead) -> Result<(), After> {
        interim(self.out, head, self.version, self.pseudonym);
        let parts = &mut [io::IoSlice::new(self.out)];
        self.writing.set(true);
        let written = self.stream.write_all(parts, self.timeout).await;
        self.writing.set(false);
        self.out.clear();
        if let Some(asked) = self.asked.filter(|_| head.status == 100) {
            asked.set(asked.get().or_else(|| Some(Instant::now())));
        }
        written.map_err(|_| After::Over)
    }
}

/// The end of waiting for an outcome that doesn't come.
pub(super) enum WaitingEnd {
    /// The client has gone.
    Gone,
    /// Its content is no good.
    BadContent(UploadFault),
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
        // Others may wait for the same, and it is known for whom it is only from the final head; clients may ignore
        // these (RFC 6265 §3).
        without: match head.status {
            101 => &[],
            _ => &["set-cookie", "set-cookie2"],
        },
        named_as: None,
    };
    write_response_head(out, head.status, &head.reason, &head.fields, &how);
}
