//! Precedents: what earlier answers told of a key, that they were of use to all or to nobody but the client that asked. So
//! requests wait for another's fetch where that is worth it, and go to the origin server at once where it isn't.
//!
//! A hint: two hashes that look alike, or a note that a fuller bucket pushed out, cost a second fetch or
//! a moment's wait, and nothing else.

use std::sync::atomic::Ordering::Relaxed;

use super::layout::Bucket;
use super::mapping::Shared;

/// The bit of a note's time that says that answers were of use to all.
const SHARED: u64 = 1;

/// A note is 32 bits of the key's hash, and the Unix time at which it ends, but for its lowest bit.
impl Shared {
    /// Notes until when answers for the key with this hash are taken to be of use to all, or for one client alone.
    /// In a full bucket the note that ends first goes.
    pub fn note_precedent(&self, hash: &[u8; 16], is_shared: bool, until: u64) {
        let (bucket, tag) = self.notes(hash);
        let notes = || bucket.0.iter().map(|slot| (slot, slot.load(Relaxed)));
        let slot = notes()
            .find(|(_, note)| of(*note) == tag)
            .or_else(|| notes().min_by_key(|(_, note)| ends(*note)));
        if let Some((slot, _)) = slot {
            let until = u64::from(u32::try_from(until).unwrap_or(u32::MAX));
            let noted = until & !SHARED | u64::from(is_shared);
            slot.store((u64::from(tag) << 32) | noted, Relaxed);
        }
    }

    /// True when answers for the key with this hash are of use to all, false when they are for each client alone; `None`
    /// when nothing is known.
    pub fn precedent(&self, hash: &[u8; 16], now: u64) -> Option<bool> {
        let (bucket, tag) = self.notes(hash);
        let mut notes = bucket.0.iter().map(|slot| slot.load(Relaxed));
        let note = notes.find(|note| of(*note) == tag && ends(*note) > now)?;
        Some(note & SHARED != 0)
    }

    /// Takes back what was noted of this key.
    pub fn forget_precedent(&self, hash: &[u8; 16]) {
        let (bucket, tag) = self.notes(hash);
        for slot in &bucket.0 {
            // Nearly always there is nothing: the cache line stays shared between cores.
            if of(slot.load(Relaxed)) == tag {
                slot.store(0, Relaxed);
            }
        }
    }

    fn notes(&self, hash: &[u8; 16]) -> (&Bucket, u32) {
        let [_, _, c, d, e, f, ..] = *hash;
        // Never 0, which a free slot has.
        let tag = u32::from_le_bytes([c, d, e, f]) | (1 << 31);
        (Bucket::of(&self.layout().precedents, hash), tag)
    }
}

fn of(note: u64) -> u32 {
    (note >> 32) as u32
}

fn ends(note: u64) -> u64 {
    note & u64::from(u32::MAX) & !SHARED
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A step, on keys of one bucket.
    enum NoteStep {
        Note(u8, bool, u64),
        Forget(u8),
        Is(u8, u64, Option<bool>),
    }

    #[test]
    fn notes_end_or_are_taken_back() {
        use NoteStep::{Forget, Is, Note};
        let rows = [
            ("nothing noted", Is(1, 0, None)),
            ("noted", Note(1, false, 100)),
            ("still", Is(1, 99, Some(false))),
            ("over", Is(1, 100, None)),
            ("another key", Is(2, 0, None)),
            ("noted anew", Note(1, false, 200)),
            ("for longer", Is(1, 199, Some(false))),
            ("of use to all", Note(1, true, 200)),
            ("is remembered", Is(1, 199, Some(true))),
            ("and ends", Is(1, 200, None)),
            ("for one again", Note(1, false, 200)),
            ("as noted last", Is(1, 199, Some(false))),
            ("taken back", Forget(1)),
            ("gone", Is(1, 0, None)),
            ("nothing to take back", Forget(2)),
            ("1 of 8", Note(1, false, 100)),
            ("2 of 8", Note(2, false, 102)),
            ("3 of 8", Note(3, false, 102)),
            ("4 of 8", Note(4, false, 104)),
            ("5 of 8", Note(5, false, 104)),
            ("6 of 8", Note(6, false, 106)),
            ("7 of 8", Note(7, false, 106)),
            ("8 of 8", Note(8, false, u64::MAX)),
            ("a ninth", Note(9, false, 108)),
            ("is there", Is(9, 50, Some(false))),
            ("for the one that ended first", Is(1, 50, None)),
            ("others stay", Is(2, 50, Some(false))),
            ("however long", Is(8, 1 << 31, Some(false))),
        ];
        let shared = Shared::create().unwrap();
        let hash = |key: u8| {
            let mut hash = [0; 16];
            hash[4] = key;
            hash
        };
        for (name, step) in rows {
            match step {
                Note(key, is_shared, until) => {
                    shared.note_precedent(&hash(key), is_shared, until);
                }
                Forget(key) => shared.forget_precedent(&hash(key)),
                Is(key, now, expected) => {
                    assert_eq!(shared.precedent(&hash(key), now), expected, "{name}");
                }
            }
        }
    }
}
