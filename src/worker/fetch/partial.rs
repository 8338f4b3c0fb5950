//! Responses that are parts (RFC 9111 §3.3): one that doesn't fit the stored part, one that came alone, and what is
//! left of a response that broke off.

use std::cmp::Reverse;

use bytes::Bytes;

use super::request::FetchRequest;
use crate::cache::extent::Extent;
use crate::cache::parts::{self, PartialContent, ReceivedPart};
use crate::cache::range::{self, ByteRange};
use crate::cache::stored::Meta;
use crate::http::fields::Fields;
use crate::http::framing::{Framing, response_framing};
use crate::http::head::{Method, ResponseHead, Version};

/// The most bytes of content with several parts that are told apart.
const MOST_SPLIT: u64 = 16 << 20;

/// True when this response is of no use for what was asked: more of a stored part, which it doesn't fit.
pub fn misfits(request: &FetchRequest, response: &ResponseHead) -> bool {
    let Some(parts) = (request.parts()).filter(|parts| parts.missing().is_some()) else {
        return false;
    };
    let framing = response_framing(&request.head.method, response).ok();
    let content = framing.and_then(Framing::length);
    match response.status {
        206 => parts
            .joined(response, content, &request.policy.targeted)
            .is_none(),
        status => status == 416,
    }
}

/// The part in a 206 that came in answer to a request which asked for nothing else: with If-Range it may
/// lack fields that belong to it (RFC 9110 §15.3.7).
pub fn received_alone(
    request: &FetchRequest,
    head: &ResponseHead,
    content: Option<u64>,
) -> Option<PartialContent> {
    if !range::is_asked(&request.head) || request.head.fields.has("if-range") {
        return None;
    }
    parts::received(head, content)
}

/// True for a 206 with several parts in answer to a request which asked for nothing else. Its content is whole when its
/// parts are told apart, so that it has to be short.
pub fn has_several(request: &FetchRequest, head: &ResponseHead, content: Option<u64>) -> bool {
    let boundary = head.fields.first("content-type").and_then(parts::boundary);
    range::is_asked(&request.head)
        && !request.head.fields.has("if-range")
        && head.status == 206
        && boundary.is_some()
        && content.is_some_and(|content| content <= MOST_SPLIT)
}

/// The parts that a response with several has, each as the 206 that it would be alone; none where it isn't as it has to be.
pub fn split(meta: &Meta, content: &Bytes) -> Vec<(Meta, Bytes)> {
    let boundary = meta.fields.first("content-type").and_then(parts::boundary);
    let parts = boundary.and_then(|boundary| parts::received_several(content, boundary));
    let mut parts = parts.unwrap_or_default();
    parts.sort_by_key(|part| Reverse(part.held.part.len));
    parts.truncate(parts::MOST);
    let alone = |part: ReceivedPart<'_>| {
        let is_other = |name: &[u8]| !name.eq_ignore_ascii_case(b"content-type");
        let fields = meta.fields.iter().filter(|(name, _)| is_other(name));
        let media_type = part.media_type.map(|value| (&b"Content-Type"[..], value));
        let fields: Fields = fields.chain(media_type).collect();
        let head = parts::head(&fields, part.held, Version::Http11);
        let meta = Meta {
            status: head.status,
            reason: head.reason,
            extent: Extent::of(head.status, &head.fields),
            fields: head.fields,
            ..meta.clone()
        };
        (meta, content.slice(part.place))
    };
    parts.into_iter().map(alone).collect()
}

/// The metadata under which the first `received` bytes of a response that broke off are stored, to be asked for the
/// rest later: `None` where they are of no use for that. `length` is that of all its content.
pub fn beginning(
    request: &FetchRequest,
    meta: &Meta,
    length: Option<u64>,
    received: u64,
) -> Option<Meta> {
    let whole = parts::stored(meta, length?);
    let kept = PartialContent {
        part: ByteRange {
            first: whole.part.first,
            len: received,
        },
        length: whole.length,
    };
    let useful = request.head.method == Method::Get
        && (meta.status == 200 || meta.extent != Extent::Whole)
        && received > 0
        && !kept.is_whole()
        && parts::validator(&meta.fields).is_some()
        && !meta.fields.has_token("accept-ranges", "none");
    let key = request.key().filter(|_| useful)?;
    let head = parts::head(&meta.fields, kept, Version::Http11);
    Some(Meta {
        key: key.part(),
        status: head.status,
        reason: head.reason,
        extent: Extent::of(head.status, &head.fields),
        fields: head.fields,
        ..meta.clone()
    })
}
