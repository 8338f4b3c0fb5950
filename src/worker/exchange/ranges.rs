//! Parts of a representation (RFC 9110 §14, §15.3.7): of a stored response, one or several of them; of
//! what is being fetched, one, from the spool as it grows.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::task::yield_now;

use super::pieces::LastPiece;
use super::respond::FromStore;
use super::{After, Exchange};
use crate::cache::multipart;
use crate::cache::parts::{self, PartialContent};
use crate::cache::range::{self, ByteRange, NOT_OF_A_PART, Selection};
use crate::cache::status::CacheStatus;
use crate::cache::validation::{Condition, client_condition};
use crate::http::framing::Framing;
use crate::store::Content;
use crate::worker::waiting_list::Answer;

impl Exchange<'_> {
    /// Answers with what the request asks of a stored response; `None` where that is all of it, or where
    /// a condition of the client decides (RFC 9110 §13.2.2).
    pub(super) async fn answer_ranges(&mut self, from: FromStore<'_>) -> Option<After> {
        let stored = from.stored;
        let (head, meta) = (&self.head, &stored.object.meta);
        if client_condition(&head.method, &head.fields, meta) == Condition::NotModified {
            return None;
        }
        let held = parts::stored(meta, stored.object.content.len());
        let length = held.length;
        let code = if held.is_whole() { meta.status } else { 200 };
        match range::select(head, code, &meta.fields, length) {
            Selection::Whole => None,
            Selection::Unsatisfiable => Some(self.unsatisfiable(length, &from.status)),
            Selection::Part(part) if !held.has(part) => None,
            Selection::Parts(parts) if !parts.iter().all(|part| held.has(*part)) => None,
            Selection::Part(part) => {
                let value = part.content_range(length);
                self.partial_head(from, (b"Content-Range", value.as_bytes()), part.len);
                Some(self.send_all(stored, held.within(part)).await)
            }
            Selection::Parts(parts) => Some(self.send_parts(from, held, &parts).await),
        }
    }

    /// Several parts as `multipart/byteranges` (RFC 9110 §14.6).
    async fn send_parts(
        &mut self,
        from: FromStore<'_>,
        held: PartialContent,
        parts: &[ByteRange],
    ) -> After {
        let stored = from.stored;
        let boundary = boundary();
        let media_type = stored.object.meta.fields.first("content-type");
        let heads: Vec<BytesMut> = parts
            .iter()
            .map(|part| {
                multipart::part_head(&boundary, media_type, &part.content_range(held.length))
            })
            .collect();
        let end = multipart::end(&boundary);
        let within: u64 = parts.iter().map(|part| part.len).sum();
        let around = heads.iter().map(BytesMut::len).sum::<usize>() + end.len();
        let value = format!("multipart/byteranges; boundary={boundary}");
        let multipart = (&b"Content-Type"[..], value.as_bytes());
        self.partial_head(from, multipart, within + around as u64);
        // Many parts may lie in one piece.
        let content = match &stored.object.content {
            Content::Pieces(pieces) => Content::Pieces(Arc::new(LastPiece::of(pieces.clone()))),
            content @ (Content::Memory(_) | Content::File { .. }) => content.clone(),
        };
        for (head, part) in heads.iter().zip(parts) {
            self.client.out.extend_from_slice(head);
            let sent = self.send_from_content(stored, &content, held.within(*part));
            if sent.await.is_err() {
                return After::Over;
            }
            // A file may have to be read from disk at each of them.
            yield_now().await;
        }
        self.client.out.extend_from_slice(end.as_bytes());
        self.after()
    }

    /// Gathers the head of a 206 made from a stored response. `said` is what it says of the parts.
    fn partial_head(&mut self, from: FromStore<'_>, said: (&[u8], &[u8]), length: u64) {
        let mut without = vec!["age"];
        without.extend(NOT_OF_A_PART);
        if said.0 == b"Content-Type" {
            without.push("content-type");
        }
        let fields = &from.stored.object.meta.fields;
        let framing = Framing::Length(length);
        self.made_head(from, 206, fields, framing, Some(said), &without);
    }

    /// Says that there is nothing in the range.
    pub(super) fn unsatisfiable(&mut self, length: u64, status: &CacheStatus<'_>) -> After {
        let mut value = BytesMut::with_capacity(64);
        status.write(&mut value);
        let page = self.page().unsatisfiable(length, &value);
        self.record.answered_by(page);
        self.after()
    }

    /// The part of a fetched response that this request asks for; the whole is
    /// sent where its own request was this one, and where its length is known only at its end, since a
    /// 206 would have to say it first. Several parts are not picked from content that still grows.
    ///
    /// # Errors
    /// The length, when nothing of it is in the range.
    pub(super) fn part_of(&self, answer: &Answer) -> Result<Option<PartialContent>, u64> {
        if answer.ranged || !range::is_asked(&self.head) {
            return Ok(None);
        }
        let spool = &answer.spool;
        let (status, length) = match (answer.part, answer.framing.length()) {
            (Some(held), _) => (200, held.length),
            (None, Some(length)) => (answer.head.status, length),
            (None, None) if spool.is_whole() => (answer.head.status, spool.len()),
            (None, None) => return Ok(None),
        };
        match range::select(&self.head, status, &answer.head.fields, length) {
            Selection::Part(part) if answer.part.is_some_and(|held| !held.has(part)) => Ok(None),
            Selection::Part(part) => Ok(Some(PartialContent { part, length })),
            Selection::Unsatisfiable => Err(length),
            Selection::Whole | Selection::Parts(_) => Ok(None),
        }
    }
}

/// A line between the parts, which nobody who made the content can have guessed.
fn boundary() -> String {
    let random = || RandomState::new().hash_one(0_u8);
    format!("{:016x}{:016x}", random(), random())
}
