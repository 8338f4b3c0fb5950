//! An answer from a stored response (RFC 9111 §4): the client's own condition evaluated, Age and
//! Cache-Status added, small content gathered with other responses, large content sent from its file.

use std::fmt::Write;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut, BytesMut};

use super::access_log::RequestOutcome;
use super::audience::Audience;
use super::candidates::CandidateSet;
use super::{After, Exchange};
use crate::cache::plan::{Behind, CandidateSource, Reused};
use crate::cache::range::{self, ByteRange};
use crate::cache::status::CacheStatus;
use crate::cache::validation::{Condition, client_condition, not_modified_fields};
use crate::http::fields::Fields;
use crate::http::forward::{ResponseAs, write_response_head};
use crate::http::framing::Framing;
use crate::http::head::{Method, Version};
use crate::http::target::Uri;
use crate::store::Content;
use crate::worker::block_reads::FilePart;
use crate::worker::pages::reason;
use crate::worker::state::now;
use crate::worker::stored::Stored;
use crate::worker::stored_parts::StoredParts;

/// The detail in Cache-Status of an answer because the origin server hangs.
pub(super) const ORIGIN_HANGS: &str = "origin-hung";

/// Content up to this many bytes is copied next to its head instead of written from where it is.
const COPIED: usize = 16 << 10;

/// An answer from a stored response.
#[derive(Clone, Copy)]
pub(super) struct FromStore<'a> {
    pub(super) stored: &'a Stored,
    pub(super) age: Duration,
    pub(super) status: CacheStatus<'a>,
}

impl<'a> FromStore<'a> {
    /// An answer whose age is that of now: what came before took its time.
    pub(super) fn now(stored: &'a Stored, status: CacheStatus<'a>) -> FromStore<'a> {
        let age = stored.facts.current_age(now());
        FromStore {
            stored,
            age,
            status,
        }
    }
}

impl Exchange<'_> {
    /// Answers from the memory tier without anything to wait for; `None` when that can't be.
    pub(super) fn respond_now(&mut self, from: &CandidateSet, reused: &Reused) -> Option<After> {
        let stored = from.stored.as_ref()?;
        let has_more = reused.behind != Behind::Nothing;
        if has_more || range::is_asked(&self.head) || self.takes_trailers_of(stored) {
            return None;
        }
        let content = match &stored.object.content {
            Content::Memory(content) if content.len() <= COPIED => content.clone(),
            Content::Memory(_) | Content::File { .. } | Content::Pieces(_) => return None,
        };
        self.record.outcome = RequestOutcome::of_stored(reused.left);
        self.note_asked();
        self.worker.count_hit(stored);
        let from = FromStore {
            stored,
            age: reused.age,
            status: CacheStatus::hit(reused.left.seconds()),
        };
        if self.stored_head(from) {
            self.client.out.put_slice(&content);
            self.record.bytes = content.len() as u64;
        }
        Some(self.after())
    }

    /// Answers with the candidate of the plan.
    pub(super) async fn respond(&mut self, uri: &Uri, from: CandidateSet, reused: Reused) -> After {
        let Reused { age, left, .. } = reused;
        let mut status = CacheStatus::hit(left.seconds());
        self.record.outcome = RequestOutcome::of_stored(left);
        match (reused.behind, &from.stored) {
            (Behind::Validate, Some(stored)) => self.validate_behind(uri, stored, &from),
            (Behind::Validate, None) => self.validate_parts_behind(uri, &from),
            (Behind::TryOrigin, Some(stored)) => {
                status.detail = Some(ORIGIN_HANGS);
                self.try_origin(uri, stored);
            }
            (Behind::Nothing, _) | (Behind::TryOrigin, None) => {}
        }
        let stored = match reused.from {
            CandidateSource::Growing => None,
            CandidateSource::Stored => from.stored,
            CandidateSource::Parts => from.parts.map(|parts| self.answer_of(&parts, uri)),
        };
        if let Some(stored) = stored {
            let stored = &stored;
            let from = FromStore {
                stored,
                age,
                status,
            };
            return self.answer_stored(from).await;
        }
        let Some(growing) = from.growing else {
            return After::Over;
        };
        let reader = growing.reader;
        let audience = Audience::Others { age: Some(age) };
        self.answer_fetched(&growing.answer, reader, &status, audience)
            .await
    }

    /// What stored parts have of the answer.
    fn answer_of(&self, parts: &StoredParts, uri: &Uri) -> Rc<Stored> {
        let object = parts.answer(&self.head, parts.meta());
        let policy = self.settings.policy(uri.as_bytes());
        Rc::new(Stored::new(object, &policy, &self.worker.pseudonym))
    }

    pub(super) async fn answer_stored(&mut self, from: FromStore<'_>) -> After {
        let stored = from.stored;
        self.note_asked();
        self.worker.count_hit(stored);
        if range::is_asked(&self.head) {
            if let Some(after) = self.answer_ranges(from).await {
                return after;
            }
        }
        if self.takes_trailers_of(stored) {
            return self.answer_with_trailers(from).await;
        }
        if !self.stored_head(from) {
            return self.after();
        }
        self.send_all(stored, stored.whole()).await
    }

    /// Sends a part of stored content, which is all that is left to send.
    pub(super) async fn send_all(&mut self, stored: &Stored, part: ByteRange) -> After {
        match self.send(stored, part).await {
            Ok(()) => self.after(),
            Err(_) => After::Over,
        }
    }

    /// Sends a part of stored content after what is gathered.
    pub(super) async fn send(&mut self, stored: &Stored, part: ByteRange) -> io::Result<()> {
        let content = &stored.object.content;
        self.send_from_content(stored, content, part).await
    }

    /// Sends a part of stored content, which is read from there, after what is gathered.
    pub(super) async fn send_from_content(
        &mut self,
        stored: &Stored,
        content: &Content,
        part: ByteRange,
    ) -> io::Result<()> {
        let timeout = self.settings.times.body_stall;
        let client = &mut *self.client;
        let sent = match content {
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
            Content::File {
                file,
                offset,
                blocks,
                ..
            } => {
                let more = client.stream.write_more(&client.out, timeout).await;
                client.out.clear();
                let from = FilePart {
                    file,
                    offset: offset + part.first,
                    len: part.len,
                    blocks: blocks.as_ref(),
                };
                match more {
                    Ok(()) => self.send_file(stored, from, part).await,
                    gone => gone,
                }
            }
        };
        match &sent {
            Ok(()) => self.record.bytes += part.len,
            Err(error) if is_of_the_content(error) => {
                self.record.outcome = RequestOutcome::CutOff;
            }
            Err(_) => {}
        }
        sent
    }

    /// Gathers the head of a stored response, or a 304 or nothing more where the client's condition
    /// or HEAD asks for that; true when the content follows.
    fn stored_head(&mut self, from: FromStore<'_>) -> bool {
        let (head, keep, stored) = (&self.head, self.keep, from.stored);
        let out = &mut self.client.out;
        let meta = &stored.object.meta;
        match client_condition(&head.method, &head.fields, meta) {
            // Its references are to be in that form, too.
            Condition::Send if self.named_as.is_some() => {
                let (with_content, framing) = (head.method != Method::Head, stored.framing());
                self.made_head(from, meta.status, &meta.fields, framing, None, &["age"]);
                with_content
            }
            Condition::Send => {
                out.reserve(stored.rendered.len() + 256);
                out.put_slice(&stored.rendered);
                write_changing(out, &from);
                match (keep, head.version) {
                    (false, _) => out.put_slice(b"Connection: close\r\n"),
                    (true, Version::Http10) => out.put_slice(b"Connection: keep-alive\r\n"),
                    (true, Version::Http11) => {}
                }
                out.put_slice(b"\r\n");
                self.record.status = meta.status;
                head.method != Method::Head
            }
            Condition::NotModified => {
                let fields = not_modified_fields(&meta.fields, &self.settings.targeted);
                self.made_head(from, 304, &fields, Framing::None, None, &["age"]);
                false
            }
        }
    }

    /// Gathers the head of an answer made from a stored response and these of its fields, less those named in
    /// `without`, the stored Age among them; `said` is what it says besides.
    pub(super) fn made_head(
        &mut self,
        from: FromStore<'_>,
        code: u16,
        fields: &Fields,
        framing: Framing,
        said: Option<(&[u8], &[u8])>,
        without: &[&str],
    ) {
        let mut value = BytesMut::with_capacity(64);
        from.status.write(&mut value);
        let age = from.age.as_secs().to_string();
        let meta = &from.stored.object.meta;
        let phrase = match code == meta.status {
            true => &meta.reason[..],
            false => reason(code).as_bytes(),
        };
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
            named_as: self.named_as.as_ref(),
        };
        write_response_head(&mut self.client.out, code, phrase, fields, &how);
        self.record.status = code;
    }
}

/// True for an error in getting the content, where the client isn't gone.
fn is_of_the_content(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut};
    let of_clients = [
        BrokenPipe,
        ConnectionAborted,
        ConnectionReset,
        NotConnected,
        TimedOut,
    ];
    !of_clients.contains(&error.kind())
}

/// The fields of a hit that are different each time.
fn write_changing(out: &mut BytesMut, from: &FromStore<'_>) {
    // Writing to a BytesMut grows it and can't fail.
    let _ = write!(out, "Age: {}\r\nCache-Status: ", from.age.as_secs());
    from.status.write(out);
    out.put_slice(b"\r\n");
}
