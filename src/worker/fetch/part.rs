//! Parts of what is fetched (RFC 9111 §3.3, §3.4): a stored one that the origin server is asked for more of, and
//! what is left of a response that broke off.

use std::rc::Rc;

use super::publish::publish;
use super::{Fetch, FetchRequest};
use crate::cache::parts::{self, PartialContent};
use crate::cache::range::{self, ByteRange};
use crate::cache::stored::Meta;
use crate::http::fields::Fields;
use crate::http::framing::{Framing, response_framing};
use crate::http::head::{Method, ResponseHead, Version};
use crate::store::spool::SpoolWriter;
use crate::worker::state::Worker;
use crate::worker::stored::Stored;

/// A stored part of what is to be fetched.
pub struct StoredPart {
    /// The stored response.
    pub stored: Rc<Stored>,
    /// What it has of the representation.
    pub held: PartialContent,
    /// What is asked for under the condition that it fits.
    pub ask: Option<ByteRange>,
}

impl StoredPart {
    /// Whether more of it is asked for.
    pub fn asks(&self) -> bool {
        self.ask.is_some()
    }

    /// Whether that makes it whole.
    pub fn completes(&self) -> bool {
        let more = self.ask.map(|ask| ask.len);
        more.is_some_and(|more| self.held.part.len + more == self.held.length)
    }

    /// Whether it begins before what is asked for.
    pub fn comes_first(&self) -> bool {
        self.ask.is_none_or(|ask| self.held.part.first < ask.first)
    }

    /// What it makes together with this response: its head, and what it then has.
    pub fn joined(
        &self,
        response: &ResponseHead,
        content: Option<u64>,
    ) -> Option<(ResponseHead, PartialContent)> {
        let ours = &self.stored.object.meta.fields;
        parts::combined((ours, self.held), self.ask?, response, content)
    }

    /// Whether it is of the same representation and no shorter than another part.
    fn outdoes(&self, other: ByteRange, validated: &Fields) -> bool {
        let ours = &self.stored.object.meta.fields;
        other.len <= self.held.part.len && parts::share_validator(ours, validated)
    }
}

/// Whether this response is of no use for what was asked: more of a stored part, which it doesn't fit.
pub fn misfits(order: &FetchRequest, response: &ResponseHead) -> bool {
    let Some(beside) = order.beside.as_ref().filter(|beside| beside.ask.is_some()) else {
        return false;
    };
    let content = response_framing(&order.head.method, response)
        .ok()
        .and_then(Framing::length);
    match response.status {
        206 => beside.joined(response, content).is_none(),
        status => status == 416,
    }
}

/// What a 206 has that came in answer to a request which asked for nothing else: with If-Range it may
/// lack fields that belong to it (RFC 9110 §15.3.7).
pub fn alone(
    order: &FetchRequest,
    head: &ResponseHead,
    content: Option<u64>,
) -> Option<PartialContent> {
    let fields = &order.head.fields;
    if !range::is_asked(&order.head) || fields.has("if-range") {
        return None;
    }
    let held = parts::received(head, content)?;
    let beside = order.beside.as_ref();
    let outdone = beside.is_some_and(|beside| beside.outdoes(held.part, &head.fields));
    (!outdone).then_some(held)
}

/// Stores what there is of a response that broke off, to be asked for the rest later, where it has a
/// validator for that.
pub async fn keep_beginning(
    worker: &Rc<Worker>,
    order: &FetchRequest,
    fetch: &Fetch,
    writer: SpoolWriter,
    (meta, length): (Meta, Option<u64>),
    why: &str,
) {
    let whole = length.map(|length| parts::stored(&meta, length));
    let kept = whole.map(|whole| PartialContent {
        part: ByteRange {
            first: whole.part.first,
            len: writer.len(),
        },
        length: whole.length,
    });
    let (Some(kept), Some(key)) = (kept, &order.key) else {
        return writer.cut(why);
    };
    let outdone =
        (order.beside.as_ref()).is_some_and(|beside| beside.outdoes(kept.part, &meta.fields));
    let useful = order.head.method == Method::Get
        && matches!(meta.status, 200 | 206)
        && kept.part.len > 0
        && !kept.is_whole()
        && parts::validator(&meta.fields).is_some()
        && !meta.fields.has_token("accept-ranges", "none")
        && !outdone;
    if !useful {
        return writer.cut(why);
    }
    let head = parts::head(&meta.fields, kept, Version::Http11);
    let meta = Meta {
        key: key.part(),
        status: head.status,
        reason: head.reason,
        fields: head.fields,
        ..meta
    };
    match writer.cut_keeping(why).await {
        Ok(Some(whole)) => publish(worker, order, fetch, meta, whole).await,
        Ok(None) => {}
        Err(failure) => worker.complain_of(&failure),
    }
}
