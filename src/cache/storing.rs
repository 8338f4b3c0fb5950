//! May a response be stored (RFC 9111 §3)? This is a shared cache: `private` and `Authorization` count.
//!
//! Which of its fields are stored is decided in `stored`. A part may be stored where the whole might be: see
//! `parts`.

use std::fmt;

use super::directives::{RequestDirectives, ResponseDirectives};
use super::freshness::{Source, heuristically_cacheable, lifetime};
use super::invalidation::resolve;
use super::policy::Policy;
use super::presented::has_content;
use super::{range, validation, vary};
use crate::http::date::UnixSeconds;
use crate::http::head::{Method, RequestHead, ResponseHead};
use crate::http::target::Uri;

/// Why a response is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotStored {
    /// Only responses to GET and HEAD are stored.
    Method,
    /// The request had content, which is not part of the key.
    RequestContent,
    /// The request has `no-store`.
    RequestNoStore,
    /// The response is interim (1xx).
    Interim,
    /// The response is a part (206).
    Partial,
    /// The answer, to a request for a range, that isn't about the range.
    Range,
    /// The response is 304 (Not Modified), which can only update a stored one.
    NotModified,
    /// `must-understand`, and the status is one whose rules are not known here.
    NotUnderstood,
    /// The response has `no-store`.
    NoStore,
    /// The response has `private`.
    Private,
    /// The request has `Authorization`, and the response does not permit to share.
    Authorization,
    /// No request can match its `Vary`.
    Vary,
    /// It has no lifetime of its own, and its status is not one to guess with.
    Status,
    /// It has neither a lifetime nor a validator.
    NoLifetime,
    /// It is stale at once or has `no-cache`, and has no validator.
    NoValidator,
}

impl NotStored {
    /// The detail in Cache-Status.
    pub fn reason(self) -> &'static str {
        match self {
            NotStored::Method => "method",
            NotStored::RequestContent => "request-content",
            NotStored::RequestNoStore => "request-no-store",
            NotStored::Interim => "interim",
            NotStored::Partial => "partial",
            NotStored::Range => "range",
            NotStored::NotModified => "not-modified",
            NotStored::NotUnderstood => "must-understand",
            NotStored::NoStore => "no-store",
            NotStored::Private => "private",
            NotStored::Authorization => "authorization",
            NotStored::Vary => "vary",
            NotStored::Status => "status",
            NotStored::NoLifetime => "no-lifetime",
            NotStored::NoValidator => "no-validator",
        }
    }
}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotStored::Method => "only responses to GET are stored",
            NotStored::RequestContent => "the request had content",
            NotStored::RequestNoStore => "the request has no-store",
            NotStored::Interim => "the response is interim",
            NotStored::Partial => "the response is only a part",
            NotStored::Range => "the request was for a range",
            NotStored::NotModified => "the response says that another one is still valid",
            NotStored::NotUnderstood => {
                "the response has must-understand with a status that is not known here"
            }
            NotStored::NoStore => "the response has no-store",
            NotStored::Private => "the response is private to one user",
            NotStored::Authorization => {
                "the request has Authorization and the response does not permit to share it"
            }
            NotStored::Vary => "no other request can match the response's Vary",
            NotStored::Status => {
                "the response has no freshness lifetime and its status is not one to guess with"
            }
            NotStored::NoLifetime => {
                "the response has neither a freshness lifetime nor a validator"
            }
            NotStored::NoValidator => {
                "the response may be used only after validation and has no validator"
            }
        })
    }
}

/// Whether this response to this request for `target` may be stored and would be of use. `received` is when
/// the response came.
pub fn may_store(
    request: &RequestHead,
    target: &Uri,
    response: &ResponseHead,
    policy: &Policy,
    received: UnixSeconds,
) -> Result<(), NotStored> {
    let directives = ResponseDirectives::of(&response.fields);
    request_permits(request)?;
    if request.method == Method::Post && !is_as_for_get(target, response, &directives) {
        return Err(NotStored::Method);
    }
    status_permits(response.status, &directives)?;
    // 416 and others may come of the range; what isn't asked for a part has no such doubt.
    if response.status != 200 && range::is_asked(request) {
        return Err(NotStored::Range);
    }
    if directives.no_store && !directives.must_understand {
        return Err(NotStored::NoStore);
    }
    if directives.private {
        return Err(NotStored::Private);
    }
    let shared = directives.public || directives.s_maxage.is_some() || directives.must_revalidate;
    if request.fields.has("authorization") && !shared {
        return Err(NotStored::Authorization);
    }
    if vary::names(&response.fields).is_none() {
        return Err(NotStored::Vary);
    }
    is_of_use(response, &directives, policy, received)
}

fn request_permits(request: &RequestHead) -> Result<(), NotStored> {
    if !matches!(request.method, Method::Get | Method::Head | Method::Post) {
        Err(NotStored::Method)
    } else if RequestDirectives::of(&request.fields).no_store {
        Err(NotStored::RequestNoStore)
    } else if request.method != Method::Post && has_content(&request.fields) {
        Err(NotStored::RequestContent)
    } else {
        Ok(())
    }
}

/// Whether the response to POST says that it is what GET would bring now, and for how long (RFC 9110 §9.3.3).
fn is_as_for_get(target: &Uri, response: &ResponseHead, directives: &ResponseDirectives) -> bool {
    let location = response.fields.first("content-location");
    let named = location.and_then(|value| resolve(target, value));
    let lifetime = directives.s_maxage.is_some()
        || directives.max_age.is_some()
        || response.fields.has("expires");
    response.status == 200 && lifetime && named.as_ref() == Some(target)
}

fn status_permits(status: u16, directives: &ResponseDirectives) -> Result<(), NotStored> {
    match status {
        ..200 => Err(NotStored::Interim),
        206 => Err(NotStored::Partial),
        304 => Err(NotStored::NotModified),
        _ if directives.must_understand && !is_understood(status) => Err(NotStored::NotUnderstood),
        _ => Ok(()),
    }
}

/// Whether the status is one of RFC 9110's, none of which but 206 and 304 asks more of a cache than
/// what is done for any.
fn is_understood(status: u16) -> bool {
    matches!(status, 200..=205 | 300..=303 | 305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505)
}

/// Whether the response has what §3 asks for and could ever be reused.
fn is_of_use(
    response: &ResponseHead,
    directives: &ResponseDirectives,
    policy: &Policy,
    received: UnixSeconds,
) -> Result<(), NotStored> {
    let lifetime = lifetime(
        response.status,
        &response.fields,
        directives,
        received,
        policy,
    );
    let forced = lifetime.source == Source::ForcedRule;
    let explicit = lifetime.source.is_explicit() || directives.public;
    if !explicit && !heuristically_cacheable(response.status) {
        return Err(NotStored::Status);
    }
    if validation::has_validator(&response.fields) {
        return Ok(());
    }
    let stale_use = directives
        .stale_while_revalidate
        .max(directives.stale_if_error);
    if directives.no_cache && !forced {
        Err(NotStored::NoValidator)
    } else if lifetime.seconds > 0 || stale_use > Some(0) {
        Ok(())
    } else if lifetime.source == Source::Nothing {
        Err(NotStored::NoLifetime)
    } else {
        Err(NotStored::NoValidator)
    }
}

#[cfg(test)]
mod tests;
