//! A stored response with the trailer fields that it came with (RFC 9110 §6.5), for a client that says it
//! looks at them; others get the length of the content instead. They never become header fields (RFC 9111 §3.1).

use bytes::BufMut;

use super::respond::FromStore;
use super::{After, Exchange};
use crate::cache::validation::{Condition, client_condition};
use crate::http::chunked::{CRLF, write_chunk_head, write_last};
use crate::http::framing::Framing;
use crate::http::head::{Method, Version};
use crate::worker::stored::Stored;

impl Exchange<'_> {
    /// True when the answer has trailer fields: the client said `TE: trailers` (RFC 9110 §10.1.4), and gets
    /// the content.
    pub(super) fn takes_trailers_of(&self, stored: &Stored) -> bool {
        let (head, meta) = (&self.head, &stored.object.meta);
        !meta.trailers.is_empty()
            && head.method == Method::Get
            && head.version == Version::Http11
            && head.fields.has_token("te", "trailers")
            && !stored.object.content.is_empty()
            && client_condition(&head.method, &head.fields, meta) == Condition::Send
    }

    /// Answers with all of it, in one chunk.
    pub(super) async fn answer_with_trailers(&mut self, from: FromStore<'_>) -> After {
        let stored = from.stored;
        let meta = &stored.object.meta;
        let (code, fields) = (meta.status, &meta.fields);
        self.made_head(from, code, fields, Framing::Chunked, None, &["age"]);
        let whole = stored.whole();
        write_chunk_head(&mut self.client.out, whole.len as usize);
        if self.send(stored, whole).await.is_err() {
            return After::Over;
        }
        self.client.out.put_slice(CRLF);
        write_last(&mut self.client.out, &meta.trailers);
        self.after()
    }
}
