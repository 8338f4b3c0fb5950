//! The kernel's page cache: what of a file is in memory, and reading a file without leaving it there. And the thread's
//! priority at the disk, for what has time.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::ptr::null_mut;

use nix::errno::Errno;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::libc;

const PAGE: u64 = 4096;
/// The most bytes of a file that are asked about at once.
const MOST: u64 = 2 << 20;

/// True when this part of the file, 1 MiB at most, is in memory, so that sending it waits for no disk. False as well where
/// that can't be told.
pub fn is_resident(file: &File, at: u64, len: u64) -> bool {
    let start = at - at % PAGE;
    let length = at + len - start;
    if length == 0 || length > MOST {
        return length == 0;
    }
    let (Ok(offset), Ok(length)) = (libc::off_t::try_from(start), usize::try_from(length)) else {
        return false;
    };
    let mut states = [0u8; (MOST / PAGE) as usize];
    // SAFETY: a new mapping of the file, which nobody reads: it is asked about and unmapped again. mincore writes a byte
    // for each of its pages, of which there are at most as many as `states` has.
    let asked = unsafe {
        let (fd, how) = (file.as_raw_fd(), libc::MAP_SHARED);
        let map = libc::mmap(null_mut(), length, libc::PROT_READ, how, fd, offset);
        if map == libc::MAP_FAILED {
            return false;
        }
        let asked = Errno::result(libc::mincore(map, length, states.as_mut_ptr().cast()));
        libc::munmap(map, length);
        asked
    };
    let pages = length.div_ceil(PAGE as usize);
    asked.is_ok() && states[..pages].iter().all(|state| state & 1 != 0)
}

/// Fills `bytes` from this place of a file, and leaves no more of it in memory than there was.
pub fn read_aside(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    let was_resident = is_resident(file, at, bytes.len() as u64);
    file.read_exact_at(bytes, at)?;
    if !was_resident {
        let range = |at: u64| libc::off_t::try_from(at).unwrap_or(libc::off_t::MAX);
        let (from, len) = (range(at), range(bytes.len() as u64));
        // What stays in memory does no harm.
        let _ = posix_fadvise(file, from, len, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }
    Ok(())
}

/// Has this thread's reads and writes wait for those of all others, where the disk's scheduler knows that.
pub fn yield_disk() {
    const WHO_PROCESS: libc::c_int = 1;
    const CLASS_IDLE: libc::c_int = 3 << 13;
    // SAFETY: sets a number of this thread's in the kernel, and touches no memory. A refusal leaves it as it is.
    unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, CLASS_IDLE) };
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_in_memory_and_reading_aside_leaves_it_as_it_is() {
        // On a disk, of which memory is a copy.
        let file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let len = 1 << 20;
        file.write_all_at(&vec![7; len], 0).unwrap();
        assert!(is_resident(&file, 0, len as u64));
        assert!(is_resident(&file, 5000, 100) && is_resident(&file, 0, 0));
        assert!(!is_resident(&file, 0, MOST + 1), "more than is asked about");
        let mut bytes = vec![0; len];
        read_aside(&file, &mut bytes, 0).unwrap();
        assert!(bytes == [7; 1 << 20]);
        assert!(is_resident(&file, 0, len as u64), "it was there before");
        file.sync_all().unwrap();
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
        if is_resident(&file, 0, len as u64) {
            // This file system keeps it.
            return;
        }
        read_aside(&file, &mut bytes, 0).unwrap();
        assert!(bytes == [7; 1 << 20]);
        assert!(!is_resident(&file, 0, len as u64));
        let short = read_aside(&file, &mut bytes, 1);
        assert_eq!(short.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_thread_may_yield_the_disk() {
        let priority = std::thread::spawn(|| {
            yield_disk();
            // SAFETY: asks for a number.
            unsafe { libc::syscall(libc::SYS_ioprio_get, 1, 0) }
        });
        assert_eq!(priority.join().unwrap(), 3 << 13);
    }
}
