//! Blocks of large files that have been checked since the start: a bit for each block, by the file's random id, so that
//! none is read twice for that, whichever worker sends it.
//!
//! A word has the tag of a file's group of 16 blocks, and their bits: it changes as one, so that no bit is ever another
//! file's, but for two of 2^48 that look alike in one bucket. A bit that is lost costs a block that is read once more.

use std::sync::atomic::Ordering::Relaxed;

use super::layout::{BLOCK_BUCKETS, Bucket};
use super::mapping::Shared;

/// The blocks of a group.
const GROUP: u64 = 16;
const BITS: u64 = (1 << GROUP) - 1;
/// 2^128 divided by the golden ratio, odd: groups of one file lie as far from each other as can be.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

impl Shared {
    /// True when this block of the file with this id has been checked.
    pub fn is_block_checked(&self, file: &[u8; 16], block: u64) -> bool {
        let (bucket, tag, bit) = self.checked(file, block);
        let mut words = bucket.0.iter().map(|word| word.load(Relaxed));
        words.any(|word| word & !BITS == tag && word & bit != 0)
    }

    /// Notes that this block of the file with this id has been checked, in place of another file's where there is no
    /// room.
    pub fn note_block_checked(&self, file: &[u8; 16], block: u64) {
        let (bucket, tag, bit) = self.checked(file, block);
        // Others may take the place meanwhile: then the next is looked for.
        for _ in 0..bucket.0.len() {
            let words = || bucket.0.iter().map(|word| word.load(Relaxed)).enumerate();
            let (at, old) = words()
                .find(|(_, word)| word & !BITS == tag)
                .or_else(|| words().find(|(_, word)| *word == 0))
                .unwrap_or_else(|| {
                    let at = (tag >> GROUP) as usize % bucket.0.len();
                    (at, bucket.0[at].load(Relaxed))
                });
            let bits = if old & !BITS == tag { old & BITS } else { 0 };
            let new = tag | bits | bit;
            if bucket.0[at]
                .compare_exchange(old, new, Relaxed, Relaxed)
                .is_ok()
            {
                return;
            }
        }
    }

    /// The bucket of a block, the tag of its group there, and its bit.
    fn checked(&self, file: &[u8; 16], block: u64) -> (&Bucket, u64, u64) {
        let group = u128::from(block / GROUP).wrapping_mul(SPREAD);
        let place = u128::from_le_bytes(*file).wrapping_add(group);
        let bucket = place as usize % BLOCK_BUCKETS;
        // Never that of a free word.
        let tag = ((place >> 64) as u64 & !BITS).max(1 << GROUP);
        (
            &self.layout().checked_blocks[bucket],
            tag,
            1 << (block % GROUP),
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn id(number: u128) -> [u8; 16] {
        number.to_le_bytes()
    }

    #[test]
    fn a_block_is_checked_once_it_is_noted_and_no_other_is() {
        let one = Shared::create().unwrap();
        let two = Shared::from_fd(one.fd().try_clone_to_owned().unwrap()).unwrap();
        let file = id(7 << 70 | 5);
        let blocks = [0, 1, 15, 16, 17, 1000, 1 << 40];
        for (at, block) in blocks.into_iter().enumerate() {
            assert!(!two.is_block_checked(&file, block));
            one.note_block_checked(&file, block);
            one.note_block_checked(&file, block);
            for (other, block) in blocks.into_iter().enumerate() {
                assert_eq!(two.is_block_checked(&file, block), other <= at, "{block}");
            }
        }
        for block in 2..15 {
            assert!(!two.is_block_checked(&file, block), "{block}");
        }
        // In the same bucket, and of the next tag.
        for other in [0, 6, 8, 7 << 20].map(|high| id(high << 80 | 7 << 70 | 5)) {
            assert_eq!(two.is_block_checked(&other, 0), other == file);
        }
    }

    #[test]
    fn where_there_is_no_room_another_files_bits_go_and_none_is_taken_over() {
        let shared = Shared::create().unwrap();
        let file = |number: u128| id(number << 80 | 3);
        let noted = 1..=100;
        for number in noted.clone() {
            shared.note_block_checked(&file(number), 3);
            assert!(shared.is_block_checked(&file(number), 3), "{number}");
            for other in noted.clone() {
                assert!(!shared.is_block_checked(&file(other), 4), "{other}");
            }
        }
        let kept = noted.filter(|number| shared.is_block_checked(&file(*number), 3));
        assert_eq!(kept.count(), 8);
    }

    #[test]
    fn workers_at_once_take_over_no_bits() {
        let shared = Shared::create().unwrap();
        let file = |number: u128| id(number << 80 | 3);
        // Each has a block of its own, in files of one bucket.
        std::thread::scope(|scope| {
            for block in 0..4 {
                let shared = &shared;
                scope.spawn(move || {
                    for number in (1..2000).filter(|number| number % 4 == u128::from(block)) {
                        shared.note_block_checked(&file(number), block);
                        for other in (1..2000).filter(|other| other % 4 != u128::from(block)) {
                            if other % 97 == 0 {
                                assert!(!shared.is_block_checked(&file(other), block));
                            }
                        }
                    }
                });
            }
        });
    }
}
