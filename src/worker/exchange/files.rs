//! Stored content in a file on its way to a client. What turns out to be damaged is removed from the store, and isn't
//! sent: before the first byte the response is no candidate; later the rest comes from the origin server, where that can
//! be (`rest`), or the client can tell that it is cut off.

use std::io;

use super::Exchange;
use super::candidates::CandidateSet;
use crate::cache::parts;
use crate::cache::range::{self, ByteRange, Selection};
use crate::cache::validation::{Condition, client_condition};
use crate::http::head::Method;
use crate::store::{Content, Object};
use crate::worker::block_reads::FilePart;
use crate::worker::stored::Stored;
use crate::worker::transfers::TransferEnd;

impl Exchange<'_> {
    /// Sends this part of content in a file. Fails when the client is gone, or the content.
    pub(super) async fn send_file(
        &mut self,
        stored: &Stored,
        from: FilePart<'_>,
        part: ByteRange,
    ) -> io::Result<()> {
        let timeout = self.settings.times.body_stall;
        let (transfers, stream) = (&self.worker.transfers, &self.client.stream);
        let (sent, failure) = match transfers.send(stream, from, timeout).await {
            Ok(()) => return Ok(()),
            Err(TransferEnd::Gone(error)) => return Err(error),
            Err(TransferEnd::Lost { sent, failure }) => (sent, failure),
        };
        self.worker.note_lost(&failure);
        let rest = ByteRange {
            first: part.first + sent,
            len: part.len - sent,
        };
        match Box::pin(self.send_rest(stored, rest)).await? {
            true => Ok(()),
            false => Err(io::Error::other(failure)),
        }
    }

    /// Leaves out of the candidates what turns out to be damaged where it would be sent from.
    pub(super) async fn leave_damaged_out(&self, candidates: &mut CandidateSet) {
        if let Some(stored) = candidates.stored.take() {
            candidates.stored = self.begins_well(&stored.object).await.then_some(stored);
        }
        if let Some(parts) = candidates.parts.take() {
            let answer = parts.answer(&self.head, parts.meta());
            candidates.parts = self.begins_well(&answer).await.then_some(parts);
        }
    }

    /// True when what is sent first of a stored response is what was stored, or nothing of it is sent.
    async fn begins_well(&self, stored: &Object) -> bool {
        let condition = client_condition(&self.head.method, &self.head.fields, &stored.meta);
        if self.head.method != Method::Get || condition == Condition::NotModified {
            return true;
        }
        let first = self.first_sent(stored);
        let (content, first) = match &stored.content {
            Content::Pieces(pieces) => match pieces.source(first) {
                Some(source) => source,
                None => return true,
            },
            content @ (Content::Memory(_) | Content::File { .. }) => (content, first),
        };
        let Content::File {
            file,
            offset,
            len,
            blocks: Some(blocks),
        } = content
        else {
            return true;
        };
        let part = FilePart {
            file,
            offset: offset + first,
            len: len.saturating_sub(first),
            blocks: Some(blocks),
        };
        let read = self.worker.transfers.reads().check(part, 0).await;
        read.inspect_err(|failure| self.worker.note_lost(failure))
            .is_ok()
    }

    /// The offset in the content of what this request is sent first.
    fn first_sent(&self, stored: &Object) -> u64 {
        let meta = &stored.meta;
        let held = parts::stored(meta, stored.content.len());
        let code = if held.is_whole() { meta.status } else { 200 };
        let first = match range::select(&self.head, code, &meta.fields, held.length) {
            Selection::Part(part) => part.first,
            Selection::Parts(parts) => parts.first().map_or(0, |part| part.first),
            Selection::Whole | Selection::Unsatisfiable => 0,
        };
        first.saturating_sub(held.part.first)
    }
}
