//! An answer from a stored response (RFC 9111 §4): the client's own condition evaluated, Age and
//! Cache-Status added, small content gathered with other responses, large content sent from its file.

use std::fmt::Write;
use std::io::{self, IoSlice};
use std::rc::Rc;

use bytes::{BufMut, BytesMut};

use super::access_log::RequestOutcome;
use super::candidates::Candidates;
use super::{After, Exchange};
use crate::cache::plan::{Reused, Source};
use crate::cache::range::{self, ByteRange};
use crate::cache::status::CacheStatus;
use crate::cache::validation::{Condition, client_condition, not_modified_fields};
use crate::http::fields::Fields;
use crate::http::forward::{ResponseAs, write_response_head};
use crate::http::framing::Framing;
use crate::http::head::{Method, Version};
use crate::http::target::Uri;
use crate::store::Content;
use crate::worker::pages::reason;
use crate::worker::stored::Stored;

/// Content up to this many bytes is copied next to its head instead of written from where it is.
const COPIED: usize = 16 << 10;

impl Exchange<'_> {
    /// Answers from the memory tier without anything to wait for; `None` when that can't be.
    pub(super) fn respond_now(&mut self, from: &Candidates, reused: &Reused) -> Option<After> {
        let stored = from.stored.as_ref()?;
        let (age, ttl) = (reused.age, reused.ttl);
        if reused.validate_behind || range::is_asked(&self.head) || self.takes_trailers_of(stored) {
            return None;
        }
        let content = match &stored.object.content {
            Content::Memory(content) if content.len() <= COPIED => content.clone(),
            Content::Memory(_) | Content::File { .. } | Content::Pieces(_) => return None,
        };
        self.record.outcome = RequestOutcome::of_stored(ttl);
        self.worker.count_hit(stored);
        if self.stored_head(stored, age, &CacheStatus::hit(ttl)) {
            self.client.out.put_slice(&content);
            self.record.bytes = content.len() as u64;
        }
        Some(self.after())
    }

    /// Answers with the candidate of the plan.
    pub(super) async fn respond(&mut self, uri: &Uri, from: Candidates, reused: Reused) -> After {
        let Reused { age, ttl, .. } = reused;
        let status = CacheStatus::hit(ttl);
        if let Some(stored) = from.stored.as_ref().filter(|_| reused.validate_behind) {
            self.validate_behind(uri, stored, &from);
        }
        let stored = match reused.from {
            Source::Growing => None,
            Source::Stored => from.stored,
            Source::Part => from.part.map(|(part, _)| part),
        };
        self.record.outcome = RequestOutcome::of_stored(ttl);
        if let Some(stored) = stored {
            return self.answer_stored(&stored, age, &status).await;
        }
        let Some(growing) = from.growing else {
            return After::Over;
        };
        let reader = growing.reader;
        self.answer_fetched(&growing.answer, reader, &status, Some(age))
            .await
    }

    /// Answers with a stored response.
    pub(super) async fn answer_stored(
        &mut self,
        stored: &Rc<Stored>,
        age: u64,
        status: &CacheStatus<'_>,
    ) -> After {
        self.worker.count_hit(stored);
        if range::is_asked(&self.head) {
            if let Some(after) = self.answer_ranges(stored, age, status).await {
                return after;
            }
        }
        if self.takes_trailers_of(stored) {
            return self.answer_with_trailers(stored, age, status).await;
        }
        if !self.stored_head(stored, age, status) {
            return self.after();
        }
        let (first, len) = (0, stored.object.content.len());
        match self.send(stored, ByteRange { first, len }).await {
            Ok(()) => self.after(),
            Err(_) => After::Over,
        }
    }

    /// Sends a part of stored content after what is gathered.
    pub(super) async fn send(&mut self, stored: &Stored, part: ByteRange) -> io::Result<()> {
        let timeout = self.settings.times.body_stall;
        let client = &mut *self.client;
        let sent = match &stored.object.content {
            Content::Memory(content) => {
                let content = content.slice(part.first as usize..part.end() as usize);
                if content.len() <= COPIED {
                    client.out.put_slice(&content);
                    Ok(())
                } else {
                    let parts = &mut [IoSlice::new(&client.out), IoSlice::new(&content)];
                    let sent = client.stream.write_all(parts, timeout).await;
                    client.out.clear();
                    sent
                }
            }
            Content::Pieces(pieces) => {
                let more = client.stream.write_more(&client.out, timeout).await;
                client.out.clear();
                match more {
                    Ok(()) => self.send_pieces(stored, pieces, part).await,
                    gone => gone,
                }
            }
            Content::File { file, offset, .. } => {
                let more = client.stream.write_more(&client.out, timeout).await;
                client.out.clear();
                let (at, len) = (offset + part.first, part.len);
                match more {
                    Ok(()) => client.stream.send_file(file, at, len, timeout).await,
                    gone => gone,
                }
            }
        };
        if sent.is_ok() {
            self.record.bytes += part.len;
        }
        sent
    }

    /// Gathers the head of a stored response, or a 304 or nothing more where the client's condition
    /// or HEAD asks for that; true when the content follows.
    fn stored_head(&mut self, stored: &Stored, age: u64, status: &CacheStatus<'_>) -> bool {
        let (head, keep) = (&self.head, self.keep);
        let out = &mut self.client.out;
        match client_condition(&head.method, &head.fields, &stored.object.meta) {
            Condition::Send => {
                out.reserve(stored.rendered.len() + 256);
                out.put_slice(&stored.rendered);
                write_changing(out, age, status);
                match (keep, head.version) {
                    (false, _) => out.put_slice(b"Connection: close\r\n"),
                    (true, Version::Http10) => out.put_slice(b"Connection: keep-alive\r\n"),
                    (true, Version::Http11) => {}
                }
                out.put_slice(b"\r\n");
                self.record.status = stored.object.meta.status;
                head.method != Method::Head
            }
            Condition::NotModified => {
                let fields = not_modified_fields(&stored.object.meta.fields);
                let line = (304, reason(304).as_bytes());
                self.made_head(line, &fields, Framing::None, (age, status), None, &["age"]);
                false
            }
        }
    }

    /// Gathers the head of an answer made from a stored response and these of its fields, less those named in
    /// `without`, the stored Age among them; `said` is what it says besides.
    pub(super) fn made_head(
        &mut self,
        (code, phrase): (u16, &[u8]),
        fields: &Fields,
        framing: Framing,
        (age, status): (u64, &CacheStatus<'_>),
        said: Option<(&[u8], &[u8])>,
        without: &[&str],
    ) {
        let mut value = BytesMut::with_capacity(64);
        status.write(&mut value);
        let age = age.to_string();
        let all: [(&[u8], &[u8]); 3] = [
            said.unwrap_or_default(),
            (b"Age", age.as_bytes()),
            (b"Cache-Status", &value),
        ];
        let how = ResponseAs {
            framing,
            keep_alive: self.keep,
            client: self.head.version,
            via: Some((Version::Http11, &self.worker.pseudonym)),
            extra: &all[usize::from(said.is_none())..],
            without,
        };
        write_response_head(&mut self.client.out, code, phrase, fields, &how);
        self.record.status = code;
    }
}

/// The fields of a hit that are different each time.
fn write_changing(out: &mut BytesMut, age: u64, status: &CacheStatus<'_>) {
    // Writing to a BytesMut grows it and can't fail.
    let _ = write!(out, "Age: {age}\r\nCache-Status: ");
    status.write(out);
    out.put_slice(b"\r\n");
}
