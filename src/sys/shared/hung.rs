//! Origin servers that hang, and who tries one meanwhile: notes by a name that workers make of host and address, each
//! until a time. So clients don't find out one after another, whichever worker has them.
//!
//! Beside it, when what has a name answered last: what answers others doesn't hang.
//!
//! A hint: two names that look alike, or a note that a fuller bucket pushed out, cost a wait or an answer that is stale.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use super::layout::{ANSWERED, Bucket};
use super::mapping::Shared;

/// A note that ends later, in seconds, is none: its writer's clock was another.
const LONGEST: u64 = 60;

/// A note is 32 bits of the name, and the Unix time in seconds at which it ends.
impl Shared {
    /// Notes that what has this name hangs, until this time. In a full bucket the note that ends first goes.
    pub fn note_hung(&self, name: &[u8; 16], until: u64) {
        let (bucket, tag) = self.hung(name);
        if let Some((at, _)) = place(bucket, tag) {
            bucket.0[at].store(note(tag, until), Relaxed);
        }
    }

    /// True when what has this name hangs, as far as is known.
    pub fn is_hung(&self, name: &[u8; 16], now: u64) -> bool {
        let (bucket, tag) = self.hung(name);
        let mut notes = bucket.0.iter().map(|slot| slot.load(Relaxed));
        notes.any(|note| of(note) == tag && counts(note, now))
    }

    /// Takes back what was noted of this name.
    pub fn forget_hung(&self, name: &[u8; 16]) {
        let (bucket, tag) = self.hung(name);
        for slot in &bucket.0 {
            // Nearly always there is nothing: the cache line stays shared between cores.
            if of(slot.load(Relaxed)) == tag {
                slot.store(0, Relaxed);
            }
        }
    }

    /// Notes this name until then, unless another worker has: true for the one that did.
    pub fn take_hung(&self, name: &[u8; 16], now: u64, until: u64) -> bool {
        let (bucket, tag) = self.hung(name);
        for _ in 0..bucket.0.len() {
            if self.is_hung(name, now) {
                return false;
            }
            let Some((at, old)) = place(bucket, tag) else {
                return false;
            };
            let new = note(tag, until);
            let taken = bucket.0[at].compare_exchange(old, new, Relaxed, Relaxed);
            if taken.is_ok() {
                return true;
            }
        }
        false
    }

    /// Takes back the note of this name that ends then, and no later one.
    pub fn end_hung(&self, name: &[u8; 16], until: u64) {
        let (bucket, tag) = self.hung(name);
        for slot in &bucket.0 {
            let _ = slot.compare_exchange(note(tag, until), 0, Relaxed, Relaxed);
        }
    }

    /// Notes that what has this name answers, at this time in milliseconds.
    pub fn note_answer(&self, name: &[u8; 16], now: u64) {
        self.answered(name).store(now as u32, Relaxed);
    }

    /// True when what has this name has answered since so many milliseconds before now.
    pub fn has_answered(&self, name: &[u8; 16], now: u64, within: u64) -> bool {
        // Of the time only what tells seven weeks apart is kept.
        let ago = (now as u32).wrapping_sub(self.answered(name).load(Relaxed));
        u64::from(ago) < within
    }

    fn answered(&self, name: &[u8; 16]) -> &AtomicU32 {
        let index = usize::from(u16::from_le_bytes([name[0], name[1]]));
        &self.layout().answered[index % ANSWERED]
    }

    fn hung(&self, name: &[u8; 16]) -> (&Bucket, u32) {
        let [_, _, c, d, e, f, ..] = *name;
        // Never 0, which a free slot has.
        let tag = u32::from_le_bytes([c, d, e, f]) | (1 << 31);
        (Bucket::of(&self.layout().hung, name), tag)
    }
}

/// The slot for a note of this name, and what it has.
fn place(bucket: &Bucket, tag: u32) -> Option<(usize, u64)> {
    let notes = || bucket.0.iter().map(|slot| slot.load(Relaxed)).enumerate();
    notes()
        .find(|(_, note)| of(*note) == tag)
        .or_else(|| notes().min_by_key(|(_, note)| ends(*note)))
}

fn note(tag: u32, until: u64) -> u64 {
    (u64::from(tag) << 32) | u64::from(u32::try_from(until).unwrap_or(u32::MAX))
}

fn of(note: u64) -> u32 {
    (note >> 32) as u32
}

fn ends(note: u64) -> u64 {
    note & u64::from(u32::MAX)
}

fn counts(note: u64, now: u64) -> bool {
    (now + 1..=now.saturating_add(LONGEST)).contains(&ends(note))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A step of one of two workers, on names of one bucket.
    enum HungStep {
        Note(u8, u64),
        Forget(u8),
        Is(u8, u64, bool),
        Take(u8, u64, bool),
        End(u8, u64),
    }

    #[test]
    fn notes_end_or_are_taken_back_and_one_takes_a_turn() {
        use HungStep::{End, Forget, Is, Note, Take};
        let rows = [
            ("nothing noted", Is(1, 0, false)),
            ("noted", Note(1, 130)),
            ("as the other worker sees", Is(1, 129, true)),
            ("over", Is(1, 130, false)),
            ("another", Is(2, 100, false)),
            ("noted by another clock", Is(1, 69, false)),
            ("taken back", Forget(1)),
            ("gone", Is(1, 100, false)),
            ("a turn", Take(3, 100, true)),
            ("is one worker's", Take(3, 101, false)),
            ("until it ends", Take(3, 130, true)),
            ("not by whom it was taken from", End(3, 130)),
            ("so it stays", Take(3, 131, false)),
            ("or is given back", End(3, 160)),
            ("then it is free", Take(3, 131, true)),
            ("1 of 8", Note(1, 201)),
            ("2 of 8", Note(2, 202)),
            ("4 of 8", Note(4, 204)),
            ("5 of 8", Note(5, 205)),
            ("6 of 8", Note(6, 206)),
            ("7 of 8", Note(7, 207)),
            ("8 of 8", Note(8, 208)),
            ("a ninth", Note(9, 209)),
            ("is there", Is(9, 200, true)),
            ("for the one that ended first", Is(3, 150, false)),
            ("others stay", Is(1, 200, true)),
        ];
        let one = Shared::create().unwrap();
        let two = Shared::from_fd(one.fd().try_clone_to_owned().unwrap()).unwrap();
        let name = |number: u8| {
            let mut name = [0; 16];
            name[4] = number;
            name
        };
        for (at, (what, step)) in rows.into_iter().enumerate() {
            let worker = if at % 2 == 0 { &one } else { &two };
            match step {
                Note(number, until) => worker.note_hung(&name(number), until),
                End(number, until) => worker.end_hung(&name(number), until),
                Forget(number) => worker.forget_hung(&name(number)),
                Is(number, now, expected) => {
                    assert_eq!(worker.is_hung(&name(number), now), expected, "{what}");
                }
                Take(number, now, expected) => {
                    let taken = worker.take_hung(&name(number), now, now + 30);
                    assert_eq!(taken, expected, "{what}");
                }
            }
        }
    }

    #[test]
    fn an_answer_counts_for_those_who_asked_before_it() {
        const WRAPS: u64 = 1 << 32;
        // (when it answered, now, the time until now, whether it answered in that)
        let rows = [
            (1000, 4000, 3000, false),
            (1001, 4000, 3000, true),
            (4000, 4000, 3000, true),
            // Another clock.
            (4001, 4000, 3000, false),
            (WRAPS - 1, WRAPS + 10, 12, true),
            (WRAPS - 1, WRAPS + 10, 11, false),
        ];
        for (answered, now, within, expected) in rows {
            let shared = Shared::create().unwrap();
            assert!(!shared.has_answered(&[1; 16], now + 10_000, within));
            shared.note_answer(&[1; 16], answered);
            let got = shared.has_answered(&[1; 16], now, within);
            assert_eq!(got, expected, "{answered} {now} {within}");
            assert!(!shared.has_answered(&[2; 16], now + 10_000, within));
        }
    }
}
