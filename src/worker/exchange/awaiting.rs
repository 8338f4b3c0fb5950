//! Waiting for what a fetch comes to, while interim responses go down to the client (RFC 9110 §15.2).

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;

use super::{After, Exchange};
use crate::http::forward::{ResponseAs, write_response_head};
use crate::http::framing::Framing;
use crate::http::head::{ResponseHead, Version};
use crate::sys::stream::Stream;
use crate::worker::gone::{Progress, Watched};
use crate::worker::waiting_list::{FetchEvent, FetchOutcome, Ticket};

impl Exchange<'_> {
    /// Waits for the outcome, passing interim responses on, unless the client leaves before.
    pub(super) async fn outcome(&mut self, ticket: &mut Ticket) -> Result<FetchOutcome, After> {
        let client = &mut *self.client;
        let version = self.head.version;
        let mut down = Down {
            stream: &client.stream,
            out: &mut client.out,
            version,
            pseudonym: &self.worker.pseudonym,
            timeout: self.settings.times.body_stall,
            writing: &Cell::new(false),
        };
        let watched = Watched {
            stream: &client.stream,
            buffer: &mut client.buffer,
            response: Progress::Awaited(version),
        };
        down.outcome(ticket, watched.gone()).await
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
}

impl Down<'_> {
    /// Waits for the outcome, passing interim responses on, until the client has `gone`.
    pub(super) async fn outcome(
        &mut self,
        ticket: &mut Ticket,
        gone: impl Future<Output = ()>,
    ) -> Result<FetchOutcome, After> {
        let mut gone = pin!(gone);
        loop {
            let event = tokio::select! {
                biased;
                event = ticket.event() => event,
                () = &mut gone => return Err(After::Over),
            };
            let head = match event {
                FetchEvent::Outcome(outcome) => return Ok(outcome),
                FetchEvent::Interim(head) => head,
            };
            self.interim(&head).await?;
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
        written.map_err(|_| After::Over)
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
        // Others may wait for the same, and it is known for whom it is only from the final head; clients may ignore
        // these (RFC 6265 §3).
        without: match head.status {
            101 => &[],
            _ => &["set-cookie", "set-cookie2"],
        },
        through_http: None,
    };
    write_response_head(out, head.status, &head.reason, &head.fields, &how);
}
