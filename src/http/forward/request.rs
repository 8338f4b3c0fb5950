//! Request heads as they go out to origin servers, and the limits on how far they go.
//!
//! Which of the client's fields go on is decided by [`ForwardedFields`] alone: what is sent is what selects a variant.

use bytes::{BufMut, BytesMut};

use super::own_fields::{is_framing, write_framing, write_via};
use crate::http::connection::{HopByHop, upgrades};
use crate::http::fields::{Fields, write_line};
use crate::http::framing::Framing;
use crate::http::head::{Method, RequestHead};
use crate::http::syntax::{is_one_of, number};
use crate::http::target::Uri;

/// The form in which a request goes out.
#[derive(Debug, Clone, Copy)]
pub struct RequestAs<'a> {
    /// The framing of the content that will follow.
    pub framing: Framing,
    /// This proxy's name in Via.
    pub pseudonym: &'a str,
    /// Fields to add. A field of the same name is replaced, and a condition among them replaces
    /// all of the client's conditions.
    pub extra: &'a [(&'a [u8], &'a [u8])],
    /// Names of the client's fields that are not to go out.
    pub without: &'a [&'a str],
    /// The request to switch protocols goes on (RFC 9110 §7.8), with those that may.
    pub upgrade: bool,
}

/// Writes the head of a request to the origin server of `uri` (RFC 9112 §3.2.1).
pub fn write_request(out: &mut BytesMut, head: &RequestHead, uri: &Uri, how: &RequestAs<'_>) {
    out.put_slice(head.method.as_bytes());
    out.put_u8(b' ');
    if head.method == Method::Options && uri.is_bare() {
        out.put_u8(b'*');
    } else {
        out.put_slice(uri.path_and_query());
    }
    out.put_slice(b" HTTP/1.1\r\n");
    write_line(out, b"Host", uri.authority().as_bytes());
    let forwarded = ForwardedFields::of(&head.fields);
    let conditional = how.extra.iter().any(|(name, _)| is_condition(name));
    for (name, value) in head.fields.iter() {
        let mut extra = how.extra.iter();
        if forwarded.drops(name)
            || is_framing(name, how.framing)
            || extra.any(|(new, _)| new.eq_ignore_ascii_case(name))
            || (conditional && is_condition(name))
            || is_one_of(name, how.without)
        {
            continue;
        }
        match decremented(head, name, value) {
            Some(hops) => write_line(out, name, hops.to_string().as_bytes()),
            None => write_line(out, name, value),
        }
    }
    for (name, value) in how.extra {
        write_line(out, name, value);
    }
    write_framing(out, how.framing);
    write_request_options(out, &forwarded, how.upgrade);
    write_via(out, head.version, how.pseudonym);
    out.put_slice(b"\r\n");
}

/// The fields of a client's request as they go on to an origin server, but for those that [`is_written_anew`].
#[derive(Debug)]
pub struct ForwardedFields<'a> {
    received: &'a Fields,
    hop: HopByHop<'a>,
    /// The client takes trailer fields, which is all that TE goes out with (RFC 9110 §10.1.4).
    trailers: bool,
}

impl<'a> ForwardedFields<'a> {
    /// The fields that go on of these.
    pub fn of(received: &'a Fields) -> ForwardedFields<'a> {
        ForwardedFields {
            received,
            hop: HopByHop::of(received),
            trailers: received.has_token("te", "trailers"),
        }
    }

    /// True for the name of a field whose lines end here. Host is made of the target URI; one that no field can have is
    /// the cache's own.
    fn drops(&self, name: &[u8]) -> bool {
        name.first() == Some(&b':') || name.eq_ignore_ascii_case(b"host") || self.hop.drops(name)
    }

    /// The values of the lines with this name that go out, where the request asks for no switch of protocols. None of
    /// Host: it is the same for all requests for a target URI.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'n> {
        let received = (!self.drops(name.as_bytes())).then_some(self.received);
        let options = self.trailers.then_some(match name {
            "te" => Some(&b"trailers"[..]),
            "connection" => Some(&b"TE"[..]),
            _ => None,
        });
        let is_named = move |line: &&[u8]| line.eq_ignore_ascii_case(name.as_bytes());
        let lines = received.into_iter().flat_map(Fields::iter);
        let lines = lines.filter(move |(line, _)| is_named(line));
        let lines = lines.map(|(_, value)| value);
        lines.chain(options.flatten())
    }
}

/// True for a field that this proxy writes anew in each request by what it asks itself: framing, conditions, and Via,
/// which tells the client's version. Nothing of it can be said from the fields of a client's request.
pub fn is_written_anew(name: &[u8]) -> bool {
    const WRITTEN: &[&str] = &["via", "content-length", "transfer-encoding", "trailer"];
    is_one_of(name, WRITTEN) || is_condition(name)
}

/// TE and Upgrade with the Connection field that names them (RFC 9110 §10.1.4, §7.8).
fn write_request_options(out: &mut BytesMut, forwarded: &ForwardedFields<'_>, upgrade: bool) {
    let trailers = forwarded.trailers;
    if trailers {
        write_line(out, b"TE", b"trailers");
    }
    if upgrade {
        for protocol in upgrades(forwarded.received) {
            write_line(out, b"Upgrade", protocol);
        }
    }
    match (trailers, upgrade) {
        (true, true) => write_line(out, b"Connection", b"TE, Upgrade"),
        (true, false) => write_line(out, b"Connection", b"TE"),
        (false, true) => write_line(out, b"Connection", b"Upgrade"),
        (false, false) => {}
    }
}

/// True for a request that came through this proxy before (RFC 9110 §7.6.3).
pub fn via_has_loop(fields: &Fields, pseudonym: &str) -> bool {
    fields.elements("via").any(|hop| {
        hop.split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|word| !word.is_empty())
            .nth(1)
            .is_some_and(|by| by.eq_ignore_ascii_case(pseudonym.as_bytes()))
    })
}

/// True for a request that has come as far as it may: this proxy is its final recipient
/// (RFC 9110 §7.6.2).
pub fn ends_here(head: &RequestHead) -> bool {
    counts_hops(head) && head.fields.first("max-forwards").and_then(number) == Some(0)
}

fn counts_hops(head: &RequestHead) -> bool {
    matches!(head.method, Method::Options | Method::Trace)
}

/// The value that Max-Forwards goes out with; nothing for any other field.
fn decremented(head: &RequestHead, name: &[u8], value: &[u8]) -> Option<u64> {
    if !counts_hops(head) || !name.eq_ignore_ascii_case(b"max-forwards") {
        return None;
    }
    number(value).map(|hops| hops.saturating_sub(1))
}

/// True for a precondition of a request (RFC 9110 §13.1).
pub fn is_condition(name: &[u8]) -> bool {
    const CONDITIONS: &[&str] = &[
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "if-range",
    ];
    is_one_of(name, CONDITIONS)
}
