//! The store's directory: which file is where, and the few operations on files that all of the store uses.
//!
//! `v1/ab/<key hash>[-<variant hash>]` holds records, `tmp/` what is being written where the file system
//! has no unnamed files. A directory under `v1/` is locked to change what is in it, never to read.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::cache::key::Hash;
use crate::store::draft::TemporaryName;
use crate::store::error::StoreError;
use crate::sys::disk::{self, Lock};

const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory is cacheproxy's store. Everything in it can be fetched again.\n\
    # See https://bford.info/cachedir/\n";

/// The variant hash of a response without `Vary`.
pub const NO_VARIANT: Hash = [0; 16];

#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    /// Makes temporary names differ between processes, even ones with equal process ids.
    run: String,
    count: AtomicU64,
    no_unnamed: AtomicBool,
}

impl Root {
    /// The store at `path` as it is, for who makes nothing in it.
    pub fn at(path: &Path) -> Root {
        let now = std::time::SystemTime::now();
        let run = crate::cache::key::hash(format!("{now:?} {}", std::process::id()).as_bytes());
        Root {
            path: path.to_path_buf(),
            run: hex(&run),
            count: AtomicU64::new(0),
            no_unnamed: AtomicBool::new(false),
        }
    }

    /// The store at `path`, made ready for writing.
    pub fn prepare(path: &Path) -> Result<Root, StoreError> {
        let root = Root::at(path);
        for directory in [path.to_path_buf(), path.join("v1"), root.temporaries()] {
            disk::prepare_directory(&directory).map_err(StoreError::at(&directory))?;
        }
        let tag = path.join("CACHEDIR.TAG");
        if !tag.exists() {
            root.replace(&tag, TAG.as_bytes())?;
        }
        Ok(root)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn temporaries(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// The directory with this number, 0 to 255.
    pub fn directory(&self, number: u8) -> PathBuf {
        self.path.join(format!("v1/{number:02x}"))
    }

    pub fn file(&self, hash: &Hash, variant: &Hash) -> PathBuf {
        let name = match *variant {
            NO_VARIANT => hex(hash),
            _ => format!("{}-{}", hex(hash), hex(variant)),
        };
        self.directory(hash[0]).join(name)
    }

    /// Waits for the lock on the directory of this key, which is made when it is missing.
    pub fn lock(&self, hash: &Hash) -> Result<Lock, StoreError> {
        let directory = self.directory(hash[0]);
        let lock = match disk::lock_directory(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match DirBuilder::new()
                    .mode(disk::DIRECTORY_MODE)
                    .create(&directory)
                {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                    _ => disk::lock_directory(&directory),
                }
            }
            lock => lock,
        };
        lock.map_err(StoreError::at(&directory))
    }

    /// Opens the file of this key and variant; None when there is none.
    pub fn open(&self, path: &Path, write: bool) -> Result<Option<File>, StoreError> {
        match disk::open(path, write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => file.map(Some).map_err(StoreError::at(path)),
        }
    }

    /// A new file: without a name where there is such a thing, else in the directory for temporaries.
    pub fn temporary(&self) -> Result<(File, Option<TemporaryName>), StoreError> {
        let directory = self.temporaries();
        if !self.no_unnamed.load(Relaxed) {
            match disk::unnamed(&directory) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    self.no_unnamed.store(true, Relaxed);
                }
                file => {
                    return file
                        .map(|file| (file, None))
                        .map_err(StoreError::at(&directory));
                }
            }
        }
        let name = self.temporary_name();
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o640)
            .open(name.path())
            .map_err(StoreError::at(name.path()))?;
        // Only keeps it from being taken for a leftover.
        let _ = disk::mark_in_use(&file);
        Ok((file, Some(name)))
    }

    fn temporary_name(&self) -> TemporaryName {
        let count = self.count.fetch_add(1, Relaxed);
        TemporaryName::new(self.temporaries().join(format!("{}-{count}", self.run)))
    }

    /// Gives a new file its lasting name, in place of whatever has it.
    pub fn place(
        &self,
        file: &File,
        name: Option<TemporaryName>,
        target: &Path,
    ) -> Result<(), StoreError> {
        let name = match name {
            Some(name) => name,
            None => {
                let name = self.temporary_name();
                disk::name(file, name.path()).map_err(StoreError::at(name.path()))?;
                name
            }
        };
        name.rename(target).map_err(StoreError::at(target))
    }

    /// Makes `content` the whole of the file at `target`, at once.
    pub fn replace(&self, target: &Path, content: &[u8]) -> Result<(), StoreError> {
        let (mut file, name) = self.temporary()?;
        file.write_all(content).map_err(StoreError::at(target))?;
        self.place(&file, name, target)
    }

    /// Removes a file and returns its length; None when there is none.
    pub fn unlink(&self, path: &Path) -> Result<Option<u64>, StoreError> {
        let outcome = path.symlink_metadata().and_then(|metadata| {
            std::fs::remove_file(path)?;
            Ok(metadata.len())
        });
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            length => length.map(Some).map_err(StoreError::at(path)),
        }
    }
}

/// The size that counts against the limit for a file of this length: whole blocks, and for a variant its share of
/// the index.
pub fn counted(length: u64, variant: &Hash) -> u64 {
    const BLOCK: u64 = 4096;
    let index = if *variant == NO_VARIANT { 0 } else { BLOCK };
    length.div_ceil(BLOCK).saturating_mul(BLOCK) + index
}

/// 32 hexadecimal digits.
pub fn hex(hash: &Hash) -> String {
    format!("{:032x}", u128::from_be_bytes(*hash))
}

/// Reads what [`hex`] wrote.
pub fn unhex(digits: &str) -> Option<Hash> {
    let plain = digits
        .bytes()
        .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if digits.len() != 32 || !plain {
        return None;
    }
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::prepare(dir.path()).unwrap();
        let (hash, variant) = ([0xab; 16], [1; 16]);
        let plain = format!("v1/ab/{}", "ab".repeat(16));
        assert_eq!(root.file(&hash, &NO_VARIANT), dir.path().join(&plain));
        let with = format!("{plain}-{}", "01".repeat(16));
        assert_eq!(root.file(&hash, &variant), dir.path().join(with));
        assert_eq!(unhex(&hex(&hash)), Some(hash));
        for bad in [
            "",
            "ab",
            &"AB".repeat(16),
            &"+1".repeat(16),
            &"g0".repeat(16),
        ] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }

    #[test]
    fn works_without_unnamed_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::prepare(dir.path()).unwrap();
        root.no_unnamed.store(true, Relaxed);
        let target = dir.path().join("target");
        root.replace(&target, b"one").unwrap();
        root.replace(&target, b"two").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"two");
        let (_file, name) = root.temporary().unwrap();
        assert!(name.as_ref().unwrap().path().exists());
        drop(name);
        assert_eq!(std::fs::read_dir(root.temporaries()).unwrap().count(), 0);
    }

    #[test]
    fn places_that_cannot_be_written_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = Root::prepare(&file).unwrap_err().to_string();
        assert!(refused.contains(file.to_str().unwrap()), "{refused}");
        let refused = Root::prepare(Path::new("/proc/none")).unwrap_err();
        assert!(refused.to_string().contains("/proc/none"), "{refused}");
    }
}
