//! The outcome of a fetch: a response whose content is (being) spooled, a stored response made fresh
//! again, a switch of protocols, or a reason why there is none of these.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;

use crate::cache::directives::TargetList;
use crate::cache::freshness::Facts;
use crate::cache::key::Variant;
use crate::cache::parts::PartialContent;
use crate::cache::personal::for_others;
use crate::cache::storing::UncacheableReason;
use crate::cache::time::Timestamp;
use crate::cache::validation::Selected;
use crate::cache::vary;
use crate::config::display_duration;
use crate::http::content::ContentError;
use crate::http::fields::Fields;
use crate::http::framing::{Framing, FramingError};
use crate::http::head::ResponseHead;
use crate::http::parse::HeadError;
use crate::http::target::Uri;
use crate::store::spool::Spool;
use crate::sys::stream::Stream;
use crate::worker::origin::connect::ReachError;
use crate::worker::stored::Stored;

/// The outcome of a fetch.
#[derive(Clone)]
pub enum FetchOutcome {
    /// A response from the origin server.
    Answer(Rc<Answer>),
    /// A 304 made the stored response fresh again (RFC 9111 §4.3.4).
    Validated(Validated),
    /// Another host fetched and stored it meanwhile.
    Stored(Rc<Stored>),
    /// A 101: the connection is a tunnel now. The first to take it has it.
    Switched(Rc<Switched>),
    /// No response.
    Failed(Rc<FetchError>),
}

/// A stored response that a 304 made fresh again.
#[derive(Clone)]
pub struct Validated {
    /// For the client whose request brought the 304, with all that it said.
    pub own: Rc<Stored>,
    /// For others, where what the 304 said isn't for that client alone.
    pub shared: Result<Rc<Stored>, UncacheableReason>,
}

/// A response from the origin server.
pub struct Answer {
    /// The URI that it was asked for by.
    pub uri: Uri,
    /// The head as received, for the client whose request brought it. Others see [`Shareable::fields`].
    pub head: ResponseHead,
    pub framing: Framing,
    /// Its own request asked for a range, so that it is for that alone.
    pub ranged: bool,
    /// The part of the representation that it has together with what was stored, where that isn't all.
    pub part: Option<PartialContent>,
    /// The status as received, which is 206 where the head is that of more.
    pub received: u16,
    pub spool: Rc<Spool>,
    /// Its use for others; or the reason why it isn't stored, and is only for the client that asked.
    pub sharing: Result<Shareable, NoStoreReason>,
}

/// The conditions under which others share a response that is being stored.
pub struct Shareable {
    pub facts: Facts,
    /// The fields as others see them.
    pub fields: Fields,
    /// When the response was received.
    pub response_time: Timestamp,
    /// The names of the fields that select the variant.
    pub selecting: Vec<String>,
    /// The variant that others must ask for.
    pub variant: Variant,
}

impl Answer {
    /// The response as others see it, if they may.
    pub fn selected(&self) -> Option<Selected<'_>> {
        let shareable = self.sharing.as_ref().ok()?;
        Some(Selected {
            status: self.head.status,
            fields: &shareable.fields,
            response_time: shareable.response_time,
        })
    }

    /// Its fields without what is for the client alone whose request brought it.
    pub fn fields_for_others(&self, targets: &TargetList) -> Cow<'_, Fields> {
        match &self.sharing {
            Ok(shareable) => Cow::Borrowed(&shareable.fields),
            Err(_) => Cow::Owned(for_others(&self.head.fields, targets)),
        }
    }

    /// Its use for this request, if that selects the variant.
    pub fn shared_with(&self, request: &Fields) -> Option<&Shareable> {
        let shareable = self.sharing.as_ref().ok()?;
        let selected = vary::variant_of(&shareable.selecting, request) == shareable.variant;
        selected.then_some(shareable)
    }
}

/// A reason why a response isn't stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoStoreReason {
    /// The rules of caching.
    Rules(UncacheableReason),
    /// The request was not one that the cache has a part in.
    Bypass,
    NoStore,
    /// It is larger than the largest object that is stored.
    TooLarge,
}

impl NoStoreReason {
    /// A short name, for Cache-Status.
    pub fn token(self) -> &'static str {
        match self {
            NoStoreReason::Rules(why) => why.into(),
            NoStoreReason::Bypass => "bypass",
            NoStoreReason::NoStore => "store-unavailable",
            NoStoreReason::TooLarge => "too-large",
        }
    }
}

/// A 101 response and the connection that speaks another protocol from here on.
pub struct Switched {
    pub head: ResponseHead,
    /// The connection, and what was read from it beyond the head.
    pub connection: RefCell<Option<(Stream, BytesMut)>>,
}

/// A reason why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error(transparent)]
    Connect(#[from] ReachError),
    #[error("{0} closed the connection without a response")]
    Closed(String),
    #[error("the connection to {host} failed: {why}")]
    Io { host: String, why: std::io::Error },
    #[error("{host} did not respond within {}", display_duration(*limit))]
    TimedOut { host: String, limit: Duration },
    #[error("{host} sent a malformed response: {why}")]
    Head { host: String, why: HeadError },
    #[error("{host} sent a response whose length is unclear: {why}")]
    Framing { host: String, why: FramingError },
    #[error("{host} sent malformed content: {why}")]
    Content { host: String, why: ContentError },
    #[error("{0} sent 304 (Not Modified) in answer to a request without a condition")]
    NotModified(String),
    #[error("{0} switched protocols unasked")]
    Switched(String),
    #[error("the client did not send all of its request's content")]
    ClientContent,
}

impl FetchError {
    /// True when it is the destination's failure, and so everybody's who asks for the same; any other may be due to
    /// what this one client sent.
    pub fn is_of_the_destination(&self) -> bool {
        matches!(self, FetchError::Connect(why) if why.is_of_the_destination())
    }

    /// The status code that tells the client (RFC 9110 §15.6).
    pub fn status(&self) -> u16 {
        match self {
            FetchError::Connect(ReachError::NotAllowed { .. }) => 403,
            FetchError::Connect(ReachError::TimedOut { .. } | ReachError::NoAnswer { .. })
            | FetchError::TimedOut { .. } => 504,
            FetchError::Connect(ReachError::Busy { .. }) => 503,
            FetchError::Connect(
                ReachError::Unresolved { .. }
                | ReachError::Unreachable { .. }
                | ReachError::Tls { .. },
            )
            | FetchError::Closed(_)
            | FetchError::Io { .. }
            | FetchError::Head { .. }
            | FetchError::Framing { .. }
            | FetchError::Content { .. }
            | FetchError::NotModified(_)
            | FetchError::Switched(_) => 502,
            FetchError::ClientContent => 400,
        }
    }
}
