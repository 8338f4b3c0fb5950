//! HTTP dates (RFC 9110 §5.6.7): all three forms read, the preferred one written.
//!
//! Names are matched without regard to case, as RFC 9111 §4.2 asks of caches. Zones other than
//! GMT are refused. No clock here: `now` is an argument.

use super::syntax::number;

/// Seconds since 1970-01-01 00:00:00 UTC.
pub type UnixSeconds = u64;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const LONG_DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// The last second that four digits of year can name.
pub const LAST: UnixSeconds = 253_402_300_799;

/// The time that an HTTP date names; one before 1970 is taken as 1970. A year of two digits is
/// taken to lie between 1970 and 2069; see [`parse_at`] for the rule with a clock.
pub fn parse(value: &[u8]) -> Option<UnixSeconds> {
    let date = read(value)?;
    date.seconds(match date.year {
        Year::Full(year) => year,
        Year::Short(year @ 70..) => 1900 + year,
        Year::Short(year) => 2000 + year,
    })
}

/// As [`parse`], but a year of two digits that seems more than 50 years in the future stands for
/// the most recent past year with those digits (RFC 9110 §5.6.7).
pub fn parse_at(value: &[u8], now: UnixSeconds) -> Option<UnixSeconds> {
    let date = read(value)?;
    let short = match date.year {
        Year::Full(year) => return date.seconds(year),
        Year::Short(short) => short,
    };
    let (this_year, month, day) = civil(now / 86_400);
    let year = this_year - this_year % 100 + short;
    let days = days_from_civil(this_year + 50, month, day);
    let fifty_years_on = days * 86_400 + now % 86_400;
    match date.seconds(year) {
        Some(at) if at > fifty_years_on => date.seconds(year - 100),
        at => at,
    }
}

/// The preferred form (IMF-fixdate) of a time, for example `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn format(at: UnixSeconds) -> [u8; 29] {
    let at = at.min(LAST);
    let (days, second) = (at / 86_400, at % 86_400);
    let (year, month, day) = civil(days);
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    // 1970-01-01 was a Thursday.
    text[..3].copy_from_slice(DAYS[((days + 3) % 7) as usize].as_bytes());
    text[8..11].copy_from_slice(MONTHS[month as usize - 1].as_bytes());
    let pairs = [
        (5, day),
        (12, year / 100),
        (14, year % 100),
        (17, second / 3600),
        (20, second / 60 % 60),
        (23, second % 60),
    ];
    for (place, number) in pairs {
        text[place] = b'0' + (number / 10) as u8;
        text[place + 1] = b'0' + (number % 10) as u8;
    }
    text
}

/// A date as read, which may be none of the calendar.
struct ParsedDate {
    year: Year,
    month: u64,
    day: u64,
    second: u64,
}

#[derive(Clone, Copy)]
enum Year {
    Full(u64),
    Short(u64),
}

impl ParsedDate {
    fn seconds(&self, year: u64) -> Option<UnixSeconds> {
        if self.day > days_in(year, self.month) {
            return None;
        }
        if year < 1970 {
            return Some(0);
        }
        Some(days_from_civil(year, self.month, self.day) * 86_400 + self.second)
    }
}

/// Tells the form by the length of what follows the name of the day.
fn read(value: &[u8]) -> Option<ParsedDate> {
    let (name, rest) = value.split_at(memchr::memchr2(b',', b' ', value)?);
    let (names, pattern, year, month, day, at): (_, &[u8], _, _, _, _) = match rest.len() {
        // IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`
        26 => (&DAYS, b", __ ___ ____ __:__:__ GMT", 9..13, 5..8, 2..4, 14),
        // RFC 850, `Sunday, 06-Nov-94 08:49:37 GMT`
        24 => (
            &LONG_DAYS,
            b", __-___-__ __:__:__ GMT",
            9..11,
            5..8,
            2..4,
            12,
        ),
        // asctime, `Sun Nov  6 08:49:37 1994`
        21 => {
            let day = if rest[5] == b' ' { 6..7 } else { 5..7 };
            (&DAYS, b" ___ __ __:__:__ ____", 17..21, 1..4, day, 8)
        }
        _ => return None,
    };
    one_of(name, names)?;
    separators(rest, pattern)?;
    let year = match &rest[year] {
        short @ [_, _] => Year::Short(number(short)?),
        full => Year::Full(number(full)?),
    };
    Some(ParsedDate {
        year,
        month: one_of(&rest[month], &MONTHS)?,
        day: number(&rest[day])?,
        second: time(&rest[at..at + 8])?,
    })
}

/// Refuses what differs from `pattern`, where `_` is anything.
fn separators(value: &[u8], pattern: &[u8]) -> Option<()> {
    let same = |(byte, wanted): (&u8, &u8)| *wanted == b'_' || byte.eq_ignore_ascii_case(wanted);
    (value.len() == pattern.len() && value.iter().zip(pattern).all(same)).then_some(())
}

/// The place of a name in a list, from 1.
fn one_of(name: &[u8], list: &[&str]) -> Option<u64> {
    let same = |known: &&str| known.as_bytes().eq_ignore_ascii_case(name);
    list.iter().position(same).map(|at| at as u64 + 1)
}

/// Seconds into the day of `08:49:37`. A leap second counts as the one before it.
fn time(text: &[u8]) -> Option<u64> {
    let pair = |at| number(&text[at..at + 2]);
    let (hour, minute, second) = (pair(0)?, pair(3)?, pair(6)?);
    let valid = hour < 24 && minute < 60 && second <= 60;
    valid.then(|| hour * 3600 + minute * 60 + second.min(59))
}

fn days_in(year: u64, month: u64) -> u64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, 1970 or later. Years are
/// counted from March, so that the leap day is the last.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

/// Year, month and day, so many days after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = (shifted + 2) % 12 + 1;
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
