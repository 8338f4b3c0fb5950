//! Content that is being fetched on its way to a client, at the client's pace. What passes without being kept goes on
//! at the pace of the fastest that read it: whoever misses some goes on by a request of its own.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use bytes::BytesMut;

use super::Exchange;
use super::rest::{Missing, Representation};
use super::sink::{Sink, SinkEnd};
use crate::cache::status::CacheStatus;
use crate::cache::validation::{Condition, client_condition, not_modified_fields};
use crate::http::forward::{ResponseAs, write_response_head};
use crate::http::framing::Framing;
use crate::http::head::Version;
use crate::store::spool::{Spool, SpoolReader};
use crate::worker::gone::{Progress, Watched};
use crate::worker::pages::reason;
use crate::worker::waiting_list::Answer;

impl Exchange<'_> {
    /// True when the client's own condition says that it has what another's fetch brings.
    pub(super) fn is_not_modified(&self, answer: &Answer) -> bool {
        let (method, fields) = (&self.head.method, &self.head.fields);
        let condition = |selected| client_condition(method, fields, selected);
        answer.selected().map(condition) == Some(Condition::NotModified)
    }

    /// Gathers a 304 made from a response that is being received (RFC 9110 §15.4.5).
    pub(super) fn growing_not_modified(
        &mut self,
        answer: &Answer,
        status: &CacheStatus<'_>,
        age: Option<Duration>,
    ) {
        let Some(selected) = answer.selected() else {
            return;
        };
        let mut value = BytesMut::with_capacity(96);
        status.write(&mut value);
        let age = age.unwrap_or_default().as_secs().to_string();
        let how = ResponseAs {
            framing: Framing::None,
            keep_alive: self.keep,
            client: self.head.version,
            via: Some((Version::Http11, &self.worker.pseudonym)),
            extra: &[(b"Age", age.as_bytes()), (b"Cache-Status", &value)],
            without: &["age"],
            named_as: self.named_as.as_ref(),
        };
        let fields = not_modified_fields(selected.fields, &self.settings.targeted);
        let out = &mut self.client.out;
        write_response_head(out, 304, reason(304).as_bytes(), &fields, &how);
        self.record.status = 304;
    }

    /// Sends what the reader gives after what is gathered, and what it misses from the origin server.
    pub(super) async fn send_growing(
        &mut self,
        answer: &Answer,
        reader: SpoolReader,
        framing: Framing,
    ) -> io::Result<SinkEnd> {
        let mut reader = reader;
        let ended = self.send_from(&answer.spool, &mut reader, framing).await;
        let Ok(SinkEnd::Missed(before)) = ended else {
            return ended;
        };
        let range = reader.rest();
        // The fetch may end when nobody else reads it.
        drop(reader);
        let missing = Missing { range, before };
        Box::pin(self.send_missed(answer, missing, framing)).await
    }

    async fn send_missed(
        &mut self,
        answer: &Answer,
        missing: Missing,
        framing: Framing,
    ) -> io::Result<SinkEnd> {
        self.flush().await?;
        // Nothing is written meanwhile: the client is watched.
        let mut buffer = std::mem::take(&mut self.client.buffer);
        let watched = Watched {
            stream: &self.client.stream,
            buffer: &mut buffer,
            upload: &mut None,
            response: Progress::Content(&|| Some(0)),
        };
        let asked = async {
            match Representation::of_fetched(answer) {
                Some(of) => self.ask_for_rest(&of, missing).await,
                None => None,
            }
        };
        let rest = tokio::select! {
            biased;
            rest = asked => Ok(rest),
            _ = watched.gone() => Err(io::ErrorKind::ConnectionReset),
        };
        self.client.buffer = buffer;
        let rest = rest?;
        let Some(mut rest) = rest else {
            let why =
                "this client read slower than others, and the origin server has no way to go on";
            return Ok(SinkEnd::Cut(why.to_owned()));
        };
        let sent = self.send_from(&rest.answer.spool, &mut rest.reader, framing);
        sent.await
    }

    /// Sends what the reader of this spool gives after what is gathered, while the client is watched.
    async fn send_from(
        &mut self,
        spool: &Spool,
        reader: &mut SpoolReader,
        framing: Framing,
    ) -> io::Result<SinkEnd> {
        let waits = Cell::new(false);
        let client = &mut *self.client;
        let mut sink = Sink {
            stream: &client.stream,
            transfers: &self.worker.transfers,
            out: &mut client.out,
            framing,
            timeout: self.settings.times.body_stall,
            sent: self.record.bytes,
            waits: &waits,
        };
        let come = || waits.get().then(|| spool.len());
        let watched = Watched {
            stream: &client.stream,
            buffer: &mut client.buffer,
            upload: &mut client.upload,
            response: Progress::Content(&come),
        };
        let ended = sink.drain_to(reader, watched).await;
        self.record.bytes = sink.sent;
        ended
    }
}
