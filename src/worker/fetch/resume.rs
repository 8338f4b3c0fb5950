//! Content that stalls or breaks off while others than the client that asked read along: the rest is asked for on another
//! connection, by one range request under If-Range for all of them (RFC 9110 §13.1.5, §14.2). For that client
//! alone nothing is: it is no worse off than without the proxy.

use std::rc::Weak;

use tokio::time::sleep;

use super::connection::Connection;
use super::context::Context;
use super::request::{FetchRequest, Purpose};
use super::round_trip::{Reply, Response, round_trip};
use crate::cache::parts::{self, PartialContent};
use crate::cache::storing::forbids_more;
use crate::http::fields::Fields;
use crate::http::framing::{Framing, response_framing};
use crate::http::head::{Method, ResponseHead};

/// The most range requests for the rest of one response.
const MOST: usize = 3;

/// A response whose content may be continued.
pub struct Resumable<'a> {
    fields: &'a Fields,
    /// The length of the representation, where its head tells it.
    length: Option<u64>,
    /// The offset of its content in the representation, and that of its end.
    first: u64,
    end: Option<u64>,
    /// It goes on for the client that asked alone, too.
    for_one: bool,
    left: usize,
}

impl<'a> Resumable<'a> {
    /// This response to a request for the whole, if it has a validator that tells its representation from others.
    pub fn of(context: Context<'_>, head: &'a ResponseHead, length: Option<u64>) -> Option<Self> {
        let request = context.request;
        let is_whole = request.head.method == Method::Get
            && request.content.is_none()
            && head.status == 200
            && !head.fields.has_token("accept-ranges", "none");
        (is_whole && parts::validator(&head.fields).is_some()).then_some(Resumable {
            fields: &head.fields,
            length,
            first: 0,
            end: length,
            for_one: false,
            left: MOST,
        })
    }

    /// What this response makes together with a stored part, whose last range the origin server may give up while it waits
    /// for its turn: that is our doing, and no reason for a client to lose it.
    pub fn of_joint(head: &'a ResponseHead, joint: PartialContent) -> Resumable<'a> {
        Resumable {
            fields: &head.fields,
            length: Some(joint.length),
            first: joint.part.first,
            end: Some(joint.part.end()),
            for_one: true,
            left: MOST,
        }
    }

    /// The rest from this offset on, once the content has stalled for as long as one waits for another's fetch, and others
    /// read it.
    pub async fn after_stall(&mut self, context: Context<'_>, from: u64) -> Option<Rest> {
        context.fetch.joined().await;
        sleep(context.fetch.patience()).await;
        self.rest_once_more(context, from).await
    }

    /// The rest from this offset on, if it is to go on.
    pub async fn after_end(&mut self, context: Context<'_>, from: u64) -> Option<Rest> {
        match self.for_one || context.fetch.is_joined() {
            true => self.rest_once_more(context, from).await,
            false => None,
        }
    }

    async fn rest_once_more(&mut self, context: Context<'_>, from: u64) -> Option<Rest> {
        let rest = self.rest(context, from).await;
        context.fetch.set_resumable(rest.is_some() && self.left > 0);
        rest
    }

    /// Asks for the rest; nothing when the origin server has another representation by now, or doesn't do ranges.
    async fn rest(&mut self, context: Context<'_>, from: u64) -> Option<Rest> {
        self.left = self.left.checked_sub(1)?;
        let at = self.first + from;
        if (from == 0 && !self.for_one) || self.end.is_some_and(|end| at >= end) {
            return None;
        }
        let mut request = self.request(context.request, at);
        let reply = round_trip(context.worker, &mut request, context.fetch).await;
        let Ok(Reply::Response(Response {
            head, connection, ..
        })) = reply
        else {
            return None;
        };
        let framing = response_framing(&request.head.method, &head).ok()?;
        let got = parts::received(&head, framing.length())?;
        let is_rest = got.part.first == at
            && got.part.end() == self.end.unwrap_or(got.length)
            && self.length.is_none_or(|length| length == got.length)
            && !parts::is_of_another(self.fields, &head.fields)
            && !forbids_more(self.fields, &head.fields, &request.policy);
        is_rest.then_some(Rest {
            connection,
            framing,
        })
    }

    fn request(&self, first: &FetchRequest, from: u64) -> FetchRequest {
        let mut head = first.head.clone();
        let end = self.end.filter(|_| self.end != self.length);
        head.fields = parts::ask_for_rest(&first.head.fields, self.fields, from, end);
        FetchRequest {
            head,
            uri: first.uri.clone(),
            purpose: Purpose::Relay,
            content: None,
            upgrade: false,
            requester: first.requester,
            pinned: Weak::new(),
            policy: first.policy.clone(),
            settings: first.settings.clone(),
        }
    }
}

/// The rest of a response's content on its way.
pub struct Rest {
    pub connection: Connection,
    pub framing: Framing,
}
