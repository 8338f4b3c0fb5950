//! RFC 9111 §4.4: what unsafe methods make invalid.

use super::row::{Row, hold};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("POST", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("POST", "200", "miss"), ("GET", "200", "miss")]),
    ("PUT", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("PUT | Content-Length: 0", "204", "miss"), ("GET", "200", "miss")]),
    ("DELETE", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("DELETE", "200", "miss"), ("GET", "200", "miss")]),
    ("PATCH", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("PATCH | Content-Length: 0", "200", "miss"), ("GET", "200", "miss")]),
    ("an unknown method", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("M-SEARCH", "200", "miss"), ("GET", "200", "miss")]),
    ("a redirection", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("POST", "303 | Location: /elsewhere", "miss"), ("GET", "200", "miss")]),
    ("POST with 400", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("POST", "400", "miss"), ("GET", "", "hit 0")]),
    ("POST with 404", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("POST", "404", "miss"), ("GET", "", "hit 0")]),
    ("DELETE with 500", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("DELETE", "500", "miss"), ("GET", "", "hit 0")]),
    ("PUT with 412", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("PUT | Content-Length: 0", "412", "miss"), ("GET", "", "hit 0")]),
    ("OPTIONS is safe", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("OPTIONS", "200", "miss"), ("GET", "", "hit 0")]),
    ("TRACE is safe", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("TRACE", "200", "miss"), ("GET", "", "hit 0")]),
    ("Location", &[("GET /b", "200 | Cache-Control: max-age=60", "miss"), ("POST", "201 | Location: {path}/b", "miss"), ("GET /b", "200", "miss")]),
    ("Content-Location", &[("GET /b", "200 | Cache-Control: max-age=60", "miss"), ("PUT | Content-Length: 0", "200 | Content-Location: {path}/b", "miss"), ("GET /b", "200", "miss")]),
    ("Location on an error", &[("GET /b", "200 | Cache-Control: max-age=60", "miss"), ("POST", "500 | Location: {path}/b", "miss"), ("GET /b", "", "hit 0")]),
    ("Location of another origin", &[("GET /b", "200 | Cache-Control: max-age=60", "miss"), ("POST", "201 | Location: http://127.0.0.9{path}/b", "miss"), ("GET /b", "", "hit 0")]),
    ("Location after GET", &[("GET /b", "200 | Cache-Control: max-age=60", "miss"), ("GET", "200 | Location: {path}/b", "miss"), ("GET /b", "", "hit 0")]),
    ("neighbours stay", &[("GET /b", "200 | Cache-Control: max-age=60", "miss"), ("POST", "200", "miss"), ("GET /b", "", "hit 0")]),
    ("another query stays", &[("GET ?a", "200 | Cache-Control: max-age=60", "miss"), ("POST ?b", "200", "miss"), ("GET ?a", "", "hit 0")]),
    ("every variant", &[
        ("GET | X-A: 1", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss"), ("GET | X-A: 2", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss"),
        ("POST", "200", "miss"), ("GET | X-A: 1", "200 | Vary: X-A", "miss"), ("GET | X-A: 2", "200 | Vary: X-A", "miss")]),
    ("what HEAD brought, too", &[("HEAD", "200 | Cache-Control: max-age=60", "miss"), ("POST", "200", "miss"), ("HEAD", "200", "miss")]),
];

#[test]
fn section_4_4() {
    hold("", ROWS);
}
