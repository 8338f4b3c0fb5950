//! A response whose head has come: what it makes together with a stored part (RFC 9111 §3.4), and what is stored of that.

use std::net::SocketAddr;

use super::connection::Connection;
use super::request::FetchRequest;
use super::round_trip::RangeAfter;
use super::storable::{ReceivedHead, storable};
use crate::cache::parts::PartialContent;
use crate::cache::stored::Meta;
use crate::cache::time::FetchTimes;
use crate::http::framing::Framing;
use crate::http::head::ResponseHead;
use crate::worker::waiting_list::NoStoreReason;

/// A response whose head has come.
pub struct Received {
    pub head: ResponseHead,
    pub framing: Framing,
    pub connection: Connection,
    /// What comes after a stored part, which was asked for besides.
    pub after: Option<Box<RangeAfter>>,
}

/// A response as its clients see it, combined with the stored part where that fits.
pub struct Combined {
    pub head: ResponseHead,
    /// The part of the representation that it has together with the stored one.
    pub joint: Option<PartialContent>,
    pub framing: Framing,
    /// What is stored of it.
    pub wanted: Result<Meta, NoStoreReason>,
}

impl Received {
    /// The response together with the stored part, where they are combined.
    pub fn combined(&self, request: &FetchRequest, has_store: bool, times: FetchTimes) -> Combined {
        let (parts, length) = (request.parts(), self.framing.length());
        let targets = &request.policy.targeted;
        let begun = parts.and_then(|parts| parts.joined(&self.head, length, targets));
        let both = parts.zip(self.after.as_ref()).and_then(|(parts, after)| {
            parts.joined_besides(
                &begun.as_ref()?.0,
                &after.head,
                after.framing.length(),
                targets,
            )
        });
        let (joint, begun) = match both {
            Some(both) => (Some(both), begun),
            None => (begun, None),
        };
        let (head, joint, framing) = match joint {
            Some((head, held)) => (head, Some(held), Framing::Length(held.part.len)),
            None => (self.head.clone(), None, self.framing),
        };
        let after = self.after.as_ref().map(|after| &after.head);
        let mut heads = after.into_iter().chain([&self.head]);
        let received = ReceivedHead {
            head: &head,
            has_lost_field: heads.any(|head| head.has_lost_field),
            joint,
            framing,
            local: self.is_local(&request.settings.own_destinations),
            has_store,
            times,
        };
        let mut wanted = storable(request, &received);
        if let Some((head, held)) = &begun {
            // What the later of two responses says doesn't outweigh the other.
            let joint = Some(*held);
            let received = ReceivedHead {
                head,
                joint,
                ..received
            };
            wanted = match (storable(request, &received), wanted) {
                (Ok(first), Ok(both)) if first.variant.is_apart() => {
                    Ok(both.apart(&request.head.fields))
                }
                (first, both) => first.and(both),
            };
        }
        Combined {
            head,
            joint,
            framing,
            wanted,
        }
    }

    /// True when any of it comes from this machine's own addresses.
    fn is_local(&self, own_destinations: &[SocketAddr]) -> bool {
        let after = self.after.as_ref().map(|after| &after.connection);
        let mut connections = after.into_iter().chain([&self.connection]);
        connections.any(|connection| connection.destination.reserved(own_destinations).is_some())
    }
}
