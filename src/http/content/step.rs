//! Results of reading content: the next piece of it, or why it can't be read on.

use bytes::Bytes;

use crate::http::fields::Fields;
use crate::http::parse::HeadError;

/// One step through a message's content.
#[derive(Debug, PartialEq, Eq)]
pub enum ContentStep {
    /// Some content.
    Data(Bytes),
    /// Nothing until more bytes arrive.
    More,
    /// The message is over; what is left in the buffer belongs to the next one.
    End {
        /// Trailer fields, which only a chunked message can have.
        trailers: Fields,
    },
}

/// A fault in content, or its end before it was complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ContentError {
    #[error("a chunk size is malformed or too large")]
    ChunkSize,
    #[error("a chunk extension is malformed, or there is too much of them")]
    ChunkExtension,
    #[error("a chunk or its size does not end with CRLF")]
    ChunkEnd,
    #[error("in the trailer section: {0}")]
    Trailers(#[from] HeadError),
    #[error("the connection closed before the content was complete")]
    Incomplete,
}
