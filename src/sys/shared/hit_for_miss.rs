//! Keys whose last answer was of no use to anybody but the client that asked: for a while their requests
//! go to the origin server at once, instead of each waiting for the one before it.
//!
//! A hint: two hashes that look alike, or a note that a fuller bucket pushed out, cost a second fetch or
//! a moment's wait, and nothing else.

use std::sync::atomic::Ordering::Relaxed;

use super::layout::Bucket;
use super::mapping::Shared;

/// A note is 32 bits of the key's hash, and the Unix time at which it ends.
impl Shared {
    /// Notes until when the key with this hash is fetched for each client alone. In a full bucket the
    /// note that ends first goes.
    pub fn note_hit_for_miss(&self, hash: &[u8; 16], until: u64) {
        let (bucket, tag) = self.notes(hash);
        let notes = || bucket.0.iter().map(|slot| (slot, slot.load(Relaxed)));
        let slot = notes()
            .find(|(_, note)| of(*note) == tag)
            .or_else(|| notes().min_by_key(|(_, note)| ends(*note)));
        if let Some((slot, _)) = slot {
            let until = u32::try_from(until).unwrap_or(u32::MAX);
            slot.store((u64::from(tag) << 32) | u64::from(until), Relaxed);
        }
    }

    /// True when the key with this hash is fetched for each client alone.
    pub fn is_hit_for_miss(&self, hash: &[u8; 16], now: u64) -> bool {
        let (bucket, tag) = self.notes(hash);
        let mut notes = bucket.0.iter().map(|slot| slot.load(Relaxed));
        notes.any(|note| of(note) == tag && ends(note) > now)
    }

    /// Takes back what was noted of this key.
    pub fn forget_hit_for_miss(&self, hash: &[u8; 16]) {
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
        (Bucket::of(&self.layout().hit_for_miss, hash), tag)
    }
}

fn of(note: u64) -> u32 {
    (note >> 32) as u32
}

fn ends(note: u64) -> u64 {
    note & u64::from(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A step, on keys of one bucket.
    enum NoteStep {
        Note(u8, u64),
        Forget(u8),
        Is(u8, u64, bool),
    }

    #[test]
    fn notes_end_or_are_taken_back() {
        use NoteStep::{Forget, Is, Note};
        let rows = [
            ("nothing noted", Is(1, 0, false)),
            ("noted", Note(1, 100)),
            ("still", Is(1, 99, true)),
            ("over", Is(1, 100, false)),
            ("another key", Is(2, 0, false)),
            ("noted anew", Note(1, 200)),
            ("for longer", Is(1, 199, true)),
            ("taken back", Forget(1)),
            ("gone", Is(1, 0, false)),
            ("nothing to take back", Forget(2)),
            ("1 of 8", Note(1, 101)),
            ("2 of 8", Note(2, 102)),
            ("3 of 8", Note(3, 103)),
            ("4 of 8", Note(4, 104)),
            ("5 of 8", Note(5, 105)),
            ("6 of 8", Note(6, 106)),
            ("7 of 8", Note(7, 107)),
            ("8 of 8", Note(8, u64::MAX)),
            ("a ninth", Note(9, 109)),
            ("is there", Is(9, 50, true)),
            ("for the one that ended first", Is(1, 50, false)),
            ("others stay", Is(2, 50, true)),
            ("however long", Is(8, 1 << 31, true)),
        ];
        let shared = Shared::create().unwrap();
        let hash = |key: u8| {
            let mut hash = [0; 16];
            hash[4] = key;
            hash
        };
        for (name, step) in rows {
            match step {
                Note(key, until) => shared.note_hit_for_miss(&hash(key), until),
                Forget(key) => shared.forget_hit_for_miss(&hash(key)),
                Is(key, now, expected) => {
                    assert_eq!(shared.is_hit_for_miss(&hash(key), now), expected, "{name}");
                }
            }
        }
    }
}
