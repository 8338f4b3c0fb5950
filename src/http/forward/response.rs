//! Response heads as they go out to clients.

use bytes::{BufMut, BytesMut};

use super::own_fields::{is_framing, write_framing, write_via};
use crate::http::connection::HopByHop;
use crate::http::fields::{Fields, write_line};
use crate::http::framing::{self, Framing};
use crate::http::head::Version;
use crate::http::syntax::is_one_of;
use crate::http::target::NamedAs;

/// The form in which a response goes out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseAs<'a> {
    /// The framing of the content that will follow. With [`Framing::None`] a stated
    /// Content-Length stays where it tells of content not sent (HEAD, 304).
    pub framing: Framing,
    /// The connection stays open afterwards; [`Framing::UntilClose`] closes it anyway.
    pub keep_alive: bool,
    pub client: Version,
    /// The version of the response received, for Via; nothing for the proxy's own responses.
    pub via: Option<(Version, &'a str)>,
    /// Fields to add after the others.
    pub extra: &'a [(&'a [u8], &'a [u8])],
    /// Names of the fields that are not to go out.
    pub without: &'a [&'a str],
    /// The form in which the client named the target URI, other than as it is: references to other resources go out
    /// in it, and cookies not at all, since all sites that are named so would get them.
    pub named_as: Option<&'a NamedAs>,
}

/// Writes the head of a response to a client. The status line always says HTTP/1.1, which is what
/// this proxy conforms to whatever the client's version (RFC 9112 §2.3).
pub(crate) fn write_response_head(
    out: &mut BytesMut,
    status: u16,
    reason: &[u8],
    fields: &Fields,
    how: &ResponseAs<'_>,
) {
    write_status_line(out, status, reason);
    let hop = HopByHop::of(fields);
    for (name, value) in fields.iter() {
        if hop.drops(name) || is_framing(name, how.framing) || is_one_of(name, how.without) {
            continue;
        }
        match how.named_as {
            None => write_line(out, name, value),
            Some(named_as) => write_in_form(out, named_as, name, value),
        }
    }
    for (name, value) in how.extra {
        write_line(out, name, value);
    }
    if how.framing != Framing::None {
        write_framing(out, how.framing);
    } else if !matches!(status, 100..=199 | 204) {
        if let Some(length) = framing::stated_length(fields) {
            write_framing(out, Framing::Length(length));
        }
    }
    if let Some((received, pseudonym)) = how.via {
        write_via(out, received, pseudonym);
    }
    write_response_options(out, status, fields, how);
    out.put_slice(b"\r\n");
}

/// Writes a field for a client that named the target URI in another form.
fn write_in_form(out: &mut BytesMut, named_as: &NamedAs, name: &[u8], value: &[u8]) {
    if is_one_of(name, &["set-cookie", "set-cookie2"]) {
        return;
    }
    let refers = is_one_of(name, &["location", "content-location"]);
    match named_as.reference(value).filter(|_| refers) {
        Some(reference) => write_line(out, name, &reference),
        None => write_line(out, name, value),
    }
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
    if status == 101 {
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
pub(crate) fn framing_for(client: Version, framing: Framing) -> Framing {
    match (framing, client) {
        (Framing::Chunked | Framing::UntilClose, Version::Http11) => Framing::Chunked,
        (Framing::Chunked | Framing::UntilClose, Version::Http10) => Framing::UntilClose,
        (Framing::None | Framing::Length(_), _) => framing,
    }
}
