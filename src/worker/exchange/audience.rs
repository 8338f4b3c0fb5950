//! The client that a fetched response is sent to, as far as it decides what that client may see of it.

use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub(super) enum Audience {
    /// The client whose request brought it: it sees the head as received.
    Own,
    /// Another, with its age where it is reused; without what is for that client alone.
    Others { age: Option<Duration> },
}
