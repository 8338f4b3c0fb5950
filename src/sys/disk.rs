//! Files as the store needs them, where std has no call for it: unnamed files, directory locks, room on disk.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FallocateFlags, fallocate};
use nix::libc;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::linkat;

/// The mode of a store's directories: they are its user's alone.
pub const DIRECTORY_MODE: u32 = 0o700;

/// Makes a directory of a store if it isn't there, and those above it, and finds out whether this process can
/// write to it.
pub fn prepare_directory(path: &Path) -> io::Result<()> {
    let mut directories = DirBuilder::new();
    directories.recursive(true).mode(DIRECTORY_MODE);
    directories.create(path)?;
    match try_writing(path) {
        // What is stored on it can be used all the same.
        Err(error) if is_full(&error) => Ok(()),
        outcome => outcome,
    }
}

/// Makes a directory of a store below one that is there, if it isn't there yet.
pub fn make_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    }
}

/// True where there is no room, be it for a while.
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// Makes a file in the directory that is gone again at once: what the modes say isn't all that decides.
pub fn try_writing(directory: &Path) -> io::Result<()> {
    trial(directory).map(drop)
}

/// A file in the directory that is gone when it is closed, wherever files can be made.
pub fn trial(directory: &Path) -> io::Result<File> {
    match unnamed(directory) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            let trial = trial_name(directory);
            let file = open_or_make(&trial)?;
            fs::remove_file(&trial)?;
            Ok(file)
        }
        outcome => outcome,
    }
}

/// True when files without a name can be made in the directory, and be given one: neither is so on every file system, nor
/// where system calls are filtered.
pub fn names_unnamed(directory: &Path) -> io::Result<bool> {
    let file = match unnamed(directory) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(false),
        file => file?,
    };
    let trial = trial_name(directory);
    match name(&file, &trial) {
        Ok(()) => fs::remove_file(&trial).map(|()| true),
        Err(error) if is_no_room(&error) => Err(error),
        Err(_) => Ok(false),
    }
}

fn is_no_room(error: &io::Error) -> bool {
    is_full(error) || error.kind() == io::ErrorKind::ReadOnlyFilesystem
}

/// A name that no other trial has.
fn trial_name(directory: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Relaxed));
    // Processes of other namespaces may have the same number.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |since| since.subsec_nanos());
    directory.join(format!(".trial-{process}-{now}-{count}"))
}

/// Opens a file for reading, and for writing too with `write`. Links are not followed, and a pipe
/// or device found in its place cannot block.
pub fn open(path: &Path, write: bool) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut options = File::options();
    options
        .read(true)
        .write(write)
        .custom_flags(flags)
        .open(path)
}

/// True for the failure to open what isn't a file that this user may read: a link, a socket, another user's file.
pub fn is_strange(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ELOOP | libc::EACCES | libc::EISDIR | libc::ENXIO | libc::ENOTDIR)
    )
}

/// A new file in the directory's file system that has no name: it is gone when it is closed unless
/// [`name`] gives it one. `Unsupported` where the file system has no such files.
pub fn unnamed(directory: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .mode(0o640)
        .custom_flags(libc::O_TMPFILE)
        .open(directory)
        .map_err(|error| match error.raw_os_error() {
            // A kernel or file system without O_TMPFILE sees an attempt to write a directory.
            Some(libc::EISDIR | libc::EOPNOTSUPP | libc::ENOENT) => {
                io::Error::new(io::ErrorKind::Unsupported, error)
            }
            _ => error,
        })
}

/// Gives an unnamed file its name; `AlreadyExists` when it is taken.
pub fn name(file: &File, path: &Path) -> io::Result<()> {
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = AtFlags::AT_SYMLINK_FOLLOW;
    Ok(linkat(AT_FDCWD, source.as_str(), AT_FDCWD, path, flags)?)
}

/// An exclusive lock on an open file or directory, held until it is dropped.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code)] File);

pub fn lock_directory(path: &Path) -> io::Result<Lock> {
    let mut options = File::options();
    options.custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW);
    let directory = options.read(true).open(path)?;
    loop {
        match flock(&directory, libc::LOCK_EX) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome.map(|()| Lock(directory)),
        }
    }
}

/// Opens a file for reading and writing, which is made where there is none.
pub fn open_or_make(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    options
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    Shared,
    Exclusive,
}

/// Takes a lock on an open file, in place of the one that it has, for as long as it is open; false where others have
/// locks that don't go together with it. Never waits.
pub fn try_lock(file: &File, kind: LockKind) -> io::Result<bool> {
    let how = match kind {
        LockKind::Shared => libc::LOCK_SH,
        LockKind::Exclusive => libc::LOCK_EX,
    };
    match flock(file, how | libc::LOCK_NB) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        taken => taken.map(|()| true),
    }
}

/// Marks a file as in use for as long as it is open.
pub fn mark_in_use(file: &File) -> io::Result<()> {
    flock(file, libc::LOCK_SH | libc::LOCK_NB)
}

pub fn is_in_use(file: &File) -> bool {
    flock(file, libc::LOCK_EX | libc::LOCK_NB).is_err()
}

/// Gives up a lock on a file.
pub fn unlock(file: &File) -> io::Result<()> {
    flock(file, libc::LOCK_UN)
}

fn flock(file: &File, how: libc::c_int) -> io::Result<()> {
    // SAFETY: flock takes an open fd and flags, and touches no memory of ours.
    Ok(Errno::result(unsafe { libc::flock(file.as_raw_fd(), how) }).map(drop)?)
}

/// Bytes that an ordinary user may still write to the file system that `path` is on.
pub fn free(path: &Path) -> io::Result<u64> {
    let state = statvfs(path)?;
    // Their types differ between architectures.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    let free = (state.blocks_available() as u64).saturating_mul(state.fragment_size() as u64);
    Ok(free)
}

/// A number that is another one when anything has changed the file, its times included, which nobody can set back: of
/// its time of change, as far as this host knows it without asking the disk or a server.
pub fn changed(file: &File) -> io::Result<u128> {
    let mut state = MaybeUninit::<libc::statx>::uninit();
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    // SAFETY: the path is an empty C string, so that the open fd is looked at; `state` is as large as what is written
    // to it, and is not read unless all of it was.
    let state = unsafe {
        let (path, to) = (c"".as_ptr(), state.as_mut_ptr());
        Errno::result(libc::statx(
            file.as_raw_fd(),
            path,
            flags,
            libc::STATX_CTIME,
            to,
        ))?;
        state.assume_init()
    };
    let time =
        u128::from(state.stx_ctime.tv_sec as u64) << 32 | u128::from(state.stx_ctime.tv_nsec);
    // Spread over all bits, those that differ little as well.
    Ok(time.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// The system's numbers of two errors, for who tells of them without having one.
pub const READ_ONLY: u16 = libc::EROFS as u16;
pub const FULL: u16 = libc::ENOSPC as u16;

/// True when the file system that `path` is on is mounted read-only.
pub fn is_read_only(path: &Path) -> io::Result<bool> {
    Ok(statvfs(path)?.flags().contains(FsFlags::ST_RDONLY))
}

/// Makes a hole in a file, which reads as zeros and takes no disk. `Unsupported` where the file system has none.
pub fn make_hole(file: &File, from: u64, length: u64) -> io::Result<()> {
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let offset = |at| i64::try_from(at).unwrap_or(i64::MAX);
    match fallocate(file, flags, offset(from), offset(length)) {
        Err(error @ (Errno::EOPNOTSUPP | Errno::ENOSYS)) => {
            Err(io::Error::new(io::ErrorKind::Unsupported, error))
        }
        outcome => Ok(outcome?),
    }
}

/// The inodes of a file system; 0 of 0 where it makes them as they are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Inodes {
    pub free: u64,
    pub all: u64,
}

/// The inodes that an ordinary user may still use of the file system that `path` is on.
pub fn inodes(path: &Path) -> io::Result<Inodes> {
    let state = statvfs(path)?;
    // Their types differ between architectures.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    let (free, all) = (state.files_available() as u64, state.files() as u64);
    Ok(Inodes { free, all })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::{Duration, Instant};

    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn an_unnamed_file_gets_a_name_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = match unnamed(dir.path()) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return,
            file => file.unwrap(),
        };
        file.write_all_at(b"content", 0).unwrap();
        let path = dir.path().join("name");
        name(&file, &path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
        let again = name(&unnamed(dir.path()).unwrap(), &path).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_change_shows_though_the_time_of_the_content_is_set_back() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"content", 0).unwrap();
        let before = changed(&file).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        assert_eq!(changed(&file).unwrap(), before);
        // The kernel's time goes in steps.
        let limit = Instant::now() + Duration::from_secs(10);
        while changed(&file).unwrap() == before && Instant::now() < limit {
            file.write_all_at(b"damages", 0).unwrap();
            file.set_modified(modified).unwrap();
        }
        assert_ne!(changed(&file).unwrap(), before);
        assert_eq!(file.metadata().unwrap().modified().unwrap(), modified);
    }

    #[test]
    fn a_directory_lock_excludes_and_ends() {
        let dir = tempfile::tempdir().unwrap();
        let lock = lock_directory(dir.path()).unwrap();
        let other = File::open(dir.path()).unwrap();
        assert!(is_in_use(&other));
        drop(lock);
        assert!(!is_in_use(&other));
    }
}
