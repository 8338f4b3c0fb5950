//! Faults in Host and other fields of a request: rows for `requests`.

use crate::{BAD, NO, Row};

/// Host (RFC 9112 §3.2).
pub const HOST: [Row; 8] = [
    ("origin-form without Host", "GET / HTTP/1.1\r\n\r\n", NO),
    (
        "two Host fields",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "two Host fields in 1.0",
        "GET {u} HTTP/1.0\r\nHost: {a}\r\nHost: {o}\r\n\r\n",
        NO,
    ),
    (
        "a list of hosts",
        "GET {u} HTTP/1.1\r\nHost: {a}, {o}\r\n\r\n",
        NO,
    ),
    (
        "two Host fields of a CONNECT",
        "CONNECT {a} HTTP/1.1\r\nHost: {a}\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "a Host with userinfo",
        "GET {u} HTTP/1.1\r\nHost: x@{a}\r\n\r\n",
        NO,
    ),
    (
        "a Host with a path",
        "GET {u} HTTP/1.1\r\nHost: {a}/\r\n\r\n",
        NO,
    ),
    (
        "a Host with a space",
        "GET {u} HTTP/1.1\r\nHost: {a} x\r\n\r\n",
        NO,
    ),
];

/// Fields (RFC 9112 §5).
pub const FIELDS: [Row; 14] = [
    (
        "a space before the colon",
        "GET {u} HTTP/1.1\r\nHost : {a}\r\n\r\n",
        BAD,
    ),
    (
        "a tab before the colon",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX\t: y\r\n\r\n",
        BAD,
    ),
    (
        "Content-Length with a space before the colon",
        "POST {u} HTTP/1.1\r\nHost: {a}\r\nContent-Length : 5\r\n\r\nhello",
        BAD,
    ),
    (
        "no colon",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX-Field\r\n\r\n",
        BAD,
    ),
    (
        "an empty name",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\n: x\r\n\r\n",
        BAD,
    ),
    (
        "a name that isn't a token",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX(: y\r\n\r\n",
        BAD,
    ),
    (
        "a name that isn't ASCII",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX\u{e9}: y\r\n\r\n",
        BAD,
    ),
    (
        "obs-fold",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX: y\r\n z\r\n\r\n",
        BAD,
    ),
    (
        "obs-fold with a tab",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX: y\r\n\tz\r\n\r\n",
        BAD,
    ),
    (
        "a first field that begins with a space",
        "GET {u} HTTP/1.1\r\n X: y\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a bare CR in a value",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX: y\rz\r\n\r\n",
        BAD,
    ),
    (
        "a bare CR before the end of a value",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX: y\r\r\n\r\n",
        BAD,
    ),
    (
        "NUL in a value",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX: y\0z\r\n\r\n",
        BAD,
    ),
    (
        "a control character in a value",
        "GET {u} HTTP/1.1\r\nHost: {a}\r\nX: y\u{1}z\r\n\r\n",
        BAD,
    ),
];
