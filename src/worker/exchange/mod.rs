//! One request answered: where it goes (`route`), and for one that the cache may answer: what could answer it
//! (`candidates`), what becomes of it (`cache::plan`), that carried out (`respond` or `obtain`), until it is
//! answered; then its record (`access_log`).

mod access_log;
mod audience;
mod awaiting;
mod behind;
mod candidates;
mod collapse;
mod fallback;
mod files;
mod growing;
mod handover;
mod hang;
mod joiner;
mod obtain;
mod own;
mod pieces;
mod purge;
mod ranges;
mod relay;
mod respond;
mod rest;
mod route;
mod sink;
mod trailers;
mod tunnel;
mod upload;
mod versioned;

use std::io;
use std::rc::Rc;

use access_log::RequestRecord;
use bytes::Bytes;
use candidates::CandidateSet;
use route::{Refusal, Route, check_client, route};
use versioned::AskedFile;

use super::client::Client;
use super::pages::PageWriter;
use super::state::{Worker, cache_uri, now};
use crate::cache::bypass::Bypass;
use crate::cache::directives::RequestDirectives;
use crate::cache::key::Key;
use crate::cache::owner::{self, Asker};
use crate::cache::plan::{Plan, PlanRefusal, Presented, plan};
use crate::cache::policy::StoreRule;
use crate::cache::versioned::Remembered;
use crate::config::Settings;
use crate::http::connection::client_persists;
use crate::http::connection_auth::presents;
use crate::http::framing::{Framing, request_framing};
use crate::http::head::{Method, RequestHead};
use crate::http::target::{NamedAs, TargetUri, Uri, UriForm};

pub(super) use access_log::log_refused;

/// The fate of the connection after a response.
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

/// The content of the client's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientContent {
    /// There is none.
    None,
    /// It is still to be read.
    Unread(Framing),
    /// All of it was read.
    Read,
}

/// A request's part in collapsed forwarding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Collapsing {
    Untried,
    /// It has been looked for in this worker and, once, in the others.
    Tried,
    /// It has none: nobody waits for its fetch, until its response turns out to be for all.
    Alone,
}

/// One request while it is being answered.
pub struct Exchange<'a> {
    worker: &'a Rc<Worker>,
    settings: Rc<Settings>,
    client: &'a mut Client,
    head: RequestHead,
    content: ClientContent,
    /// The form in which the target URI was named, other than as it is.
    named_as: Option<NamedAs>,
    /// The text of the head as it was received, where a rule added to its fields.
    received: Option<Bytes>,
    /// The head has credentials that its target named, so that it can't be put back.
    has_own_credentials: bool,
    /// The connection may stay open afterwards.
    keep: bool,
    /// For the plan of a request that the cache may answer.
    directives: RequestDirectives,
    bypass: Option<Bypass>,
    remembered: Remembered,
    asked: Option<AskedFile>,
    /// The store had nothing under the key in this generation of it.
    nothing_in: Option<u32>,
    origin_hangs: bool,
    collapsing: Collapsing,
    record: RequestRecord,
}

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
        content: ClientContent::None,
        named_as: None,
        received: None,
        has_own_credentials: false,
        keep: client_persists(&head),
        directives: RequestDirectives::default(),
        bypass: None,
        remembered: Remembered::default(),
        asked: None,
        nothing_in: None,
        origin_hangs: false,
        collapsing: Collapsing::Untried,
        record: RequestRecord::begin(),
        head,
    };
    let after = match exchange.admit() {
        Ok(route) => exchange.follow(route).await,
        Err(refusal) => exchange.refuse(refusal.status, &refusal.why),
    };
    if !matches!(after, After::HandOver(_)) {
        exchange.note_asked();
        exchange.record();
    }
    after
}

impl Exchange<'_> {
    fn admit(&mut self) -> Result<Route, Refusal> {
        let framing = request_framing(&self.head).map_err(|why| {
            self.keep = false;
            Refusal {
                status: why.status(),
                why: why.to_string(),
            }
        })?;
        let head = &self.head;
        // No content, only said aloud (RFC 9110 §9.3.1).
        let said =
            framing == Framing::Length(0) && matches!(head.method, Method::Get | Method::Head);
        self.content = match said || framing == Framing::None {
            true => ClientContent::None,
            false => ClientContent::Unread(framing),
        };
        // Its connection ends with it: those that aren't allowed share a few places.
        let client = self.client.address();
        check_client(client, &self.settings).inspect_err(|_| self.keep = false)?;
        let pseudonym = &self.worker.pseudonym;
        route(head, self.content, &self.settings, pseudonym)
    }

    async fn follow(&mut self, route: Route) -> After {
        // Each way that may wait is in an allocation of its own, so that a client's task stays small.
        match route {
            Route::OwnPage(path) => self.own_page(&path),
            Route::OwnOptions => self.own_options(),
            Route::Cache(target) => {
                let uri = self.addressed(target);
                match self.answer_now(&uri) {
                    Some(after) => after,
                    None => Box::pin(self.answer(uri)).await,
                }
            }
            Route::Pass(target) => {
                let uri = self.addressed(target);
                Box::pin(self.pass(uri)).await
            }
            Route::Purge(uri) => Box::pin(self.purge(&uri)).await,
            Route::Tunnel(authority) => Box::pin(self.tunnel(&authority)).await,
        }
    }

    /// Takes over what a target says besides its URI: credentials, which become the field that they would have been
    /// in, and the form of the response.
    fn addressed(&mut self, target: TargetUri) -> Uri {
        if let Some(fields) = target.authorized(&self.head.fields) {
            self.head.fields = fields;
            self.has_own_credentials = true;
        }
        self.named_as = match target.form {
            UriForm::Plain => None,
            UriForm::ThroughHttp => Some(NamedAs::ThroughHttp(target.uri.clone())),
            UriForm::InPath => Some(NamedAs::InPath {
                base: target.uri.clone(),
                hosts: self.settings.mirror_hosts.clone(),
            }),
        };
        target.uri
    }

    /// Takes up the operator's word on what is stored, and for whom.
    fn apply_store_rule(&mut self, uri: &Uri) {
        let rule = self.settings.rules.store(uri.as_bytes());
        if rule == StoreRule::Standard {
            return;
        }
        let key_uri = cache_uri(&self.settings, uri);
        let secret = self.worker.store.secret();
        let asker = Asker {
            uri: key_uri.as_bytes(),
            place: self.client.place(),
            secret: secret.as_ref(),
            ignore_cookies: self.settings.policy(uri.as_bytes()).ignore_cookies,
        };
        let fields = &self.head.fields;
        if let Some(fields) = owner::apply(rule, &mut self.directives, fields, &asker) {
            self.received = Some(self.head.fields.text().clone());
            self.head.fields = fields;
        }
    }

    /// Writes the answers to earlier requests, which must not wait for what this one waits for.
    async fn flush(&mut self) -> io::Result<()> {
        self.client.flush(self.settings.times.body_stall).await
    }

    /// The whole way of a hit that has nothing to wait for: the memory tier, or the store where it is in memory, has a
    /// response with content small enough to be gathered, and all of it is asked for.
    fn answer_now(&mut self, uri: &Uri) -> Option<After> {
        self.directives = RequestDirectives::of(&self.head.fields);
        self.apply_store_rule(uri);
        self.find_bypass(uri);
        let mut candidates = self.at_hand(uri);
        if candidates.stored.is_none() && self.head.method == Method::Get {
            candidates.stored = self.stored_now(&candidates.key, uri);
        }
        self.remember_stored(&candidates);
        match self.plan(&candidates) {
            Plan::Answer(reused) => self.respond_now(&candidates, &reused),
            Plan::Bypass(_) | Plan::Refuse(_) | Plan::Obtain(_) => None,
        }
    }

    async fn answer(&mut self, uri: Uri) -> After {
        if self.flush().await.is_err() {
            return After::Over;
        }
        if self.settings.policy(uri.as_bytes()).is_versioned() {
            self.remember(&Key::of(&cache_uri(&self.settings, &uri)));
        }
        let mut looked_again = false;
        // What answers at once is never asked about.
        self.origin_hangs = self.worker.is_hung(&uri);
        loop {
            let candidates = self.gather(&uri).await;
            self.remember_stored(&candidates);
            let plan = self.plan(&candidates);
            if matches!(
                plan,
                Plan::Refuse(PlanRefusal::OnlyIfCached) | Plan::Obtain(_)
            ) {
                if let Some(after) = self.leave_for_received(&candidates) {
                    return after;
                }
                // What was received meanwhile may be stored by now.
                if !looked_again && candidates.have_changed(&self.worker.shared) {
                    looked_again = true;
                    continue;
                }
            }
            match plan {
                Plan::Refuse(why) => return self.refuse(why.status(), &why.to_string()),
                Plan::Bypass(why) => return self.bypass(uri, why).await,
                Plan::Answer(reused) => return self.respond(&uri, candidates, reused).await,
                Plan::Obtain(obtain) => {
                    if let Some(after) = self.obtain(&uri, &obtain, candidates).await {
                        return after;
                    }
                }
            }
        }
    }

    /// Finds the reason beside those in its head for which the cache has no part in it.
    fn find_bypass(&mut self, uri: &Uri) {
        let rule = || (self.settings.rules.bypass(uri.as_bytes())).then_some(Bypass::Rule);
        let pinned = self.client.pinned.has(uri.origin());
        self.bypass = pinned.then_some(Bypass::ConnectionAuth).or_else(rule);
    }

    /// True when it authenticates a connection to an origin server, or goes over one that is authenticated.
    fn is_connection_auth(&self) -> bool {
        self.bypass == Some(Bypass::ConnectionAuth) || presents(&self.head.fields)
    }

    fn plan(&self, candidates: &CandidateSet) -> Plan {
        plan(&self.presented(), &candidates.view(), now())
    }

    fn presented(&self) -> Presented<'_> {
        Presented {
            head: &self.head,
            directives: self.directives,
            bypass: self.bypass,
            is_local: self.client.is_local(),
            remembered: self.remembered,
            origin_hangs: self.origin_hangs,
        }
    }

    /// The way of a page of the proxy's own to this client.
    fn page(&mut self) -> PageWriter<'_> {
        PageWriter::answering(&mut self.client.out, &self.head, self.keep)
    }

    fn after(&self) -> After {
        match (self.keep, self.content) {
            (true, _) => After::Keep,
            (false, ClientContent::None | ClientContent::Read) if self.record.status < 400 => {
                After::Close
            }
            (false, _) => After::Linger,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
