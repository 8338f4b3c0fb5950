//! A request to an origin server as it is to be made, and its purpose: to relay the response to one client, or to
//! store it under a key, knowing what is stored.

use std::rc::{Rc, Weak};

use super::known_parts::{Ask, KnownParts};
use crate::cache::key::Key;
use crate::cache::policy::Policy;
use crate::config::Settings;
use crate::http::framing::Framing;
use crate::http::head::RequestHead;
use crate::http::target::Uri;
use crate::store::spool::SpoolReader;
use crate::worker::origin::guard::Requester;
use crate::worker::origin::pinned::PinnedConnections;
use crate::worker::stored::Stored;

pub struct FetchRequest {
    /// The head as presented.
    pub head: RequestHead,
    pub uri: Uri,
    /// The use of its response.
    pub purpose: Purpose,
    pub content: Option<RequestContent>,
    /// The client asks to switch protocols.
    pub upgrade: bool,
    /// The client, as far as it decides over what may be reached.
    pub requester: Requester,
    /// The connections to origin servers that are this client's alone.
    pub pinned: Weak<PinnedConnections>,
    /// The operator's wishes for this URI.
    pub policy: Policy,
    /// The settings that the request began with.
    pub settings: Rc<Settings>,
}

/// The content of a request on its way to the origin server.
pub struct RequestContent {
    /// Its framing.
    pub framing: Framing,
    /// Where it comes from.
    pub reader: SpoolReader,
}

/// The use of a response.
pub enum Purpose {
    /// The client that asked, and nobody else.
    Relay,
    /// The store, where it may be stored.
    Store {
        key: Key,
        /// The response that is stored.
        known: Known,
    },
}

/// A stored response that is known when a request is made.
pub enum Known {
    /// Nothing that would help.
    Nothing,
    /// A response that is validated by the request.
    Validating(Rc<Stored>),
    /// A response that can't be, and is only good for comparing.
    Outdated(Rc<Stored>),
    /// Parts.
    Parts(KnownParts),
}

impl Known {
    /// A whole stored response, validated where it can be.
    pub fn whole(stored: &Rc<Stored>) -> Known {
        match stored.facts.has_validator {
            true => Known::Validating(stored.clone()),
            false => Known::Outdated(stored.clone()),
        }
    }
}

impl FetchRequest {
    /// The key under which its response may be stored.
    pub fn key(&self) -> Option<&Key> {
        match &self.purpose {
            Purpose::Relay => None,
            Purpose::Store { key, .. } => Some(key),
        }
    }

    fn known(&self) -> &Known {
        match &self.purpose {
            Purpose::Relay => &Known::Nothing,
            Purpose::Store { known, .. } => known,
        }
    }

    /// The stored response that it validates.
    pub fn validates(&self) -> Option<&Rc<Stored>> {
        match self.known() {
            Known::Validating(stored) => Some(stored),
            Known::Parts(parts) => parts.validates(),
            Known::Nothing | Known::Outdated(_) => None,
        }
    }

    /// The whole stored response that was found but may not answer.
    pub fn found(&self) -> Option<&Rc<Stored>> {
        match self.known() {
            Known::Validating(stored) | Known::Outdated(stored) => Some(stored),
            Known::Nothing | Known::Parts(_) => None,
        }
    }

    /// The stored parts of what it is for.
    pub fn parts(&self) -> Option<&KnownParts> {
        match self.known() {
            Known::Parts(parts) => Some(parts),
            Known::Nothing | Known::Validating(_) | Known::Outdated(_) => None,
        }
    }

    /// Has it ask without a condition of ours.
    pub fn forget_known(&mut self) {
        let Purpose::Store { known, .. } = &mut self.purpose else {
            return;
        };
        match known {
            Known::Validating(stored) => *known = Known::Outdated(stored.clone()),
            Known::Parts(parts) => parts.ask = Ask::Nothing,
            Known::Nothing | Known::Outdated(_) => {}
        }
    }

    /// The origin server, for messages.
    pub fn host(&self) -> String {
        self.uri.authority().to_string()
    }
}
