//! Heads as they go out again (RFC 9110 §7.6): requests to origins, responses to clients.
//!
//! Hop-by-hop fields end here and framing is written anew, so that nothing the peer wrote decides
//! how the next one reads the message. When to forward, and with what content, is the worker's.

mod own_fields;
mod request;
mod response;

pub use request::{
    ForwardedFields, RequestAs, ends_here, is_condition, is_written_anew, via_has_loop,
    write_request,
};
pub(crate) use response::{ResponseAs, framing_for, write_response_head};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
