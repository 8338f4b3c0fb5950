//! RFC 9111 §4.2, §5.1, §5.3 and the numbers of §5.2.2: lifetimes and ages, RFC 8246.

use super::row::{Row, hold};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // §4.2.1: what decides the lifetime.
    ("s-maxage over max-age", &[("GET", "200 | Cache-Control: max-age=0, s-maxage=60", "miss"), ("GET", "", "hit 0 | cs ttl=")]),
    ("s-maxage=0 over max-age", &[("GET", "200 | Cache-Control: s-maxage=0, max-age=60", "miss"), ("GET", "200", "miss")]),
    ("max-age over Expires", &[("GET", "200 | Cache-Control: max-age=60 | Expires: {-60}", "miss"), ("GET", "", "hit 0")]),
    ("max-age=0 over Expires", &[("GET", "200 | Cache-Control: max-age=0 | Expires: {+60}", "miss"), ("GET", "200", "miss")]),
    ("s-maxage over Expires", &[("GET", "200 | Cache-Control: s-maxage=60 | Expires: 0", "miss"), ("GET", "", "hit 0")]),
    ("Expires over the heuristic", &[("GET", "200 | Expires: {-1} | Last-Modified: {-8640000}", "miss"), ("GET", "304", "validated 0")]),
    ("a heuristic", &[("GET", "200 | Last-Modified: {-8640000}", "miss"), ("GET", "", "hit 0")]),
    ("no heuristic for 500", &[("GET", "500 | Last-Modified: {-8640000}", "miss"), ("GET", "200", "miss")]),
    ("it runs out", &[("GET", "200 | Cache-Control: max-age=1", "miss"), ("+2 GET", "200", "miss")]),
    // Values: duplicate, conflicting, quoted, overlong, negative, fractional, none.
    ("quoted", &[("GET", "200 | Cache-Control: max-age=\"60\"", "miss"), ("GET", "", "hit 0")]),
    ("leading zeros", &[("GET", "200 | Cache-Control: max-age=0060", "miss"), ("GET", "", "hit 0")]),
    ("overlong", &[("GET", "200 | Cache-Control: max-age=99999999999999999999999999", "miss"), ("GET", "", "hit 0")]),
    ("2^31", &[("GET", "200 | Cache-Control: max-age=2147483648", "miss"), ("GET", "", "hit 0")]),
    ("2^32 + 1", &[("GET", "200 | Cache-Control: max-age=4294967297", "miss"), ("GET", "", "hit 0")]),
    ("2^64 + 1", &[("GET", "200 | Cache-Control: max-age=18446744073709551617", "miss"), ("GET", "", "hit 0")]),
    ("negative", &[("GET", "200 | Cache-Control: max-age=-60", "miss"), ("GET", "200", "miss")]),
    ("fractional", &[("GET", "200 | Cache-Control: max-age=60.5", "miss"), ("GET", "200", "miss")]),
    ("no number", &[("GET", "200 | Cache-Control: max-age=a60", "miss"), ("GET", "200", "miss")]),
    ("a number and more", &[("GET", "200 | Cache-Control: max-age=60a", "miss"), ("GET", "200", "miss")]),
    ("no argument", &[("GET", "200 | Cache-Control: max-age", "miss"), ("GET", "200", "miss")]),
    ("space around the equals sign", &[("GET", "200 | Cache-Control: max-age = 60", "miss"), ("GET", "200", "miss")]),
    ("single quotes", &[("GET", "200 | Cache-Control: max-age='60'", "miss"), ("GET", "200", "miss")]),
    ("a conflict, the smaller last", &[("GET", "200 | Cache-Control: max-age=60, max-age=0", "miss"), ("GET", "200", "miss")]),
    ("a conflict, the smaller first", &[("GET", "200 | Cache-Control: max-age=0, max-age=60", "miss"), ("GET", "200", "miss")]),
    ("the same twice", &[("GET", "200 | Cache-Control: max-age=60 | Cache-Control: max-age=60", "miss"), ("GET", "", "hit 0")]),
    ("in two lines", &[("GET", "200 | Cache-Control: public | Cache-Control: max-age=60", "miss"), ("GET", "", "hit 0")]),
    ("empty members", &[("GET", "200 | Cache-Control: , ,max-age=60,, ", "miss"), ("GET", "", "hit 0")]),
    ("in another case", &[("GET", "200 | cache-CONTROL: MAX-age=60", "miss"), ("GET", "", "hit 0")]),
    ("extensions", &[("GET", "200 | Cache-Control: foo, bar=1, baz=\"a, max-age=0\", max-age=60", "miss"), ("GET", "", "hit 0")]),
    ("a name that only begins so", &[("GET", "200 | Cache-Control: max-ages=60", "miss"), ("GET", "200", "miss")]),
    ("within another's quotes", &[("GET", "200 | Cache-Control: x=\"max-age=60\"", "miss"), ("GET", "200", "miss")]),
    // §5.3: Expires.
    ("Expires: 0", &[("GET", "200 | Expires: 0", "miss"), ("GET", "200", "miss")]),
    ("Expires in the past", &[("GET", "200 | Expires: {-9}", "miss"), ("GET", "200", "miss")]),
    ("Expires equal to Date", &[("GET", "200 | Expires: {+0}", "miss"), ("GET", "200", "miss")]),
    ("Expires in RFC 850's form", &[("GET", "200 | Expires: Thursday, 18-Aug-50 02:01:18 GMT", "miss"), ("GET", "", "hit 0")]),
    ("Expires in asctime's form", &[("GET", "200 | Expires: Thu Aug 18 02:01:18 2050", "miss"), ("GET", "", "hit 0")]),
    ("Expires in lower case", &[("GET", "200 | Expires: thu, 18 aug 2050 02:01:18 gmt", "miss"), ("GET", "", "hit 0")]),
    ("Expires with another zone", &[("GET", "200 | Expires: Thu, 18 Aug 2050 02:01:18 AEST", "miss"), ("GET", "200", "miss")]),
    ("Expires with a number", &[("GET", "200 | Expires: 60", "miss"), ("GET", "200", "miss")]),
    ("Expires without a day's name", &[("GET", "200 | Expires: 18 Aug 2050 02:01:18 GMT", "miss"), ("GET", "200", "miss")]),
    ("two Expires, one past", &[("GET", "200 | Expires: {+60} | Expires: 0", "miss"), ("GET", "200", "miss")]),
    ("Expires against a Date in the future", &[("GET", "200 | Date: {+3600} | Expires: {+3660}", "miss"), ("GET", "", "hit 0")]),
    ("Expires against a Date in the past", &[("GET", "200 | Date: {-3600} | Expires: {-1}", "miss"), ("GET", "200", "miss")]),
    ("Expires without Date", &[("GET", "200 | Date: none | Expires: {+60}", "miss"), ("GET", "", "hit 0")]),
    ("Expires with a Date that is none", &[("GET", "200 | Date: yesterday | Expires: {+60}", "miss"), ("GET", "", "hit 0")]),
    // §4.2.3, §5.1: Age.
    ("Age is added up", &[("GET", "200 | Cache-Control: max-age=60 | Age: 30", "miss | Age: 30"), ("+1 GET", "", "hit 0 | age 31")]),
    ("Age beyond the lifetime", &[("GET", "200 | Cache-Control: max-age=60 | Age: 60", "miss"), ("GET", "200", "miss")]),
    ("Age beyond Expires", &[("GET", "200 | Expires: {+60} | Age: 100", "miss"), ("GET", "200", "miss")]),
    ("Age: 0", &[("GET", "200 | Cache-Control: max-age=60 | Age: 0", "miss"), ("GET", "", "hit 0 | age 0")]),
    ("Age that is no number", &[("GET", "200 | Cache-Control: max-age=60 | Age: abc", "miss"), ("GET", "", "hit 0 | age 0")]),
    ("negative Age", &[("GET", "200 | Cache-Control: max-age=60 | Age: -10", "miss"), ("GET", "", "hit 0 | age 0")]),
    ("fractional Age", &[("GET", "200 | Cache-Control: max-age=60 | Age: 30.5", "miss"), ("GET", "", "hit 0")]),
    ("Age with parameters", &[("GET", "200 | Cache-Control: max-age=60 | Age: 100;a=b", "miss"), ("GET", "", "hit 0")]),
    ("two Ages, the first old", &[("GET", "200 | Cache-Control: max-age=60 | Age: 100 | Age: 0", "miss"), ("GET", "200", "miss")]),
    ("two Ages, the first new", &[("GET", "200 | Cache-Control: max-age=60 | Age: 0, 100", "miss"), ("GET", "", "hit 0 | age 0")]),
    ("an overlong Age", &[("GET", "200 | Cache-Control: max-age=60 | Age: 99999999999999999999", "miss"), ("GET", "200", "miss")]),
    ("Age of a hit appears once", &[("GET", "200 | Cache-Control: max-age=60 | Age: 5 | Age: 5", "miss"), ("GET", "", "hit 0 | age 5")]),
    ("an old Date makes it old", &[("GET", "200 | Cache-Control: max-age=60 | Date: {-100}", "miss"), ("GET", "200", "miss")]),
    ("a Date of a while ago", &[("GET", "200 | Cache-Control: max-age=60 | Date: {-20}", "miss"), ("GET", "", "hit 0 | age 20")]),
    ("a Date in the future", &[("GET", "200 | Cache-Control: max-age=60 | Date: {+1000}", "miss"), ("GET", "", "hit 0 | age 0")]),
    // RFC 8246.
    ("immutable", &[("GET", "200 | Cache-Control: max-age=60, immutable | Age: 9", "miss"), ("GET | Cache-Control: max-age=0", "", "hit 0")]),
    ("immutable, no-cache asked", &[("GET", "200 | Cache-Control: max-age=60, immutable | ETag: \"a\"", "miss"), ("GET | Cache-Control: no-cache", "304", "validated 0")]),
    ("immutable and stale", &[("GET", "200 | Cache-Control: max-age=0, immutable | ETag: \"a\"", "miss"), ("GET", "304", "validated 0")]),
    ("immutable gives no lifetime", &[("GET", "200 | Cache-Control: immutable", "miss"), ("GET", "200", "miss")]),
];

#[test]
fn section_4_2() {
    hold("", ROWS);
}

#[rustfmt::skip]
const WITH_TTL: &[Row] = &[
    ("nothing said", &[("GET", "200", "miss"), ("GET", "", "hit 0")]),
    ("the origin's word counts", &[("GET", "200 | Cache-Control: max-age=0", "miss"), ("GET", "200", "miss")]),
    ("no-store stays no-store", &[("GET", "200 | Cache-Control: no-store", "miss"), ("GET", "200", "miss")]),
    ("errors have no lifetime", &[("GET", "404", "miss"), ("GET", "404", "miss")]),
];

#[test]
fn a_ttl_of_the_operator() {
    hold("ttl = \"1h\"\n", WITH_TTL);
}
