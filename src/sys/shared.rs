//! Shared memory of the supervisor and its workers: a file of atomics, mapped by each of them.
//!
//! Holds what is read or counted on every request, where a message would cost too much: generations
//! of keys, visited bits for eviction, room in the store, counters. No locks, no pointers, nothing
//! that a process killed half-way leaves broken. Every value is a hint or a count, never content.

mod boot;
mod fetching;
mod hit_for_miss;
mod hits;
mod hosts;
mod known;
mod room;

use std::fs::{File, OpenOptions};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

pub use fetching::ClaimReply;
use memmap2::{MmapOptions, MmapRaw};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// The number of workers that have a slot of their own; higher indices share slots.
pub const WORKERS: usize = 64;

const MAGIC: u64 = u64::from_le_bytes(*b"cp-share");
const VERSION: u32 = 8;
const GENERATIONS: usize = 1 << 16;
const VISITED_WORDS: usize = 1 << 14;
const SIZE: usize = size_of::<Layout>();

/// What one worker counts. Only ever added to.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests answered.
    pub requests: AtomicU64,
    /// Requests answered from the cache.
    pub hits: AtomicU64,
    /// Bytes sent to clients.
    pub bytes_out: AtomicU64,
    /// Bytes sent to clients from the cache.
    pub bytes_hit: AtomicU64,
    /// Requests that failed.
    pub errors: AtomicU64,
}

/// The mapped file. Every field is atomic, so any bytes in it are a valid value.
#[repr(C)]
struct Layout {
    magic: AtomicU64,
    version: AtomicU32,
    size: AtomicU32,
    boot: [AtomicU64; 2],
    host: [AtomicU64; 2],
    limit: AtomicU64,
    ceiling: AtomicU64,
    directories: AtomicU64,
    stored: AtomicU64,
    announced: AtomicU64,
    wanted: AtomicU64,
    full: AtomicU32,
    known_whole: AtomicU32,
    store_down: AtomicU64,
    store_untold: AtomicU64,
    reserved: [AtomicU64; WORKERS],
    counters: [Counters; WORKERS],
    generations: [AtomicU32; GENERATIONS],
    invalidations: [AtomicU32; GENERATIONS],
    visited: [AtomicU64; VISITED_WORDS],
    known: [AtomicU64; known::WORDS],
    fetching: fetching::Table,
    hit_for_miss: hit_for_miss::Table,
    hits: hits::Table,
    elsewhere: [AtomicU32; GENERATIONS],
    heard: [AtomicU64; hosts::HEARD],
}

/// A mapping of the shared file. Send its fd to another process, which maps it with [`Shared::from_fd`].
pub struct Shared {
    file: File,
    map: MmapRaw,
}

impl Shared {
    /// Maps the file at `path`, which is made anew when it is missing or of another layout.
    /// Processes that mapped a file made by another version keep theirs.
    pub fn create(path: &Path) -> io::Result<Shared> {
        if let Ok(file) = open(path) {
            if let Ok(shared) = Shared::map(file) {
                shared.set_boot(boot::id());
                return Ok(shared);
            }
        }
        let temporary = path.with_extension("new");
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        let shared = Shared::initialise(file)?;
        std::fs::rename(&temporary, path)?;
        Ok(shared)
    }

    /// Maps the file of a running proxy; refused when it is not one of this layout.
    pub fn open(path: &Path) -> io::Result<Shared> {
        Shared::map(open(path)?)
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
        let map = MmapOptions::new().len(SIZE).map_raw(&file)?;
        let shared = Shared { file, map };
        let layout = shared.layout();
        layout.version.store(VERSION, Relaxed);
        layout.size.store(SIZE as u32, Relaxed);
        layout.limit.store(u64::MAX, Relaxed);
        layout.ceiling.store(u64::MAX, Relaxed);
        shared.set_boot(boot::id());
        shared.name_host();
        layout.magic.store(MAGIC, Relaxed);
        Ok(shared)
    }

    fn map(file: File) -> io::Result<Shared> {
        // A mapping beyond the end of the file would be a SIGBUS at the first use.
        let length = file.metadata()?.len();
        if length != SIZE as u64 {
            return Err(foreign(&format!("its size is {length} bytes, not {SIZE}")));
        }
        let map = MmapOptions::new().len(SIZE).map_raw(&file)?;
        let shared = Shared { file, map };
        let layout = shared.layout();
        if layout.magic.load(Relaxed) != MAGIC
            || layout.version.load(Relaxed) != VERSION
            || layout.size.load(Relaxed) != SIZE as u32
        {
            return Err(foreign("it is of another version"));
        }
        Ok(shared)
    }

    fn layout(&self) -> &Layout {
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
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.layout().boot[0].load(Relaxed).to_le_bytes());
        id[8..].copy_from_slice(&self.layout().boot[1].load(Relaxed).to_le_bytes());
        id
    }

    fn set_boot(&self, id: Option<[u8; 16]>) {
        let id = match id {
            Some(id) => id,
            None if self.boot() != [0; 16] => return,
            None => boot::random(),
        };
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&id[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        self.layout().boot[0].store(word(0), Relaxed);
        self.layout().boot[1].store(word(8), Relaxed);
    }

    /// The generation of the key with this hash. A copy in memory is current while it is unchanged.
    pub fn generation(&self, hash: &[u8; 16]) -> u32 {
        self.generation_of(hash)
            .load(std::sync::atomic::Ordering::Acquire)
    }

    /// Begins a new generation of this key, after what is stored for it has changed; returns it.
    pub fn next_generation(&self, hash: &[u8; 16]) -> u32 {
        self.generation_of(hash)
            .fetch_add(1, std::sync::atomic::Ordering::AcqRel)
            .wrapping_add(1)
    }

    /// How often keys with this hash were made invalid by unsafe requests, here and elsewhere. What was
    /// asked of an origin server before this changed must not be stored after it.
    pub fn invalidations(&self, hash: &[u8; 16]) -> u32 {
        let here = self.invalidations_of(hash);
        here.load(std::sync::atomic::Ordering::Acquire)
            .wrapping_add(self.invalidations_elsewhere(hash))
    }

    /// Counts that this key was made invalid. To be called before what is stored is removed.
    pub fn invalidate(&self, hash: &[u8; 16]) {
        self.invalidations_of(hash)
            .fetch_add(1, std::sync::atomic::Ordering::AcqRel);
    }

    /// Counts that every key was made invalid, so that nothing asked for before is stored.
    pub fn invalidate_all(&self) {
        for count in &self.layout().invalidations {
            count.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        }
    }

    fn invalidations_of(&self, hash: &[u8; 16]) -> &AtomicU32 {
        &self.layout().invalidations[usize::from(Shared::invalidation_slot(hash))]
    }

    fn generation_of(&self, hash: &[u8; 16]) -> &AtomicU32 {
        let index = usize::from(u16::from_le_bytes([hash[0], hash[1]]));
        &self.layout().generations[index % GENERATIONS]
    }

    /// Remembers that what is stored at this place was used.
    pub fn visit(&self, place: &[u8; 16]) {
        let (word, bit) = self.visited(place);
        // Most visits find the bit set: reading first keeps the cache line shared between cores.
        if word.load(Relaxed) & bit == 0 {
            word.fetch_or(bit, Relaxed);
        }
    }

    /// Whether this place was used since this was last asked.
    pub fn take_visited(&self, place: &[u8; 16]) -> bool {
        let (word, bit) = self.visited(place);
        word.load(Relaxed) & bit != 0 && word.fetch_and(!bit, Relaxed) & bit != 0
    }

    /// Whether this place was used since eviction last passed it.
    pub fn is_visited(&self, place: &[u8; 16]) -> bool {
        let (word, bit) = self.visited(place);
        word.load(Relaxed) & bit != 0
    }

    fn visited(&self, place: &[u8; 16]) -> (&AtomicU64, u64) {
        let index = u32::from_le_bytes([place[2], place[3], place[4], place[5]]) as usize;
        let word = &self.layout().visited[(index / 64) % VISITED_WORDS];
        (word, 1 << (index % 64))
    }

    /// Says whether worker `index` can't reach its store.
    pub fn set_store_down(&self, index: usize, down: bool) {
        let bit = 1 << (index % WORKERS);
        if down {
            self.layout().store_down.fetch_or(bit, Relaxed);
        } else {
            self.layout().store_down.fetch_and(!bit, Relaxed);
        }
    }

    /// Whether worker `index` can't reach its store.
    pub fn is_store_down_for(&self, index: usize) -> bool {
        self.layout().store_down.load(Relaxed) & (1 << (index % WORKERS)) != 0
    }

    /// Whether some worker can't reach its store.
    pub fn is_store_down(&self) -> bool {
        self.layout().store_down.load(Relaxed) != 0
    }

    /// What worker `index` counts.
    pub fn counters(&self, index: usize) -> &Counters {
        &self.layout().counters[index % WORKERS]
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC)
        .open(path)
}

fn foreign(why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("not a shared file of this version of cacheproxy: {why}"),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn two_mappings_see_each_other() {
        let one = Shared::anonymous().unwrap();
        let two = Shared::from_fd(one.fd().try_clone_to_owned().unwrap()).unwrap();
        let hash = [7; 16];
        assert_eq!(two.generation(&hash), 0);
        assert_eq!(one.next_generation(&hash), 1);
        assert_eq!(two.generation(&hash), 1);
        one.invalidate(&hash);
        assert_eq!(
            (two.invalidations(&hash), two.invalidations(&[8; 16])),
            (1, 0)
        );
        two.invalidate_all();
        assert_eq!(
            (one.invalidations(&hash), one.invalidations(&[8; 16])),
            (2, 1)
        );
        assert!(!one.take_visited(&hash));
        two.visit(&hash);
        assert!(one.is_visited(&hash) && !one.is_visited(&[8; 16]));
        assert!(one.take_visited(&hash));
        assert!(!two.take_visited(&hash));
        one.set_store_down(3, true);
        one.set_store_down(5, true);
        two.set_store_down(3, false);
        assert!(two.is_store_down() && two.is_store_down_for(5) && !two.is_store_down_for(3));
        two.set_store_down(5, false);
        assert!(!one.is_store_down());
        two.counters(3).hits.fetch_add(2, Relaxed);
        assert_eq!(one.counters(3).hits.load(Relaxed), 2);
        assert_eq!(one.boot(), two.boot());
        assert_ne!(one.boot(), [0; 16]);
    }

    #[test]
    fn foreign_files_are_refused_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shared");
        for text in [&b""[..], b"short", &vec![0; SIZE], &vec![1; SIZE + 1]] {
            std::fs::write(&path, text).unwrap();
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .unwrap();
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
