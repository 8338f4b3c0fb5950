//! Faults in a request line and its target: rows for `requests`.

use crate::{BAD, Declined, NO, Refused, RefusedOrClosed, Row};

/// The request line (RFC 9112 §3).
pub const REQUEST_LINE: [Row; 27] = [
    (
        "no version",
        "GET {u}\r\nHost: {a}\r\n\r\n",
        RefusedOrClosed(&[400, 505]),
    ),
    ("nothing but a method", "GET\r\nHost: {a}\r\n\r\n", BAD),
    ("an empty method", " {u} HTTP/1.1\r\nHost: {a}\r\n\r\n", BAD),
    (
        "a method that isn't a token",
        "G(T {u} HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a method in quotes",
        "\"GET\" {u} HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "two spaces before the target",
        "GET  {u} HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "two spaces after the target",
        "GET {u}  HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a tab between the parts",
        "GET\t{u}\tHTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a space after the version",
        "GET {u} HTTP/1.1 \r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a space in the target",
        "GET {u}a b HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a tab in the target",
        "GET {u}a\tb HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a control character in the target",
        "GET {u}a\u{1}b HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "NUL in the target",
        "GET {u}a\0b HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "DEL in the target",
        "GET {u}a\u{7f}b HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a space in the fragment",
        "GET {u}a#b c HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "HTTP/2.0",
        "GET {u} HTTP/2.0\r\nHost: {a}\r\n\r\n",
        Refused(&[505]),
    ),
    (
        "the HTTP/2 preface",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        Refused(&[400, 505]),
    ),
    (
        "HTTP/0.9 in full",
        "GET {u} HTTP/0.9\r\nHost: {a}\r\n\r\n",
        Refused(&[400, 505]),
    ),
    (
        "a version in small letters",
        "GET {u} http/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a version without a minor",
        "GET {u} HTTP/1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a version of two digits",
        "GET {u} HTTP/1.10\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "another protocol",
        "GET {u} RTSP/1.0\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a bare CR in the request line",
        "GET {u}\r HTTP/1.1\r\nHost: {a}\r\n\r\n",
        BAD,
    ),
    (
        "a response",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        BAD,
    ),
    (
        "a TLS ClientHello",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
    ("SSH", "SSH-2.0-OpenSSH_9.2\r\n\r\n", BAD),
    (
        "SOCKS4",
        "\u{4}\u{1}\0P\u{7f}\0\0\u{1}\0\r\n\r\n",
        RefusedOrClosed(&[400]),
    ),
];

/// The target (RFC 9112 §3.2).
pub const TARGET: [Row; 20] = [
    (
        "another scheme",
        "GET ftp://{a}/ HTTP/1.1\r\nHost: {a}\r\n\r\n",
        Declined(&[400, 501]),
    ),
    (
        "file:",
        "GET file:///etc/passwd HTTP/1.1\r\nHost: {a}\r\n\r\n",
        Declined(&[400, 501]),
    ),
    ("no scheme", "GET {a}/ HTTP/1.1\r\nHost: {a}\r\n\r\n", NO),
    (
        "authority-form of a GET",
        "GET {a} HTTP/1.1\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "asterisk-form of a GET",
        "GET * HTTP/1.1\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "an empty authority",
        "GET http:/// HTTP/1.1\r\nHost: \r\n\r\n",
        NO,
    ),
    (
        "one slash after the scheme",
        "GET http:/{a}/ HTTP/1.1\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "an empty host with a port",
        "GET http://:80/ HTTP/1.1\r\nHost: :80\r\n\r\n",
        NO,
    ),
    (
        "a port that is no number",
        "GET http://127.0.0.1:http/ HTTP/1.1\r\nHost: 127.0.0.1:http\r\n\r\n",
        NO,
    ),
    (
        "a port that is too large",
        "GET http://127.0.0.1:65536/ HTTP/1.1\r\nHost: 127.0.0.1:65536\r\n\r\n",
        NO,
    ),
    (
        "port 0",
        "GET http://127.0.0.1:0/ HTTP/1.1\r\nHost: 127.0.0.1:0\r\n\r\n",
        Declined(&[400, 403, 502]),
    ),
    (
        "a backslash in the authority",
        "GET http://{a}\\@x/ HTTP/1.1\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "an unclosed IPv6 literal",
        "GET http://[::1/ HTTP/1.1\r\nHost: [::1\r\n\r\n",
        NO,
    ),
    (
        "no IPv6 literal at all",
        "GET http://[zz]/ HTTP/1.1\r\nHost: [zz]\r\n\r\n",
        NO,
    ),
    (
        "a quote in the host",
        "GET http://a\"b/ HTTP/1.1\r\nHost: a\"b\r\n\r\n",
        NO,
    ),
    (
        "obs-text in the host",
        "GET http://127.0.0.1\u{e9}/ HTTP/1.1\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "obs-text in the userinfo",
        "GET http://\u{e9}@{a}/ HTTP/1.1\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "a hash for the host",
        "GET http://#{a}/ HTTP/1.1\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "obs-text in the authority of a CONNECT",
        "CONNECT 127.0.0.1\u{e9}:443 HTTP/1.1\r\nHost: {a}\r\n\r\n",
        NO,
    ),
    (
        "a percent-escaped NUL in the host",
        "GET http://a%00b/ HTTP/1.1\r\nHost: a%00b\r\n\r\n",
        Declined(&[400, 502]),
    ),
];
