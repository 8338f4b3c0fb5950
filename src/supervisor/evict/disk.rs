//! The store's disk: what is free of it, and what lacks of the floors that are to stay free, of bytes and of inodes.

use std::time::{Duration, Instant};

use super::room::inode_floor;
use crate::ipc::Free;
use crate::sys::shared::Shared;

/// The time between two looks while there is something going on, and when there isn't.
const BUSY: Duration = Duration::from_secs(1);
/// The same when inodes are soon to run out: they are counted by nobody else.
const FEW_INODES: Duration = Duration::from_millis(100);
const IDLE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Disk {
    looked: Option<Instant>,
    bytes: Level,
    inodes: Level,
    /// Then fewer bytes were free than the floor.
    is_below: bool,
    /// The bytes that were stored then.
    stored: u64,
}

/// What is free of one kind: when last looked at, and what was given back since.
#[derive(Debug)]
struct Level {
    free: u64,
    /// The floor that was in force then.
    floor: u64,
}

impl Level {
    /// Not much is free above the floor.
    fn is_near(&self) -> bool {
        self.free / 16 < self.floor
    }

    fn lacking(&self) -> u64 {
        self.floor.saturating_sub(self.free)
    }
}

impl Default for Disk {
    fn default() -> Disk {
        let unknown = || Level {
            free: u64::MAX,
            floor: 0,
        };
        Disk {
            looked: None,
            bytes: unknown(),
            inodes: unknown(),
            is_below: false,
            stored: 0,
        }
    }
}

impl Disk {
    /// True when it is time to look again, at the floor of free bytes as it is now.
    pub(super) fn is_due(&mut self, shared: &Shared, floor: u64, now: Instant) -> bool {
        let is_busy = shared.is_filling()
            || shared.is_full()
            || shared.is_out_of_inodes()
            || self.stored != shared.stored()
            || self.is_below;
        let wait = match is_busy {
            true if self.inodes.is_near() => FEW_INODES,
            true => BUSY,
            false => IDLE,
        };
        let lately = self.looked.is_some_and(|last| now - last < wait);
        if lately && floor == self.bytes.floor {
            return false;
        }
        self.looked = Some(now);
        true
    }

    /// Takes in what is free, and sets the limits by it.
    pub(super) fn looked(&mut self, free: &Free, floor: u64, shared: &Shared) {
        self.stored = shared.stored();
        shared.set_directories(free.directories);
        self.bytes = Level {
            free: free.bytes,
            floor,
        };
        self.inodes = Level {
            free: free.inodes,
            floor: inode_floor(free.all_inodes),
        };
        // A second after what is stored began to go for it.
        let was_below = std::mem::replace(&mut self.is_below, self.bytes.lacking() > 0);
        shared.set_below_floor(was_below && self.is_below);
        // What is reserved and not yet written isn't held: it comes off what is free.
        let all = free.held.saturating_add(free.bytes);
        let ceiling = all.saturating_sub(floor);
        shared.set_ceiling(ceiling);
    }

    /// Counts what was given back since.
    pub(super) fn gains(&mut self, bytes: u64, inodes: u64) {
        self.bytes.free = self.bytes.free.saturating_add(bytes);
        self.inodes.free = self.inodes.free.saturating_add(inodes);
    }

    pub(super) fn lacking(&self) -> u64 {
        self.bytes.lacking()
    }

    /// As many again as the floor, so that those that files take until the next look are there.
    pub(super) fn lacking_inodes(&self) -> u64 {
        match self.inodes.lacking() {
            0 => 0,
            lacking => lacking.saturating_add(self.inodes.floor),
        }
    }

    /// Says what isn't there: nothing, or no file, is stored until it is.
    pub(super) fn tell(&self, shared: &Shared) {
        shared.set_full(self.lacking() > 0);
        shared.set_out_of_inodes(self.inodes.lacking() > 0);
    }
}
