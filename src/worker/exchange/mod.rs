//! One request answered: by the proxy itself, from the store, from an origin server, or by a tunnel.
//! The order in which it is decided is here; each way is in a file of its own.

mod access_log;
mod cached;
mod forwarded;
mod handover;
mod hit;
mod join;
mod partial;
mod pieces;
mod purge;
mod ranged;
mod rest;
mod sink;
mod trailers;
mod upload;
mod validate;

use std::rc::Rc;

use bytes::Bytes;
use tokio::time::Instant;

use super::client::Client;
use super::pages;
use super::state::Worker;
use super::tunnel;
use crate::config::Settings;
use crate::http::connection::{client_persists, wants_upgrade};
use crate::http::forward::{ends_here, via_has_loop};
use crate::http::framing::{Framing, request_framing};
use crate::http::head::{Method, RequestHead};
use crate::http::target::{Target, Uri};

pub use access_log::log_refused;

/// What becomes of the connection after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It stays open; what was gathered may wait for more.
    Keep,
    /// It closes when what was gathered has been written.
    Close,
    /// As `Close`, but the client may still be sending.
    Linger,
    /// The worker of this number goes on with it, and answers the request.
    HandOver(u16),
    /// It is over: a tunnel that ended, a client that left, content cut off.
    Over,
}

/// One request while it is being answered.
pub struct Exchange<'a> {
    worker: &'a Rc<Worker>,
    settings: Rc<Settings>,
    client: &'a mut Client,
    head: RequestHead,
    /// How the request's content is framed.
    framing: Framing,
    /// Whether the connection may stay open afterwards.
    keep: bool,
    /// The hash of the key that was looked up, and its generation before.
    looked_up: ([u8; 16], u32),
    /// It no longer takes part in collapsing: it has been tried.
    collapsing_tried: bool,
    record: access_log::RequestRecord,
}

/// Answers one request.
pub async fn serve(
    worker: &Rc<Worker>,
    client: &mut Client,
    head: RequestHead,
    settings: Rc<Settings>,
) -> After {
    let mut exchange = Exchange {
        worker,
        settings,
        client,
        framing: Framing::None,
        keep: client_persists(&head),
        looked_up: ([0; 16], 0),
        collapsing_tried: false,
        record: access_log::RequestRecord::new(Instant::now()),
        head,
    };
    let route = exchange.route();
    let after = match route {
        Route::Done(after) => after,
        // Everything that may wait is in one allocation, so that a client's task stays small.
        Route::Cached(uri) => match exchange.hit_now(&uri) {
            Some(after) => after,
            None => match exchange.written().await {
                Ok(()) => Box::pin(exchange.cached(uri)).await,
                Err(_) => After::Over,
            },
        },
        Route::Forward(uri) => match exchange.written().await {
            Ok(()) => Box::pin(exchange.pass(uri)).await,
            Err(_) => After::Over,
        },
        Route::Purge(uri) => match exchange.written().await {
            Ok(()) => Box::pin(exchange.purge(&uri)).await,
            Err(_) => After::Over,
        },
        Route::Tunnel(authority) => {
            let record = &mut exchange.record;
            let local = exchange.client.is_local();
            let tunnel = tunnel::Tunnel {
                worker: exchange.worker,
                settings: &exchange.settings,
                client: exchange.client,
                version: exchange.head.version,
            };
            let (after, status, bytes) = Box::pin(tunnel.connect(&authority, local)).await;
            record.status = status;
            record.bytes = bytes;
            record.outcome = "tunnel";
            after
        }
    };
    if !matches!(after, After::HandOver(_)) {
        exchange.log();
    }
    after
}

/// Where a request goes.
enum Route {
    Done(After),
    /// The cache may answer it.
    Cached(Uri),
    /// To the origin server whatever is stored.
    Forward(Uri),
    Tunnel(crate::http::target::Authority),
    /// What is stored of it is to go.
    Purge(Uri),
}

impl Exchange<'_> {
    fn route(&mut self) -> Route {
        let decided = self.decide();
        decided.unwrap_or_else(|refusal| Route::Done(self.refuse(refusal.0, &refusal.1)))
    }

    fn decide(&mut self) -> Result<Route, Refusal> {
        let head = &self.head;
        self.framing = request_framing(head).map_err(|why| {
            self.keep = false;
            Refusal(why.status(), why.to_string())
        })?;
        if let Some(address) = self.client.address() {
            if !self.settings.allows(address) {
                let why = format!(
                    "{address} may not use this proxy: its operator can allow it with \"allow\" in the configuration"
                );
                return Err(Refusal(403, why));
            }
        }
        if via_has_loop(&head.fields, &self.worker.pseudonym) {
            let why = "this request has come through this proxy before".into();
            return Err(Refusal(508, why));
        }
        let target = Target::of(head).map_err(|why| Refusal(why.status(), why.to_string()))?;
        Ok(match target {
            Target::Origin { path } => Route::Done(self.own_page(&path)),
            Target::Asterisk => Route::Done(self.own_options()),
            Target::Authority(authority) => Route::Tunnel(authority),
            Target::Absolute(uri) => return self.decide_absolute(uri),
        })
    }

    fn decide_absolute(&mut self, uri: Uri) -> Result<Route, Refusal> {
        if purge::is_asked(&self.head.method) {
            return Ok(Route::Purge(uri));
        }
        if ends_here(&self.head) {
            return Ok(Route::Done(self.own_options()));
        }
        let cacheable = matches!(self.head.method, Method::Get | Method::Head);
        if cacheable && self.framing == Framing::Length(0) {
            // No content, only said aloud (RFC 9110 §9.3.1).
            self.framing = Framing::None;
        }
        if cacheable && self.framing == Framing::None && !wants_upgrade(&self.head) {
            return Ok(Route::Cached(uri));
        }
        Ok(Route::Forward(uri))
    }

    /// Writes the answers to earlier requests, which must not wait for what this one waits for.
    async fn written(&mut self) -> std::io::Result<()> {
        self.client.flush(self.settings.times.body_stall).await
    }

    fn own_page(&mut self, path: &Bytes) -> After {
        self.settle_content();
        let with_content = self.head.method != Method::Head;
        pages::own(
            &mut self.client.out,
            &self.head,
            path,
            self.keep,
            with_content,
        );
        self.record.status = 200;
        self.record.outcome = "own-page";
        self.after()
    }

    fn own_options(&mut self) -> After {
        self.settle_content();
        if self.head.method == Method::Trace {
            pages::trace(&mut self.client.out, &self.head, self.keep);
        } else {
            pages::options(&mut self.client.out, &self.head, self.keep);
        }
        self.record.status = 200;
        self.record.outcome = "own-page";
        self.after()
    }

    /// Refuses the request with a reason that the client sees.
    fn refuse(&mut self, status: u16, why: &str) -> After {
        self.settle_content();
        let with_content = self.head.method != Method::Head;
        let (out, version) = (&mut self.client.out, self.head.version);
        pages::refusal(out, version, status, why, self.keep, with_content);
        self.record.status = status;
        self.record.outcome = "refused";
        log::debug!("{status}: {why}");
        self.after()
    }

    /// Content that nobody will read makes the connection unfit for another request.
    fn settle_content(&mut self) {
        if self.framing != Framing::None {
            self.keep = false;
        }
    }

    fn after(&self) -> After {
        match (self.keep, self.framing) {
            (true, _) => After::Keep,
            (false, Framing::None) if self.record.status < 400 => After::Close,
            (false, _) => After::Linger,
        }
    }
}

/// A status and the reason for a person.
struct Refusal(u16, String);
