//! What is kept of a response besides its content (RFC 9111 §3.1).

use bytes::Bytes;

use super::key::{Key, Variant};
use crate::http::fields::Fields;

/// The metadata of a stored response. Its fields are those that may be stored: hop-by-hop fields
/// and the framing are gone (RFC 9111 §3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The primary key.
    pub key: Key,
    /// The value of the selecting fields in the request that led to this response.
    pub variant: Variant,
    /// When the request was sent, in Unix seconds (RFC 9111 §4.2.3, request_time).
    pub request_time: u64,
    /// When the response was received, in Unix seconds (RFC 9111 §4.2.3, response_time).
    pub response_time: u64,
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: Bytes,
    /// The header fields.
    pub fields: Fields,
    /// The trailer fields.
    pub trailers: Fields,
}
