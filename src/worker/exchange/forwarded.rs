//! A response from the origin server passed on as it arrives, and requests that the cache has no part
//! in: content goes up while the response comes down, a switch of protocols ends in a tunnel.

use std::io;

use bytes::BytesMut;
use tokio::time::Instant;

use super::sink::{Ended, Sink};
use super::{After, Exchange};
use crate::cache::invalidation::invalidates;
use crate::cache::key::Key;
use crate::cache::status::{CacheStatus, Forward, Handling};
use crate::http::content::{Decoder, Step};
use crate::http::forward::{ResponseAs, framing_for, write_response_head};
use crate::http::framing::Framing;
use crate::http::head::{Method, Version};
use crate::http::target::{Uri, masked};
use crate::store::spool::{Keep, Reader, Spool, Writer};
use crate::sys::stream::Stream;
use crate::worker::fetch::{
    self, Answer, News, Outcome, RequestContent, Switched, Ticket, Trouble,
};
use crate::worker::tunnel;

/// How much request content is read at a time.
const READ: usize = 64 << 10;

impl Exchange<'_> {
    /// Forwards a request that the cache can't answer: another method, content, an upgrade.
    pub(super) async fn pass(&mut self, uri: Uri) -> After {
        self.told.outcome = "pass";
        let method = matches!(self.head.method, Method::Get | Method::Head);
        let why = if method {
            Forward::Bypass
        } else {
            Forward::Method
        };
        let mut order = self.order(uri, None, None);
        let target = order.uri.clone();
        let mut status = CacheStatus::forwarded(why);
        if self.framing == Framing::None {
            let mut ticket = fetch::begin(self.worker, order, false);
            return match self.outcome(&mut ticket).await {
                Ok(outcome) => {
                    self.invalidate(&target, &outcome).await;
                    self.conclude(outcome, ticket, status).await
                }
                Err(after) => after,
            };
        }
        let (spool, writer) = Spool::new(Keep::Window);
        order.content = spool.reader().map(|reader| RequestContent {
            framing: self.framing,
            reader,
        });
        let mut ticket = fetch::begin(self.worker, order, false);
        let outcome = match self.outcome_while_sending(&mut ticket, writer).await {
            Ok(outcome) => outcome,
            Err(after) => return after,
        };
        self.invalidate(&target, &outcome).await;
        status.detail = None;
        let after = self.conclude(outcome, ticket, status).await;
        if after == After::Close && self.framing != Framing::None {
            return After::Linger;
        }
        after
    }

    /// Waits for the outcome, passing interim responses on.
    pub(super) async fn outcome(&mut self, ticket: &mut Ticket) -> Result<Outcome, After> {
        loop {
            match ticket.news().await {
                News::Outcome(outcome) => return Ok(outcome),
                News::Interim(head) => {
                    interim(
                        &mut self.client.out,
                        &head,
                        self.head.version,
                        &self.worker.pseudonym,
                    );
                    let patience = self.settings.times.body_stall;
                    if self.client.flush(patience).await.is_err() {
                        return Err(After::Over);
                    }
                }
            }
        }
    }

    /// Sends the request's content into the fetch while waiting for the outcome. When the response
    /// came before all of the content did, the connection can't be kept.
    async fn outcome_while_sending(
        &mut self,
        ticket: &mut Ticket,
        writer: Writer,
    ) -> Result<Outcome, After> {
        let patience = self.settings.times.body_stall;
        let client = &mut *self.client;
        // Responses to earlier requests of the pipeline must not wait for this content.
        if client.flush(patience).await.is_err() {
            return Err(After::Over);
        }
        let upload = Upload {
            stream: &client.stream,
            buffer: &mut client.buffer,
            patience,
        };
        let mut sending = std::pin::pin!(upload.run(Decoder::new(self.framing), writer));
        let mut sent = false;
        loop {
            let news = tokio::select! {
                biased;
                whole = &mut sending, if !sent => {
                    sent = true;
                    if !whole {
                        self.keep = false;
                    }
                    continue;
                }
                news = ticket.news() => news,
            };
            match news {
                News::Interim(head) => {
                    let out = &mut client.out;
                    interim(out, &head, self.head.version, &self.worker.pseudonym);
                    let parts = &mut [io::IoSlice::new(out)];
                    let written = client.stream.write_all(parts, patience).await;
                    out.clear();
                    if written.is_err() {
                        return Err(After::Over);
                    }
                }
                News::Outcome(outcome) => {
                    if sent && self.keep {
                        self.framing = Framing::None;
                    } else {
                        self.keep = false;
                    }
                    return Ok(outcome);
                }
            }
        }
    }

    /// Passes the outcome on to the client.
    pub(super) async fn conclude(
        &mut self,
        outcome: Outcome,
        ticket: Ticket,
        mut status: CacheStatus<'_>,
    ) -> After {
        let after = match outcome {
            Outcome::Answer(answer) => {
                let detail = answer.not_stored.map(|why| why.token());
                status.detail = status.detail.or(detail);
                if let Handling::Forwarded {
                    status: of, stored, ..
                } = &mut status.handling
                {
                    *of = Some(answer.head.status);
                    *stored = answer.not_stored.is_none();
                }
                match answer.spool.reader() {
                    Some(reader) => self.answer_fetched(&answer, reader, &status).await,
                    None => After::Over,
                }
            }
            Outcome::Validated(stored) => {
                let age =
                    crate::cache::age::current_age(&stored.facts, crate::worker::state::now());
                self.answer_stored(&stored, age, &status).await
            }
            Outcome::Switched(switched) => self.switch(&switched).await,
            Outcome::Trouble(trouble) => self.in_trouble(&trouble),
        };
        drop(ticket);
        after
    }

    /// Sends a fetched response as it arrives.
    pub(super) async fn answer_fetched(
        &mut self,
        answer: &Answer,
        mut reader: Reader,
        status: &CacheStatus<'_>,
    ) -> After {
        let mark = self.client.out.len();
        let framing = if self.head.method == Method::Head {
            Framing::None
        } else {
            framing_for(self.head.version, answer.framing)
        };
        self.keep &= framing != Framing::UntilClose;
        self.fetched_head(answer, framing, status);
        if framing == Framing::None {
            return self.after();
        }
        let client = &mut *self.client;
        let mut sink = Sink {
            stream: &client.stream,
            out: &mut client.out,
            framing,
            patience: self.settings.times.body_stall,
            sent: 0,
            written: false,
        };
        let ended = sink.drain(&mut reader).await;
        let (sent, written) = (sink.sent, sink.written);
        self.told.bytes = sent;
        match ended {
            Ok(Ended::Whole) => self.after(),
            Ok(Ended::Cut(why)) if !written => {
                self.client.out.truncate(mark);
                self.refuse(502, &why)
            }
            Ok(Ended::Cut(why)) => {
                log::info!("{} was cut off: {why}", masked(&self.head.target));
                self.told.outcome = "cut-off";
                let patience = self.settings.times.body_stall;
                let _ = self.client.flush(patience).await;
                if framing == Framing::UntilClose {
                    self.client.stream.reset_on_close();
                }
                After::Over
            }
            Err(_) => After::Over,
        }
    }

    fn fetched_head(&mut self, answer: &Answer, framing: Framing, status: &CacheStatus<'_>) {
        let mut value = BytesMut::with_capacity(96);
        status.write(&mut value);
        let head = &answer.head;
        let how = ResponseAs {
            framing,
            keep_alive: self.keep,
            client: self.head.version,
            via: Some((head.version, &self.worker.pseudonym)),
            extra: &[(b"Cache-Status", &value)],
            without: &[],
            upgrade: false,
        };
        let out = &mut self.client.out;
        write_response_head(out, head.status, &head.reason, &head.fields, &how);
        self.told.status = head.status;
    }

    /// Refuses with what went wrong at the origin.
    pub(super) fn in_trouble(&mut self, trouble: &Trouble) -> After {
        let after = self.refuse(trouble.status(), &trouble.to_string());
        self.told.outcome = "error";
        after
    }

    /// Passes a 101 on, then bytes both ways.
    async fn switch(&mut self, switched: &Switched) -> After {
        let Some((origin, rest)) = switched.connection.take() else {
            return After::Over;
        };
        self.told.status = 101;
        self.told.outcome = "tunnel";
        interim(
            &mut self.client.out,
            &switched.head,
            self.head.version,
            &self.worker.pseudonym,
        );
        self.client.out.extend_from_slice(&rest);
        let limit = self.settings.times.tunnel_idle;
        self.told.bytes = tunnel::join(self.client, &origin, limit).await;
        After::Over
    }

    /// What an unsafe request that succeeded makes invalid (RFC 9111 §4.4).
    async fn invalidate(&self, target: &Uri, outcome: &Outcome) {
        let Outcome::Answer(answer) = outcome else {
            return;
        };
        let uris = invalidates(&self.head.method, target, &answer.head);
        if !uris.is_empty() {
            fetch::invalidate(self.worker, uris.iter().map(Key::of).collect()).await;
        }
    }
}

/// Gathers an interim response, which HTTP/1.0 doesn't know (RFC 9110 §15.2).
fn interim(
    out: &mut BytesMut,
    head: &crate::http::head::ResponseHead,
    client: Version,
    pseudonym: &str,
) {
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
        upgrade: head.status == 101,
    };
    write_response_head(out, head.status, &head.reason, &head.fields, &how);
}

/// A request's content on its way from the client into the fetch.
struct Upload<'a> {
    stream: &'a Stream,
    buffer: &'a mut BytesMut,
    patience: std::time::Duration,
}

impl Upload<'_> {
    /// Whether all of it came.
    async fn run(self, mut decoder: Decoder, mut writer: Writer) -> bool {
        loop {
            match decoder.next(self.buffer) {
                // A window has no draft that could fail.
                Ok(Step::Data(data)) => drop(writer.push(data).await),
                Ok(Step::End { trailers }) => return writer.finish(trailers).await.is_ok(),
                Ok(Step::More) => {
                    self.buffer.reserve(READ);
                    let deadline = Instant::now() + self.patience;
                    if !matches!(self.stream.read(self.buffer, deadline).await, Ok(1..)) {
                        writer.cut("the client stopped sending");
                        return false;
                    }
                }
                Err(why) => {
                    writer.cut(&why.to_string());
                    return false;
                }
            }
        }
    }
}
