//! The age of a response (RFC 9111 §4.2.3). All arithmetic saturates: a clock that jumps or an absurd
//! field gives an old response or a new one, never a wrapped number.

use std::time::Duration;

use super::directives::{FOREVER, delta_seconds};
use super::stored::Meta;
use super::time::Timestamp;
use crate::http::date::{self, UnixSeconds};
use crate::http::fields::Fields;
use crate::http::syntax::elements;

/// The time when the origin made the response: its `Date`, or else when it was received (RFC 9110 §6.6.1).
pub(super) fn date_value(fields: &Fields, received: Timestamp) -> UnixSeconds {
    fields
        .first("date")
        .and_then(date::parse)
        .unwrap_or(received.seconds())
}

/// The greatest age that counts, which is as good as any greater one.
const GREATEST: Duration = Duration::from_secs(FOREVER);

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
pub(super) fn initial_age(fields: &Fields, sent: Timestamp, received: Timestamp) -> Duration {
    let date = date_value(fields, received);
    // `Date` is in whole seconds: one of the second before the request was sent, by a clock a little behind, may have been
    // made at the end of that. It isn't to have lost a second of its freshness for it.
    let apparent_age = match date.saturating_add(1) >= sent.seconds() {
        true => received.since(Timestamp::from_seconds(date.saturating_add(1))),
        false => Duration::from_secs(received.seconds().saturating_sub(date)),
    };
    let response_delay = received.since(sent);
    let corrected_age_value = Duration::from_secs(age_value(fields)) + response_delay;
    apparent_age.max(corrected_age_value).min(GREATEST)
}

/// The age of a stored response when it was received (corrected_initial_age).
pub fn corrected_initial_age(meta: &Meta) -> Duration {
    initial_age(&meta.fields, meta.request_time, meta.response_time)
}

/// The age after so much time in this cache (current_age).
pub fn aged(initial_age: Duration, resident_time: Duration) -> Duration {
    initial_age.saturating_add(resident_time).min(GREATEST)
}

#[cfg(test)]
#[allow(clippy::type_complexity)]
mod tests {
    use super::*;
    use crate::cache::testing::{DATE, NOW, fields};

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
        const AT: u64 = NOW.millis();
        const FOREVER: u64 = super::FOREVER * 1000;
        // (fields, request_time, response_time, corrected_initial_age), in milliseconds
        #[rustfmt::skip]
        let table: &[(&[(&str, &str)], u64, u64, u64)] = &[
            (&[("Date", DATE)], AT, AT, 0),
            (&[("Date", DATE)], AT, AT + 5000, 5000),
            (&[("Date", DATE)], AT + 60_000, AT + 61_000, 61_000),
            (&[("Date", DATE), ("Age", "10")], AT, AT + 1000, 11_000),
            (&[("Date", DATE), ("Age", "10")], AT + 100_000, AT + 100_000, 100_000),
            // A clock behind the origin's: apparent_age is zero, not negative.
            (&[("Date", DATE)], AT - 100_000, AT - 98_000, 2000),
            (&[], AT, AT + 3000, 3000),
            (&[("Date", "yesterday"), ("Age", "4")], AT, AT, 4000),
            // A clock set back while the request was on its way.
            (&[("Date", DATE)], AT, AT - 50_000, 0),
            (&[("Age", "99999999999999999999")], AT, AT + 9000, FOREVER),
            (&[("Date", "Thu, 01 Jan 1970 00:00:00 GMT")], u64::MAX, u64::MAX, FOREVER),
            // A Date is as good as its second.
            (&[("Date", DATE)], AT + 900, AT + 950, 50),
            (&[("Date", DATE)], AT + 990, AT + 1010, 20),
            (&[], AT + 990, AT + 1010, 20),
            (&[("Date", DATE)], AT + 999, AT + 3001, 2002),
            (&[("Date", DATE)], AT + 1001, AT + 1021, 21),
            (&[("Date", DATE)], AT + 1999, AT + 2001, 1001),
            (&[("Date", DATE)], AT + 2000, AT + 2001, 2000),
            (&[("Date", DATE)], AT + 2999, AT + 3001, 3000),
            (&[("Date", DATE), ("Age", "1")], AT + 1300, AT + 1400, 1100),
            (&[("Date", DATE), ("Age", "1")], AT + 999, AT + 1003, 1004),
        ];
        let at = Timestamp::from_millis;
        for (lines, sent, received, expected) in table {
            assert_eq!(
                initial_age(&fields(lines), at(*sent), at(*received)),
                Duration::from_millis(*expected),
                "{lines:?}"
            );
        }
    }
}
