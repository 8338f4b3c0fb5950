//! The way to an origin server: a plain stream, or a TLS session on one. What a fetch needs of it
//! is the same for both; the futures of TLS are on the heap, so that plain fetches stay small.

use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;

use super::tls::Session;
use crate::sys::stream::{Stream, within};

/// A connection to an origin server.
pub enum Transport {
    /// http
    Plain(Stream),
    /// https
    Tls(Box<Session>),
}

/// How long a session's own messages, which are few and short, may take to be sent.
const OWN_MESSAGES: Duration = Duration::from_secs(10);

impl Transport {
    /// Appends what there is to read to `buffer`'s spare capacity, waiting until `deadline`.
    /// `Ok(0)` is the end. `TimedOut` after the deadline.
    pub async fn read(&self, buffer: &mut BytesMut, deadline: Instant) -> io::Result<usize> {
        match self {
            Transport::Plain(stream) => stream.read(buffer, deadline).await,
            Transport::Tls(_) => within(deadline, self.read_some(buffer)).await,
        }
    }

    /// As [`Transport::read`], without a deadline.
    pub async fn read_some(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Transport::Plain(stream) => stream.read_some(buffer).await,
            Transport::Tls(session) => Box::pin(session.read_some(buffer, OWN_MESSAGES)).await,
        }
    }

    /// Writes all of `parts` in order; the deadline is `timeout` from the last progress.
    pub async fn write_all(&self, parts: &mut [IoSlice<'_>], timeout: Duration) -> io::Result<()> {
        match self {
            Transport::Plain(stream) => stream.write_all(parts, timeout).await,
            Transport::Tls(session) => Box::pin(session.write_all(parts, timeout)).await,
        }
    }

    /// Whether the peer has neither closed nor sent anything: an idle connection that may be used.
    pub fn is_quiet(&self) -> bool {
        match self {
            Transport::Plain(stream) => stream.is_quiet(),
            Transport::Tls(session) => session.is_quiet(),
        }
    }
}
