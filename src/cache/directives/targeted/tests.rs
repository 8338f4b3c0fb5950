//! Tables of targeted fields: one row per clause of RFC 9213 §2.1, §2.2.

use super::*;
use crate::cache::directives::{ResponseDirectives, withheld};
use crate::http::testing::fields;

type Lines<'a> = &'a [(&'a str, &'a str)];
type D = ResponseDirectives;

fn list() -> TargetList {
    TargetList::new(vec!["A-CC".to_owned(), "B-CC".to_owned()])
}

fn of(lines: Lines) -> D {
    ResponseDirectives::of(&fields(lines), &list())
}

const NONE: D = D {
    targeted: true,
    max_age: None,
    s_maxage: None,
    no_cache: false,
    no_store: false,
    private: false,
    public: false,
    must_revalidate: false,
    proxy_revalidate: false,
    must_understand: false,
    immutable: false,
    stale_while_revalidate: None,
    stale_if_error: None,
};

fn max_age(seconds: u64) -> D {
    let max_age = Some(seconds);
    D { max_age, ..NONE }
}

#[test]
fn values_of_members() {
    #[rustfmt::skip]
    let table: &[(&str, D)] = &[
        ("max-age=60", max_age(60)),
        ("max-age=060", max_age(60)),
        ("max-age=999999999999999", max_age(FOREVER)),
        ("max-age=60;a=1;no-store", max_age(60)),
        ("max-age=10, max-age=60", max_age(60)),
        ("max-age", max_age(0)),
        ("max-age=?0", NONE),
        ("max-age=-1", max_age(0)),
        ("max-age=60.0", max_age(0)),
        ("max-age=\"60\"", max_age(0)),
        ("max-age=s60", max_age(0)),
        ("max-age=(60)", max_age(0)),
        ("max-age=:AAAA:", max_age(0)),
        ("s-maxage=9, a=b", D { s_maxage: Some(9), ..NONE }),
        ("stale-while-revalidate=9, stale-if-error=8", D { stale_while_revalidate: Some(9), stale_if_error: Some(8), ..NONE }),
        ("no-store", D { no_store: true, ..NONE }),
        ("no-store=?1", D { no_store: true, ..NONE }),
        ("no-store=?0", NONE),
        ("no-store, no-store=?0", NONE),
        // What restricts counts whatever its value, what permits doesn't.
        ("no-store=1, must-revalidate=a", D { no_store: true, must_revalidate: true, ..NONE }),
        ("public=1, immutable=\"\", must-understand=(a)", NONE),
        ("public, immutable, must-understand", D { public: true, immutable: true, must_understand: true, ..NONE }),
        ("proxy-revalidate", D { proxy_revalidate: true, ..NONE }),
        ("private, no-cache", D { private: true, no_cache: true, ..NONE }),
        ("private=\"x, y\", no-cache=\"z\"", NONE),
        ("private=\"\"", D { private: true, ..NONE }),
        ("private=x", D { private: true, ..NONE }),
        ("private=(\"x\")", D { private: true, ..NONE }),
        ("private=\"x\\\"\"", D { private: true, ..NONE }),
        ("private=\"b-cc\"", D { private: true, ..NONE }),
        ("private=\"Cache-Control\"", D { private: true, ..NONE }),
        ("none", NONE),
        ("no_store, *x=1", NONE),
    ];
    for (value, expected) in table {
        assert_eq!(of(&[("A-CC", value)]), *expected, "{value}");
    }
}

#[test]
fn the_first_of_the_list_that_is_valid() {
    let other = D {
        targeted: false,
        ..max_age(7)
    };
    let cc = ("Cache-Control", "max-age=7");
    #[rustfmt::skip]
    let table: &[(Lines, D)] = &[
        (&[cc], other),
        (&[cc, ("A-CC", "max-age=1"), ("B-CC", "max-age=2")], max_age(1)),
        (&[cc, ("B-CC", "max-age=2"), ("a-cc", "max-age=1")], max_age(1)),
        (&[cc, ("B-CC", "max-age=2")], max_age(2)),
        (&[cc, ("C-CC", "max-age=3")], other),
        (&[("A-CC", "max-age=1"), ("Pragma", "no-cache")], max_age(1)),
        (&[cc, ("A-CC", "x"), ("A-CC", "max-age=1")], max_age(1)),
        (&[cc, ("A-CC", "max-age=2"), ("B-CC", "no-store"), ("A-CC", "max-age=1")], max_age(1)),
        // Empty or invalid.
        (&[cc, ("A-CC", "")], other),
        (&[cc, ("A-CC", " ")], other),
        (&[cc, ("A-CC", ""), ("A-CC", "max-age=1")], other),
        (&[cc, ("A-CC", "max-age=1,")], other),
        (&[cc, ("A-CC", ",max-age=1")], other),
        (&[cc, ("A-CC", "max-age=1;")], other),
        (&[cc, ("A-CC", "Max-Age=1")], other),
        (&[cc, ("A-CC", "max-age= 1")], other),
        (&[cc, ("A-CC", "max-age=")], other),
        (&[cc, ("A-CC", "max-age=1 no-store")], other),
        (&[cc, ("A-CC", "no-store; =1")], other),
        (&[cc, ("A-CC", "max-age=1, x=\"caf\u{e9}\"")], other),
        (&[cc, ("A-CC", "x=\"open, no-store")], other),
        (&[cc, ("A-CC", "x=@1659578233")], other),
        (&[cc, ("A-CC", "max-age=1"), ("A-CC", "&")], other),
        (&[cc, ("A-CC", "&"), ("B-CC", "max-age=2")], max_age(2)),
    ];
    for (lines, expected) in table {
        assert_eq!(of(lines), *expected, "{lines:?}");
    }
}

#[test]
fn fields_that_are_withheld() {
    let cc = ("Cache-Control", "private=\"c\"");
    #[rustfmt::skip]
    let table: &[(Lines, &str)] = &[
        (&[cc], "c"),
        (&[cc, ("A-CC", "private=\"a\", no-cache=\"b\", x=\"d\"")], "ab"),
        (&[cc, ("A-CC", "private=\"a\", private=\"b\"")], "b"),
        (&[cc, ("A-CC", "private=\"a,B\"")], "ab"),
        (&[cc, ("A-CC", "private=\"a")], "c"),
        (&[cc, ("A-CC", "max-age=1")], ""),
        (&[cc, ("A-CC", "private")], ""),
    ];
    for (lines, expected) in table {
        let (fields, list) = (fields(lines), list());
        let names = withheld(&fields, &list);
        let found: String = ["a", "b", "c", "d"]
            .into_iter()
            .filter(|name| names.contains(name.as_bytes()))
            .collect();
        assert_eq!(found, *expected, "{lines:?}");
    }
}

#[test]
fn which_fields_govern() {
    for (name, expected) in [("a-cc", true), ("CACHE-control", true), ("C-CC", false)] {
        assert_eq!(list().governs(name.as_bytes()), expected, "{name}");
    }
    assert!(!TargetList::NONE.governs(b"a-cc"));
    assert_eq!(TargetList::new(Vec::new()), TargetList::NONE);
}
