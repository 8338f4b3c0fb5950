//! Versioned files: when a client asked for one, and when one was last validated though it was fresh, so that no worker
//! does it again too soon.
//!
//! A hint: a time that a fuller bucket pushed out, or two names that look alike, cost a validation or spare one.

use std::sync::atomic::Ordering::Relaxed;

use super::layout::Bucket;
use super::mapping::Shared;

/// A time is noted with 32 bits of the name, as Unix seconds in 32 bits.
impl Shared {
    /// When this client, by a hash of it and of what it asked for, asked for it last.
    pub fn asked(&self, client: &[u8; 16]) -> Option<u64> {
        noted(Bucket::of(&self.layout().asked, client), client)
    }

    /// Notes that this client asks for it now.
    pub fn note_asked(&self, client: &[u8; 16], now: u64) {
        note(Bucket::of(&self.layout().asked, client), client, now);
    }

    /// When the file with this key's hash was last validated though it was fresh.
    pub fn validated(&self, hash: &[u8; 16]) -> Option<u64> {
        noted(Bucket::of(&self.layout().validated, hash), hash)
    }

    /// Notes that the file with this key's hash is validated now.
    pub fn note_validated(&self, hash: &[u8; 16], now: u64) {
        note(Bucket::of(&self.layout().validated, hash), hash, now);
    }
}

fn noted(bucket: &Bucket, name: &[u8; 16]) -> Option<u64> {
    let tag = tag(name);
    let mut notes = bucket.0.iter().map(|slot| slot.load(Relaxed));
    notes.find(|note| note >> 32 == tag).map(at)
}

/// Notes the time; in a full bucket the oldest goes.
fn note(bucket: &Bucket, name: &[u8; 16], now: u64) {
    let tag = tag(name);
    let notes = || bucket.0.iter().map(|slot| (slot, slot.load(Relaxed)));
    let found = notes().find(|(_, note)| note >> 32 == tag);
    let slot = found.or_else(|| notes().min_by_key(|(_, note)| at(*note)));
    let new = tag << 32 | u64::from(u32::try_from(now).unwrap_or(u32::MAX));
    // Many clients may ask for one file in a second: the cache line stays shared between cores.
    if let Some((slot, _)) = slot.filter(|(_, note)| *note != new) {
        slot.store(new, Relaxed);
    }
}

/// Never 0, which a free slot has.
fn tag(name: &[u8; 16]) -> u64 {
    let [_, _, c, d, e, f, ..] = *name;
    u64::from(u32::from_le_bytes([c, d, e, f]) | 1 << 31)
}

fn at(note: u64) -> u64 {
    note & u64::from(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_noted_and_the_oldest_goes() {
        let shared = Shared::create().unwrap();
        // Names of one bucket.
        let name = |number: u8| {
            let mut name = [7; 16];
            name[4] = number;
            name
        };
        assert_eq!(shared.asked(&name(0)), None);
        for number in 0..8 {
            shared.note_asked(&name(number), 100 + u64::from(number));
        }
        shared.note_asked(&name(0), 200);
        shared.note_asked(&name(8), 300);
        let asked = |number| shared.asked(&name(number));
        assert_eq!(asked(0), Some(200));
        assert_eq!(asked(1), None, "the oldest");
        assert_eq!((asked(2), asked(8)), (Some(102), Some(300)));
        assert_eq!(shared.validated(&name(0)), None, "a table of its own");
        shared.note_validated(&name(0), u64::MAX);
        assert_eq!(shared.validated(&name(0)), Some(u64::from(u32::MAX)));
    }
}
