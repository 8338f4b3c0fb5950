//! Answers of the proxy in its own name: refusals with a reason, and answers to requests that are for
//! the proxy itself (origin-form, `OPTIONS *`, the last hop of Max-Forwards).

use bytes::{BufMut, BytesMut};

use crate::cache::range::unsatisfied_range;
use crate::http::date;
use crate::http::fields::{FieldsBuilder, write_line};
use crate::http::forward::{ResponseAs, write_response_head};
use crate::http::framing::Framing;
use crate::http::head::{Method, RequestHead, Version};
use crate::http::syntax::is_one_of;
use crate::http::target::masked;
use crate::sys::printable::printable_lines;

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

/// What was written of a page: for the record of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) struct WrittenPage {
    pub(super) status: u16,
    /// Bytes of content.
    pub(super) bytes: u64,
}

fn plain<'a>(status: u16, extra: &'a [(&'a [u8], &'a [u8])], text: &'a str) -> Page<'a> {
    Page {
        status,
        media_type: "text/plain; charset=utf-8",
        extra,
        content: text.as_bytes(),
    }
}

/// The way of a page to its client.
pub(super) struct PageWriter<'a> {
    out: &'a mut BytesMut,
    client: Version,
    keep_alive: bool,
    with_content: bool,
}

impl<'a> PageWriter<'a> {
    /// In answer to this request, after which the connection may stay open.
    pub(super) fn answering(
        out: &'a mut BytesMut,
        request: &RequestHead,
        keep_alive: bool,
    ) -> PageWriter<'a> {
        PageWriter {
            out,
            client: request.version,
            keep_alive,
            with_content: request.method != Method::Head,
        }
    }

    /// To a client whose request couldn't be read; the connection closes.
    pub(super) fn closing(out: &'a mut BytesMut) -> PageWriter<'a> {
        PageWriter {
            out,
            client: Version::Http11,
            keep_alive: false,
            with_content: true,
        }
    }

    /// Writes a refusal: the status, and a short text that says why.
    pub(super) fn refusal(self, status: u16, why: &str) -> WrittenPage {
        let text = format!("{status} {}\n{}\n", reason(status), printable_lines(why));
        self.write(&plain(status, &[NO_STORE], &text))
    }

    /// Writes that no byte of a representation of `length` bytes was asked for (RFC 9110 §15.5.17), and
    /// how the cache handled the request.
    pub(super) fn unsatisfiable(self, length: u64, cache_status: &[u8]) -> WrittenPage {
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
        self.write(&plain(416, &extra, &text))
    }

    pub(super) fn done(self, text: &str) -> WrittenPage {
        self.write(&plain(200, &[NO_STORE], text))
    }

    /// Writes the page that somebody sees who opens the proxy's address in a browser.
    pub(super) fn welcome(self) -> WrittenPage {
        let text = "This is cacheproxy, a caching HTTP proxy, and it works.\n\
            To use it, make it the HTTP proxy of your system or program, for example:\n\
            \x20   http_proxy=http://THIS_HOST:PORT curl -I http://example.com/\n";
        self.write(&plain(200, &[NO_STORE], text))
    }

    /// Answers OPTIONS for the proxy itself (RFC 9110 §9.3.7).
    pub(super) fn options(self) -> WrittenPage {
        let methods = b"GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH";
        self.write(&plain(200, &[(b"Allow", methods)], ""))
    }

    /// Answers TRACE as its final recipient: the request as it was received, without credentials
    /// (RFC 9110 §9.3.8).
    pub(super) fn trace(self, request: &RequestHead) -> WrittenPage {
        let mut echo = BytesMut::with_capacity(512);
        echo.put_slice(request.method.as_bytes());
        echo.put_u8(b' ');
        echo.put_slice(&masked(&request.target));
        echo.put_slice(match request.version {
            Version::Http10 => b" HTTP/1.0\r\n",
            Version::Http11 => b" HTTP/1.1\r\n",
        });
        for (name, value) in request.fields.iter() {
            if !is_one_of(name, &SENSITIVE) {
                write_line(&mut echo, name, value);
            }
        }
        echo.put_slice(b"\r\n");
        self.write(&Page {
            status: 200,
            media_type: "message/http",
            extra: &[],
            content: &echo,
        })
    }

    fn write(self, page: &Page<'_>) -> WrittenPage {
        let mut fields = FieldsBuilder::default();
        fields
            .push(b"Date", &date::format(super::state::now().seconds()))
            .push(b"Server", b"cacheproxy")
            .push(b"Content-Type", page.media_type.as_bytes());
        let how = ResponseAs {
            framing: Framing::Length(page.content.len() as u64),
            keep_alive: self.keep_alive,
            client: self.client,
            via: None,
            extra: page.extra,
            without: &[],
            named_as: None,
        };
        let reason = reason(page.status).as_bytes();
        write_response_head(self.out, page.status, reason, &fields.build(), &how);
        let content = if self.with_content { page.content } else { b"" };
        self.out.put_slice(content);
        WrittenPage {
            status: page.status,
            bytes: content.len() as u64,
        }
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
