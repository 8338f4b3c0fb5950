//! RFC 9211: the members of Cache-Status on each path.

use super::row::{Row, hold};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("a miss that is stored", &[("GET", "200 | Cache-Control: max-age=60", "miss | Cache-Status: cacheproxy; fwd=uri-miss; fwd-status=200; stored")]),
    ("a miss that is not", &[("GET", "200 | Cache-Control: no-store", "miss | Cache-Status: cacheproxy; fwd=uri-miss; fwd-status=200; detail=no-store")]),
    ("a fresh hit", &[("GET", "200 | Cache-Control: max-age=5000", "miss"), ("GET", "", "hit 0 | cs cacheproxy; hit; ttl=")]),
    ("a 304 to a client's condition", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("GET | If-None-Match: \"a\"", "", "hit 0 | 304 | cs hit; ttl=")]),
    ("a validation", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET", "304", "validated 0 | cs fwd=stale; fwd-status=304; stored")]),
    ("a variant's miss", &[("GET | X-A: 1", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss"), ("GET | X-A: 2", "200", "miss | cs fwd=vary-miss; fwd-status=200")]),
    ("another method", &[("POST", "200", "miss | cs fwd=method; fwd-status=200")]),
    ("a bypass", &[("GET | Cache-Control: no-store", "200", "miss | cs fwd=bypass; fwd-status=200; detail=request-no-store")]),
    ("asked for by the request", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("GET | Cache-Control: no-cache", "200", "miss | cs fwd=request; fwd-status=200")]),
    ("another cache's member comes first", &[("GET", "200 | Cache-Control: max-age=60 | Cache-Status: other; hit", "miss | cs cacheproxy; fwd=uri-miss"), ("GET", "", "hit 0 | cs cacheproxy; hit")]),
    ("not on what the proxy makes itself", &[("GET | Cache-Control: only-if-cached", "", "own | 504 | !Cache-Status")]),
];

#[test]
fn rfc_9211() {
    hold("", ROWS);
}
