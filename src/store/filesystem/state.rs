//! The environment's own record: the queue's hand and next number, what the large files take, and what has become of it.

use crate::store::Checksum;

/// The key of the record.
pub(super) const KEY: &[u8] = b"state";

const VERSION: u8 = 1;
const NUMBERS: usize = 8;
const LENGTH: usize = 1 + NUMBERS * 8 + 2;

/// The state of an environment. Each transaction that changes something keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct State {
    /// The number from which on what goes is looked for.
    pub(super) hand: u64,
    /// The number of the next record.
    pub(super) next: u64,
    /// The bytes that the large files take.
    pub(super) file_bytes: u64,
    pub(super) files: u64,
    /// The bytes of the environment's file that take no disk.
    pub(super) holes: u64,
    /// The bytes of the file at the last change that put something.
    pub(super) size: u64,
    /// The numbers among which records may lie that nothing finds any more.
    pub(super) sweep_at: u64,
    pub(super) sweep_end: u64,
    /// It was copied to another, which took its place.
    pub(super) moved: bool,
    /// Every large file that there was when it was made has been entered.
    pub(super) complete: bool,
}

impl State {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LENGTH + 16);
        bytes.push(VERSION);
        for number in [
            self.hand,
            self.next,
            self.file_bytes,
            self.files,
            self.holes,
            self.size,
            self.sweep_at,
            self.sweep_end,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.push(self.moved.into());
        bytes.push(self.complete.into());
        let checksum = Checksum::of(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The state in these bytes; None when they don't check, or are of another version.
    pub(super) fn decode(bytes: &[u8]) -> Option<State> {
        let (body, checksum) = bytes.split_at_checked(LENGTH)?;
        if checksum != Checksum::of(body).to_le_bytes() {
            return None;
        }
        let (version, body) = body.split_first()?;
        if *version != VERSION {
            return None;
        }
        let number = |at: usize| {
            let bytes = body[at * 8..].first_chunk().copied();
            bytes.map(u64::from_le_bytes)
        };
        Some(State {
            hand: number(0)?,
            next: number(1)?,
            file_bytes: number(2)?,
            files: number(3)?,
            holes: number(4)?,
            size: number(5)?,
            sweep_at: number(6)?,
            sweep_end: number(7)?,
            moved: body[NUMBERS * 8] != 0,
            complete: body[NUMBERS * 8 + 1] != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_damage() {
        let state = State {
            hand: 1,
            next: 2,
            file_bytes: 3,
            files: 4,
            holes: 5,
            size: 6,
            sweep_at: 7,
            sweep_end: 8,
            moved: false,
            complete: true,
        };
        let bytes = state.encode();
        assert_eq!(State::decode(&bytes), Some(state));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(State::decode(&damaged), None, "{at}");
            assert_eq!(State::decode(&bytes[..at]), None, "{at}");
        }
    }
}
