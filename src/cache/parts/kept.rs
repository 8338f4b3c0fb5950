//! Which parts of a variant are kept (RFC 9111 §3.4): those of the most recent representation, none within the others, a
//! bounded number; what touches is joined where that copies little, and all of it once it is whole.

use super::{PartialContent, share_validator};
use crate::cache::range::ByteRange;
use crate::cache::time::Timestamp;
use crate::http::fields::Fields;

/// The most parts of one variant that stay apart. A store removes some only when there are a third more: those that come side
/// by side can be joined before.
pub const MOST: usize = 48;

/// Parts that touch are joined where they have no more bytes together, and one no more than so many times the other's:
/// else who adds piece after piece would have it all copied each time.
const JOINED: u64 = 1 << 20;
const JOINED_TO: u64 = 8;

/// A part that is stored, or is to be.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct KeptPart<'a> {
    pub fields: &'a Fields,
    /// When its response was received.
    pub received: Timestamp,
    pub held: PartialContent,
}

impl KeptPart<'_> {
    /// True when both are of the same representation.
    fn goes_with(&self, other: &KeptPart<'_>) -> bool {
        self.held.length == other.held.length && share_validator(self.fields, other.fields)
    }
}

/// The places of those that are of the same representation as the most recent one, and that one's.
pub fn of_the_most_recent(parts: &[KeptPart<'_>]) -> Option<(Vec<usize>, usize)> {
    let recent = (0..parts.len()).max_by_key(|at| parts[*at].received)?;
    let goes = |at: &usize| *at == recent || parts[recent].goes_with(&parts[*at]);
    Some(((0..parts.len()).filter(goes).collect(), recent))
}

/// The fate of a new part.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// It isn't stored: others have all of it, or are of a more recent representation.
    Outdone,
    /// It is stored, and those in these places are removed.
    Stored(Vec<usize>),
}

/// Decides which parts stay beside a new one.
pub fn enters(stored: &[KeptPart<'_>], new: &KeptPart<'_>) -> Entry {
    let (same, others): (Vec<usize>, Vec<usize>) =
        (0..stored.len()).partition(|at| new.goes_with(&stored[*at]));
    let is_later = |at: &usize| stored[*at].received > new.received;
    let range = |at: &usize| stored[*at].held.part;
    if others.iter().any(is_later) || is_covered(new.held.part, same.iter().map(range)) {
        return Entry::Outdone;
    }
    let mut gone = others;
    let mut stay = same;
    // The smallest first.
    let mut by_size = stay.clone();
    by_size.sort_by_key(|at| range(at).len);
    for at in by_size {
        let rest = stay.iter().filter(|other| **other != at).map(range);
        if is_covered(range(&at), rest.chain([new.held.part])) {
            stay.retain(|other| *other != at);
            gone.push(at);
        }
    }
    Entry::Stored(gone)
}

fn is_covered(part: ByteRange, by: impl Iterator<Item = ByteRange>) -> bool {
    super::HeldParts::new(by, u64::MAX).has(part)
}

/// A step towards fewer parts.
#[derive(Debug, PartialEq, Eq)]
pub enum Tidying {
    /// Those in these places become one: the whole, if they are all of it.
    Join(Vec<usize>),
    /// One is removed.
    Remove(usize),
}

/// The next step for the parts of one representation, which are in the order of their first bytes; none when they may stay
/// as they are. A stored response may have `most` bytes.
pub fn tidying(parts: &[PartialContent], most: u64) -> Option<Tidying> {
    let length = parts.first()?.length;
    let all = parts.iter().map(|held| held.part);
    if length <= most && is_covered(ByteRange::between(0, length), all) {
        return Some(Tidying::Join((0..parts.len()).collect()));
    }
    let together = |at: &usize| parts[*at].part.end() - parts[at - 1].part.first;
    let touching = || {
        let touch = |at: &usize| parts[*at].part.first <= parts[at - 1].part.end();
        let fits = move |at: &usize| touch(at) && together(at) <= most;
        (1..parts.len()).filter(fits)
    };
    let is_alike = |at: &usize| {
        let (one, other) = (parts[at - 1].part.len, parts[*at].part.len);
        one.max(other) <= one.min(other).saturating_mul(JOINED_TO)
    };
    let alike = touching().filter(is_alike).min_by_key(together);
    let pair = |at: usize| Tidying::Join(vec![at - 1, at]);
    if parts.len() <= MOST {
        return alike.filter(|at| together(at) <= JOINED).map(pair);
    }
    let least = alike.or_else(|| touching().min_by_key(together));
    let smallest = || (0..parts.len()).min_by_key(|at| parts[*at].part.len);
    least.map(pair).or_else(|| smallest().map(Tidying::Remove))
}

#[cfg(test)]
#[allow(clippy::type_complexity)]
mod tests {
    use super::*;
    use crate::cache::testing::{NOW, fields};

    const MIB: u64 = 1 << 20;

    fn held(first: u64, len: u64) -> PartialContent {
        PartialContent {
            part: ByteRange { first, len },
            length: 100,
        }
    }

    /// (first byte, length, entity tag, seconds after the first)
    type Row = (u64, u64, &'static str, u64);

    #[test]
    fn parts_beside_a_new_one() {
        use Entry::{Outdone, Stored};
        let stored = |gone: &[usize]| Stored(gone.to_vec());
        #[rustfmt::skip]
        let table: &[(&[Row], Row, Entry)] = &[
            (&[], (0, 5, "\"a\"", 0), stored(&[])),
            // of one representation: beside each other, none within the others
            (&[(0, 5, "\"a\"", 0)], (8, 2, "\"a\"", 1), stored(&[])),
            (&[(0, 5, "\"a\"", 0)], (3, 5, "\"a\"", 1), stored(&[])),
            (&[(0, 5, "\"a\"", 0)], (0, 5, "\"a\"", 1), Outdone),
            (&[(0, 5, "\"a\"", 0)], (1, 2, "\"a\"", 1), Outdone),
            (&[(0, 5, "\"a\"", 0), (5, 5, "\"a\"", 0)], (3, 4, "\"a\"", 1), Outdone),
            (&[(0, 5, "\"a\"", 0)], (0, 6, "\"a\"", 1), stored(&[0])),
            (&[(2, 2, "\"a\"", 0), (6, 2, "\"a\"", 0)], (0, 9, "\"a\"", 1), stored(&[0, 1])),
            (&[(0, 5, "\"a\"", 0), (4, 3, "\"a\"", 0)], (5, 5, "\"a\"", 1), stored(&[1])),
            (&[(0, 5, "\"a\"", 0), (5, 3, "\"a\"", 0), (9, 4, "\"a\"", 0)], (4, 5, "\"a\"", 1), stored(&[1])),
            // of another: the more recent one stays
            (&[(0, 50, "\"a\"", 0), (60, 5, "\"a\"", 0)], (8, 2, "\"b\"", 1), stored(&[0, 1])),
            (&[(0, 5, "\"a\"", 2)], (8, 2, "\"b\"", 1), Outdone),
            (&[(0, 5, "\"a\"", 1)], (8, 2, "\"b\"", 1), stored(&[0])),
            (&[(0, 5, "\"a\"", 0), (8, 4, "\"b\"", 1)], (8, 6, "\"b\"", 2), stored(&[0, 1])),
            // none is proved to be of the same without a strong validator
            (&[(0, 50, "W/\"a\"", 0)], (8, 2, "W/\"a\"", 1), stored(&[0])),
        ];
        for (stored, new, expected) in table {
            let kept: Vec<_> = (stored.iter().chain([new]))
                .map(|(first, len, tag, after)| {
                    let received = Timestamp::from_millis(NOW.millis() + after * 1_000);
                    (fields(&[("ETag", tag)]), received, held(*first, *len))
                })
                .collect();
            let mut kept: Vec<_> = (kept.iter())
                .map(|(fields, received, held)| KeptPart {
                    fields,
                    received: *received,
                    held: *held,
                })
                .collect();
            let new = kept.pop().expect("it is the last");
            assert_eq!(enters(&kept, &new), *expected, "{stored:?} {:?}", new.held);
        }
    }

    #[test]
    fn the_most_recent_representation() {
        let (a, b) = (fields(&[("ETag", "\"a\"")]), fields(&[("ETag", "\"b\"")]));
        let of = |fields, after, held| KeptPart {
            fields,
            received: Timestamp::from_millis(after),
            held,
        };
        let longer = PartialContent {
            length: 101,
            ..held(7, 1)
        };
        let parts = [
            of(&a, 3, held(0, 5)),
            of(&b, 2, held(3, 5)),
            of(&a, 1, held(5, 5)),
            of(&a, 2, longer),
        ];
        assert_eq!(of_the_most_recent(&parts), Some((vec![0, 2], 0)));
        assert_eq!(of_the_most_recent(&parts[1..2]), Some((vec![0], 0)));
        assert_eq!(of_the_most_recent(&[]), None);
    }

    #[test]
    fn steps_towards_fewer_parts() {
        let join = |of: &[usize]| Some(Tidying::Join(of.to_vec()));
        let long = 1_000 * MIB;
        let every = |apart: u64, len: u64, count: u64| -> Vec<(u64, u64)> {
            (0..count).map(|at| (at * apart, len)).collect()
        };
        let full = every(5 * MIB, MIB, MOST as u64);
        let with = |more: (u64, u64)| {
            let mut parts = full.clone();
            parts.push(more);
            parts.sort_unstable();
            parts
        };
        #[rustfmt::skip]
        let table: Vec<(Vec<(u64, u64)>, u64, Option<Tidying>)> = vec![
            (vec![], long, None),
            (vec![(0, 5)], long, None),
            // all of it is the whole, if that may be stored
            (vec![(0, 600 * MIB), (600 * MIB, 400 * MIB)], long, join(&[0, 1])),
            (vec![(0, 600 * MIB), (500 * MIB, 500 * MIB)], long, join(&[0, 1])),
            (vec![(0, 600 * MIB), (600 * MIB, 400 * MIB)], long - 1, None),
            // small ones that touch are one
            (vec![(0, 5), (5, 5)], long, join(&[0, 1])),
            (vec![(0, 5), (4, 5)], long, join(&[0, 1])),
            (vec![(0, 5), (6, 5)], long, None),
            (vec![(0, 5), (7, 5), (12, 3)], long, join(&[1, 2])),
            (vec![(0, 50), (50, 40), (90, 30)], long, join(&[1, 2])),
            (vec![(0, MIB / 2), (MIB / 2, MIB / 2)], long, join(&[0, 1])),
            (vec![(0, MIB / 2), (MIB / 2, MIB / 2 + 1)], long, None),
            (vec![(0, 5), (5, 5)], 9, None),
            // but not a little to much
            (vec![(0, 80), (80, 10)], long, join(&[0, 1])),
            (vec![(0, 80), (80, 9)], long, None),
            // too many
            (full.clone(), long, None),
            (with((6 * MIB, 2 * MIB)), long, join(&[1, 2])),
            (with((3 * MIB, MIB / 2)), long, Some(Tidying::Remove(1))),
        ];
        for (parts, most, expected) in table {
            let of = |(first, len): &(u64, u64)| PartialContent {
                length: long,
                ..held(*first, *len)
            };
            let places: Vec<_> = parts.iter().map(of).collect();
            assert_eq!(tidying(&places, most), expected, "{parts:?} {most}");
        }
    }

    /// Whatever comes, there are no more parts in the end than may stay, and piece after piece costs few copies.
    #[test]
    fn pieces_one_after_another() {
        let piece = 64 << 10;
        let (mut parts, mut copied): (Vec<PartialContent>, u64) = Default::default();
        for at in 0..4_096 {
            parts.push(PartialContent {
                length: u64::MAX,
                ..held(at * piece, piece)
            });
            while let Some(step) = tidying(&parts, u64::MAX) {
                let Tidying::Join(of) = step else {
                    panic!("they touch: {step:?}");
                };
                let (first, end) = (of[0], of[of.len() - 1]);
                let joined = ByteRange::between(parts[first].part.first, parts[end].part.end());
                copied += joined.len;
                parts.drain(first + 1..=end);
                parts[first].part = joined;
            }
            assert!(parts.len() <= MOST);
        }
        assert!(copied < 12 * 4_096 * piece, "{copied}");
    }
}
