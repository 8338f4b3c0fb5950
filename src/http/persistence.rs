//! The next request on a connection to an origin server (RFC 9112 §9.3): may there be one, and whose, after what has
//! passed on it? In doubt there is none: what an origin server reads or sends otherwise than we think would become
//! another client's request or response.
//!
//! Bytes that wait to be read on an idle connection are seen by whoever keeps it.

use super::connection::origin_persists;
use super::connection_auth::{offers_token, presents};
use super::framing::{Framing, equal_lengths, is_framed_plainly};
use super::head::{RequestHead, ResponseHead, Version};

/// The course of a request on a connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestCourse {
    /// The framing of its content.
    pub content: Framing,
    /// The protocols that it asked to switch to were sent on.
    pub upgrade: bool,
    /// The part of it that was sent.
    pub sent: RequestSent,
    /// The number of 100 (Continue) responses.
    pub continues: usize,
    /// One of the interim responses says that the connection closes, or was one that had to be mended.
    pub closing: bool,
}

/// The part of a request that was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RequestSent {
    /// Not all of it.
    #[default]
    Partly,
    /// All of it, but the response came before its end.
    Late,
    /// All of it, before the response came.
    Whole,
}

/// The use of a connection after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextUse {
    /// It is closed.
    Nobody,
    /// For requests of the same client's connection alone: it may be authenticated (RFC 4559 §6).
    SameClient,
    /// For whoever comes next.
    Anyone,
}

/// Decides on the use of a connection after this response, when all of that has been read and nothing else.
pub fn next_use(
    request: &RequestHead,
    course: &RequestCourse,
    response: &ResponseHead,
    framing: Framing,
) -> NextUse {
    // A handshake goes on over this very connection, whatever else the server declined: it has read the request.
    let handshake = offers_token(&response.fields) && course.sent != RequestSent::Partly;
    let stays = framing != Framing::UntilClose
        && origin_persists(response)
        && !course.closing
        && is_framed_plainly(response)
        && took_content(request, course.content, response)
        && !has_content_after_all(response)
        && (handshake || is_as_expected(request, course));
    match stays {
        false => NextUse::Nobody,
        true if handshake || presents(&request.fields) => NextUse::SameClient,
        true => NextUse::Anyone,
    }
}

/// True unless there was content that a server may have ignored, to read it as the next request: the method gives it
/// no meaning (RFC 9110 §9.3.1), the server doesn't know chunked (RFC 9112 §6.1), or it declined the request for its
/// framing or unread.
fn took_content(request: &RequestHead, content: Framing, response: &ResponseHead) -> bool {
    match content {
        Framing::None | Framing::Length(0) => true,
        Framing::Chunked if response.version == Version::Http10 => false,
        Framing::Length(_) | Framing::Chunked | Framing::UntilClose => {
            request.method.has_meaningful_content()
                && !matches!(response.status, 400 | 411 | 413 | 417 | 501 | 505)
        }
    }
}

/// True for a 204 that announces content, which some servers send.
fn has_content_after_all(response: &ResponseHead) -> bool {
    let fields = &response.fields;
    let announced = || !matches!(equal_lengths(fields), Ok(None | Some(0)));
    response.status == 204 && (fields.has("transfer-encoding") || announced())
}

/// True when all that the request asked of the connection was done: the content taken before the response, no switch
/// declined (RFC 9110 §7.8), a 100 sent where it was expected and only there (§10.1.1).
fn is_as_expected(request: &RequestHead, course: &RequestCourse) -> bool {
    let expects = request.fields.has("expect");
    course.sent == RequestSent::Whole && !course.upgrade && course.continues == usize::from(expects)
}

#[cfg(test)]
#[allow(clippy::type_complexity)]
mod tests;
