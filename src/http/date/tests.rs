//! Dates by the clauses of RFC 9110 §5.6.7 and RFC 9111 §4.2.

use super::*;

const EXAMPLE: UnixSeconds = 784_111_777;

#[test]
fn dates_are_read() {
    let table: &[(&str, Option<UnixSeconds>)] = &[
        // The three forms of RFC 9110 §5.6.7, by its own examples.
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(EXAMPLE)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(EXAMPLE)),
        ("Sun Nov  6 08:49:37 1994", Some(EXAMPLE)),
        ("Wed Nov 16 08:49:37 1994", Some(EXAMPLE + 864_000)),
        // Case does not matter to a cache (RFC 9111 §4.2); the wrong weekday never does.
        ("sun, 06 nov 1994 08:49:37 gmt", Some(EXAMPLE)),
        ("Mon, 06 Nov 1994 08:49:37 GMT", Some(EXAMPLE)),
        // Leap years, a leap second, the ends of the range.
        ("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800)),
        ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
        ("Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_799)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("Tue, 01 Jan 1901 00:00:00 GMT", Some(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(LAST)),
        ("Thu, 29 Feb 2023 00:00:00 GMT", None),
        ("Mon, 29 Feb 2100 00:00:00 GMT", None),
        ("Sun, 31 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 24:00:00 GMT", None),
        ("Sun, 06 Nov 1994 08:60:00 GMT", None),
        ("Sun, 06 Nov 1994 08:49:61 GMT", None),
        // Zones other than GMT are invalid (RFC 9111 §4.2).
        ("Sun, 06 Nov 1994 08:49:37 UTC", None),
        ("Sun, 06 Nov 1994 08:49:37 EST", None),
        ("Sun, 06 Nov 1994 08:49:37 +0000", None),
        ("Sun, 06 Nov 1994 08:49:37", None),
        // Anything else isn't a date.
        ("", None),
        ("0", None),
        ("-1", None),
        ("784111777", None),
        ("Sun,  6 Nov 1994 08:49:37 GMT", None),
        ("Sun, +6 Nov 1994 08:49:37 GMT", None),
        (" Sun, 06 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994  8:49:37 GMT", None),
        ("Sun, 06-Nov-1994 08:49:37 GMT", None),
        ("Sun, 06 Foo 1994 08:49:37 GMT", None),
        ("Foo, 06 Nov 1994 08:49:37 GMT", None),
        ("Sunday, 06-Nov-94 08:49:37 GMT ", None),
        ("Sunday,", None),
        ("Sun Nov 06 08:49:37 94", None),
        ("Sun, \u{e9}\u{e9} Nov 1994 08:49:7 GMT", None),
    ];
    for (text, expected) in table {
        assert_eq!(parse(text.as_bytes()), *expected, "{text}");
        let in_their_time = parse_at(text.as_bytes(), EXAMPLE);
        assert_eq!(in_their_time, *expected, "{text} with a clock");
    }
}

#[test]
fn two_digit_years_are_at_most_fifty_years_ahead() {
    let now = parse(b"Sat, 15 Jun 2024 12:00:00 GMT").unwrap();
    let table = [
        (
            "Saturday, 15-Jun-24 12:00:00 GMT",
            "Sat, 15 Jun 2024 12:00:00 GMT",
        ),
        (
            "Friday, 15-Jun-74 12:00:00 GMT",
            "Fri, 15 Jun 2074 12:00:00 GMT",
        ),
        (
            "Saturday, 15-Jun-74 12:00:01 GMT",
            "Sat, 15 Jun 1974 12:00:01 GMT",
        ),
        (
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT",
        ),
        (
            "Friday, 31-Dec-99 23:59:59 GMT",
            "Fri, 31 Dec 1999 23:59:59 GMT",
        ),
        (
            "Tuesday, 29-Feb-00 00:00:00 GMT",
            "Tue, 29 Feb 2000 00:00:00 GMT",
        ),
    ];
    for (short, full) in table {
        let expected = parse(full.as_bytes());
        assert!(expected.is_some());
        assert_eq!(parse_at(short.as_bytes(), now), expected, "{short}");
    }
}

#[test]
fn without_a_clock_two_digits_are_a_year_from_1970_to_2069() {
    let table = [
        ("Thursday, 01-Jan-70 00:00:00 GMT", 0),
        ("Saturday, 01-Jan-05 00:00:00 GMT", 1_104_537_600),
        ("Tuesday, 31-Dec-69 23:59:59 GMT", 3_155_759_999),
    ];
    for (text, expected) in table {
        assert_eq!(parse(text.as_bytes()), Some(expected), "{text}");
    }
}

#[test]
fn what_is_written_is_read_back() {
    assert_eq!(&format(EXAMPLE), b"Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(&format(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(&format(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
    let mut at = 0;
    while at < LAST {
        assert_eq!(parse(&format(at)), Some(at));
        at += 86_400 * 11 + 4_567;
    }
}
