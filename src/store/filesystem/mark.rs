//! The mark of an index: in which boot it was last opened, with which lock, and whether it was closed. Decides if it is to
//! be believed; an index isn't synced as it is written, so after any other end of a boot it isn't.

use std::fmt;
use std::path::Path;

use super::directory::{hex, unhex};

/// A file, by device and number.
pub(super) type Identity = (u64, u64);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) boot: [u8; 16],
    /// The file by which its users keep out of each other's way.
    pub(super) lock: Identity,
    /// Its last transaction, when it was closed by all.
    pub(super) closed_at: Option<u64>,
}

/// The belief that an index deserves.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// It was opened in this boot, and may be in use.
    InUse,
    /// It is whole if this is its last transaction.
    ClosedAt(u64),
    /// None; the text says why.
    No(&'static str),
}

impl Belief {
    /// Of one without a mark.
    pub(super) const NONE: Belief = Belief::No("nothing says how it was left");
}

impl Mark {
    pub(super) fn read(path: &Path) -> Option<Mark> {
        Mark::parse(&std::fs::read_to_string(path).ok()?)
    }

    fn parse(text: &str) -> Option<Mark> {
        // What follows is left of another, over which it was written.
        let (line, _) = text.split_once('\n')?;
        let mut words = line.split_ascii_whitespace();
        let boot = unhex(words.next()?)?;
        let mut number = || words.next().map(str::parse::<u64>);
        let lock = (number()?.ok()?, number()?.ok()?);
        let closed_at = number().transpose().ok()?;
        Some(Mark {
            boot,
            lock,
            closed_at,
        })
    }

    /// The belief that the index deserves in this boot, its lock being that file.
    pub(super) fn belief(&self, boot: [u8; 16], lock: Option<Identity>) -> Belief {
        if self.boot != boot {
            return match self.closed_at {
                Some(transaction) => Belief::ClosedAt(transaction),
                None => Belief::No("the machine went down while it was in use"),
            };
        }
        match (lock == Some(self.lock), self.closed_at) {
            (true, _) => Belief::InUse,
            // By its last user, or later.
            (false, Some(transaction)) => Belief::ClosedAt(transaction),
            (false, None) => Belief::No("its lock was removed"),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", hex(&self.boot), self.lock.0, self.lock.1)?;
        match self.closed_at {
            Some(transaction) => writeln!(f, " {transaction}"),
            None => writeln!(f),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn beliefs() {
        let open = Mark {
            boot: [1; 16],
            lock: (2, 3),
            closed_at: None,
        };
        let closed = Mark {
            closed_at: Some(7),
            ..open.clone()
        };
        for mark in [&open, &closed] {
            assert_eq!(Mark::parse(&mark.to_string()).as_ref(), Some(mark));
        }
        let went_down = Belief::No("the machine went down while it was in use");
        let no_lock = || Belief::No("its lock was removed");
        let table = [
            (&open, 1, Some((2, 3)), Belief::InUse),
            (&closed, 1, Some((2, 3)), Belief::InUse),
            (&open, 1, Some((2, 4)), no_lock()),
            (&closed, 1, None, Belief::ClosedAt(7)),
            (&closed, 1, Some((2, 4)), Belief::ClosedAt(7)),
            (&open, 1, None, no_lock()),
            (&open, 9, Some((2, 3)), went_down),
            (&closed, 9, None, Belief::ClosedAt(7)),
        ];
        for (mark, boot, lock, expected) in table {
            assert_eq!(mark.belief([boot; 16], lock), expected, "{mark} {boot}");
        }
        let over = format!("{open}{closed}");
        assert_eq!(Mark::parse(&over).as_ref(), Some(&open));
        assert_eq!(Mark::parse(open.to_string().trim_end()), None);
        for text in ["", "x", &hex(&[1; 16]), &format!("{} 1 x", hex(&[1; 16]))] {
            assert_eq!(Mark::parse(text), None, "{text}");
        }
    }
}
