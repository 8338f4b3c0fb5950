//! LMDB environments as the store needs them: opening one, which maps a file, and whether what is read of it is in memory.
//!
//! What is in an environment isn't known here.

use std::io;
use std::ops::Range;
use std::path::Path;

use heed::{Env, EnvFlags, EnvOpenOptions, WithTls};
use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{UsageWho, getrusage};

/// The address space that an environment gets, which bounds its file: far more than any limit that is set. The second is
/// for a process whose address space is bounded.
#[cfg(target_pointer_width = "64")]
const MAP_SIZES: [usize; 2] = [1 << 40, 1 << 35];
#[cfg(not(target_pointer_width = "64"))]
const MAP_SIZES: [usize; 2] = [1 << 30, 1 << 28];

/// The most threads of all processes that read at the same time.
const MOST_READERS: u32 = 1024;

/// Opens the environment in this directory, which is made where there is none. It isn't synced: what a power cut leaves
/// of it is not to be used. A process opens each once.
pub fn open(directory: &Path, databases: u32) -> Result<Env<WithTls>, heed::Error> {
    let mut outcome = Err(heed::Error::Io(io::ErrorKind::OutOfMemory.into()));
    for size in MAP_SIZES {
        let mut options = EnvOpenOptions::new();
        options.map_size(size).max_dbs(databases);
        options.max_readers(MOST_READERS);
        // SAFETY: without syncing, an environment is sound for as long as the kernel runs; its user drops it after an
        // end that it doesn't know to be clean. The rest of what heed asks for is that nobody else writes to the file:
        // it is in a directory of the store's user alone, on no network's file system; its lock file is left alone.
        outcome = unsafe {
            options.flags(EnvFlags::NO_SYNC | EnvFlags::NO_READ_AHEAD);
            options.open(directory)
        };
        match &outcome {
            Err(heed::Error::Io(error)) if error.kind() == io::ErrorKind::OutOfMemory => {}
            _ => break,
        }
    }
    outcome
}

/// True when all of these mapped bytes are in memory, so that reading them waits for no disk.
pub fn is_resident(bytes: &[u8]) -> bool {
    const PAGE: usize = 4096;
    const MOST: usize = 64;
    let start = bytes.as_ptr() as usize & !(PAGE - 1);
    let length = bytes.as_ptr() as usize + bytes.len() - start;
    let pages = length.div_ceil(PAGE);
    if pages > MOST {
        return false;
    }
    let mut states = [0u8; MOST];
    // SAFETY: mincore writes a byte for each page of the range, of which there are at most as many as `states` has; the
    // range is of mapped memory, since a slice is there, and isn't read.
    let done = unsafe {
        libc::mincore(
            start as *mut libc::c_void,
            length,
            states.as_mut_ptr().cast(),
        )
    };
    Errno::result(done).is_ok() && states[..pages].iter().all(|state| state & 1 != 0)
}

/// The place in an environment's file of a value that has pages of its own; None for another. A page begins with its number.
pub fn place_in_file(value: &[u8], page: u64) -> Option<u64> {
    const HEAD: usize = 16;
    let start = value.as_ptr();
    if start as usize % page as usize != HEAD {
        return None;
    }
    // SAFETY: the value begins right behind the head of a page, so that the head is in the page whose rest is borrowed;
    // it begins with a number, aligned as the page is.
    #[allow(clippy::cast_ptr_alignment)]
    let number = unsafe { start.sub(HEAD).cast::<usize>().read() };
    (number as u64).checked_mul(page)?.checked_add(HEAD as u64)
}

/// Takes what is mapped here out of this process's memory, so that who reads all of an environment doesn't come to hold all
/// of it: both ends are within what one environment maps. It stays in the page cache, and is mapped again when it is read.
pub fn unload(mapped: Range<*const u8>) {
    const PAGE: usize = 4096;
    let start = mapped.start as usize & !(PAGE - 1);
    let length = (mapped.end as usize).saturating_sub(start);
    // SAFETY: the pages are those of a file that is mapped to be read, shared: dropping them from the page table changes
    // nothing that is read there. All of an environment is one such mapping, which both ends lie in.
    let _ = unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) };
}

/// The number of times that this thread has waited for a disk to read memory.
pub fn major_faults() -> i64 {
    // Its type differs between architectures.
    #[allow(clippy::unnecessary_cast)]
    getrusage(UsageWho::RUSAGE_THREAD).map_or(0, |usage| usage.major_page_faults() as i64)
}
