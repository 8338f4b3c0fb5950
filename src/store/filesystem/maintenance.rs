//! The evictor's work on a filesystem store: reading what is there, removing what has to go,
//! clearing leftovers away, noting a clean stop.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::root::{NO_VARIANT, Root, counted, unhex};
use super::synced::Synced;
use crate::cache::key::Hash;
use crate::store::SMALL;
use crate::store::error::StoreError;
use crate::store::record::index::{Index, is_index};
use crate::store::sieve::SieveEntry;
use crate::sys::disk;
use crate::sys::shared::Shared;

/// Temporary files untouched for this long belong to nobody, unless they are marked as in use.
const LEFTOVER: Duration = Duration::from_secs(60);

pub struct DirectoryMaintenance {
    root: Root,
    shared: Arc<Shared>,
}

impl DirectoryMaintenance {
    /// Opens the store at `path`, which is made where there is none. Refused when it cannot
    /// be written.
    pub fn open(path: &Path, shared: Arc<Shared>) -> Result<DirectoryMaintenance, StoreError> {
        let root = Root::prepare(path)?;
        Ok(DirectoryMaintenance { root, shared })
    }

    /// Every stored response in the directory with this number, with the time it was last modified.
    pub fn scan(&self, number: u8) -> Result<Vec<(u64, SieveEntry)>, StoreError> {
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
    pub fn evict(&self, entry: &SieveEntry) -> Result<(), StoreError> {
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

    /// Removes temporary files that a process left behind; returns how many.
    pub fn remove_leftovers(&self, now: SystemTime) -> Result<usize, StoreError> {
        let path = self.root.temporaries();
        let at = StoreError::at(&path);
        let mut removed = 0;
        for name in std::fs::read_dir(&path).map_err(at)? {
            let path = name.map_err(at)?.path();
            if is_leftover(&path, now) && std::fs::remove_file(&path).is_ok() {
                removed += 1;
            }
        }
        Ok(removed)
    }

    pub fn directories(&self) -> u64 {
        let of = |number| std::fs::metadata(self.root.directory(number));
        let blocks = (0..=u8::MAX).filter_map(|number| Some(of(number).ok()?.blocks()));
        blocks.sum::<u64>() * 512
    }

    pub fn free(&self) -> Result<u64, StoreError> {
        disk::free(self.root.path()).map_err(StoreError::at(self.root.path()))
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

fn is_leftover(path: &Path, now: SystemTime) -> bool {
    let Ok(file) = disk::open(path, false) else {
        return false;
    };
    let modified = file.metadata().and_then(|metadata| metadata.modified());
    let age = modified
        .ok()
        .and_then(|modified| now.duration_since(modified).ok());
    age.is_some_and(|age| age >= LEFTOVER) && !disk::is_in_use(&file)
}
