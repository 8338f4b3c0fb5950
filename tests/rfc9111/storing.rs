//! RFC 9111 §3: what is stored, and which of its fields.

use super::row::{Row, hold};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // §3: final statuses with explicit freshness, known and unknown ones.
    ("200", &[("GET", "200 | Cache-Control: max-age=60", "miss | 200"), ("GET", "", "hit 0 | 200")]),
    ("201", &[("GET", "201 | Cache-Control: max-age=60", "miss"), ("GET", "", "hit 0 | 201")]),
    ("202", &[("GET", "202 | Cache-Control: max-age=60", "miss"), ("GET", "", "hit 0 | 202")]),
    ("203", &[("GET", "203 | Expires: {+60}", "miss"), ("GET", "", "hit 0 | 203")]),
    ("204", &[("GET", "204 | Cache-Control: max-age=60", "miss"), ("GET", "", "hit 0 | 204 | !Content-Length")]),
    ("299", &[("GET", "299 | Cache-Control: max-age=60", "miss"), ("GET", "", "hit 0 | 299")]),
    ("302", &[("GET", "302 | Cache-Control: max-age=60 | Location: /x", "miss"), ("GET", "", "hit 0 | 302 | Location: /x")]),
    ("303", &[("GET", "303 | Cache-Control: max-age=60 | Location: /x", "miss"), ("GET", "", "hit 0 | 303")]),
    ("307", &[("GET", "307 | Expires: {+60} | Location: /x", "miss"), ("GET", "", "hit 0 | 307")]),
    ("399", &[("GET", "399 | Cache-Control: max-age=60", "miss"), ("GET", "", "hit 0 | 399")]),
    ("400", &[("GET", "400 | Cache-Control: max-age=60", "miss"), ("GET", "", "hit 0 | 400")]),
    ("404", &[("GET", "404 | Cache-Control: max-age=60", "miss"), ("GET", "", "hit 0 | 404")]),
    ("410", &[("GET", "410 | Cache-Control: s-maxage=60", "miss"), ("GET", "", "hit 0 | 410")]),
    ("499", &[("GET", "499 | Cache-Control: max-age=60", "miss"), ("GET", "", "hit 0 | 499")]),
    ("500", &[("GET", "500 | Cache-Control: max-age=60", "miss"), ("GET", "", "hit 0 | 500")]),
    ("502", &[("GET", "502 | Cache-Control: max-age=60", "miss"), ("GET", "", "hit 0 | 502")]),
    ("503", &[("GET", "503 | Expires: {+60}", "miss"), ("GET", "", "hit 0 | 503")]),
    ("504", &[("GET", "504 | Cache-Control: max-age=60", "miss"), ("GET", "", "hit 0 | 504")]),
    ("599", &[("GET", "599 | Cache-Control: max-age=60", "miss"), ("GET", "", "hit 0 | 599")]),
    ("404 without freshness", &[("GET", "404", "miss"), ("GET", "404", "miss | 404")]),
    ("500 without freshness", &[("GET", "500", "miss"), ("GET", "200", "miss | 200")]),
    ("no-store of an error", &[("GET", "404 | Cache-Control: no-store, max-age=60", "miss"), ("GET", "404", "miss")]),
    ("a redirection that may be guessed", &[("GET", "301 | Last-Modified: {-864000} | Location: /x", "miss"), ("GET", "", "hit 0 | 301")]),
    ("a 302 is not guessed", &[("GET", "302 | Last-Modified: {-864000} | Location: /x", "miss"), ("GET", "302 | Location: /x", "miss | cs fwd=")]),
    ("a 302 with public is", &[("GET", "302 | Cache-Control: public | Last-Modified: {-864000} | Location: /x", "miss"), ("GET", "", "hit 0 | 302")]),
    ("206 is not stored as the whole", &[("GET", "206 | Cache-Control: max-age=60 | Content-Range: bytes 0-7/8", "miss"), ("GET", "200", "miss | 200")]),
    ("304 is not stored", &[("GET | If-None-Match: \"a\"", "304 | Cache-Control: max-age=60 | ETag: \"a\"", "miss | 304"), ("GET", "200", "miss | 200 | asked !If-None-Match")]),
    ("interim responses are not stored", &[
        ("GET", "103 | Link: </x> || 200 | Cache-Control: max-age=60", "miss | 200 | !Link"), ("GET", "", "hit 0 | 200 | !Link")]),
    // §5.2.2.3, §5.2.2.5: must-understand and no-store.
    ("must-understand", &[("GET", "200 | Cache-Control: must-understand, max-age=60", "miss"), ("GET", "", "hit 0")]),
    ("must-understand over no-store", &[("GET", "200 | Cache-Control: must-understand, no-store, max-age=60", "miss"), ("GET", "", "hit 0")]),
    ("must-understand of an unknown status", &[("GET", "299 | Cache-Control: must-understand, max-age=60", "miss"), ("GET", "299", "miss")]),
    ("no-store", &[("GET", "200 | Cache-Control: no-store, max-age=60", "miss | cs !stored;"), ("GET", "200", "miss")]),
    ("NO-STORE in a second line", &[("GET", "200 | Cache-Control: max-age=60 | cache-control: NO-STORE", "miss"), ("GET", "200", "miss")]),
    ("no-store quoted in an extension is none", &[("GET", "200 | Cache-Control: max-age=60, x=\"no-store\"", "miss"), ("GET", "", "hit 0")]),
    // §5.2.2.7: private, whole and with names.
    ("private", &[("GET", "200 | Cache-Control: private, max-age=60", "miss"), ("GET", "200", "miss")]),
    ("private with public", &[("GET", "200 | Cache-Control: public, private, max-age=60", "miss"), ("GET", "200", "miss")]),
    ("private with a name", &[
        ("GET", "200 | Cache-Control: max-age=60, private=\"X-A\" | X-A: 1 | X-B: 2", "miss | X-A: 1"), ("GET", "", "hit 0 | !X-A | X-B: 2")]),
    ("no-cache with names", &[
        ("GET", "200 | Cache-Control: max-age=60, no-cache=\"x-a, Set-Cookie\" | X-A: 1 | Set-Cookie: a=b", "miss | X-A: 1 | Set-Cookie: a=b"),
        ("GET", "", "hit 0 | !X-A | !Set-Cookie")]),
    ("private with an empty name", &[("GET", "200 | Cache-Control: max-age=60, private=\"\"", "miss"), ("GET", "200", "miss")]),
    // §3.1: fields that are not stored.
    ("fields of the connection", &[
        ("GET", "200 | Cache-Control: max-age=60 | Connection: X-A, close2 | X-A: 1 | X-B: 2", "miss | !X-A | X-B: 2"), ("GET", "", "hit 0 | !X-A | X-B: 2")]),
    ("fields of proxies", &[
        ("GET", "200 | Cache-Control: max-age=60 | Proxy-Authenticate: Basic | Proxy-Authentication-Info: x | Keep-Alive: timeout=9", "miss"),
        ("GET", "", "hit 0 | !Proxy-Authenticate | !Proxy-Authentication-Info | !Keep-Alive")]),
    ("unknown fields are stored", &[
        ("GET", "200 | Cache-Control: max-age=60 | X-A: 1 | X-A: 2 | Content-Foo: a, b", "miss"), ("GET", "", "hit 0 | X-A: 1, 2 | Content-Foo: a, b")]),
    ("Set-Cookie is stored", &[("GET", "200 | Cache-Control: max-age=60 | Set-Cookie: a=1", "miss"), ("GET", "", "hit 0 | Set-Cookie: a=1")]),
    // §3.5: Authorization.
    ("Authorization", &[("GET | Authorization: Basic x", "200 | Cache-Control: max-age=60", "miss"), ("GET", "200", "miss")]),
    ("Authorization with public", &[("GET | Authorization: Basic x", "200 | Cache-Control: public, max-age=60", "miss"), ("GET", "", "hit 0")]),
    ("Authorization with s-maxage", &[("GET | Authorization: Basic x", "200 | Cache-Control: s-maxage=60", "miss"), ("GET", "", "hit 0")]),
    ("Authorization with must-revalidate", &[("GET | Authorization: Basic x", "200 | Cache-Control: max-age=60, must-revalidate", "miss"), ("GET", "", "hit 0")]),
    ("Authorization with no-cache", &[("GET | Authorization: Basic x", "200 | Cache-Control: no-cache | ETag: \"a\"", "miss"), ("GET", "200", "miss | asked !If-None-Match")]),
    ("what was stored without Authorization", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("GET | Authorization: Basic x", "", "hit 0")]),
    // Methods.
    ("POST", &[("POST | Content-Length: 0", "200 | Cache-Control: max-age=60", "miss"), ("GET", "200", "miss")]),
    ("POST with a Content-Location of its own (RFC 9110 §9.3.3)", &[
        ("GET", "200 | Cache-Control: max-age=60", "miss"),
        ("POST | Content-Length: 0", "200 | Cache-Control: max-age=60 | Content-Location: {path} | X-A: 2", "miss | cs fwd=method; fwd-status=200; stored"),
        ("GET", "", "hit 1 | X-A: 2"), ("HEAD", "", "hit 1 | X-A: 2"), ("POST | Content-Length: 0", "200", "miss"), ("GET", "200", "miss")]),
    ("POST with another Content-Location", &[
        ("POST | Content-Length: 0", "200 | Cache-Control: max-age=60 | Content-Location: {path}/b", "miss"), ("GET", "200", "miss")]),
    ("POST with a Content-Location and no lifetime", &[
        ("POST | Content-Length: 0", "200 | ETag: \"a\" | Content-Location: {path}", "miss"), ("GET", "200", "miss")]),
    ("an unknown method", &[("FOO", "200 | Cache-Control: max-age=60", "miss | cs fwd=method"), ("GET", "200", "miss")]),
    ("OPTIONS", &[("OPTIONS", "200 | Cache-Control: max-age=60", "miss"), ("OPTIONS", "200", "miss")]),
    ("GET answers HEAD", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("HEAD", "", "hit 0 | Content-Length: 8")]),
    ("HEAD does not answer GET", &[("HEAD", "200 | Cache-Control: max-age=60", "miss"), ("GET", "200", "miss")]),
    ("GET with a Content-Length of 0", &[("GET | Content-Length: 0", "200 | Cache-Control: max-age=60", "miss | asked !Content-Length"), ("GET | Content-Length: 0", "", "hit 0")]),
    ("the request's no-store", &[("GET | Cache-Control: no-store", "200 | Cache-Control: max-age=60", "miss"), ("GET", "200", "miss")]),
    // Framing from the store, and Date (RFC 9110 §6.6.1).
    ("chunked content has a length afterwards", &[
        ("GET", "200 | Cache-Control: max-age=60 | Transfer-Encoding: chunked", "miss"), ("GET", "", "hit 0 | Content-Length: 8 | !Transfer-Encoding")]),
    ("a missing Date", &[("GET", "200 | Cache-Control: max-age=60 | Date: none", "miss"), ("GET", "", "hit 0 | age 0")]),
    ("nothing said", &[("GET", "200", "miss"), ("GET", "200", "miss")]),
    ("no-cache without a validator", &[("GET", "200 | Cache-Control: no-cache", "miss"), ("GET", "200", "miss")]),
    ("the response's Pragma says nothing", &[("GET", "200 | Cache-Control: max-age=60 | Pragma: no-cache", "miss"), ("GET", "", "hit 0")]),
    ("Warning is not added", &[("GET", "200 | Last-Modified: {-8640000}", "miss"), ("GET", "", "hit 0 | !Warning")]),
];

#[test]
fn section_3() {
    hold("", ROWS);
}
