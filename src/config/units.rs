//! Durations and sizes as people write them: a whole number and a unit, as in "10m" or "2GiB".

use std::time::Duration;

const DURATIONS: [(&str, u64); 7] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 7 * 86_400_000),
];

const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

/// The duration that a text such as "30s", "250ms" or "7d" means.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let named = |unit: &str| DURATIONS.iter().find(|(name, _)| *name == unit);
    scaled(text, named).map(Duration::from_millis)
}

/// The number of bytes that a text such as "500MB" or "10GiB" means. "KB" and "K" are taken too.
pub(super) fn size(text: &str) -> Option<u64> {
    scaled(text, |unit| {
        SIZES.iter().find(|(name, _)| {
            let short = name.strip_suffix("iB").unwrap_or(name);
            name.eq_ignore_ascii_case(unit) || short.eq_ignore_ascii_case(unit)
        })
    })
}

fn scaled<'t>(
    text: &str,
    unit_named: impl Fn(&str) -> Option<&'t (&'static str, u64)>,
) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let (_, scale) = unit_named(unit.trim_start_matches(' '))?;
    number.checked_mul(*scale)
}

/// A duration as people say it: `4h 48min`, `30d`, at most the three greatest of its units.
pub fn display_duration(duration: Duration) -> String {
    const UNITS: [(&str, u64); 5] = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("min", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let first = UNITS.iter().position(|(_, scale)| left >= *scale);
    let Some(first) = first else {
        return "0s".to_owned();
    };
    let mut parts = Vec::new();
    for (name, scale) in UNITS.iter().skip(first).take(3) {
        // Beside minutes nobody counts milliseconds.
        if left >= *scale && !(*name == "ms" && first < 3) {
            parts.push(format!("{}{name}", left / scale));
        }
        left %= scale;
    }
    parts.join(" ")
}

/// A size as it would be written in the configuration, in powers of two where they come out even.
pub fn display_size(bytes: u64) -> String {
    let even = |unit: &&(&str, u64)| bytes != 0 && bytes % unit.1 == 0;
    let (name, scale) = SIZES.iter().rev().find(even).unwrap_or(&SIZES[0]);
    format!("{}{name}", bytes / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let table = [
            ("250ms", Some(250)),
            ("0s", Some(0)),
            ("30s", Some(30_000)),
            ("10m", Some(600_000)),
            ("10min", Some(600_000)),
            ("12 h", Some(43_200_000)),
            ("7d", Some(604_800_000)),
            ("2w", Some(1_209_600_000)),
            ("30", None),
            ("s", None),
            ("", None),
            ("soon", None),
            ("-5s", None),
            ("1.5h", None),
            ("1h30m", None),
            ("10M", None),
            ("99999999999999999999s", None),
            ("18446744073709551615w", None),
        ];
        for (text, millis) in table {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn sizes() {
        let table = [
            ("0B", Some(0)),
            ("500MB", Some(500_000_000)),
            ("2GiB", Some(2 << 30)),
            ("2 gib", Some(2 << 30)),
            ("64k", Some(64 << 10)),
            ("64KB", Some(64_000)),
            ("1G", Some(1 << 30)),
            ("1T", Some(1 << 40)),
            ("10", None),
            ("GiB", None),
            ("1.5GiB", None),
            ("1PiB", None),
            ("18446744073709551615KiB", None),
        ];
        for (text, bytes) in table {
            assert_eq!(size(text), bytes, "{text}");
        }
    }

    #[test]
    fn what_is_displayed_reads_as_the_same() {
        for bytes in [0, 1, 1_000, 1 << 10, 10 << 30, 500_000_000, 12_345] {
            assert_eq!(size(&display_size(bytes)), Some(bytes));
        }
    }

    #[test]
    fn durations_as_people_say_them() {
        let table = [
            (0, "0s"),
            (1, "1ms"),
            (250, "250ms"),
            (1_500, "1s 500ms"),
            (59_999, "59s 999ms"),
            (60_999, "1min"),
            (61_000, "1min 1s"),
            (5 * 60_000, "5min"),
            (288 * 60_000, "4h 48min"),
            (25_923_000, "7h 12min 3s"),
            (3_600_000, "1h"),
            (3_603_000, "1h 3s"),
            (86_399_999, "23h 59min 59s"),
            (86_400_000, "1d"),
            (86_401_000, "1d"),
            (30 * 86_400_000, "30d"),
            (30 * 86_400_000 + 60_000, "30d 1min"),
            (7 * 86_400_000 + 3_600_000 * 5 + 61_000, "7d 5h 1min"),
        ];
        for (millis, expected) in table {
            let duration = Duration::from_millis(millis);
            assert_eq!(display_duration(duration), expected);
        }
        assert!(display_duration(Duration::MAX).ends_with("min"));
    }
}
