//! Answers of the proxy in its own name: refusals with a reason, and answers to requests that are for
//! the proxy itself (origin-form, `OPTIONS *`, the last hop of Max-Forwards).

use bytes::{BufMut, BytesMut};

use crate::cache::range::unsatisfied_range;
use crate::http::date;
use crate::http::fields::{FieldsBuilder, write_line};
use crate::http::forward::{ResponseAs, write_response_head};
use crate::http::framing::Framing;
use crate::http::head::{RequestHead, Version};
use crate::http::syntax::is_one_of;

/// Fields that TRACE must not echo (RFC 9110 §9.3.8).
const SENSITIVE: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

const NO_STORE: (&[u8], &[u8]) = (b"Cache-Control", b"no-store");

/// A response of the proxy's own.
struct Page<'a> {
    status: u16,
    media_type: &'static str,
    extra: &'a [(&'a [u8], &'a [u8])],
    content: &'a [u8],
}

fn plain<'a>(status: u16, extra: &'a [(&'a [u8], &'a [u8])], text: &'a str) -> Page<'a> {
    Page {
        status,
        media_type: "text/plain; charset=utf-8",
        extra,
        content: text.as_bytes(),
    }
}

/// Writes a refusal: the status, and a short text that says why.
pub(super) fn refusal(
    out: &mut BytesMut,
    client: Version,
    status: u16,
    why: &str,
    keep: bool,
    with_content: bool,
) {
    let text = format!("{status} {}\n{why}\n", reason(status));
    let page = plain(status, &[NO_STORE], &text);
    write(out, client, &page, keep, with_content);
}

/// Writes that no byte of a representation of `length` bytes was asked for (RFC 9110 §15.5.17), and
/// how the cache handled the request.
pub(super) fn unsatisfiable(
    out: &mut BytesMut,
    client: Version,
    length: u64,
    cache_status: &[u8],
    keep: bool,
) {
    let text = format!(
        "416 {}\nthere are {length} bytes, and none of them in the range\n",
        reason(416)
    );
    let range = unsatisfied_range(length);
    let extra: [(&[u8], &[u8]); 3] = [
        (b"Content-Range", range.as_bytes()),
        NO_STORE,
        (b"Cache-Status", cache_status),
    ];
    write(out, client, &plain(416, &extra, &text), keep, true);
}

pub(super) fn done(out: &mut BytesMut, client: Version, text: &str, keep: bool) {
    write(out, client, &plain(200, &[NO_STORE], text), keep, true);
}

/// Writes the page that somebody sees who opens the proxy's address in a browser.
pub(super) fn own(
    out: &mut BytesMut,
    head: &RequestHead,
    path: &[u8],
    keep: bool,
    with_content: bool,
) {
    if path != b"/" {
        let why = "this is a proxy: it has no such page of its own";
        return refusal(out, head.version, 404, why, keep, with_content);
    }
    let text = "This is cacheproxy, a caching HTTP proxy, and it works.\n\
        To use it, make it the HTTP proxy of your system or program, for example:\n\
        \x20   http_proxy=http://THIS_HOST:PORT curl -I http://example.com/\n";
    let page = plain(200, &[NO_STORE], text);
    write(out, head.version, &page, keep, with_content);
}

/// Answers OPTIONS for the proxy itself (RFC 9110 §9.3.7).
pub(super) fn options(out: &mut BytesMut, head: &RequestHead, keep: bool) {
    let methods = b"GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH";
    let allow: [(&[u8], &[u8]); 1] = [(b"Allow", methods)];
    write(out, head.version, &plain(200, &allow, ""), keep, true);
}

/// Answers TRACE as its final recipient: the request as it was received, without credentials
/// (RFC 9110 §9.3.8).
pub(super) fn trace(out: &mut BytesMut, head: &RequestHead, keep: bool) {
    let mut echo = BytesMut::with_capacity(512);
    echo.put_slice(head.method.as_bytes());
    echo.put_u8(b' ');
    echo.put_slice(&head.target);
    echo.put_slice(match head.version {
        Version::Http10 => b" HTTP/1.0\r\n",
        Version::Http11 => b" HTTP/1.1\r\n",
    });
    for (name, value) in head.fields.iter() {
        if !is_one_of(name, &SENSITIVE) {
            write_line(&mut echo, name, value);
        }
    }
    echo.put_slice(b"\r\n");
    let page = Page {
        status: 200,
        media_type: "message/http",
        extra: &[],
        content: &echo,
    };
    write(out, head.version, &page, keep, true);
}

fn write(out: &mut BytesMut, client: Version, page: &Page<'_>, keep: bool, with_content: bool) {
    let mut fields = FieldsBuilder::default();
    fields
        .push(b"Date", &date::format(super::state::now()))
        .push(b"Server", b"cacheproxy")
        .push(b"Content-Type", page.media_type.as_bytes());
    let how = ResponseAs {
        framing: Framing::Length(page.content.len() as u64),
        keep_alive: keep,
        client,
        via: None,
        extra: page.extra,
        without: &[],
    };
    let reason = reason(page.status).as_bytes();
    write_response_head(out, page.status, reason, &fields.build(), &how);
    if with_content {
        out.put_slice(page.content);
    }
}

/// The reason phrase of a status code that the proxy itself uses (RFC 9110 §15).
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        412 => "Precondition Failed",
        414 => "URI Too Long",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        _ => "Error",
    }
}
