//! RFC 9111 §4.1: variants selected by Vary.

use super::row::{Row, hold};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("the same value", &[("GET | X-A: 1", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss"), ("GET | X-A: 1", "", "hit 0")]),
    ("another value", &[("GET | X-A: 1", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss"), ("GET | X-A: 2", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss | cs fwd=vary-miss"), ("GET | X-A: 1", "", "hit 0"), ("GET | X-A: 2", "", "hit 1")]),
    ("an absent field", &[("GET", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss"), ("GET", "", "hit 0"), ("GET | X-A: 1", "200", "miss")]),
    ("absent later", &[("GET | X-A: 1", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss"), ("GET", "200", "miss")]),
    ("empty is not absent", &[("GET", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss"), ("GET | X-A: ", "200", "miss")]),
    ("*", &[("GET", "200 | Cache-Control: max-age=60 | Vary: *", "miss"), ("GET", "200", "miss")]),
    ("* among others", &[("GET", "200 | Cache-Control: max-age=60 | Vary: X-A, *", "miss"), ("GET", "200", "miss")]),
    ("* in another line", &[("GET", "200 | Cache-Control: max-age=60 | Vary: X-A | Vary: *", "miss"), ("GET", "200", "miss")]),
    ("two fields, both the same", &[("GET | X-A: 1 | X-B: 2", "200 | Cache-Control: max-age=60 | Vary: X-A, x-b", "miss"), ("GET | X-B: 2 | X-A: 1", "", "hit 0")]),
    ("two fields, one another", &[("GET | X-A: 1 | X-B: 2", "200 | Cache-Control: max-age=60 | Vary: X-A, X-B", "miss"), ("GET | X-A: 1 | X-B: 3", "200", "miss")]),
    ("two lines of Vary", &[("GET | X-A: 1 | X-B: 2", "200 | Cache-Control: max-age=60 | Vary: X-A | Vary: X-B", "miss"), ("GET | X-A: 1 | X-B: 3", "200", "miss")]),
    ("names in another case", &[("GET | x-a: 1", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss"), ("GET | X-A: 1", "", "hit 0")]),
    ("fields that Vary does not name", &[("GET | X-A: 1 | X-B: 2", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss"), ("GET | X-A: 1 | X-B: 3", "", "hit 0")]),
    ("lines combined", &[("GET | X-A: 1, 2", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss"), ("GET | X-A: 1 | X-A: 2", "", "hit 0")]),
    ("another order of an unknown list", &[("GET | X-A: 1, 2", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss"), ("GET | X-A: 2, 1", "200", "miss")]),
    ("Accept-Encoding in another order", &[("GET | Accept-Encoding: gzip, br", "200 | Cache-Control: max-age=60 | Vary: Accept-Encoding", "miss"), ("GET | Accept-Encoding: br,GZIP", "", "hit 0")]),
    ("Accept-Language in another case", &[("GET | Accept-Language: en-GB, de;q=0.50", "200 | Cache-Control: max-age=60 | Vary: Accept-Language", "miss"), ("GET | Accept-Language: DE ; q=0.5,en-gb", "", "hit 0")]),
    ("Accept-Language, other weights", &[("GET | Accept-Language: en, de;q=0.5", "200 | Cache-Control: max-age=60 | Vary: Accept-Language", "miss"), ("GET | Accept-Language: en;q=0.5, de", "200", "miss")]),
    ("Accept with q=1", &[("GET | Accept: text/html;q=1.0, */*;q=0.1", "200 | Cache-Control: max-age=60 | Vary: Accept", "miss"), ("GET | Accept: */*;q=0.1,text/html", "", "hit 0")]),
    ("the most recent of those that match", &[
        ("GET | X-A: 1", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss"),
        ("GET | X-A: 2 | X-B: 9", "200 | Cache-Control: max-age=60 | Vary: X-B", "miss"),
        ("GET | X-A: 1 | X-B: 9", "", "hit 1")]),
    ("one without Vary replaces", &[
        ("GET | X-A: 1", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss"),
        ("GET | X-A: 2", "200 | Cache-Control: max-age=60", "miss"),
        ("GET | X-A: 1", "", "hit 1"), ("GET | X-A: 3", "", "hit 1")]),
    ("a 304 updates the variant that was asked about", &[
        ("GET | X-A: 1", "200 | Cache-Control: max-age=0 | Vary: X-A | ETag: \"1\" | X-V: 1", "miss"),
        ("GET | X-A: 2", "200 | Cache-Control: max-age=0 | Vary: X-A | ETag: \"2\" | X-V: 2", "miss"),
        ("GET | X-A: 1", "304 | Cache-Control: max-age=60 | ETag: \"1\" | X-V: 3", "validated 0 | X-V: 3 | asked If-None-Match: \"1\""),
        ("GET | X-A: 1", "", "hit 0 | X-V: 3"),
        ("GET | X-A: 2", "304 | ETag: \"2\"", "validated 1 | X-V: 2 | asked If-None-Match: \"2\"")]),
];

#[test]
fn section_4_1() {
    hold("", ROWS);
}
