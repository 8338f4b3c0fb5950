//! Faults in the length of a request's content, and with chunks: rows for `requests`.

use crate::{BAD, Refused, RefusedOrClosed, Row};

/// The length of the content (RFC 9112 §6).
pub const LENGTH: [Row; 24] = [
    (
        "Content-Length twice, different",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        BAD,
    ),
    (
        "Content-Length twice, equal",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        BAD,
    ),
    (
        "a list of lengths",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 5, 5\r\n\r\nhello",
        BAD,
    ),
    (
        "a list of different lengths",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 5, 6\r\n\r\nhello",
        BAD,
    ),
    (
        "a negative length",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: -1\r\n\r\n",
        BAD,
    ),
    (
        "a length with a sign",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: +5\r\n\r\nhello",
        BAD,
    ),
    (
        "a length in hexadecimal",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 0x5\r\n\r\nhello",
        BAD,
    ),
    (
        "a length with a space inside",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 1 1\r\n\r\nhello",
        BAD,
    ),
    (
        "a length that is no number",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: five\r\n\r\nhello",
        BAD,
    ),
    (
        "an empty length",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length:\r\n\r\n",
        BAD,
    ),
    (
        "a length beyond 64 bits",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
        BAD,
    ),
    (
        "length and chunked",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        BAD,
    ),
    (
        "chunked and length",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        BAD,
    ),
    (
        "chunked isn't last",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "chunked twice",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        BAD,
    ),
    (
        "chunked twice in two fields",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        BAD,
    ),
    (
        "identity",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: identity\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "an unknown coding",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: rot13\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "an unknown coding before chunked",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: rot13, chunked\r\n\r\n0\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "an almost-chunked coding",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "chunked with a vertical tab",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "an empty Transfer-Encoding",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding:\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "chunked in quotes",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        Refused(&[400, 501]),
    ),
    (
        "chunked in 1.0",
        "POST {u} HTTP/1.0\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        BAD,
    ),
];

/// Chunks (RFC 9112 §7.1): the head was good, so the answer may also come from a spoilt exchange.
pub const CHUNKS: [Row; 9] = [
    (
        "a chunk size that is no number",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "an empty chunk size",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "a negative chunk size",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "a chunk size with 0x",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "a chunk size beyond 64 bits",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nab\r\n0\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "a bare LF after a chunk size",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "a bare LF in a chunk extension",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n2;\nab\r\n0\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "a longer chunk than its size",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
    (
        "a malformed trailer",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : y\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
];
