//! The connection's own part of a message (RFC 9110 §7.6.1, RFC 9112 §9.3): hop-by-hop fields,
//! persistence, upgrades.
//!
//! Only names the fields that end here; `forward` leaves them out.

use super::fields::Fields;
use super::head::{RequestHead, ResponseHead, Version};
use super::names::FieldNames;
use super::syntax::is_one_of;

/// Fields that never go past this hop. The proxy authentication fields are between a client and
/// this proxy, in both directions (RFC 9110 §11.7). Trailer is not among them: forward.rs decides.
const HOP_BY_HOP: &[&str] = &[
    "te",
    "upgrade",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-authentication-info",
    // RFC 7540 §3.2.1: for a switch to HTTP/2, which is never passed on.
    "http2-settings",
];

/// Fields that every recipient needs before the content: removing them would change how the message is
/// framed, routed, cached or limited. Neither Connection takes them away (RFC 9110 §7.6.1) nor may they be
/// trailers (§6.5.1).
const NEEDED: &[&str] = &[
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "expect",
    "expires",
    "host",
    "max-forwards",
    "range",
    "set-cookie",
    "vary",
];

/// Further fields that stay even when Connection names them: without its condition a request would be another.
const NEVER_NOMINATED: &[&str] = &[
    "date",
    "etag",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "pragma",
    "via",
];

/// Further fields that must not come as trailers.
const NEVER_TRAILERS: &[&str] = &[
    "cookie",
    "location",
    "retry-after",
    "trailer",
    "www-authenticate",
];

/// The hop-by-hop fields of one message.
#[derive(Debug)]
pub struct HopByHop<'a> {
    /// The options of the message's Connection field, save for those about the connection alone.
    nominated: FieldNames<'a>,
}

impl<'a> HopByHop<'a> {
    /// The hop-by-hop fields of the message with these fields.
    pub fn of(fields: &'a Fields) -> HopByHop<'a> {
        let options = fields.elements("connection");
        HopByHop {
            nominated: options
                .filter(|option| !is_one_of(option, &["close", "keep-alive"]))
                .collect(),
        }
    }

    /// True for the name of a field that ends at this hop.
    pub fn drops(&self, name: &[u8]) -> bool {
        is_hop_by_hop(name)
            || (self.nominated.contains(name)
                && !is_one_of(name, NEEDED)
                && !is_one_of(name, NEVER_NOMINATED))
    }
}

/// True for a field that is always of one hop, whatever Connection says.
pub fn is_hop_by_hop(name: &[u8]) -> bool {
    is_one_of(name, HOP_BY_HOP)
}

/// True for the name of a trailer field that may be passed on.
pub fn may_be_trailer(name: &[u8]) -> bool {
    let never = [HOP_BY_HOP, NEEDED, NEVER_TRAILERS];
    !never.iter().any(|list| is_one_of(name, list))
}

/// True if the sender of a message means to keep its connection (RFC 9112 §9.3), as far as version
/// and fields tell.
fn persists(version: Version, fields: &Fields) -> bool {
    match version {
        _ if fields.has_token("connection", "close") => false,
        Version::Http11 => true,
        Version::Http10 => fields.has_token("connection", "keep-alive"),
    }
}

/// True if a client's connection may serve another request after this one. Never with HTTP/1.0: a proxy that passes `keep-alive` on blindly may sit in between (RFC 9112 §9.3, appendix C.2.2).
pub fn client_persists(head: &RequestHead) -> bool {
    head.version == Version::Http11 && persists(head.version, &head.fields)
}

/// True if an origin's connection may take another request after this response.
pub fn origin_persists(head: &ResponseHead) -> bool {
    persists(head.version, &head.fields)
}

/// True for a request to switch protocols (RFC 9110 §7.8) to one that is passed on. HTTP/1.0 can't.
pub fn wants_upgrade(head: &RequestHead) -> bool {
    head.version == Version::Http11
        && upgrades(&head.fields).next().is_some()
        && head.fields.has_token("connection", "upgrade")
}

/// The protocols that a request to switch is passed on with. HTTP/2 and TLS aren't among them: clients offer them
/// wherever they go, content to be answered without (§7.8), and a cache can answer only so.
pub fn upgrades(fields: &Fields) -> impl Iterator<Item = &[u8]> {
    fields.elements("upgrade").filter(|protocol| {
        let name = protocol.split(|byte| *byte == b'/').next();
        !is_one_of(name.unwrap_or_default(), &["h2c", "tls"])
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
