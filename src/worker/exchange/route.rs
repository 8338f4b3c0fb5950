//! Where a request goes: refused, answered by the proxy itself, a tunnel, a purge, passed on, or to the cache.
//! Decided from its head, its client and the settings alone; nothing is looked up.

use std::net::IpAddr;

use bytes::Bytes;

use super::ClientContent;
use crate::config::Settings;
use crate::http::connection::wants_upgrade;
use crate::http::forward::{ends_here, via_has_loop};
use crate::http::head::{Method, RequestHead};
use crate::http::target::{Authority, Target, TargetUri, Uri};

/// Where a request goes.
pub(super) enum Route {
    /// To a page of the proxy's own.
    OwnPage(Bytes),
    /// To the proxy itself, with OPTIONS or TRACE.
    OwnOptions,
    Tunnel(Authority),
    /// All that is stored of it is to go, if the client may have that.
    Purge(Uri),
    /// To the origin server; the cache has no part in it.
    Pass(TargetUri),
    /// To the cache, which may answer it.
    Cache(TargetUri),
}

/// A status and the reason for a person.
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) why: String,
}

fn refused<T>(status: u16, why: impl ToString) -> Result<T, Refusal> {
    let why = why.to_string();
    Err(Refusal { status, why })
}

/// Refuses a client that may not use this proxy. One on a Unix socket, which has no address, may.
pub(super) fn check_client(client: Option<IpAddr>, settings: &Settings) -> Result<(), Refusal> {
    match client.filter(|address| !settings.allows(*address)) {
        None => Ok(()),
        Some(address) => refused(
            403,
            format!(
                "{address} may not use this proxy: its operator can allow it with \"allow\" in the configuration"
            ),
        ),
    }
}

/// Decides where the request of a client that may use this proxy goes.
pub(super) fn route(
    head: &RequestHead,
    content: ClientContent,
    settings: &Settings,
    pseudonym: &str,
) -> Result<Route, Refusal> {
    if via_has_loop(&head.fields, pseudonym) {
        return refused(508, "this request has come through this proxy before");
    }
    match Target::of(head) {
        Err(why) => refused(why.status(), why),
        Ok(Target::Origin { path }) => match TargetUri::in_path(&path) {
            Some(target) if settings.mirror_hosts.has(&target.uri) => {
                to_origin(head, content, settings, target)
            }
            _ => Ok(Route::OwnPage(path)),
        },
        Ok(Target::Asterisk) => Ok(Route::OwnOptions),
        Ok(Target::Authority(authority)) => Ok(Route::Tunnel(authority)),
        Ok(Target::Absolute(target)) => to_origin(head, content, settings, target),
    }
}

/// Decides where a request for a resource of an origin server goes.
fn to_origin(
    head: &RequestHead,
    content: ClientContent,
    settings: &Settings,
    target: TargetUri,
) -> Result<Route, Refusal> {
    if let Some(why) = target.refused(&head.fields) {
        return refused(403, why);
    }
    if is_purge(&head.method) {
        return Ok(Route::Purge(target.uri));
    }
    if ends_here(head) {
        return Ok(Route::OwnOptions);
    }
    let port = target.uri.port();
    if !settings.http_ports.contains(port) {
        let why = format!(
            "port {port} is not allowed here: its operator can allow it with \"http_ports\" in the configuration"
        );
        return refused(403, why);
    }
    let cacheable = matches!(head.method, Method::Get | Method::Head)
        && content == ClientContent::None
        && !wants_upgrade(head);
    Ok(match cacheable {
        true => Route::Cache(target),
        false => Route::Pass(target),
    })
}

/// No RFC has the method; it is what operators know from other caches.
fn is_purge(method: &Method) -> bool {
    matches!(method, Method::Other(token) if token.as_ref() == b"PURGE")
}
