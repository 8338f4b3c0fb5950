//! RFC 9111 §5.2.1 and §5.4: what a request asks of the cache.

use super::row::{Row, hold};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("no-cache", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("GET | Cache-Control: no-cache", "200 | Cache-Control: max-age=60", "miss | cs fwd=request"), ("GET", "", "hit 1")]),
    ("no-cache, a validator", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\"", "miss"), ("GET | Cache-Control: no-cache", "304", "validated 0"), ("GET", "", "hit 0")]),
    ("NO-CACHE among others", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("GET | Cache-Control: foo, NO-CACHE", "200", "miss")]),
    ("Pragma", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("GET | Pragma: no-cache", "200", "miss")]),
    ("Pragma beside Cache-Control", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("GET | Pragma: no-cache | Cache-Control: max-age=50", "", "hit 0")]),
    ("another Pragma", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("GET | Pragma: foo", "", "hit 0")]),
    ("max-age met", &[("GET", "200 | Cache-Control: max-age=60 | Age: 9", "miss"), ("GET | Cache-Control: max-age=30", "", "hit 0")]),
    ("max-age not met", &[("GET", "200 | Cache-Control: max-age=60 | Age: 9", "miss"), ("GET | Cache-Control: max-age=5", "200", "miss | cs fwd=request")]),
    ("max-age=0", &[("GET", "200 | Cache-Control: max-age=60 | ETag: \"a\" | Age: 1", "miss"), ("GET | Cache-Control: max-age=0", "304", "validated 0")]),
    ("max-age that is no number", &[("GET", "200 | Cache-Control: max-age=60 | Age: 1", "miss"), ("GET | Cache-Control: max-age=x", "200", "miss")]),
    ("min-fresh met", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("GET | Cache-Control: min-fresh=30", "", "hit 0")]),
    ("min-fresh not met", &[("GET", "200 | Cache-Control: max-age=60 | Age: 40", "miss"), ("GET | Cache-Control: min-fresh=30", "200", "miss | cs fwd=request")]),
    ("max-stale", &[("GET", "200 | Cache-Control: max-age=1 | ETag: \"a\"", "miss"), ("+2 GET | Cache-Control: max-stale", "", "hit 0 | cs ttl=-")]),
    ("max-stale met", &[("GET", "200 | Cache-Control: max-age=1 | ETag: \"a\"", "miss"), ("+2 GET | Cache-Control: max-stale=100", "", "hit 0")]),
    ("max-stale not met", &[("GET", "200 | Cache-Control: max-age=1 | ETag: \"a\" | Age: 60", "miss"), ("GET | Cache-Control: max-stale=5", "304", "validated 0")]),
    ("max-stale against must-revalidate", &[("GET", "200 | Cache-Control: max-age=0, must-revalidate | ETag: \"a\"", "miss"), ("GET | Cache-Control: max-stale", "304", "validated 0")]),
    ("max-stale against proxy-revalidate", &[("GET", "200 | Cache-Control: max-age=0, proxy-revalidate | ETag: \"a\"", "miss"), ("GET | Cache-Control: max-stale", "304", "validated 0")]),
    ("max-stale against s-maxage", &[("GET", "200 | Cache-Control: s-maxage=0 | ETag: \"a\"", "miss"), ("GET | Cache-Control: max-stale", "304", "validated 0")]),
    ("max-stale against no-cache", &[("GET", "200 | Cache-Control: no-cache | ETag: \"a\"", "miss"), ("GET | Cache-Control: max-stale", "304", "validated 0")]),
    ("max-age with max-stale", &[("GET", "200 | Cache-Control: max-age=1 | ETag: \"a\" | Age: 60", "miss"), ("GET | Cache-Control: max-age=5, max-stale=100", "304", "validated 0")]),
    ("only-if-cached, a hit", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("GET | Cache-Control: only-if-cached", "", "hit 0 | 200")]),
    ("only-if-cached, nothing", &[("GET | Cache-Control: only-if-cached", "", "own | 504")]),
    ("only-if-cached, stale", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET | Cache-Control: only-if-cached", "", "own | 504")]),
    ("only-if-cached, stale allowed", &[("GET", "200 | Cache-Control: max-age=0 | ETag: \"a\"", "miss"), ("GET | Cache-Control: only-if-cached, max-stale", "", "hit 0")]),
    ("only-if-cached with no-cache", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("GET | Cache-Control: only-if-cached, no-cache", "", "own | 504")]),
    ("only-if-cached, another variant", &[("GET | X-A: 1", "200 | Cache-Control: max-age=60 | Vary: X-A", "miss"), ("GET | X-A: 2 | Cache-Control: only-if-cached", "", "own | 504")]),
    ("only-if-cached with no-store", &[("GET | Cache-Control: only-if-cached, no-store", "", "own | 504")]),
    ("no-store leaves what is stored", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("GET | Cache-Control: no-store", "200 | Cache-Control: max-age=60", "miss"), ("GET", "", "hit 0")]),
    ("the request's Cache-Control goes on", &[("GET | Cache-Control: no-cache, foo", "200", "miss | asked Cache-Control: no-cache, foo")]),
    ("unknown directives", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("GET | Cache-Control: s-maxage=0, must-revalidate, private", "", "hit 0")]),
    ("Cookie", &[("GET", "200 | Cache-Control: max-age=60", "miss"), ("GET | Cookie: a=b", "", "hit 0")]),
];

#[test]
fn section_5_2_1() {
    hold("", ROWS);
}
