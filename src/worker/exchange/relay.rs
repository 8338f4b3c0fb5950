//! A response from the origin server passed on as it arrives, and requests that the cache has no part
//! in: a switch of protocols ends in a tunnel, an unsafe method makes stored responses invalid.

use std::borrow::Cow;
use std::time::Duration;

use bytes::BytesMut;

use super::access_log::RequestOutcome;
use super::audience::Audience;
use super::awaiting::interim;
use super::respond::FromStore;
use super::sink::SinkEnd;
use super::{After, ClientContent, Exchange};
use crate::cache::bypass::Bypass;
use crate::cache::key::Key;
use crate::cache::parts::PartialContent;
use crate::cache::plan::Scope;
use crate::cache::range::NOT_OF_A_PART;
use crate::cache::status::{CacheStatus, Forward};
use crate::http::connection::origin_persists;
use crate::http::connection_auth::{offers, offers_token};
use crate::http::date;
use crate::http::forward::{ResponseAs, framing_for, write_response_head};
use crate::http::framing::Framing;
use crate::http::head::Method;
use crate::http::target::{Uri, masked};
use crate::store::spool::SpoolReader;
use crate::worker::fetch::{self, FetchRequest, Known, Purpose, Visibility};
use crate::worker::pages::reason;
use crate::worker::state::{cache_uri, now};
use crate::worker::tunnel;
use crate::worker::waiting_list::{Answer, FetchOutcome, NoStoreReason, Switched};

/// The longest that the last bytes before a reset may be on their way.
const LAST_BYTES: Duration = Duration::from_secs(5);

impl Exchange<'_> {
    pub(super) async fn bypass(&mut self, uri: Uri, why: Bypass) -> After {
        self.record.outcome = RequestOutcome::of_forwarded(why.forward());
        let request = self.fetch_request(uri, Purpose::Relay, Scope::AsPresented);
        let mut status = CacheStatus::forwarded(why.forward());
        status.detail = Some(why.into());
        self.relay(request, status).await
    }

    /// Forwards a request that the cache can't answer: another method, content, an upgrade.
    pub(super) async fn pass(&mut self, uri: Uri) -> After {
        if self.flush().await.is_err() {
            return After::Over;
        }
        self.find_bypass(&uri);
        let has_method = matches!(self.head.method, Method::Get | Method::Head);
        let why = match has_method {
            true => Forward::Bypass,
            false => Forward::Method,
        };
        self.record.outcome = RequestOutcome::of_forwarded(why);
        let status = CacheStatus::forwarded(why);
        let may_be_stored =
            self.head.method == Method::Post && self.bypass.is_none() && !self.is_connection_auth();
        let purpose = match may_be_stored {
            true => Purpose::Store {
                key: Key::of(&cache_uri(&self.settings, &uri)),
                known: Known::Nothing,
            },
            false => Purpose::Relay,
        };
        let mut request = self.fetch_request(uri, purpose, Scope::AsPresented);
        let ClientContent::Unread(framing) = self.content else {
            return self.relay(request, status).await;
        };
        request.content = self.begin_upload(framing);
        let mut ticket = fetch::begin(self.worker, request, Visibility::Own);
        let after = match self.outcome(&mut ticket).await {
            Ok(outcome) => {
                self.response_begins(&outcome);
                self.conclude(outcome, status).await
            }
            Err(after) => after,
        };
        // The fetch sends the content as long as somebody has a share in it.
        let after = self.finish_upload(after).await;
        drop(ticket);
        after
    }

    /// Fetches for this client alone.
    async fn relay(&mut self, request: FetchRequest, status: CacheStatus<'_>) -> After {
        let mut ticket = fetch::begin(self.worker, request, Visibility::Own);
        match self.outcome(&mut ticket).await {
            Ok(outcome) => self.conclude(outcome, status).await,
            Err(after) => after,
        }
    }

    /// Passes the outcome of its own fetch on to the client.
    pub(super) async fn conclude(
        &mut self,
        outcome: FetchOutcome,
        mut status: CacheStatus<'_>,
    ) -> After {
        match outcome {
            FetchOutcome::Answer(answer) => {
                status.set_received(answer.received);
                match &answer.sharing {
                    Ok(_) => status.set_stored(),
                    Err(why) => status.detail = status.detail.or(Some(why.token())),
                }
                match answer.spool.reader() {
                    Some(reader) => {
                        let audience = Audience::Own;
                        self.answer_fetched(&answer, reader, &status, audience)
                            .await
                    }
                    None => After::Over,
                }
            }
            FetchOutcome::Validated(validated) => {
                self.record.outcome = RequestOutcome::Revalidated;
                status.set_received(304);
                match validated.shared {
                    Ok(_) if self.worker.store.takes_responses() => status.set_stored(),
                    Ok(_) => status.detail = Some(NoStoreReason::NoStore.token()),
                    Err(why) => status.detail = Some(why.into()),
                }
                let from = FromStore::now(&validated.own, status);
                self.answer_stored(from).await
            }
            FetchOutcome::Stored(stored) => {
                self.record.outcome = RequestOutcome::Collapsed;
                status.set_collapsed();
                self.answer_stored(FromStore::now(&stored, status)).await
            }
            FetchOutcome::Switched(switched) => self.switch(&switched).await,
            FetchOutcome::Failed(error) => self.fail(error.status(), &error.to_string()),
        }
    }

    /// Sends a fetched response as it arrives.
    pub(super) async fn answer_fetched(
        &mut self,
        answer: &Answer,
        mut reader: SpoolReader,
        status: &CacheStatus<'_>,
        audience: Audience,
    ) -> After {
        self.note_asked();
        if let Audience::Others { age } = audience {
            if self.is_not_modified(answer) {
                self.growing_not_modified(answer, status, age);
                return self.after();
            }
        }
        let part = match self.part_of(answer) {
            Ok(part) => part,
            Err(length) => return self.unsatisfiable(length, status),
        };
        let framing = match part {
            _ if self.head.method == Method::Head => Framing::None,
            Some(PartialContent { part, .. }) => {
                let before = answer.part.map_or(0, |held| held.part.first);
                reader.narrow(part.first - before..part.end() - before);
                Framing::Length(part.len)
            }
            None => framing_for(self.head.version, answer.framing),
        };
        self.keep &= framing != Framing::UntilClose;
        // The client sees the end of what it has authenticated as an end of its own connection.
        let ends = answer.framing == Framing::UntilClose || !origin_persists(&answer.head);
        self.keep &= !(ends && self.is_connection_auth());
        self.fetched_head(answer, part, framing, status, audience);
        if framing == Framing::None {
            return self.after();
        }
        match self.send_growing(answer, reader, framing).await {
            Ok(SinkEnd::Whole) => self.after(),
            Ok(SinkEnd::Cut(why)) => self.cut_off(&why, framing).await,
            Ok(SinkEnd::Missed(_)) | Err(_) => After::Over,
        }
    }

    /// Ends a response that was cut off at its source: the client gets all that came, and can tell that it isn't whole
    /// (RFC 9112 §8).
    async fn cut_off(&mut self, why: &str, framing: Framing) -> After {
        let target = masked(&self.head.target);
        log::info!("{} was cut off: {why}", String::from_utf8_lossy(&target));
        self.record.outcome = RequestOutcome::CutOff;
        self.keep = false;
        if framing != Framing::UntilClose {
            // It shows by the length, or by the last chunk that lacks; a close with bytes unread would be a reset.
            return After::Linger;
        }
        let timeout = self.settings.times.body_stall;
        if self.client.flush(timeout).await.is_ok() {
            // A reset discards what hasn't arrived.
            self.client.stream.until_arrived(LAST_BYTES).await;
            self.client.stream.reset_on_close();
        }
        After::Over
    }

    fn fetched_head(
        &mut self,
        answer: &Answer,
        part: Option<PartialContent>,
        framing: Framing,
        status: &CacheStatus<'_>,
        audience: Audience,
    ) {
        let mut value = BytesMut::with_capacity(96);
        status.write(&mut value);
        let head = &answer.head;
        let (fields, age) = match audience {
            Audience::Own => (Cow::Borrowed(&head.fields), None),
            Audience::Others { age } => (answer.fields_for_others(&self.settings.targeted), age),
        };
        let date = date::format(now().seconds());
        // RFC 9110 §6.6.1: one who has a clock adds what is missing.
        let aged = age.map(|age| age.as_secs().to_string());
        let mut extra: Vec<(&[u8], &[u8])> = vec![(b"Cache-Status", &value)];
        if !fields.has("date") {
            extra.push((b"Date", &date));
        }
        if let Some(age) = &aged {
            extra.push((b"Age", age.as_bytes()));
        }
        let mut without = Vec::new();
        // RFC 4559 §6: without it a client doesn't authenticate through a proxy.
        if matches!(head.status, 401 | 407) && offers(&head.fields) && self.keep {
            self.client.authenticating = offers_token(&head.fields);
            without.push("proxy-support");
            extra.push((b"Proxy-Support", b"Session-Based-Authentication"));
            extra.push((b"Connection", b"Proxy-Support"));
        }
        if age.is_some() {
            without.push("age");
        }
        let range = part.map(|it| it.part.content_range(it.length));
        let (code, phrase): (u16, &[u8]) = match &range {
            Some(range) => {
                extra.push((b"Content-Range", range.as_bytes()));
                without.extend(NOT_OF_A_PART);
                (206, reason(206).as_bytes())
            }
            None => (head.status, &head.reason),
        };
        let how = ResponseAs {
            framing,
            keep_alive: self.keep,
            client: self.head.version,
            via: Some((head.version, &self.worker.pseudonym)),
            extra: &extra,
            without: &without,
            named_as: self.named_as.as_ref(),
        };
        write_response_head(&mut self.client.out, code, phrase, &fields, &how);
        self.record.status = code;
    }

    /// Answers with what went wrong at the origin.
    pub(super) fn fail(&mut self, status: u16, why: &str) -> After {
        let after = self.refuse(status, why);
        // A destination that the client may not reach is no failure of its server.
        if status != 403 {
            self.record.outcome = RequestOutcome::Error;
        }
        after
    }

    /// Passes a 101 on, then bytes both ways.
    async fn switch(&mut self, switched: &Switched) -> After {
        let Some((origin, rest)) = switched.connection.take() else {
            return After::Over;
        };
        self.record.status = 101;
        self.record.outcome = RequestOutcome::Tunnel;
        interim(
            &mut self.client.out,
            &switched.head,
            self.head.version,
            &self.worker.pseudonym,
        );
        self.client.out.extend_from_slice(&rest);
        let limit = self.settings.times.tunnel_idle;
        self.record.bytes = tunnel::join(self.client, &origin, limit).await;
        After::Over
    }
}
