//! Requests and responses of which one is stored, reused or validated, or not: rows for `storing`.

use Second::{Hit, Miss, Validates};

/// The outcome of the second of two equal requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Second {
    /// The stored response, without the origin.
    Hit,
    /// The origin is asked as if nothing were stored.
    Miss,
    /// The origin is asked with a condition.
    Validates,
}

/// Fields of the request, fields of the response, and what the second request gets. `{+60}` is a date
/// so many seconds from now.
type Row = (&'static str, &'static str, &'static str, Second);

pub const STORED: [Row; 50] = [
    ("max-age", "", "Cache-Control: max-age=60", Hit),
    ("max-age in capitals", "", "CACHE-CONTROL: MAX-AGE=60", Hit),
    ("max-age quoted", "", "Cache-Control: max-age=\"60\"", Hit),
    (
        "public with max-age",
        "",
        "Cache-Control: public, max-age=60",
        Hit,
    ),
    ("Expires", "", "Expires: {+60}", Hit),
    (
        "max-age over Expires",
        "",
        "Cache-Control: max-age=60\r\nExpires: {-60}",
        Hit,
    ),
    (
        "max-age=0 over Expires",
        "",
        "Cache-Control: max-age=0\r\nExpires: {+60}",
        Miss,
    ),
    (
        "s-maxage over max-age",
        "",
        "Cache-Control: max-age=0, s-maxage=60",
        Hit,
    ),
    (
        "s-maxage=0 over max-age",
        "",
        "Cache-Control: s-maxage=0, max-age=60",
        Miss,
    ),
    ("Expires in the past", "", "Expires: {-60}", Miss),
    ("Expires: 0 is the past", "", "Expires: 0", Miss),
    ("heuristic", "", "Last-Modified: {-864000}", Hit),
    (
        "heuristic of something new",
        "",
        "Last-Modified: {-1}",
        Validates,
    ),
    ("nothing said", "", "X-Nothing: said", Miss),
    ("nothing said, but an ETag", "", "ETag: \"x\"", Validates),
    ("no-store", "", "Cache-Control: no-store, max-age=60", Miss),
    (
        "no-store on a second line",
        "",
        "Cache-Control: max-age=60\r\nCache-Control: no-store",
        Miss,
    ),
    ("private", "", "Cache-Control: private, max-age=60", Miss),
    (
        "private in capitals",
        "",
        "Cache-Control: PRIVATE, max-age=60",
        Miss,
    ),
    (
        "no-cache without a validator",
        "",
        "Cache-Control: no-cache, max-age=60",
        Miss,
    ),
    (
        "no-cache with an ETag",
        "",
        "Cache-Control: no-cache\r\nETag: \"x\"",
        Validates,
    ),
    (
        "max-age=0 with an ETag",
        "",
        "Cache-Control: max-age=0\r\nETag: \"x\"",
        Validates,
    ),
    (
        "max-age=0 with Last-Modified",
        "",
        "Cache-Control: max-age=0\r\nLast-Modified: {-60}",
        Validates,
    ),
    (
        "max-age that is no number",
        "",
        "Cache-Control: max-age=soon",
        Miss,
    ),
    ("negative max-age", "", "Cache-Control: max-age=-1", Miss),
    (
        "a lifetime beyond all bounds",
        "",
        "Cache-Control: max-age=99999999999999999999",
        Hit,
    ),
    (
        "must-revalidate while fresh",
        "",
        "Cache-Control: max-age=60, must-revalidate",
        Hit,
    ),
    (
        "an unknown directive",
        "",
        "Cache-Control: max-age=60, later=\"a, no-store\"",
        Hit,
    ),
    (
        "Age beyond max-age",
        "",
        "Cache-Control: max-age=60\r\nAge: 100",
        Miss,
    ),
    (
        "Age within max-age",
        "",
        "Cache-Control: max-age=60\r\nAge: 30",
        Hit,
    ),
    (
        "Age that is no number",
        "",
        "Cache-Control: max-age=60\r\nAge: old",
        Hit,
    ),
    (
        "Set-Cookie with max-age",
        "",
        "Cache-Control: max-age=60\r\nSet-Cookie: a=b",
        Hit,
    ),
    ("Vary: *", "", "Cache-Control: max-age=60\r\nVary: *", Miss),
    (
        "Vary: *, among others",
        "",
        "Cache-Control: max-age=60\r\nVary: Accept, *",
        Miss,
    ),
    (
        "Vary with equal requests",
        "Accept: a\r\n",
        "Cache-Control: max-age=60\r\nVary: Accept",
        Hit,
    ),
    (
        "Vary with an absent field",
        "",
        "Cache-Control: max-age=60\r\nVary: Accept",
        Hit,
    ),
    (
        "Authorization",
        "Authorization: Basic eDp5\r\n",
        "Cache-Control: max-age=60",
        Miss,
    ),
    (
        "Authorization, public",
        "Authorization: Basic eDp5\r\n",
        "Cache-Control: public, max-age=60",
        Hit,
    ),
    (
        "Authorization, s-maxage",
        "Authorization: Basic eDp5\r\n",
        "Cache-Control: s-maxage=60",
        Hit,
    ),
    (
        "Authorization, must-revalidate",
        "Authorization: Basic eDp5\r\n",
        "Cache-Control: max-age=60, must-revalidate",
        Hit,
    ),
    (
        "request says no-store",
        "Cache-Control: no-store\r\n",
        "Cache-Control: max-age=60",
        Miss,
    ),
    (
        "request says no-cache",
        "Cache-Control: no-cache\r\n",
        "Cache-Control: max-age=60",
        Miss,
    ),
    (
        "request says no-cache, ETag",
        "Cache-Control: no-cache\r\n",
        "Cache-Control: max-age=60\r\nETag: \"x\"",
        Validates,
    ),
    (
        "request says Pragma: no-cache",
        "Pragma: no-cache\r\n",
        "Cache-Control: max-age=60",
        Miss,
    ),
    (
        "request says max-age=0",
        "Cache-Control: max-age=0\r\n",
        "Cache-Control: max-age=60\r\nAge: 9",
        Miss,
    ),
    (
        "request's max-age is met",
        "Cache-Control: max-age=50\r\n",
        "Cache-Control: max-age=60",
        Hit,
    ),
    (
        "request's max-age isn't met",
        "Cache-Control: max-age=5\r\n",
        "Cache-Control: max-age=60\r\nAge: 9",
        Miss,
    ),
    (
        "request's min-fresh isn't met",
        "Cache-Control: min-fresh=90\r\n",
        "Cache-Control: max-age=60",
        Miss,
    ),
    (
        "request's min-fresh is met",
        "Cache-Control: min-fresh=10\r\n",
        "Cache-Control: max-age=60",
        Hit,
    ),
    (
        "Cookie in the request",
        "Cookie: a=b\r\n",
        "Cache-Control: max-age=60",
        Hit,
    ),
];
