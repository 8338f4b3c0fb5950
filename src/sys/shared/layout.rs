//! The shared memory, field by field. What a field is for stands in the file that uses it.

use std::mem::size_of;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The number of workers that have a place of their own; higher indices share places.
pub const WORKERS: usize = 64;

/// Stands at the beginning.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"cp-share");
/// Counts the changes of what follows.
pub(super) const VERSION: u32 = 17;
pub(super) const SIZE: usize = size_of::<Layout>();

/// The generations of keys, and the counts of how often keys were made invalid.
pub(super) const GENERATIONS: usize = 1 << 16;
/// 64-bit words of visited bits: 8 Mi bits, of which a million stored responses share few.
pub(super) const VISITED_WORDS: usize = 1 << 17;
/// 64-bit words: 8 Mi bits, which half a million keys fill by a sixteenth.
pub(super) const KNOWN_WORDS: usize = 1 << 17;
/// 2 MiB: a hundred thousand stored responses and one more share a count with a probability of a fifth.
pub(super) const HIT_COUNTS: usize = 1 << 19;
/// The changes that are remembered. One that is forgotten begins a generation once more.
pub(super) const CHANGES: usize = 1 << 12;
/// The times at which origin servers answered.
pub(super) const ANSWERED: usize = 1 << 14;
/// The buckets of a table by key.
pub(super) const BUCKETS: usize = 1 << 11;
/// Those of the tables of versioned files: half a MiB, for 64 Ki times.
pub(super) const VERSIONED_BUCKETS: usize = 1 << 13;
/// Those of checked blocks: 4 MiB, for half a million files of up to 16 MiB.
pub(super) const BLOCK_BUCKETS: usize = 1 << 16;

/// The mapped memory. Every field is atomic, so any bytes in it are a valid value.
#[repr(C)]
pub(super) struct Layout {
    pub(super) magic: AtomicU64,
    pub(super) version: AtomicU32,
    pub(super) size: AtomicU32,
    pub(super) boot: Id,
    pub(super) host: Id,
    pub(super) limit: AtomicU64,
    pub(super) ceiling: AtomicU64,
    pub(super) directories: AtomicU64,
    pub(super) stored: AtomicU64,
    pub(super) slack: AtomicU64,
    pub(super) leftovers: AtomicU64,
    pub(super) leaving: AtomicU64,
    pub(super) left: AtomicU64,
    pub(super) wanted: AtomicU64,
    pub(super) wanted_small: AtomicU64,
    pub(super) full: AtomicU32,
    pub(super) out_of_inodes: AtomicU32,
    pub(super) below_floor: AtomicU32,
    pub(super) known_whole: AtomicU32,
    pub(super) index_moves: AtomicU32,
    pub(super) unused: AtomicU32,
    pub(super) index_faults: [AtomicU64; 2],
    pub(super) store_down: WorkerBits,
    pub(super) pending_invalidations: WorkerBits,
    pub(super) store_states: [AtomicU32; WORKERS],
    pub(super) reserved: [AtomicU64; WORKERS],
    pub(super) written: [AtomicU64; WORKERS],
    pub(super) releasing: [AtomicU64; WORKERS],
    pub(super) removed: [AtomicU64; WORKERS],
    pub(super) counters: [Counters; WORKERS],
    pub(super) generations: [AtomicU32; GENERATIONS],
    pub(super) invalidations: [AtomicU32; GENERATIONS],
    pub(super) visited: [AtomicU64; VISITED_WORDS],
    pub(super) known: [AtomicU64; KNOWN_WORDS],
    pub(super) fetching: [Bucket; BUCKETS],
    pub(super) precedents: [Bucket; BUCKETS],
    pub(super) asked: [Bucket; VERSIONED_BUCKETS],
    pub(super) validated: [Bucket; VERSIONED_BUCKETS],
    pub(super) hung: [Bucket; BUCKETS],
    pub(super) answered: [AtomicU32; ANSWERED],
    pub(super) hits: [AtomicU32; HIT_COUNTS],
    pub(super) elsewhere: [AtomicU32; GENERATIONS],
    pub(super) unremoved: [AtomicU64; GENERATIONS],
    pub(super) changes: [AtomicU64; CHANGES],
    pub(super) checked_blocks: [Bucket; BLOCK_BUCKETS],
}

/// One cache line of entries of a table by key. 0 is a free one.
#[repr(C, align(64))]
pub(super) struct Bucket(pub(super) [AtomicU64; 8]);

impl Bucket {
    /// The bucket of the key with this hash in its table.
    pub(super) fn of<'a, const N: usize>(table: &'a [Bucket; N], hash: &[u8; 16]) -> &'a Bucket {
        &table[usize::from(u16::from_le_bytes([hash[0], hash[1]])) % N]
    }
}

/// A name of 16 bytes.
#[repr(C)]
pub(super) struct Id([AtomicU64; 2]);

impl Id {
    pub(super) fn load(&self) -> [u8; 16] {
        let [low, high] = [&self.0[0], &self.0[1]].map(|word| word.load(Ordering::Relaxed));
        (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
    }

    pub(super) fn store(&self, id: [u8; 16]) {
        let id = u128::from_le_bytes(id);
        self.0[0].store(id as u64, Ordering::Relaxed);
        self.0[1].store((id >> 64) as u64, Ordering::Relaxed);
    }
}

/// A bit for each worker.
#[repr(C)]
pub(super) struct WorkerBits(AtomicU64);

impl WorkerBits {
    pub(super) fn set(&self, index: usize, value: bool) {
        match value {
            true => self.0.fetch_or(bit(index), Ordering::AcqRel),
            false => self.0.fetch_and(!bit(index), Ordering::AcqRel),
        };
    }

    pub(super) fn has(&self, index: usize) -> bool {
        self.0.load(Ordering::Acquire) & bit(index) != 0
    }

    pub(super) fn any(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    pub(super) fn any_beside(&self, index: usize) -> bool {
        self.0.load(Ordering::Acquire) & !bit(index) != 0
    }
}

fn bit(index: usize) -> u64 {
    1 << (index % WORKERS)
}

/// The counts of one worker. Only ever added to.
#[repr(C, align(64))]
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Counters {
    pub requests: AtomicU64,
    /// Requests answered from the cache.
    pub hits: AtomicU64,
    /// Bytes sent to clients.
    pub bytes_out: AtomicU64,
    /// Bytes sent to clients from the cache.
    pub bytes_hit: AtomicU64,
}
