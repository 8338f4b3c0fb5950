//! The age of a response (RFC 9111 §4.2.3). All arithmetic saturates: a clock that jumps or an absurd
//! field gives an old response or a new one, never a wrapped number.

use super::directives::{FOREVER, delta_seconds};
use crate::http::date::{self, UnixSeconds};
use crate::http::fields::Fields;
use crate::http::syntax::elements;

/// The time when the origin made the response: its `Date`, or else when it was received (RFC 9110 §6.6.1).
pub(super) fn date_value(fields: &Fields, received: UnixSeconds) -> UnixSeconds {
    fields
        .first("date")
        .and_then(date::parse)
        .unwrap_or(received)
}

/// The `Age` field: the first member of its list; 0 when that is not a number (RFC 9111 §5.1).
fn age_value(fields: &Fields) -> u64 {
    fields
        .first("age")
        .and_then(|line| elements(line).next())
        .and_then(delta_seconds)
        .unwrap_or(0)
}

/// The age at the time the response was received (corrected_initial_age): the greater of what its
/// `Date` and its `Age` make of it, since either may be missing or wrong on the low side.
pub(super) fn initial_age(fields: &Fields, sent: UnixSeconds, received: UnixSeconds) -> u64 {
    let apparent_age = received.saturating_sub(date_value(fields, received));
    let response_delay = received.saturating_sub(sent);
    let corrected_age_value = age_value(fields).saturating_add(response_delay);
    apparent_age.max(corrected_age_value).min(FOREVER)
}

#[cfg(test)]
#[allow(clippy::type_complexity)]
mod tests {
    use super::*;
    use crate::cache::testing::{DATE, NOW as AT, fields};

    #[test]
    fn age_fields() {
        let table: &[(&[&str], u64)] = &[
            (&[], 0),
            (&["0"], 0),
            (&["30"], 30),
            (&["030"], 30),
            (&["30, 7200"], 30),
            (&["30", "7200"], 30),
            (&["7200", "0"], 7200),
            (&[", 30"], 30),
            (&["x, 30"], 0),
            (&["x", "30"], 0),
            (&["-1"], 0),
            (&["30.5"], 0),
            (&["30s"], 0),
            (&["\"30\""], 0),
            (&["2147483648"], FOREVER),
            (&["99999999999999999999999"], FOREVER),
        ];
        for (lines, expected) in table {
            let lines: Vec<_> = lines.iter().map(|line| ("Age", *line)).collect();
            assert_eq!(age_value(&fields(&lines)), *expected, "{lines:?}");
        }
    }

    #[test]
    fn initial_ages() {
        // (fields, request_time, response_time, corrected_initial_age)
        #[rustfmt::skip]
        let table: &[(&[(&str, &str)], u64, u64, u64)] = &[
            (&[("Date", DATE)], AT, AT, 0),
            (&[("Date", DATE)], AT, AT + 5, 5),
            (&[("Date", DATE)], AT + 60, AT + 61, 61),
            (&[("Date", DATE), ("Age", "10")], AT, AT + 1, 11),
            (&[("Date", DATE), ("Age", "10")], AT + 100, AT + 100, 100),
            // A clock behind the origin's: apparent_age is zero, not negative.
            (&[("Date", DATE)], AT - 100, AT - 98, 2),
            (&[], AT, AT + 3, 3),
            (&[("Date", "yesterday"), ("Age", "4")], AT, AT, 4),
            // A clock set back while the request was on its way.
            (&[("Date", DATE)], AT, AT - 50, 0),
            (&[("Age", "99999999999999999999")], AT, AT + 9, FOREVER),
            (&[("Date", "Thu, 01 Jan 1970 00:00:00 GMT")], u64::MAX, u64::MAX, FOREVER),
        ];
        for (lines, sent, received, expected) in table {
            assert_eq!(
                initial_age(&fields(lines), *sent, *received),
                *expected,
                "{lines:?}"
            );
        }
    }
}
