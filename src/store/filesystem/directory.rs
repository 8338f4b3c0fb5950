//! The store's directory: which file is where, and the few operations on files that all of the store uses.
//!
//! `v3/files/ab/<id>` holds large content, `v3/index` names the directory of the environment, `tmp/` is for what is being
//! written where the file system has no unnamed files.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::cache::key::Hash;
use crate::store::draft::TemporaryName;
use crate::store::error::StoreError;
use crate::store::record::head::FileId;
use crate::sys::disk;

const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory is cacheproxy's store. Everything in it can be fetched again.\n\
    # See https://bford.info/cachedir/\n";

/// The variant hash of a response without `Vary`.
pub const NO_VARIANT: Hash = [0; 16];

/// The directory of this version's store.
pub const VERSION: &str = "v3";

#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Makes names differ between processes, even ones with equal process ids.
    run: Hash,
    count: AtomicU64,
    no_unnamed: AtomicBool,
}

impl Directory {
    /// The store at `path` as it is, for who makes nothing in it.
    pub fn at(path: &Path) -> Directory {
        let now = std::time::SystemTime::now();
        let run = crate::cache::key::hash(format!("{now:?} {}", std::process::id()).as_bytes());
        Directory {
            path: path.to_path_buf(),
            run,
            count: AtomicU64::new(0),
            no_unnamed: AtomicBool::new(false),
        }
    }

    /// The store at `path`, made ready for writing.
    pub fn prepare(path: &Path) -> Result<Directory, StoreError> {
        let root = Directory::at(path);
        let inner = [root.version(), root.files(), root.temporaries()];
        for directory in [path.to_path_buf()].iter().chain(&inner) {
            disk::prepare_directory(directory).map_err(StoreError::at(directory))?;
        }
        let temporaries = root.temporaries();
        let names = match disk::names_unnamed(&temporaries) {
            // It is found out when there is room.
            Err(error) if disk::is_full(&error) => true,
            names => names.map_err(StoreError::at(&temporaries))?,
        };
        root.no_unnamed.store(!names, Relaxed);
        let tag = path.join("CACHEDIR.TAG");
        if !tag.exists() {
            root.replace(&tag, TAG.as_bytes())?;
        }
        Ok(root)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of all that this version stores.
    pub fn version(&self) -> PathBuf {
        self.path.join(VERSION)
    }

    pub fn temporaries(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// The directory of the directories of large files.
    pub fn files(&self) -> PathBuf {
        self.version().join("files")
    }

    /// The directory of large files with this number, 0 to 255.
    pub fn files_of(&self, number: u8) -> PathBuf {
        self.files().join(format!("{number:02x}"))
    }

    /// The file of large content.
    pub fn file(&self, id: &FileId) -> PathBuf {
        self.files_of(id[0]).join(hex(id))
    }

    /// The bytes that the directories of large files take themselves.
    pub fn size_of_directories(&self) -> u64 {
        let of = |number| std::fs::metadata(self.files_of(number));
        let blocks = (0..=u8::MAX).filter_map(|number| Some(of(number).ok()?.blocks()));
        blocks.sum::<u64>() * 512
    }

    /// A name that nobody else gives.
    pub fn new_id(&self) -> FileId {
        let count = self.count.fetch_add(1, Relaxed);
        let mut text = self.run.to_vec();
        text.extend_from_slice(&count.to_le_bytes());
        crate::cache::key::hash(&text)
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
        TemporaryName::new(self.temporaries().join(hex(&self.new_id())))
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

    /// Gives the file of large content its name, which nothing has yet; its directory is made when it is missing.
    pub fn name_file(
        &self,
        file: &File,
        name: Option<TemporaryName>,
        id: &FileId,
    ) -> Result<(), StoreError> {
        let (target, directory) = (self.file(id), self.files_of(id[0]));
        let give = || match &name {
            Some(name) => std::fs::rename(name.path(), &target),
            None => disk::name(file, &target),
        };
        let given = match give() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !directory.is_dir() => {
                disk::make_directory(&directory).and_then(|()| give())
            }
            given => given,
        };
        given.map_err(StoreError::at(&target))?;
        if let Some(name) = name {
            name.keep();
        }
        Ok(())
    }

    /// Makes `content` the whole of the file at `target`, at once.
    pub fn replace(&self, target: &Path, content: &[u8]) -> Result<(), StoreError> {
        let (mut file, name) = self.temporary()?;
        file.write_all(content).map_err(StoreError::at(target))?;
        self.place(&file, name, target)
    }

    /// Opens the file of large content for reading; None when there is none: nothing, or what nobody stored there, such as
    /// a directory, a link, or a file that this user may not read.
    pub fn open(&self, id: &FileId) -> Result<Option<File>, StoreError> {
        let path = self.file(id);
        let at = StoreError::at(&path);
        let error = match disk::open(&path, false) {
            Ok(file) if file.metadata().map_err(at)?.is_file() => return Ok(Some(file)),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        match error {
            Some(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Some(error) if !disk::is_strange(&error) => Err(at(error)),
            _ => {
                log::warn!("{} is no file of this store; passed over", path.display());
                Ok(None)
            }
        }
    }

    /// Removes a file and tells the bytes that it took; None when there is none.
    pub fn unlink(&self, path: &Path) -> Result<Option<u64>, StoreError> {
        let outcome = path.symlink_metadata().and_then(|metadata| {
            std::fs::remove_file(path)?;
            Ok(metadata.blocks() * 512)
        });
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            length => length.map(Some).map_err(StoreError::at(path)),
        }
    }
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
        let root = Directory::prepare(dir.path()).unwrap();
        let id = [0xab; 16];
        let name = format!("v3/files/ab/{}", "ab".repeat(16));
        assert_eq!(root.file(&id), dir.path().join(&name));
        assert_eq!(unhex(&hex(&id)), Some(id));
        for bad in [
            "",
            "ab",
            &"AB".repeat(16),
            &"+1".repeat(16),
            &"g0".repeat(16),
        ] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
        assert_ne!(root.new_id(), root.new_id());
    }

    #[test]
    fn what_lies_strangely_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let root = Directory::prepare(dir.path()).unwrap();
        let id = root.new_id();
        disk::make_directory(&root.files_of(id[0])).unwrap();
        let path = root.file(&id);
        assert!(root.open(&id).unwrap().is_none());
        std::fs::create_dir(&path).unwrap();
        assert!(root.open(&id).unwrap().is_none());
        std::fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(root.open(&id).unwrap().is_none());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "x").unwrap();
        assert!(root.open(&id).unwrap().is_some());
    }

    #[test]
    fn works_without_unnamed_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = Directory::prepare(dir.path()).unwrap();
        for no_unnamed in [true, false] {
            root.no_unnamed.store(no_unnamed, Relaxed);
            let target = dir.path().join("target");
            root.replace(&target, b"one").unwrap();
            root.replace(&target, b"two").unwrap();
            assert_eq!(std::fs::read(&target).unwrap(), b"two");
            let (file, name) = root.temporary().unwrap();
            let id = root.new_id();
            root.name_file(&file, name, &id).unwrap();
            assert!(root.open(&id).unwrap().is_some());
            let (_file, name) = root.temporary().unwrap();
            assert_eq!(name.is_some(), no_unnamed);
            drop(name);
            assert_eq!(std::fs::read_dir(root.temporaries()).unwrap().count(), 0);
        }
    }

    #[test]
    fn places_that_cannot_be_written_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = Directory::prepare(&file).unwrap_err().to_string();
        assert!(refused.contains(file.to_str().unwrap()), "{refused}");
        let refused = Directory::prepare(Path::new("/proc/none")).unwrap_err();
        assert!(refused.to_string().contains("/proc/none"), "{refused}");
    }
}
