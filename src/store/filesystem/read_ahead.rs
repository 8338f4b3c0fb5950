//! Read-ahead for a walk over all of the index. Its pages lie anywhere in LMDB's file, so that who reads them in the order
//! of their keys waits for the disk page by page: some threads read what comes next meanwhile.

use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use super::FilesystemStore;
use super::unload::Unload;
use crate::store::StoreError;
use crate::sys::lmdb;

const THREADS: usize = 4;
/// The entries of a stretch, about: those that one thread reads at a time.
const STRETCH: u64 = 500;
/// So many of them are read ahead of the walk, at most.
const AHEAD: usize = 64;
/// Of those that wait for no disk so many are left out, at most.
const MOST_LEFT_OUT: usize = 8;
/// The time after which it is looked again how far the walk has come.
const LOOK_AGAIN: Duration = Duration::from_micros(500);

/// The place of a walk, for those who read ahead of it.
pub(super) struct ReadAhead {
    /// The keys at which stretches begin, in their order.
    beginnings: Vec<Vec<u8>>,
    /// The stretches that the walk has begun.
    begun: AtomicUsize,
    /// The next that is read ahead.
    next: AtomicUsize,
    has_ended: AtomicBool,
}

/// Ends the threads that read ahead, however the walk ends.
struct End<'a>(&'a ReadAhead);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.has_ended.store(true, Relaxed);
    }
}

impl ReadAhead {
    /// Makes a walk over all of this store, and reads ahead of it.
    pub(super) fn of<T>(
        store: &FilesystemStore,
        walk: impl FnOnce(&ReadAhead) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let ahead = ReadAhead {
            beginnings: store.stretches()?,
            begun: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            has_ended: AtomicBool::new(false),
        };
        std::thread::scope(|scope| {
            let _end = End(&ahead);
            if ahead.beginnings.len() > 1 {
                for _ in 0..THREADS {
                    // Without it the walk takes longer.
                    let thread = std::thread::Builder::new().name("read-ahead".to_owned());
                    let _ = thread.spawn_scoped(scope, || ahead.read(store));
                }
            }
            walk(&ahead)
        })
    }

    /// Hears that the walk has come to this key.
    pub(super) fn reached(&self, key: &[u8]) {
        let begun = self.begun.load(Relaxed);
        let left = self.beginnings.get(begun..).unwrap_or_default();
        let more = left.iter().take_while(|it| &it[..] <= key).count();
        self.begun.store(begun + more, Relaxed);
    }

    fn read(&self, store: &FilesystemStore) {
        let mut step = 1;
        loop {
            // One in many is enough where all of it is in memory.
            let stretch = self.next.fetch_add(step, Relaxed);
            while stretch > self.begun.load(Relaxed) + AHEAD && !self.has_ended.load(Relaxed) {
                std::thread::sleep(LOOK_AGAIN);
            }
            let Some(begin) = self.beginnings.get(stretch) else {
                return;
            };
            let end = self.beginnings.get(stretch + 1);
            let is_behind = stretch < self.begun.load(Relaxed);
            // A failure is the walk's to meet.
            let before = lmdb::major_faults();
            let has_failed = !is_behind && store.touch(begin, end).is_err();
            if self.has_ended.load(Relaxed) || has_failed {
                return;
            }
            step = match lmdb::major_faults() == before {
                true => (2 * step).min(MOST_LEFT_OUT),
                false => 1,
            };
        }
    }
}

impl FilesystemStore {
    /// Some keys of entries in their order, with about so many entries from each to the next: those of some records.
    fn stretches(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let environment = self.environment()?;
        self.noting_damage(&environment, |txn| {
            let entries = environment.order.stat(txn)?.entries as u64;
            let (Some((first, _)), Some((last, _))) =
                (environment.order.first(txn)?, environment.order.last(txn)?)
            else {
                return Ok(Vec::new());
            };
            let count = entries / STRETCH;
            let (mut keys, mut unload) = (Vec::new(), Unload::default());
            for part in 0..count {
                let number = first + (last - first) / count * part;
                let found = environment
                    .order
                    .get_greater_than_or_equal_to(txn, &number)?;
                keys.extend(found.map(|(_, key)| {
                    unload.read(key);
                    key.to_vec()
                }));
            }
            keys.sort_unstable();
            keys.dedup();
            Ok(keys)
        })
    }

    /// Reads the entries from one key to another, for the sake of having them read.
    fn touch(&self, begin: &[u8], end: Option<&Vec<u8>>) -> Result<(), StoreError> {
        let environment = self.environment()?;
        self.noting_damage(&environment, |txn| {
            let end = end.map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
            let mut unload = Unload::default();
            for entry in environment
                .objects
                .range(txn, &(Bound::Included(begin), end))?
            {
                unload.read(entry?.1);
            }
            Ok(())
        })
    }
}
