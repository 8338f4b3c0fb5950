//! Replies to what wasn't asked: a 304 (Not Modified) about another response than the one that is validated, or to a request
//! without a condition (RFC 9111 §4.3.4, RFC 9110 §15.4.5); a 412 or 416 to a condition of ours; a part that doesn't fit.
//! None of them is for the client: it is asked once more, plainly.

use std::rc::Rc;

use super::partial::misfits;
use super::request::FetchRequest;
use crate::cache::plan::has_condition;
use crate::cache::range;
use crate::cache::validation::{has_validator, identifies};
use crate::http::head::ResponseHead;
use crate::worker::stored::Stored;

/// The stored response that a 304 is about: the one that is validated; or one that can't be, where nothing in the 304 tells
/// of another (RFC 9111 §4.3.4).
pub(super) fn selected_by_304<'r>(
    request: &'r FetchRequest,
    not_modified: &ResponseHead,
) -> Option<&'r Rc<Stored>> {
    let fields = &not_modified.fields;
    if let Some(stored) = request.validates() {
        return identifies(fields, &stored.object.meta.fields).then_some(stored);
    }
    let stored = request.found()?;
    let without = !stored.facts.has_validator && !has_validator(fields);
    (without && !has_condition(&request.head)).then_some(stored)
}

/// True when a final response answers something else than what was asked.
pub(super) fn is_unasked(request: &FetchRequest, response: &ResponseHead) -> bool {
    let is_ours = request.key().is_some() && request.head.method.is_safe();
    let is_conditional = request.validates().is_some() || missing(request);
    match response.status {
        304 if is_conditional => selected_by_304(request, response).is_none(),
        304 => {
            let is_clients = has_condition(&request.head);
            is_ours && !is_clients && selected_by_304(request, response).is_none()
        }
        // Neither is for conditions such as these.
        412 => is_conditional || is_ours && has_only_if_range(request),
        416 if !missing(request) => is_conditional && !range::is_asked(&request.head),
        _ => misfits(request, response),
    }
}

fn missing(request: &FetchRequest) -> bool {
    (request.parts()).is_some_and(|parts| parts.missing().is_some())
}

fn has_only_if_range(request: &FetchRequest) -> bool {
    request.head.fields.has("if-range") && !has_condition(&request.head)
}

/// Has the request ask without a condition of ours, nor one under which a 304 or 412 makes no sense.
pub(super) fn ask_plainly(request: &mut FetchRequest, unasked: &ResponseHead) {
    request.forget_known();
    if matches!(unasked.status, 304 | 412) && has_only_if_range(request) {
        let lines = request.head.fields.iter();
        let is_range = |name: &[u8]| {
            [&b"range"[..], b"if-range"]
                .iter()
                .any(|it| it.eq_ignore_ascii_case(name))
        };
        request.head.fields = lines.filter(|(name, _)| !is_range(name)).collect();
    }
}
