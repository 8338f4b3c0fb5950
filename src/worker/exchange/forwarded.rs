//! A response from the origin server passed on as it arrives, and requests that the cache has no part
//! in: content goes up while the response comes down, a switch of protocols ends in a tunnel.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;

use super::sink::{self, Sink};
use super::{After, Exchange, Refusal};
use crate::cache::invalidation::invalidates;
use crate::cache::key::Key;
use crate::cache::status::{CacheStatus, Forward, Handling};
use crate::http::content::{Decoder, Step};
use crate::http::date;
use crate::http::forward::{ResponseAs, framing_for, write_response_head};
use crate::http::framing::Framing;
use crate::http::head::{Method, Version};
use crate::http::target::{Uri, masked};
use crate::store::spool::{Keep, Reader, Spool, Writer};
use crate::sys::stream::Stream;
use crate::worker::fetch::{
    self, Answer, News, Outcome, RequestContent, Switched, Ticket, Trouble,
};
use crate::worker::state::now;
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
        let mut down = Down {
            stream: &self.client.stream,
            out: &mut self.client.out,
            version: self.head.version,
            pseudonym: &self.worker.pseudonym,
            patience: self.settings.times.body_stall,
        };
        down.outcome(ticket).await
    }

    /// Sends the request's content into the fetch while waiting for the outcome. When the response
    /// came before all of the content did, the connection can't be kept.
    async fn outcome_while_sending(
        &mut self,
        ticket: &mut Ticket,
        writer: Writer,
    ) -> Result<Outcome, After> {
        let patience = self.settings.times.body_stall;
        // Responses to earlier requests of the pipeline must not wait for this content.
        if self.client.flush(patience).await.is_err() {
            return Err(After::Over);
        }
        let client = &mut *self.client;
        let upload = Upload {
            stream: &client.stream,
            buffer: &mut client.buffer,
            patience,
        };
        let mut down = Down {
            stream: &client.stream,
            out: &mut client.out,
            version: self.head.version,
            pseudonym: &self.worker.pseudonym,
            patience,
        };
        let (outcome, sent) = {
            let mut sending = pin!(upload.run(Decoder::new(self.framing), writer));
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
                    Some(reader) => self.answer_fetched(&answer, reader, &status, None).await,
                    None => After::Over,
                }
            }
            Outcome::Validated(stored) => {
                let age = crate::cache::age::current_age(&stored.facts, now());
                self.answer_stored(&stored, age, &status).await
            }
            Outcome::Switched(switched) => self.switch(&switched).await,
            Outcome::Trouble(trouble) => self.in_trouble(&trouble),
        };
        drop(ticket);
        after
    }

    /// Sends a fetched response as it arrives; with its age where it is reused.
    pub(super) async fn answer_fetched(
        &mut self,
        answer: &Answer,
        mut reader: Reader,
        status: &CacheStatus<'_>,
        age: Option<u64>,
    ) -> After {
        let mark = self.client.out.len();
        let framing = if self.head.method == Method::Head {
            Framing::None
        } else {
            framing_for(self.head.version, answer.framing)
        };
        self.keep &= framing != Framing::UntilClose;
        self.fetched_head(answer, framing, status, age);
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
            Ok(sink::Ended::Whole) => self.after(),
            Ok(sink::Ended::Cut(why)) if !written => {
                self.client.out.truncate(mark);
                self.refuse(502, &why)
            }
            Ok(sink::Ended::Cut(why)) => {
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

    fn fetched_head(
        &mut self,
        answer: &Answer,
        framing: Framing,
        status: &CacheStatus<'_>,
        age: Option<u64>,
    ) {
        let mut value = BytesMut::with_capacity(96);
        status.write(&mut value);
        let head = &answer.head;
        let date = date::format(now());
        // RFC 9110 §6.6.1: one who has a clock adds what is missing.
        let aged = age.map(|age| age.to_string());
        let mut extra: Vec<(&[u8], &[u8])> = vec![(b"Cache-Status", &value)];
        if !head.fields.has("date") {
            extra.push((b"Date", &date));
        }
        if let Some(age) = &aged {
            extra.push((b"Age", age.as_bytes()));
        }
        let how = ResponseAs {
            framing,
            keep_alive: self.keep,
            client: self.head.version,
            via: Some((head.version, &self.worker.pseudonym)),
            extra: &extra,
            without: if age.is_some() { &["age"] } else { &[] },
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
    patience: Duration,
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
            let written = self.stream.write_all(parts, self.patience).await;
            self.out.clear();
            if written.is_err() {
                return Err(After::Over);
            }
        }
    }
}

/// A request's content on its way from the client into the fetch.
struct Upload<'a> {
    stream: &'a Stream,
    buffer: &'a mut BytesMut,
    patience: Duration,
}

impl Upload<'_> {
    /// Sends all of it, or says why it can't.
    async fn run(self, mut decoder: Decoder, mut writer: Writer) -> Result<(), Refusal> {
        loop {
            match decoder.next(self.buffer) {
                // A window has no draft that could fail.
                Ok(Step::Data(data)) => drop(writer.push(data).await),
                Ok(Step::End { trailers }) => {
                    // It is never stored, so that nothing can fail.
                    let _ = writer.finish(trailers).await;
                    return Ok(());
                }
                Ok(Step::More) => {
                    self.buffer.reserve(READ);
                    let deadline = Instant::now() + self.patience;
                    match self.stream.read(self.buffer, deadline).await {
                        Ok(1..) => {}
                        Err(why) if why.kind() == io::ErrorKind::TimedOut => {
                            let limit = self.patience.as_secs();
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
