//! The file mapped: made where it is missing or of another layout, and refused where it is neither.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use memmap2::{MmapOptions, MmapRaw};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::boot;
use super::layout::{Layout, MAGIC, SIZE, VERSION};
use crate::sys::disk;

/// A mapping of the shared file. Send its fd to another process, which maps it with [`Shared::from_fd`].
pub struct Shared {
    file: File,
    map: MmapRaw,
}

impl Shared {
    /// Maps the file at `path`, which is made anew when it is missing or of another layout.
    /// Processes that mapped a file made by another version keep theirs.
    pub fn create(path: &Path) -> io::Result<Shared> {
        if let Ok(file) = disk::open(path, true) {
            if let Ok(shared) = Shared::map(file) {
                shared.name_boot();
                return Ok(shared);
            }
        }
        let temporary = path.with_extension("new");
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut options = File::options();
        options.read(true).write(true).create_new(true).mode(0o600);
        let shared = Shared::initialise(options.open(&temporary)?)?;
        std::fs::rename(&temporary, path)?;
        Ok(shared)
    }

    /// Maps the file of a running proxy; refused when it is not one of this layout.
    pub fn open(path: &Path) -> io::Result<Shared> {
        Shared::map(disk::open(path, true)?)
    }

    /// Maps the shared file received as `fd`; refused when it is not one of this layout.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Shared> {
        Shared::map(File::from(fd))
    }

    /// A shared file without a name, for tests and for processes that need no other.
    pub fn anonymous() -> io::Result<Shared> {
        let fd = memfd_create("cacheproxy-shared", MFdFlags::MFD_CLOEXEC)?;
        Shared::initialise(File::from(fd))
    }

    fn initialise(file: File) -> io::Result<Shared> {
        file.set_len(SIZE as u64)?;
        let shared = Shared::mapped(file)?;
        let layout = shared.layout();
        layout.version.store(VERSION, Relaxed);
        layout.size.store(SIZE as u32, Relaxed);
        layout.limit.store(u64::MAX, Relaxed);
        layout.ceiling.store(u64::MAX, Relaxed);
        shared.name_boot();
        layout.host.store(boot::random());
        layout.magic.store(MAGIC, Relaxed);
        Ok(shared)
    }

    fn map(file: File) -> io::Result<Shared> {
        // A mapping beyond the end of the file would be a SIGBUS at the first use.
        let length = file.metadata()?.len();
        if length != SIZE as u64 {
            return Err(foreign(&format!("its size is {length} bytes, not {SIZE}")));
        }
        let shared = Shared::mapped(file)?;
        let layout = shared.layout();
        if layout.magic.load(Relaxed) != MAGIC
            || layout.version.load(Relaxed) != VERSION
            || layout.size.load(Relaxed) != SIZE as u32
        {
            return Err(foreign("it is of another version"));
        }
        Ok(shared)
    }

    fn mapped(file: File) -> io::Result<Shared> {
        let map = MmapOptions::new().len(SIZE).map_raw(&file)?;
        Ok(Shared { file, map })
    }

    pub(super) fn layout(&self) -> &Layout {
        // SAFETY: the mapping is SIZE bytes long, page-aligned and lives as long as `self`; Layout is
        // repr(C) and made of atomics only, for which every bit pattern is valid and other processes'
        // writes are ordinary concurrent access.
        #[allow(clippy::cast_ptr_alignment)]
        unsafe {
            &*self.map.as_ptr().cast::<Layout>()
        }
    }

    /// The fd to send to another process.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Names this boot of the machine: the kernel's boot id, or a random id made with the file
    /// where `/proc/sys` is hidden.
    pub fn boot(&self) -> [u8; 16] {
        self.layout().boot.load()
    }

    fn name_boot(&self) {
        match boot::id() {
            Some(id) => self.layout().boot.store(id),
            None if self.boot() != [0; 16] => {}
            None => self.layout().boot.store(boot::random()),
        }
    }
}

fn foreign(why: &str) -> io::Error {
    let why = format!("not a shared file of this version of cacheproxy: {why}");
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn foreign_files_are_refused_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shared");
        for text in [&b""[..], b"short", &vec![0; SIZE], &vec![1; SIZE + 1]] {
            std::fs::write(&path, text).unwrap();
            let file = File::options().read(true).write(true).open(&path).unwrap();
            assert!(Shared::from_fd(file.into()).is_err());
            Shared::create(&path).unwrap().set_limit(5);
            assert_eq!(
                Shared::create(&path).unwrap().limit(),
                5,
                "kept when it fits"
            );
        }
    }
}
