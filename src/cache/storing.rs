//! The decision to store a response (RFC 9111 §3). This is a shared cache: `private` and `Authorization` count.
//!
//! The fields that are stored with it are decided in `stored`. A part may be stored where the whole might be: see
//! `parts`.

use super::bypass::has_content;
use super::directives::{RequestDirectives, ResponseDirectives};
use super::freshness::{LifetimeSource, explicit, heuristically_cacheable, lifetime};
use super::owner::{CLIENT, StoredFor};
use super::personal::sets_cookies;
use super::policy::{Lift, Policy};
use super::stored::Meta;
use super::time::Timestamp;
use super::validation::update;
use super::{range, validation, vary};
use crate::http::connection_auth::offers_token;
use crate::http::fields::Fields;
use crate::http::head::{Method, RequestHead, ResponseHead};
use crate::http::target::Uri;

/// The reason for not storing a response.
#[derive(Debug, strum::IntoStaticStr, thiserror::Error, Clone, Copy, PartialEq, Eq)]
#[strum(serialize_all = "kebab-case")]
pub enum UncacheableReason {
    #[error("only responses to GET are stored")]
    Method,
    #[error("the request had content")]
    RequestContent,
    #[error("the request has no-store")]
    RequestNoStore,
    #[error("the response is interim")]
    Interim,
    #[error("the response is only a part")]
    Partial,
    #[error("the request was for a range")]
    Range,
    #[error("the response says that another one is still valid")]
    NotModified,
    #[error("the response has must-understand with a status that is not known here")]
    #[strum(serialize = "must-understand")]
    NotUnderstood,
    #[error("the response has no-store")]
    NoStore,
    #[error("the response is private to one user")]
    Private,
    #[error("the request has Authorization and the response does not permit to share it")]
    Authorization,
    #[error("the response is part of authenticating a connection (NTLM, Negotiate)")]
    ConnectionAuth,
    #[error(
        "the request has Cookie, and the response neither has a freshness lifetime nor permits to share it"
    )]
    Cookie,
    #[error("the response sets a cookie and has no freshness lifetime")]
    SetCookie,
    #[error("no other request can match the response's Vary")]
    Vary,
    #[error("the request's fields that the response's Vary names are too long")]
    LongVariant,
    #[error("the response has no freshness lifetime and its status is not one to guess with")]
    Status,
    #[error("the response has neither a freshness lifetime nor a validator")]
    NoLifetime,
    #[error("a line of the response's head is no field line and may have forbidden to store it")]
    LostField,
    #[error("the response may be used only after validation and has no validator")]
    NoValidator,
}

/// Refuses a response to this request for `target` that may not be stored or would be of no use. It came at
/// `received`.
pub fn may_store(
    request: &RequestHead,
    target: &Uri,
    response: &ResponseHead,
    policy: &Policy,
    received: Timestamp,
) -> Result<StoredFor, UncacheableReason> {
    // It can be kept apart only where it is known for whom.
    with_lift(policy.lift(request.fields.has(CLIENT)), |lift| {
        let terms = Terms {
            policy,
            received,
            lift,
        };
        is_storable(request, target, response, &terms)
    })
}

/// Says for whom something may be stored that `may` refuses, unless so much is lifted.
fn with_lift(
    lift: Lift,
    may: impl Fn(Lift) -> Result<(), UncacheableReason>,
) -> Result<StoredFor, UncacheableReason> {
    use UncacheableReason::{Authorization, Cookie, NoStore, Private, RequestNoStore, SetCookie};
    match (may(Lift::Nothing), lift) {
        (Ok(()), _) => Ok(StoredFor::All),
        (
            Err(RequestNoStore | NoStore | Private | Authorization),
            Lift::ForAll | Lift::ForClient,
        )
        | (Err(Cookie | SetCookie), Lift::ForClient) => may(lift).map(|()| StoredFor::Named),
        (Err(why), _) => Err(why),
    }
}

/// The terms on which a response may be stored.
struct Terms<'a> {
    policy: &'a Policy,
    received: Timestamp,
    lift: Lift,
}

impl Terms<'_> {
    /// True where what no-store, private and Authorization forbid is lifted.
    fn is_lifted(&self) -> bool {
        self.lift != Lift::Nothing
    }
}

fn is_storable(
    request: &RequestHead,
    target: &Uri,
    response: &ResponseHead,
    terms: &Terms<'_>,
) -> Result<(), UncacheableReason> {
    let directives = ResponseDirectives::of(&response.fields, &terms.policy.targeted);
    request_permits(request, terms.is_lifted())?;
    if request.method == Method::Post && !is_as_for_get(target, response, &directives) {
        return Err(UncacheableReason::Method);
    }
    status_permits(response.status, &directives)?;
    if response.has_lost_field {
        return Err(UncacheableReason::LostField);
    }
    // 416 and others may come of the range; what isn't asked for a part has no such doubt.
    if response.status != 200 && range::is_asked(request) {
        Err(UncacheableReason::Range)
    } else if directives.no_store && !directives.must_understand && !terms.is_lifted() {
        Err(UncacheableReason::NoStore)
    } else {
        let explicit = explicit(&response.fields, &directives, terms.received);
        let explicit = explicit.map(|(seconds, _)| seconds);
        may_share(
            &request.fields,
            &response.fields,
            &directives,
            explicit,
            terms,
        )?;
        match vary::names(&response.fields) {
            Some(_) => is_of_use(response, &directives, terms.policy, terms.received),
            None => Err(UncacheableReason::Vary),
        }
    }
}

/// Refuses a response that is for its own client alone (RFC 9111 §3.5, §5.2.2.7), where it has this `explicit` lifetime.
/// Cookies tell a client as credentials do; but an origin server that says for how long others may use what it
/// made of them has thought of it.
fn may_share(
    request: &Fields,
    response: &Fields,
    directives: &ResponseDirectives,
    explicit: Option<u64>,
    terms: &Terms<'_>,
) -> Result<(), UncacheableReason> {
    let shared = directives.public || directives.s_maxage.is_some() || directives.must_revalidate;
    let cookies_count = !terms.policy.ignore_cookies && terms.lift != Lift::ForClient;
    let has_cookie = request.has("cookie") && cookies_count;
    let sets_cookie = sets_cookies(response) && cookies_count;
    // One of 0 lets nobody use it.
    let lasts = explicit.is_some_and(|seconds| seconds > 0);
    if directives.private && !terms.is_lifted() {
        Err(UncacheableReason::Private)
    } else if request.has("authorization") && !shared && !terms.is_lifted() {
        Err(UncacheableReason::Authorization)
    } else if offers_token(response) {
        Err(UncacheableReason::ConnectionAuth)
    } else if has_cookie && !shared && !lasts {
        Err(UncacheableReason::Cookie)
    } else if sets_cookie && !lasts {
        Err(UncacheableReason::SetCookie)
    } else {
        Ok(())
    }
}

/// True when the head of a range that goes on with content forbids what the head of the content did not: storing it, or
/// letting others have it.
pub fn forbids_more(first: &Fields, rest: &Fields, policy: &Policy) -> bool {
    let of = |fields| ResponseDirectives::of(fields, &policy.targeted);
    let (first, rest) = (of(first), of(rest));
    rest.no_store && !first.no_store || rest.private && !first.private
}

/// Refuses to take the fields of a head that came in answer to the validation of a stored response, as `new`, into what
/// others get: they may be for the client whose request brought them. Says for whom the stored response is then, at most.
pub fn may_update(
    request: &Fields,
    stored: &Meta,
    new: &ResponseHead,
    policy: &Policy,
    received: Timestamp,
) -> Result<StoredFor, UncacheableReason> {
    if new.has_lost_field {
        return Err(UncacheableReason::LostField);
    }
    let new = &new.fields;
    let lift = match policy.lift(request.has(CLIENT)) {
        // What is one client's takes nothing from all.
        Lift::ForClient if !stored.variant.is_apart() => Lift::Nothing,
        lift @ (Lift::Nothing | Lift::ForAll | Lift::ForClient) => lift,
    };
    let updated = update(&stored.fields, new, &policy.targeted);
    let directives = ResponseDirectives::of(&updated, &policy.targeted);
    let explicit = explicit(&updated, &directives, received);
    let explicit = explicit.map(|(seconds, _)| seconds);
    with_lift(lift, |lift| {
        let terms = Terms {
            policy,
            received,
            lift,
        };
        if directives.no_store && !directives.must_understand && !terms.is_lifted() {
            return Err(UncacheableReason::NoStore);
        }
        may_share(request, new, &directives, explicit, &terms)
    })
}

fn request_permits(request: &RequestHead, is_lifted: bool) -> Result<(), UncacheableReason> {
    if !matches!(request.method, Method::Get | Method::Head | Method::Post) {
        Err(UncacheableReason::Method)
    } else if RequestDirectives::of(&request.fields).no_store && !is_lifted {
        Err(UncacheableReason::RequestNoStore)
    } else if request.method != Method::Post && has_content(&request.fields) {
        Err(UncacheableReason::RequestContent)
    } else {
        Ok(())
    }
}

/// True for a response to POST that is what GET would bring, with a lifetime (RFC 9110 §9.3.3).
fn is_as_for_get(target: &Uri, response: &ResponseHead, directives: &ResponseDirectives) -> bool {
    let location = response.fields.first("content-location");
    let named = location.and_then(|reference| target.resolve(reference).ok());
    let lifetime = directives.s_maxage.is_some()
        || directives.max_age.is_some()
        || response.fields.has("expires") && !directives.targeted;
    response.status == 200 && lifetime && named.as_ref() == Some(target)
}

fn status_permits(status: u16, directives: &ResponseDirectives) -> Result<(), UncacheableReason> {
    match status {
        ..200 => Err(UncacheableReason::Interim),
        206 => Err(UncacheableReason::Partial),
        304 => Err(UncacheableReason::NotModified),
        _ if directives.must_understand && !is_understood(status) => {
            Err(UncacheableReason::NotUnderstood)
        }
        _ => Ok(()),
    }
}

/// True for a status of RFC 9110, none of which but 206 and 304 asks more of a cache than
/// what is done for any.
fn is_understood(status: u16) -> bool {
    matches!(status, 200..=205 | 300..=303 | 305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505)
}

/// Refuses a response that lacks what §3 asks for or could never be reused.
fn is_of_use(
    response: &ResponseHead,
    directives: &ResponseDirectives,
    policy: &Policy,
    received: Timestamp,
) -> Result<(), UncacheableReason> {
    let fields = &response.fields;
    let lifetime = lifetime(response.status, fields, directives, received, policy);
    let explicit = lifetime.source.is_explicit() || directives.public;
    if !explicit && !heuristically_cacheable(response.status) {
        return Err(UncacheableReason::Status);
    }
    if validation::has_validator(fields) {
        return Ok(());
    }
    let stale_use = directives
        .stale_while_revalidate
        .max(directives.stale_if_error);
    if directives.no_cache && !lifetime.source.is_forced() {
        Err(UncacheableReason::NoValidator)
    } else if lifetime.seconds > 0 || stale_use > Some(0) {
        Ok(())
    } else if lifetime.source == LifetimeSource::Nothing {
        Err(UncacheableReason::NoLifetime)
    } else {
        Err(UncacheableReason::NoValidator)
    }
}

#[cfg(test)]
mod tests;
