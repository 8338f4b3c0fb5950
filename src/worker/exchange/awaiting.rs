//! Waiting for what a fetch comes to, while interim responses go down to the client (RFC 9110 §15.2).

use std::io;
use std::time::Duration;

use bytes::BytesMut;

use super::{After, Exchange};
use crate::http::forward::{ResponseAs, write_response_head};
use crate::http::framing::Framing;
use crate::http::head::{ResponseHead, Version};
use crate::sys::stream::Stream;
use crate::worker::waiting_list::{FetchEvent, FetchOutcome, Ticket};

impl Exchange<'_> {
    /// Waits for the outcome, passing interim responses on.
    pub(super) async fn outcome(&mut self, ticket: &mut Ticket) -> Result<FetchOutcome, After> {
        let mut down = Down {
            stream: &self.client.stream,
            out: &mut self.client.out,
            version: self.head.version,
            pseudonym: &self.worker.pseudonym,
            timeout: self.settings.times.body_stall,
        };
        down.outcome(ticket).await
    }
}

/// The way that interim responses go while the outcome is awaited.
pub(super) struct Down<'a> {
    pub(super) stream: &'a Stream,
    pub(super) out: &'a mut BytesMut,
    pub(super) version: Version,
    pub(super) pseudonym: &'a str,
    pub(super) timeout: Duration,
}

impl Down<'_> {
    /// Waits for the outcome, passing interim responses on.
    pub(super) async fn outcome(&mut self, ticket: &mut Ticket) -> Result<FetchOutcome, After> {
        loop {
            let head = match ticket.event().await {
                FetchEvent::Outcome(outcome) => return Ok(outcome),
                FetchEvent::Interim(head) => head,
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
        through_http: None,
    };
    write_response_head(out, head.status, &head.reason, &head.fields, &how);
}
