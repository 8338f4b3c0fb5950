//! The evictor against a real store in a temporary directory.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tempfile::TempDir;

use super::message::entry;
use super::scan::Scan;
use super::*;
use crate::cache::extent::Extent;
use crate::cache::key::{Key, Variant};
use crate::cache::provenance::Provenance;
use crate::cache::stored::Meta;
use crate::cache::time::Timestamp;
use crate::cache::vary;
use crate::http::fields::Fields;
use crate::ipc::Object;
use crate::store::StoreError;
use crate::store::filesystem::FilesystemStore;
use crate::store::filesystem::maintenance::DirectoryMaintenance;
use crate::store::sieve::{Sieve, SieveEntry};
use crate::store::{Found, Published, Store, Whole};

const SIZE: u64 = 12 * 1024;

/// The files of a store, without a worker between.
impl Maintenance for DirectoryMaintenance {
    fn appoint(&self, _: MaintainerChannel) {}

    fn is_there(&self) -> bool {
        true
    }

    fn remove_leftovers(&self) -> Result<u64, StoreError> {
        DirectoryMaintenance::remove_leftovers(self, SystemTime::now()).map(|count| count as u64)
    }

    fn scan(&self, number: u8) -> Result<Vec<(u64, SieveEntry)>, StoreError> {
        DirectoryMaintenance::scan(self, number)
    }

    fn evict(&self, entry: &SieveEntry) -> Result<(), StoreError> {
        DirectoryMaintenance::evict(self, entry)
    }

    fn directories(&self) -> Result<u64, StoreError> {
        Ok(DirectoryMaintenance::directories(self))
    }

    fn free(&self) -> Result<u64, StoreError> {
        DirectoryMaintenance::free(self)
    }
}

struct Bench {
    dir: TempDir,
    shared: Arc<Shared>,
    store: FilesystemStore,
}

fn bench(limit: u64) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let shared = Arc::new(Shared::create().unwrap());
    shared.set_limit(limit);
    let store = FilesystemStore::open(dir.path(), 0, Arc::clone(&shared)).unwrap();
    Bench { dir, shared, store }
}

impl Bench {
    fn start(&self, min_free: u64) -> Evictor {
        let files = DirectoryMaintenance::open(self.dir.path(), Arc::clone(&self.shared)).unwrap();
        let requests = Arc::new(EvictorRequests::default());
        Evictor::start_with(files, min_free, Arc::clone(&self.shared), requests).unwrap()
    }

    fn publish(&self, name: &str) -> Result<Published, StoreError> {
        let content = Bytes::from(vec![1; SIZE as usize - 1024]);
        let whole = Whole::Memory(vec![content]);
        self.store.publish(&meta(name), whole, None)
    }

    fn has(&self, name: &str) -> bool {
        let found = self
            .store
            .lookup(&Key::new(name.to_owned()), &Fields::default());
        matches!(found.unwrap(), Found::Object(_))
    }

    fn on_disk(&self) -> u64 {
        let list = |path: &Path| std::fs::read_dir(path).unwrap().map(|name| name.unwrap());
        list(&self.dir.path().join("v1"))
            .flat_map(|directory| list(&directory.path()))
            // A response evicted meanwhile takes nothing.
            .filter_map(|file| file.metadata().ok())
            .map(|file| file.len().next_multiple_of(4096))
            .sum()
    }
}

fn meta(name: &str) -> Meta {
    Meta {
        key: Key::new(name.to_owned()),
        variant: Variant::none(),
        request_time: Timestamp::default(),
        response_time: Timestamp::default(),
        local: false,
        extent: Extent::Whole,
        provenance: Provenance::default(),
        status: 200,
        reason: Bytes::new(),
        fields: Fields::default(),
        trailers: Fields::default(),
    }
}

fn objects(published: &[Published]) -> Vec<Object> {
    let object = |it: &Published| Object {
        hash: it.hash,
        variant: it.variant,
        size: it.size,
    };
    published.iter().map(object).collect()
}

/// Waits until it holds, for a thread that is at work.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_limit_holds_while_the_store_fills() {
    let limit = 64 * SIZE;
    let bench = bench(limit);
    let evictor = bench.start(0);
    let mut refused = 0;
    for n in 0..400 {
        match bench.publish(&format!("GET http://a/{n}")) {
            Ok(published) => evictor.send(EvictorMessage::Published(objects(&[published]))),
            Err(error) => {
                assert!(error.is_full(), "{error}");
                refused += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        bench.has("GET http://a/0");
        assert!(bench.on_disk() <= limit);
    }
    assert!(refused < 200, "{refused} refused");
    eventually("announced is heard", || {
        bench.shared.used() == bench.on_disk()
    });
    assert!(bench.on_disk() > limit / 2);
    assert!(bench.has("GET http://a/0"), "used all the time");
    assert!(!bench.has("GET http://a/1"), "never used");
    evictor.stop();
}

#[test]
fn a_restart_finds_what_is_stored_in_its_order() {
    let first = bench(u64::MAX);
    for n in 0..40 {
        let key = Key::new(format!("GET http://a/{n}"));
        first.publish(&format!("GET http://a/{n}")).unwrap();
        let digits = format!("{:032x}", u128::from_be_bytes(*key.hash()));
        let name = format!("v1/{}/{digits}", &digits[..2]);
        let file = std::fs::File::options()
            .write(true)
            .open(first.dir.path().join(name));
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + n);
        file.unwrap().set_modified(time).unwrap();
    }
    // As after a reboot: the shared memory is new.
    let Bench { dir, .. } = first;
    let shared = Arc::new(Shared::create().unwrap());
    let store = FilesystemStore::open(dir.path(), 0, Arc::clone(&shared)).unwrap();
    let bench = Bench { dir, shared, store };
    let evictor = bench.start(0);
    let published = bench.publish("GET http://a/new").unwrap();
    evictor.send(EvictorMessage::Published(objects(&[published])));
    assert!(bench.has("GET http://a/0"), "hits work at once");
    eventually("all is counted", || bench.shared.stored() == 41 * SIZE);
    eventually("once", || bench.shared.used() == bench.on_disk());
    // The response published since is the newest.
    bench.shared.set_limit(4 * SIZE);
    // A little room is always kept, so only three fit.
    eventually("less is stored", || bench.on_disk() <= 3 * SIZE);
    let left: Vec<_> = (0..40)
        .filter(|n| bench.has(&format!("GET http://a/{n}")))
        .collect();
    assert_eq!(
        left,
        [0, 39],
        "the oldest went, save for the one that was used"
    );
    assert!(bench.has("GET http://a/new"));
    evictor.stop();
}

#[test]
fn removals_are_heard_and_lost_messages_found() {
    let bench = bench(u64::MAX);
    let evictor = bench.start(0);
    let published: Vec<_> = ["a", "b", "c"]
        .map(|name| bench.publish(name).unwrap())
        .into();
    evictor.send(EvictorMessage::Published(objects(&published[..2])));
    eventually("two are counted", || {
        bench.shared.stored() == 2 * SIZE || bench.shared.stored() == 3 * SIZE
    });
    let removed = bench.store.remove(&Key::new("a")).unwrap();
    evictor.send(EvictorMessage::Removed(objects(&removed)));
    eventually("one less", || bench.shared.stored() <= 2 * SIZE);
    evictor.stop();

    // The third was announced to nobody: a scan finds it, as it finds the first gone.
    let maintenance =
        DirectoryMaintenance::open(bench.dir.path(), Arc::clone(&bench.shared)).unwrap();
    let mut queue = Sieve::new();
    let known = objects(&published[..2]);
    known.iter().for_each(|object| queue.insert(&entry(object)));
    let mut scan = Scan::again(&bench.shared);
    while !scan.step(&maintenance, &bench.shared, usize::MAX).unwrap() {}
    scan.settle(&mut queue);
    assert!(bench.shared.may_be_stored(&published[1].hash));
    assert!(bench.shared.may_be_stored(&published[2].hash));
    assert!(!bench.shared.may_be_stored(&[0xfe; 16]), "not in the store");
    assert_eq!(queue.bytes(), bench.on_disk());
    assert!(queue.remove(&entry(&known[0]).place()).is_none());
    assert_eq!(queue.len(), 2);
}

#[test]
fn below_the_floor_of_free_disk_everything_goes_and_nothing_is_stored() {
    let bench = bench(u64::MAX);
    let published = bench.publish("GET http://a/").unwrap();
    let evictor = bench.start(u64::MAX);
    evictor.send(EvictorMessage::Published(objects(&[published])));
    eventually("nothing is left", || bench.on_disk() == 0);
    eventually("full", || bench.shared.is_full());
    assert!(bench.publish("GET http://b/").unwrap_err().is_full());
    evictor.min_free().store(0, Relaxed);
    eventually("not full", || !bench.shared.is_full());
    assert!(bench.publish("GET http://b/").is_ok());
    evictor.stop();
}

#[test]
fn room_is_made_for_what_was_refused() {
    let bench = bench(64 * SIZE);
    let evictor = bench.start(0);
    // Until then, what is both heard of and found counts twice.
    eventually("the store is read", || {
        !bench.shared.may_be_stored(&[0xfe; 16])
    });
    for n in 0..60 {
        let published = bench.publish(&n.to_string()).unwrap();
        evictor.send(EvictorMessage::Published(objects(&[published])));
    }
    assert!(!bench.shared.reserve(1, 20 * SIZE));
    eventually("there is room", || {
        let fits = bench.shared.used() <= 44 * SIZE;
        fits && bench.shared.reserve(1, 20 * SIZE)
    });
    evictor.stop();
}

#[test]
fn a_length_that_is_announced_evicts_nothing() {
    let bench = bench(128 * SIZE);
    let evictor = bench.start(0);
    // Until then, what is both heard of and found counts twice.
    eventually("the store is read", || {
        !bench.shared.may_be_stored(&[0xfe; 16])
    });
    let name = |n: i32| format!("GET http://a/{n}");
    let tell = |published| evictor.send(EvictorMessage::Published(objects(&[published])));
    for n in 0..90 {
        tell(bench.publish(&name(n)).unwrap());
    }
    let drafts = (0..4).map(|_| {
        let draft = bench
            .store
            .begin(&meta(&name(-1)), Some(64 * SIZE))
            .unwrap();
        draft.write_at(&[1; 2 * SIZE as usize], 0).unwrap();
        draft
    });
    let drafts: Vec<_> = drafts.collect();
    // The evictor has come round when it has heard of what came last.
    for n in 90..95 {
        tell(bench.publish(&name(n)).unwrap());
        let heard = || bench.shared.held() == bench.on_disk();
        eventually("announced is heard", heard);
    }
    assert!((0..90).all(|n| bench.has(&name(n))));
    // Bytes that come make room for themselves.
    eventually("room", || drafts[0].reserve(64 * SIZE).is_ok());
    assert!(bench.shared.used() <= 128 * SIZE);
    evictor.stop();
}

#[test]
fn evicting_variants_takes_the_index_along() {
    let bench = bench(u64::MAX);
    let fields = |name: &'static str, value: &str| -> Fields {
        [(name.as_bytes(), value.as_bytes())].into_iter().collect()
    };
    let mut published = Vec::new();
    for n in 0..3 {
        let meta = Meta {
            key: Key::new("GET http://a/"),
            variant: vary::variant_of(&["x"], &fields("x", &n.to_string())),
            request_time: Timestamp::default(),
            response_time: Timestamp::default(),
            local: false,
            extent: Extent::Whole,
            provenance: Provenance::default(),
            status: 200,
            reason: Bytes::new(),
            fields: fields("Vary", "x"),
            trailers: Fields::default(),
        };
        published.push(
            bench
                .store
                .publish(&meta, Whole::Memory(vec![]), None)
                .unwrap(),
        );
    }
    let maintenance =
        DirectoryMaintenance::open(bench.dir.path(), Arc::clone(&bench.shared)).unwrap();
    let scanned: Vec<_> = (0..=255)
        .flat_map(|n| maintenance.scan(n).unwrap())
        .collect();
    assert_eq!(scanned.len(), 3, "the index is no entry");
    let generation = bench.shared.generation(&published[0].hash);
    for (left, object) in [(2, 0), (1, 1), (0, 2)] {
        maintenance
            .evict(&entry(&objects(&published)[object]))
            .unwrap();
        let found = (0..3).filter(|n| {
            let request = fields("x", &n.to_string());
            let found = bench.store.lookup(&Key::new("GET http://a/"), &request);
            matches!(found.unwrap(), Found::Object(_))
        });
        assert_eq!(found.count(), left);
    }
    assert_ne!(bench.shared.generation(&published[0].hash), generation);
    assert_eq!(bench.on_disk(), 0);
    // A stale entry for what is an index now leaves its variants alone.
    maintenance.evict(&entry(&objects(&published)[0])).unwrap();
}

#[test]
fn only_leftovers_are_removed() {
    let bench = bench(u64::MAX);
    let maintenance =
        DirectoryMaintenance::open(bench.dir.path(), Arc::clone(&bench.shared)).unwrap();
    let make = |name: &str| {
        let path = bench.dir.path().join("tmp").join(name);
        std::fs::write(&path, "").unwrap();
        path
    };
    let (leftover, used) = (make("leftover"), make("used"));
    let file = std::fs::File::open(&used).unwrap();
    crate::sys::disk::mark_in_use(&file).unwrap();
    assert_eq!(maintenance.remove_leftovers(SystemTime::now()).unwrap(), 0);
    let later = SystemTime::now() + Duration::from_secs(100);
    assert_eq!(maintenance.remove_leftovers(later).unwrap(), 1);
    assert!(!leftover.exists() && used.exists());
}

#[test]
fn what_has_reached_the_disk_is_noted() {
    let bench = bench(u64::MAX);
    let files = DirectoryMaintenance::open(bench.dir.path(), Arc::clone(&bench.shared)).unwrap();
    files.mark_synced(SystemTime::now()).unwrap();
    let text = std::fs::read_to_string(bench.dir.path().join("synced")).unwrap();
    assert_eq!(text.lines().count(), 1);
    let hex = format!("{:032x}", u128::from_be_bytes(bench.shared.boot()));
    assert!(text.starts_with(&hex), "{text}");
}
