//! The evictor's work on a filesystem store: reading what is there, removing what has to go,
//! clearing leftovers away, noting a clean stop.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::root::{NO_VARIANT, Root, counted, unhex};
use super::synced::Synced;
use super::tidy::{Tidied, Tidy};
use crate::cache::key::Hash;
use crate::store::SMALL;
use crate::store::error::StoreError;
use crate::store::record::index::{Index, is_index};
use crate::store::sieve::SieveEntry;
use crate::sys::disk;
use crate::sys::shared::Shared;

/// The outcome of a step of eviction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Evicted {
    /// The stored responses that went; none when none is left.
    pub responses: u64,
    /// The bytes that they took.
    pub bytes: u64,
    /// Those that were in a file of their own.
    pub files: u64,
}

/// The amount that is to be given back: responses go until both are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Wanted {
    pub bytes: u64,
    pub files: u64,
}

/// Room on the store's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Free {
    pub bytes: u64,
    pub inodes: disk::Inodes,
    /// Bytes that the store's directories take themselves.
    pub directories: u64,
}

pub struct StoreMaintenance {
    root: Root,
    shared: Arc<Shared>,
    tidy: Mutex<Tidy>,
    next: AtomicU8,
}

impl StoreMaintenance {
    /// Opens the store at `path`, which is made where there is none. Refused when it cannot
    /// be written.
    pub fn open(path: &Path, shared: Arc<Shared>) -> Result<StoreMaintenance, StoreError> {
        let root = Root::prepare(path)?;
        Ok(StoreMaintenance {
            tidy: Mutex::new(Tidy::new(path, "v1")),
            next: AtomicU8::new(0),
            root,
            shared,
        })
    }

    /// Removes some of what belongs to nobody.
    pub fn tidy(&self, now: SystemTime, most: Duration) -> Tidied {
        let mut tidy = self.tidy.lock().unwrap_or_else(PoisonError::into_inner);
        tidy.step(&|_| true, now, most)
    }

    /// Removes stored responses until they gave so much back, or for so long.
    pub fn evict(&self, wanted: Wanted, most: Duration) -> Result<Evicted, StoreError> {
        let end = std::time::Instant::now() + most;
        let mut evicted = Evicted::default();
        for _ in 0..512 {
            let number = self.next.fetch_add(1, Relaxed);
            for (_, entry) in self.scan(number)? {
                if evicted.bytes >= wanted.bytes && evicted.files >= wanted.files {
                    return Ok(evicted);
                }
                if !self.shared.take_visited(&entry.place()) {
                    self.evict_one(&entry)?;
                    evicted.responses += 1;
                    evicted.bytes += entry.size;
                    evicted.files += 1;
                    let stored = self.shared.stored();
                    self.shared.set_stored(stored.saturating_sub(entry.size));
                }
            }
            if std::time::Instant::now() >= end {
                break;
            }
        }
        Ok(evicted)
    }

    /// Gives free pages of the index back to the disk; returns their bytes.
    pub fn compact(&self, _bytes: u64) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// The room that is free on the store's disk.
    pub fn free(&self) -> Result<Free, StoreError> {
        let mut stored = 0;
        for number in 0..=u8::MAX {
            let found = self.scan(number)?;
            stored += found.iter().map(|(_, entry)| entry.size).sum::<u64>();
        }
        self.shared.set_stored(stored);
        self.shared.forget_announced();
        let path = self.root.path();
        Ok(Free {
            bytes: disk::free(path).map_err(StoreError::at(path))?,
            inodes: disk::inodes(path).map_err(StoreError::at(path))?,
            directories: self.directories(),
        })
    }

    /// Every stored response in the directory with this number, with the time it was last modified.
    fn scan(&self, number: u8) -> Result<Vec<(u64, SieveEntry)>, StoreError> {
        let path = self.root.directory(number);
        let at = StoreError::at(&path);
        let names = match std::fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            names => names.map_err(at)?,
        };
        let mut found = Vec::new();
        for name in names {
            let file = name.map_err(at)?;
            let Some((hash, variant)) = file.file_name().to_str().and_then(parse) else {
                continue;
            };
            // Gone since the directory was read.
            let Ok(metadata) = file.metadata() else {
                continue;
            };
            let entry = SieveEntry {
                hash,
                variant,
                size: counted(metadata.len(), &variant),
            };
            found.push((u64::try_from(metadata.mtime()).unwrap_or(0), entry));
        }
        self.leave_indices_out(&mut found);
        Ok(found)
    }

    /// An index counts with its variants, so it has no entry of its own while it has any.
    fn leave_indices_out(&self, found: &mut Vec<(u64, SieveEntry)>) {
        let with_variants: std::collections::HashSet<Hash> = found
            .iter()
            .filter(|(_, entry)| entry.variant != NO_VARIANT)
            .map(|(_, entry)| entry.hash)
            .collect();
        found.retain(|(_, entry)| {
            entry.variant != NO_VARIANT
                || !with_variants.contains(&entry.hash)
                || !self.is_index(&entry.hash)
        });
    }

    fn is_index(&self, hash: &Hash) -> bool {
        let path = self.root.file(hash, &NO_VARIANT);
        let mut beginning = [0; 8];
        disk::open(&path, false)
            .and_then(|mut file| file.read_exact(&mut beginning))
            .is_ok_and(|()| is_index(&beginning))
    }

    /// Removes a stored response, whether or not it is still there. While somebody is being sent it, it goes on taking
    /// disk, which is counted.
    fn evict_one(&self, entry: &SieveEntry) -> Result<(), StoreError> {
        let _lock = self.root.lock(&entry.hash)?;
        if entry.variant == NO_VARIANT {
            let index = self.root.index(&entry.hash)?;
            if index.is_some_and(|index| self.has_variants(&entry.hash, &index)) {
                // The response was replaced by variants, which have entries of their own.
                return Ok(());
            }
        }
        let path = self.root.file(&entry.hash, &entry.variant);
        // Smaller content is read into memory.
        let is_large = entry.size > SMALL;
        let file = is_large.then(|| disk::open(&path, false).ok()).flatten();
        if file.is_some_and(|file| disk::is_in_use(&file)) {
            self.shared.count_leaving(entry.size);
        }
        self.root.unlink(&path)?;
        if entry.variant != NO_VARIANT {
            self.root.unlist(&entry.hash, &entry.variant)?;
        }
        self.shared.next_generation(&entry.hash);
        Ok(())
    }

    fn has_variants(&self, hash: &Hash, index: &Index) -> bool {
        let mut variants = index.variants();
        variants.any(|variant| self.root.file(hash, variant).exists())
    }

    fn directories(&self) -> u64 {
        let of = |number| std::fs::metadata(self.root.directory(number));
        let blocks = (0..=u8::MAX).filter_map(|number| Some(of(number).ok()?.blocks()));
        blocks.sum::<u64>() * 512
    }

    /// Waits until everything stored has reached the disk, and notes it, so that it need not be
    /// verified after a reboot.
    pub fn mark_synced(&self, now: SystemTime) -> Result<(), StoreError> {
        let at = StoreError::at(self.root.path());
        let directory = File::open(self.root.path()).map_err(at)?;
        disk::sync(&directory).map_err(at)?;
        let since_epoch = now.duration_since(UNIX_EPOCH);
        let time = since_epoch.map_or(0, |elapsed| elapsed.as_secs());
        Synced::read(self.root.path()).mark(&self.root, self.shared.boot(), time)
    }
}

/// The hashes in a file's name; None when it is not one of ours.
fn parse(name: &str) -> Option<(Hash, Hash)> {
    match name.split_once('-') {
        None => Some((unhex(name)?, NO_VARIANT)),
        Some((key, variant)) => Some((unhex(key)?, unhex(variant)?)),
    }
}
