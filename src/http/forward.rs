//! Heads as they go out again (RFC 9110 §7.6): requests to origins, responses to clients.
//!
//! Hop-by-hop fields end here and framing is written anew, so that nothing the peer wrote decides
//! how the next one reads the message. When to forward, and with what content, is the worker's.

use bytes::{BufMut, BytesMut};

use super::connection::Hop;
use super::fields::{Fields, write_line};
use super::framing::{self, Framing};
use super::head::{Method, RequestHead, Version};
use super::syntax::{is_one_of, number};
use super::target::Uri;

/// The form in which a request goes out.
#[derive(Debug, Clone, Copy)]
pub struct RequestAs<'a> {
    /// The framing of the content that will follow.
    pub framing: Framing,
    /// The name this proxy goes by in Via.
    pub pseudonym: &'a str,
    /// Fields to add. A field of the same name is replaced, and a condition among them replaces
    /// all of the client's conditions.
    pub extra: &'a [(&'a [u8], &'a [u8])],
    /// Names of the client's fields that are not to go out.
    pub without: &'a [&'a str],
    /// Passes the client's wish to switch protocols on (RFC 9110 §7.8).
    pub upgrade: bool,
}

/// Writes the head of a request to the origin server of `uri` (RFC 9112 §3.2.1).
pub fn write_request(out: &mut BytesMut, head: &RequestHead, uri: &Uri, how: &RequestAs<'_>) {
    out.put_slice(head.method.as_bytes());
    out.put_u8(b' ');
    if head.method == Method::Options && uri.is_bare() {
        out.put_u8(b'*');
    } else {
        out.put_slice(uri.path_and_query().as_bytes());
    }
    out.put_slice(b" HTTP/1.1\r\n");
    write_line(out, b"Host", uri.authority().as_bytes());
    let hop = Hop::of(&head.fields);
    let conditional = how.extra.iter().any(|(name, _)| is_condition(name));
    for (name, value) in head.fields.iter() {
        let replaced = how
            .extra
            .iter()
            .any(|(new, _)| new.eq_ignore_ascii_case(name));
        if hop.drops(name)
            || is_framing(name, how.framing)
            || name.eq_ignore_ascii_case(b"host")
            || replaced
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
    write_request_options(out, head, how.upgrade);
    write_via(out, head.version, how.pseudonym);
    out.put_slice(b"\r\n");
}

/// TE and Upgrade with the Connection field that names them (RFC 9110 §10.1.4, §7.8).
fn write_request_options(out: &mut BytesMut, head: &RequestHead, upgrade: bool) {
    let trailers = head.fields.has_token("te", "trailers");
    if trailers {
        write_line(out, b"TE", b"trailers");
    }
    if upgrade {
        for protocols in head.fields.all("upgrade") {
            write_line(out, b"Upgrade", protocols);
        }
    }
    match (trailers, upgrade) {
        (true, true) => write_line(out, b"Connection", b"TE, Upgrade"),
        (true, false) => write_line(out, b"Connection", b"TE"),
        (false, true) => write_line(out, b"Connection", b"Upgrade"),
        (false, false) => {}
    }
}

/// The form in which a response goes out.
#[derive(Debug, Clone, Copy)]
pub struct ResponseAs<'a> {
    /// The framing of the content that will follow. With [`Framing::None`] a stated
    /// Content-Length stays where it tells of content not sent (HEAD, 304).
    pub framing: Framing,
    /// Whether the connection stays open afterwards; [`Framing::UntilClose`] closes it anyway.
    pub keep_alive: bool,
    /// The version of the client's request.
    pub client: Version,
    /// The version of the response received, for Via; nothing for the proxy's own responses.
    pub via: Option<(Version, &'a str)>,
    /// Fields to add after the others.
    pub extra: &'a [(&'a [u8], &'a [u8])],
    /// Names of the fields that are not to go out.
    pub without: &'a [&'a str],
    /// Whether this is a 101 that ends in a tunnel, so that Upgrade stays.
    pub upgrade: bool,
}

/// Writes the head of a response to a client. The status line always says HTTP/1.1, which is what
/// this proxy conforms to whatever the client's version (RFC 9112 §2.3).
pub fn write_response_head(
    out: &mut BytesMut,
    status: u16,
    reason: &[u8],
    fields: &Fields,
    how: &ResponseAs<'_>,
) {
    write_status_line(out, status, reason);
    let hop = Hop::of(fields);
    for (name, value) in fields.iter() {
        if !(hop.drops(name) || is_framing(name, how.framing) || is_one_of(name, how.without)) {
            write_line(out, name, value);
        }
    }
    for (name, value) in how.extra {
        write_line(out, name, value);
    }
    if how.framing != Framing::None {
        write_framing(out, how.framing);
    } else if !matches!(status, 100..=199 | 204) {
        if let Ok(Some(length)) = framing::equal_lengths(fields) {
            write_framing(out, Framing::Length(length));
        }
    }
    if let Some((received, pseudonym)) = how.via {
        write_via(out, received, pseudonym);
    }
    write_response_options(out, status, fields, how);
    out.put_slice(b"\r\n");
}

fn write_status_line(out: &mut BytesMut, status: u16, reason: &[u8]) {
    out.put_slice(b"HTTP/1.1 ");
    for unit in [100, 10, 1] {
        out.put_u8(b'0' + (status / unit % 10) as u8);
    }
    out.put_u8(b' ');
    out.put_slice(reason);
    out.put_slice(b"\r\n");
}

fn write_response_options(out: &mut BytesMut, status: u16, fields: &Fields, how: &ResponseAs<'_>) {
    if how.upgrade {
        for protocols in fields.all("upgrade") {
            write_line(out, b"Upgrade", protocols);
        }
        write_line(out, b"Connection", b"Upgrade");
    } else if status < 200 {
        // An interim response says nothing of the connection: the final one does.
    } else if !how.keep_alive || how.framing == Framing::UntilClose {
        write_line(out, b"Connection", b"close");
    } else if how.client == Version::Http10 {
        write_line(out, b"Connection", b"keep-alive");
    }
}

/// The framing towards a client with this version, for content received with `framing`: content of
/// unknown length goes out chunked, or until close where chunked isn't understood.
pub fn framing_for(client: Version, framing: Framing) -> Framing {
    match (framing, client) {
        (Framing::Chunked | Framing::UntilClose, Version::Http11) => Framing::Chunked,
        (Framing::Chunked | Framing::UntilClose, Version::Http10) => Framing::UntilClose,
        (Framing::None | Framing::Length(_), _) => framing,
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

/// True for a field about framing, which is written anew. Trailer announces what only a chunked
/// message can have.
fn is_framing(name: &[u8], framing: Framing) -> bool {
    name.eq_ignore_ascii_case(b"content-length")
        || (name.eq_ignore_ascii_case(b"trailer") && framing != Framing::Chunked)
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

fn write_framing(out: &mut BytesMut, framing: Framing) {
    match framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Length(length) => {
            write_line(out, b"Content-Length", length.to_string().as_bytes())
        }
        Framing::Chunked => write_line(out, b"Transfer-Encoding", b"chunked"),
    }
}

fn write_via(out: &mut BytesMut, received: Version, pseudonym: &str) {
    out.put_slice(match received {
        Version::Http10 => b"Via: 1.0 ",
        Version::Http11 => b"Via: 1.1 ",
    });
    out.put_slice(pseudonym.as_bytes());
    out.put_slice(b"\r\n");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
