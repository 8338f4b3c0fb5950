//! Room in the store: who stores says how much that takes, who is about to store reserves, the evictor sets the limits.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::layout::WORKERS;
use super::mapping::Shared;

/// Room in the store. Bytes in use are a sum: *stored* is what the store takes on disk, set within each of its
/// transactions; *leftovers* are what other versions left there; *reserved* is promised to a worker's drafts, of which
/// *written* is on the disk; *releasing* is in files that no record names any more and that are about to be removed;
/// *removed* is in files that have no name and that a worker is still sending. These four are counted per worker so that
/// they end with it when it is killed. *Leaving* is what was evicted and isn't yet counted as
/// removed. *Slack* is the part of what is stored that is free for small responses.
impl Shared {
    /// The most bytes that stored responses may use: as configured, less what the directories take, or fewer where
    /// the disk has no room for more.
    pub fn limit(&self) -> u64 {
        self.sized().min(self.layout().ceiling.load(Relaxed))
    }

    /// The size limit, less what directories take of it. Of a store so small that they would take most of it,
    /// that is left to them.
    fn sized(&self) -> u64 {
        let layout = self.layout();
        let limit = layout.limit.load(Relaxed);
        limit - layout.directories.load(Relaxed).min(limit / 32)
    }

    /// True when it is the disk's floor that limits the store.
    pub fn is_limited_by_floor(&self) -> bool {
        self.layout().ceiling.load(Relaxed) < self.sized()
    }

    /// Sets the most bytes that may be used so that the floor of free disk stays free. Only the evictor does.
    pub fn set_ceiling(&self, bytes: u64) {
        self.layout().ceiling.store(bytes, Relaxed);
    }

    /// Sets what the store's directories take themselves. Only the evictor does.
    pub fn set_directories(&self, bytes: u64) {
        self.layout().directories.store(bytes, Relaxed);
    }

    /// Sets the most bytes that the store may use.
    pub fn set_limit(&self, bytes: u64) {
        self.layout().limit.store(bytes, Relaxed);
    }

    /// Bytes in use, of whatever kind.
    pub fn used(&self) -> u64 {
        self.kept().saturating_add(sum(&self.layout().reserved))
    }

    /// Those of them that are on the disk: what is reserved counts as far as it was written.
    pub fn on_disk(&self) -> u64 {
        self.kept().saturating_add(sum(&self.layout().written))
    }

    /// Bytes in use for which no room is reserved.
    fn kept(&self) -> u64 {
        let layout = self.layout();
        let leaving = self.leaving().saturating_sub(layout.left.load(Relaxed));
        let beside = leaving.saturating_add(layout.leftovers.load(Relaxed));
        let named = self.stored().saturating_add(beside);
        let unnamed = self.removed().saturating_add(sum(&layout.releasing));
        named.saturating_add(unnamed)
    }

    /// Bytes of files without a name that are still being sent.
    pub fn removed(&self) -> u64 {
        sum(&self.layout().removed)
    }

    /// Counts what is about to be stored no more: its files are still to be removed, by worker `index`.
    pub fn begin_release(&self, index: usize, bytes: u64) {
        self.layout().releasing[index % WORKERS].fetch_add(bytes, Relaxed);
    }

    /// Takes back what was counted so, as they have been removed.
    pub fn end_release(&self, index: usize, bytes: u64) {
        subtract(&self.layout().releasing[index % WORKERS], bytes);
    }

    /// Takes back all that worker `index` has counted so: another has taken its place.
    pub fn end_releases(&self, index: usize) {
        self.layout().releasing[index % WORKERS].store(0, Relaxed);
    }

    /// Counts what was evicted while somebody was being sent it: the worker that sends it has yet to count it.
    pub fn count_leaving(&self, bytes: u64) {
        self.layout().leaving.fetch_add(bytes, Relaxed);
    }

    /// All that was evicted in this way, ever.
    pub fn leaving(&self) -> u64 {
        self.layout().leaving.load(Relaxed)
    }

    /// Says how much of that counts no more: it is gone, or counted as removed. Only the evictor does.
    pub fn set_left(&self, bytes: u64) {
        self.layout().left.store(bytes, Relaxed);
    }

    /// Sets what other versions left in the store's directory. Only the evictor does.
    pub fn set_leftovers(&self, bytes: u64) {
        self.layout().leftovers.store(bytes, Relaxed);
    }

    /// Sets what worker `index` is sending of files without a name.
    pub fn set_removed(&self, index: usize, bytes: u64) {
        self.layout().removed[index % WORKERS].store(bytes, Relaxed);
    }

    /// True while a worker has room reserved or was refused some, so that the evictor has to be quick.
    pub fn is_filling(&self) -> bool {
        let layout = self.layout();
        let mut reserved = layout.reserved.iter();
        let wanted = [&layout.wanted, &layout.wanted_small];
        wanted.iter().any(|it| it.load(Relaxed) > 0) || reserved.any(|it| it.load(Relaxed) > 0)
    }

    /// Promises `bytes` to a file of worker `index`; false when they do not fit, which also tells
    /// the evictor how much room was wanted.
    #[must_use]
    pub fn reserve(&self, index: usize, bytes: u64) -> bool {
        let layout = self.layout();
        let has_inodes = layout.out_of_inodes.load(Relaxed) == 0;
        has_inodes && self.reserve_within(index, bytes, 0, &layout.wanted)
    }

    /// Promises `bytes` to a small response of worker `index`, which slack has room for too; else as [`Shared::reserve`].
    #[must_use]
    pub fn reserve_small(&self, index: usize, bytes: u64) -> bool {
        let layout = self.layout();
        self.reserve_within(index, bytes, self.usable_slack(), &layout.wanted_small)
    }

    fn reserve_within(&self, index: usize, bytes: u64, slack: u64, wanted: &AtomicU64) -> bool {
        if self.is_full() {
            return false;
        }
        // Added first and checked after, so that two workers at once can never both get the last room.
        let slot = &self.layout().reserved[index % WORKERS];
        let _ = slot.fetch_update(Relaxed, Relaxed, |old| Some(old.saturating_add(bytes)));
        if self.used() <= self.limit().saturating_add(slack) {
            return true;
        }
        subtract(slot, bytes);
        wanted.fetch_max(bytes, Relaxed);
        false
    }

    /// Tells the evictor that so much room was wanted for a file.
    pub fn want(&self, bytes: u64) {
        self.layout().wanted.fetch_max(bytes, Relaxed);
    }

    /// Bytes of free pages in the store's index: small responses take them before it grows.
    pub fn slack(&self) -> u64 {
        self.layout().slack.load(Relaxed)
    }

    /// Sets the bytes of free pages. Only who commits does, within its transaction.
    pub fn set_slack(&self, bytes: u64) {
        self.layout().slack.store(bytes, Relaxed);
    }

    /// The slack to count on. Free pages lie scattered, and a value of more than a page needs some in a row.
    pub fn usable_slack(&self) -> u64 {
        self.slack() / 2
    }

    /// Counts what was written of that which is reserved for worker `index`.
    pub fn count_written(&self, index: usize, bytes: u64) {
        self.layout().written[index % WORKERS].fetch_add(bytes, Relaxed);
    }

    /// Takes back what was counted so: it is gone, or counts as stored.
    pub fn uncount_written(&self, index: usize, bytes: u64) {
        subtract(&self.layout().written[index % WORKERS], bytes);
    }

    /// Gives back what was reserved for worker `index`.
    pub fn release(&self, index: usize, bytes: u64) {
        subtract(&self.layout().reserved[index % WORKERS], bytes);
    }

    /// Ends every reservation of worker `index`, which has just started and has nothing.
    pub fn release_all(&self, index: usize) {
        self.layout().reserved[index % WORKERS].store(0, Relaxed);
        self.layout().written[index % WORKERS].store(0, Relaxed);
        self.end_releases(index);
        self.set_removed(index, 0);
    }

    /// The bytes that what is stored takes on disk.
    pub fn stored(&self) -> u64 {
        self.layout().stored.load(Relaxed)
    }

    /// Sets the bytes that are stored. Only who commits does, within its transaction.
    pub fn set_stored(&self, bytes: u64) {
        self.layout().stored.store(bytes, Relaxed);
    }

    /// Sets what is stored, and how much the index has room for within what it takes already. Only who commits a change does,
    /// while nobody else can.
    pub fn set_room(&self, stored: u64, slack: u64) {
        self.set_stored(stored);
        self.set_slack(slack);
    }

    /// Sets what is stored right after the commit before which it was set to `told`, unless another has come since.
    pub fn correct_stored(&self, told: u64, stored: u64) {
        let _ = self
            .layout()
            .stored
            .compare_exchange(told, stored, Relaxed, Relaxed);
    }

    /// The count of times that the index of the store was moved, as all processes know it.
    pub fn index_moves(&self) -> u32 {
        self.layout().index_moves.load(Acquire)
    }

    /// Says that the index was moved; returns the count.
    pub fn move_index(&self) -> u32 {
        let before = self.layout().index_moves.fetch_add(1, AcqRel);
        before.wrapping_add(1)
    }

    /// The largest reservation for a file that was refused since this was last asked.
    pub fn take_wanted(&self) -> u64 {
        self.layout().wanted.swap(0, Relaxed)
    }

    /// The same of those for small responses.
    pub fn take_wanted_small(&self) -> u64 {
        self.layout().wanted_small.swap(0, Relaxed)
    }

    /// True when the disk has less room than its floor, so that nothing more is to be stored.
    pub fn is_full(&self) -> bool {
        self.layout().full.load(Relaxed) != 0
    }

    /// True when removing what is stored hasn't given the disk its floor back, so that those who hold what was removed
    /// have to go.
    pub fn is_below_floor(&self) -> bool {
        self.layout().below_floor.load(Relaxed) != 0
    }

    /// Says whether it hasn't.
    pub fn set_below_floor(&self, below: bool) {
        self.layout().below_floor.store(u32::from(below), Relaxed);
    }

    /// Says whether the disk has less room than its floor.
    pub fn set_full(&self, full: bool) {
        self.layout().full.store(u32::from(full), Relaxed);
    }

    /// True when the file system has fewer inodes than its floor, so that no file is to be made.
    pub fn is_out_of_inodes(&self) -> bool {
        self.layout().out_of_inodes.load(Relaxed) != 0
    }

    /// Says whether it has.
    pub fn set_out_of_inodes(&self, out: bool) {
        self.layout().out_of_inodes.store(u32::from(out), Relaxed);
    }
}

fn sum(counters: &[AtomicU64]) -> u64 {
    let counters = counters.iter().map(|it| it.load(Relaxed));
    counters.fold(0, u64::saturating_add)
}

fn subtract(counter: &AtomicU64, bytes: u64) {
    let _ = counter.fetch_update(Relaxed, Relaxed, |old| Some(old.saturating_sub(bytes)));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn room_is_never_promised_twice() {
        let shared = Shared::create().unwrap();
        shared.set_limit(100);
        shared.set_stored(40);
        assert!(shared.reserve(0, 50));
        assert!(!shared.reserve(1, 20));
        assert_eq!((shared.take_wanted(), shared.is_filling()), (20, true));
        // Of what is reserved, that counts as taken from the disk which was written.
        assert_eq!((shared.used(), shared.on_disk()), (90, 40));
        shared.count_written(0, 30);
        assert_eq!((shared.used(), shared.on_disk()), (90, 70));
        shared.uncount_written(0, 30);
        shared.release(0, 50);
        assert!(shared.reserve(1, 60));
        shared.release(1, 30);
        shared.set_stored(70);
        shared.correct_stored(69, 80);
        assert_eq!(shared.stored(), 70);
        shared.correct_stored(70, 71);
        shared.correct_stored(71, 70);
        assert_eq!(shared.used(), 100);
        shared.set_removed(1, 7);
        assert_eq!((shared.used(), shared.removed()), (107, 7));
        shared.begin_release(1, 8);
        assert_eq!((shared.used(), shared.on_disk()), (115, 85));
        shared.end_release(1, 3);
        assert_eq!((shared.used(), shared.on_disk()), (112, 82));
        shared.count_written(1, 9);
        shared.release_all(1);
        shared.release(1, 5);
        shared.uncount_written(1, 5);
        assert_eq!((shared.used(), shared.is_filling()), (70, false));
        assert_eq!(shared.on_disk(), 70);
        assert!(!shared.reserve(1, 31) && shared.is_filling());
        // (what the directories take, what that leaves of a limit of 100)
        for (bytes, left) in [(0, 100), (2, 98), (3, 97), (1000, 97), (0, 100)] {
            shared.set_directories(bytes);
            assert_eq!(shared.limit(), left, "{bytes}");
        }
        shared.set_ceiling(80);
        assert_eq!((shared.limit(), shared.is_limited_by_floor()), (80, true));
        assert!(!shared.reserve(1, 11));
        assert!(shared.reserve(1, 10));
        shared.release(1, 10);
        shared.set_out_of_inodes(true);
        assert!(!shared.reserve(2, 0) && shared.reserve_small(2, 0));
        shared.set_full(true);
        assert!(!shared.reserve(2, 0) && !shared.reserve_small(2, 0));
    }

    #[test]
    fn small_responses_have_slack_too() {
        let shared = Shared::create().unwrap();
        shared.set_limit(100);
        shared.set_stored(90);
        shared.set_slack(40);
        // Half of it counts, and the ten bytes of room.
        assert!(!shared.reserve(0, 11) && !shared.reserve_small(0, 31));
        assert_eq!((shared.take_wanted(), shared.take_wanted_small()), (11, 31));
        assert_eq!((shared.take_wanted(), shared.take_wanted_small()), (0, 0));
        assert!(shared.reserve_small(0, 20) && shared.reserve_small(1, 10));
        assert!(!shared.reserve_small(1, 1) && !shared.reserve(1, 1));
        shared.release_all(0);
        shared.release_all(1);
        // What leaves counts until it is said to have left, and what others left until it is gone.
        shared.count_leaving(6);
        shared.set_leftovers(3);
        assert_eq!(shared.used(), 99);
        shared.set_left(4);
        assert_eq!(shared.used(), 95);
        shared.set_left(6);
        shared.set_leftovers(0);
        assert_eq!(shared.used(), 90);
    }
}
