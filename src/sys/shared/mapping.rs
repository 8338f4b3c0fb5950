//! The memory file mapped: made with seals that keep its size, and refused where it is another, or of another layout.
//!
//! Whoever has it can write any value into it, and does no more harm than that: nobody can make it shorter, which would
//! kill every process that reads beyond its end.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering::Relaxed;

use memmap2::{MmapOptions, MmapRaw};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::boot;
use super::layout::{Layout, MAGIC, SIZE, VERSION};
use crate::sys::random;

/// The size stays, and so do the seals.
const SEALS: SealFlag = SealFlag::F_SEAL_SHRINK
    .union(SealFlag::F_SEAL_GROW)
    .union(SealFlag::F_SEAL_SEAL);

/// A mapping of the shared memory. Send its fd to another process, which maps it with [`Shared::from_fd`].
pub struct Shared {
    file: File,
    map: MmapRaw,
}

impl Shared {
    /// New shared memory.
    pub fn create() -> io::Result<Shared> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = File::from(memfd_create("cacheproxy-shared", flags)?);
        file.set_len(SIZE as u64)?;
        fcntl(&file, FcntlArg::F_ADD_SEALS(SEALS))?;
        Shared::initialise(file)
    }

    /// Maps the shared memory received as `fd`; refused when it is not of this layout, or its size could change.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Shared> {
        let file = File::from(fd);
        let seals = fcntl(&file, FcntlArg::F_GET_SEALS).unwrap_or_default();
        if !SealFlag::from_bits_retain(seals).contains(SEALS) {
            return Err(foreign("its size isn't sealed"));
        }
        Shared::map(file)
    }

    /// True when `fd` is this very memory.
    pub fn is_same(&self, fd: impl AsFd) -> bool {
        let other = fd.as_fd().try_clone_to_owned().map(File::from);
        let other = other.and_then(|file| file.metadata());
        let own = self.file.metadata();
        matches!((own, other), (Ok(own), Ok(other)) if (own.dev(), own.ino()) == (other.dev(), other.ino()))
    }

    fn initialise(file: File) -> io::Result<Shared> {
        let shared = Shared::mapped(file)?;
        let layout = shared.layout();
        layout.version.store(VERSION, Relaxed);
        layout.size.store(SIZE as u32, Relaxed);
        layout.limit.store(u64::MAX, Relaxed);
        layout.ceiling.store(u64::MAX, Relaxed);
        shared.name_boot();
        layout.host.store(random::id());
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

    /// Names this boot of the machine: the kernel's boot id, or a random id made with it
    /// where `/proc/sys` is hidden.
    pub fn boot(&self) -> [u8; 16] {
        self.layout().boot.load()
    }

    fn name_boot(&self) {
        match boot::id() {
            Some(id) => self.layout().boot.store(id),
            None if self.boot() != [0; 16] => {}
            None => self.layout().boot.store(random::id()),
        }
    }
}

fn foreign(why: &str) -> io::Error {
    let why = format!("not shared memory of this version of cacheproxy: {why}");
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn memory(size: u64, seals: SealFlag) -> OwnedFd {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = File::from(memfd_create("test", flags).unwrap());
        file.set_len(size).unwrap();
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
        file.into()
    }

    #[test]
    fn what_could_change_its_size_or_is_of_another_layout_is_refused() {
        let ours = Shared::create().unwrap();
        let fd = || ours.fd().try_clone_to_owned().unwrap();
        assert!(Shared::from_fd(fd()).is_ok() && ours.is_same(fd()));
        for file in [File::from(fd()), File::from(fd())] {
            assert!(file.set_len(0).is_err() && file.set_len(1 << 30).is_err());
            assert!(fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)).is_err());
        }
        let size = SIZE as u64;
        let rows = [
            ("unsealed", size, SealFlag::empty()),
            (
                "may shrink",
                size,
                SEALS.difference(SealFlag::F_SEAL_SHRINK),
            ),
            (
                "may be sealed",
                size,
                SEALS.difference(SealFlag::F_SEAL_SEAL),
            ),
            ("shorter", size - 1, SEALS),
            ("longer", size + 1, SEALS),
            ("empty", 0, SEALS),
            ("of no layout", size, SEALS),
        ];
        for (name, size, seals) in rows {
            let memory = memory(size, seals);
            assert!(!ours.is_same(&memory), "{name}");
            assert!(Shared::from_fd(memory).is_err(), "{name}");
        }
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        assert!(Shared::from_fd(file.into()).is_err(), "no memory file");
        ours.layout().version.store(VERSION + 1, Relaxed);
        assert!(Shared::from_fd(fd()).is_err(), "of another version");
    }
}
