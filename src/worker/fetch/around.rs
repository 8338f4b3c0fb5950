//! What stored parts lack in a second place (RFC 9111 §3.4): asked for on a connection of its own before anybody is told what
//! comes, so that a representation that changed between the two answers is seen while the whole can still be taken instead.

use super::known_parts::KnownParts;
use super::partial::misfits;
use super::request::{FetchRequest, Known, Purpose};
use super::round_trip::{RangeAfter, Reply, Response};
use crate::http::framing::response_framing;
use crate::http::head::Method;
use crate::worker::waiting_list::FetchError;

/// The request for what is lacking in the second place, once this reply brings what is lacking in the first.
pub fn request_after(
    reply: &Result<Reply, FetchError>,
    request: &FetchRequest,
) -> Option<FetchRequest> {
    let Ok(Reply::Response(Response { head, .. })) = reply else {
        return None;
    };
    let parts = request.parts().and_then(KnownParts::then)?;
    let key = request.key().filter(|_| head.status == 206)?.clone();
    Some(FetchRequest {
        head: request.head.clone(),
        uri: request.uri.clone(),
        purpose: Purpose::Store {
            key,
            known: Known::Parts(parts),
        },
        content: None,
        upgrade: false,
        requester: request.requester,
        pinned: request.pinned.clone(),
        policy: request.policy.clone(),
        settings: request.settings.clone(),
    })
}

/// What the reply to that request is good for.
pub enum After {
    /// It fits.
    Fits(Box<RangeAfter>),
    /// The whole of another representation, which takes the place of all.
    Whole(Box<Response>),
    /// Nothing.
    Useless,
}

pub fn received_after(reply: Result<Reply, FetchError>, request: &FetchRequest) -> After {
    let Ok(Reply::Response(response)) = reply else {
        return After::Useless;
    };
    let framing = response_framing(&Method::Get, &response.head);
    match (response.head.status, framing) {
        (200, _) => After::Whole(Box::new(response)),
        (206, Ok(framing)) if !misfits(request, &response.head) => {
            After::Fits(Box::new(RangeAfter {
                head: response.head,
                framing,
                connection: response.connection,
            }))
        }
        _ => After::Useless,
    }
}
