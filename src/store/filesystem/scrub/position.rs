//! How far a scrub has come: kept in a small file, so that it goes on there after a restart.
//!
//! What the file says is a hint: one that makes no sense begins a pass anew.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::store::filesystem::directory::{hex, unhex};
use crate::store::record::head::FileId;

/// The time between the beginnings of two passes.
pub(super) const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const KIND: &str = "scrub-1";

/// The place that a pass has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In the directory of large files with this number, after the file of this id where there was one.
    Files {
        directory: u8,
        after: Option<FileId>,
    },
    /// Among the small responses, after the one with this key in the index.
    Small { after: Vec<u8> },
    /// All is read.
    Over,
}

/// A pass, and what it has found so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// The time at which it began, in seconds since 1970.
    pub(super) began: u64,
    pub(super) place: Place,
    pub(super) files: u64,
    /// Small responses.
    pub(super) small: u64,
    pub(super) bytes: u64,
    pub(super) damaged: u64,
}

impl Position {
    /// The beginning of a pass.
    pub(super) fn beginning(now: SystemTime) -> Position {
        Position {
            began: seconds(now),
            place: Place::Files {
                directory: 0,
                after: None,
            },
            files: 0,
            small: 0,
            bytes: 0,
            damaged: 0,
        }
    }

    /// The one that a file's text says, if a pass goes on there or the next isn't due; else the beginning of one.
    pub(super) fn read(text: &str, now: SystemTime) -> Position {
        let read = Position::parse(text.trim_end());
        // A clock that was set back.
        let read = read.filter(|position| position.began <= seconds(now));
        read.unwrap_or_else(|| Position::beginning(now))
    }

    /// The time until the next pass is due; none while one goes on.
    pub(super) fn pause(&self, now: SystemTime) -> Option<Duration> {
        let is_over = self.place == Place::Over;
        let since = Duration::from_secs(seconds(now).saturating_sub(self.began));
        is_over.then(|| WEEK.saturating_sub(since))
    }

    fn parse(text: &str) -> Option<Position> {
        let mut words = text.split(' ');
        if words.next() != Some(KIND) {
            return None;
        }
        let mut numbers = [0; 5];
        for number in &mut numbers {
            *number = words.next()?.parse().ok()?;
        }
        let [began, files, small, bytes, damaged] = numbers;
        let place = match (words.next()?, words.next()?, words.next()) {
            ("files", directory, after) => Place::Files {
                directory: directory.parse().ok()?,
                after: after.map(unhex).map_or(Some(None), |id| id.map(Some))?,
            },
            ("small", after, None) => Place::Small {
                after: from_digits(after)?,
            },
            ("over", "-", None) => Place::Over,
            _ => return None,
        };
        Some(Position {
            began,
            place,
            files,
            small,
            bytes,
            damaged,
        })
    }
}

/// Its text in the file.
impl Display for Position {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Position {
            began,
            files,
            small,
            bytes,
            damaged,
            ..
        } = self;
        write!(f, "{KIND} {began} {files} {small} {bytes} {damaged} ")?;
        match &self.place {
            Place::Files { directory, after } => {
                write!(f, "files {directory}")?;
                (after.iter()).try_for_each(|id| write!(f, " {}", hex(id)))?;
            }
            Place::Small { after } => {
                f.write_str("small -")?;
                after.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            }
            Place::Over => f.write_str("over -")?,
        }
        f.write_str("\n")
    }
}

fn from_digits(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix('-')?.as_bytes();
    let value = |digit: &u8| char::from(*digit).to_digit(16).map(|value| value as u8);
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(value(high)? << 4 | value(low)?),
        _ => None,
    });
    pairs.collect()
}

fn seconds(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back_and_what_makes_no_sense_is_the_beginning() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let beginning = Position::beginning(now);
        let places = [
            Place::Files {
                directory: 0xab,
                after: None,
            },
            Place::Files {
                directory: 255,
                after: Some([0xcd; 16]),
            },
            Place::Small { after: vec![] },
            Place::Small {
                after: b"http://a/\0\xff".to_vec(),
            },
            Place::Over,
        ];
        for place in places {
            let position = Position {
                place,
                files: 3,
                small: 4,
                bytes: 1 << 40,
                damaged: 1,
                ..beginning.clone()
            };
            let text = position.to_string();
            let later = now + WEEK;
            assert_eq!(Position::read(&text, later), position, "{text}");
            let earlier = now - Duration::from_secs(1);
            assert_eq!(Position::read(&text, earlier), Position::beginning(earlier));
            for end in 0..text.len() - 1 {
                // Never more than what was written.
                let cut = Position::read(&text[..end], later);
                assert!(cut.bytes <= 1 << 40, "{text} {end}");
            }
        }
        let bad = [
            "",
            "scrub-1",
            "scrub-2 1 0 0 0 0 over -",
            "scrub-1 1 0 0 0 0 files 256",
            "scrub-1 1 0 0 0 0 files 1 xy",
            "scrub-1 1 0 0 0 0 small -abc",
            "scrub-1 1 0 0 0 0 small",
            "scrub-1 1 0 0 0 x over -",
        ];
        for text in bad {
            assert_eq!(Position::read(text, now), beginning, "{text}");
        }
    }

    #[test]
    fn a_pass_begins_a_week_after_the_last_one_began() {
        let began = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut position = Position::beginning(began);
        assert_eq!(position.pause(began), None, "one goes on");
        position.place = Place::Over;
        let day = WEEK / 7;
        assert_eq!(position.pause(began + day), Some(6 * day));
        assert_eq!(position.pause(began + 8 * day), Some(Duration::ZERO));
    }
}
