//! The filesystem store: the common suite, and what is its own: damage, limits, boots, other processes.
#![allow(clippy::unwrap_used)]

use std::fs::{File, FileTimes};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use tempfile::TempDir;

use super::root::NO_VARIANT;
use super::*;
use crate::cache::time::Timestamp;
use crate::http::testing::fields;
use crate::store::suite::{self, content, look, meta, plain, publish, publish_draft};
use crate::store::{Checksum, Content, SMALL};

struct Bench {
    dir: TempDir,
    shared: Arc<Shared>,
    store: FilesystemStore,
}

fn open(path: &Path, shared: &Arc<Shared>, worker: usize) -> FilesystemStore {
    FilesystemStore::open(path, worker, Arc::clone(shared)).unwrap()
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let shared = Arc::new(Shared::create().unwrap());
    let store = open(dir.path(), &shared, 0);
    Bench { dir, shared, store }
}

/// Every file under `v1/` and `tmp/`.
fn files(dir: &Path) -> Vec<PathBuf> {
    let list = |path: PathBuf| {
        std::fs::read_dir(path)
            .unwrap()
            .map(|name| name.unwrap().path())
    };
    let records = list(dir.join("v1")).flat_map(list);
    records.chain(list(dir.join("tmp"))).collect()
}

#[test]
fn does_what_every_store_does() {
    let bench = bench();
    suite::run(&bench.store, &|| Some(bench.store.take_removed()));
    assert_eq!(
        std::fs::read_dir(bench.dir.path().join("tmp"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn another_process_sees_what_is_published_and_a_restart_finds_it() {
    let bench = bench();
    let other = open(bench.dir.path(), &bench.shared, 1);
    let meta = plain("GET http://a/");
    publish(&bench.store, &meta, &content(10, 1));
    assert!(look(&other, &meta.key).is_some());
    let Bench { dir, .. } = bench;
    let later = open(dir.path(), &Arc::new(Shared::create().unwrap()), 0);
    assert!(look(&later, &meta.key).is_some());
    assert!(dir.path().join("CACHEDIR.TAG").exists());
}

/// Damages the record's only file and returns what a lookup makes of it, twice.
fn damaged(bench: &Bench, meta: &Meta, whole: &[u8], damage: &dyn Fn(&mut Vec<u8>)) -> bool {
    let path = bench.store.root.file(meta.key.hash(), &NO_VARIANT);
    let mut bytes = whole.to_vec();
    damage(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    let found = look(&bench.store, &meta.key);
    if let Some(object) = &found {
        assert_eq!(object.meta, *meta);
        let right = content(object.content.len(), 1);
        assert!(suite::read(&object.content) == right);
    }
    assert_eq!(path.exists(), found.is_some(), "a damaged file is removed");
    found.is_some()
}

#[test]
fn a_small_record_survives_no_damage() {
    let bench = bench();
    let mut meta = plain("GET http://a/");
    meta.trailers = fields(&[("Digest", "x")]);
    publish(&bench.store, &meta, &content(40, 1));
    let path = bench.store.root.file(meta.key.hash(), &NO_VARIANT);
    let whole = std::fs::read(&path).unwrap();
    assert!(whole.len() < 1500);
    for length in 0..whole.len() {
        let found = damaged(&bench, &meta, &whole, &|bytes| bytes.truncate(length));
        assert!(!found, "truncated to {length}");
    }
    assert!(!damaged(&bench, &meta, &whole, &|bytes| bytes.push(0)));
    // Any byte may be damaged; the other slot, the boot id and the stamp don't matter to small content.
    let mut survived = 0;
    for at in 0..whole.len() {
        for bit in [0x01, 0x80] {
            survived += usize::from(damaged(&bench, &meta, &whole, &|bytes| bytes[at] ^= bit));
        }
    }
    assert!(survived > 0 && survived < whole.len() * 3 / 2, "{survived}");
    assert_eq!(
        bench.store.take_removed().len(),
        removed::MOST.min(whole.len() * 3 + 1 - survived)
    );
}

#[test]
fn large_content_is_verified_when_its_file_was_touched() {
    let bench = bench();
    let meta = plain("GET http://a/");
    publish_draft(&bench.store, &meta, &content(200_000, 1));
    let path = bench.store.root.file(meta.key.hash(), &NO_VARIANT);
    let stamped = std::fs::metadata(&path).unwrap().modified().unwrap();
    let modified = || std::fs::metadata(&path).unwrap().modified().unwrap();
    // Touched but whole: verified, served, and stamped again.
    let file = File::options().write(true).open(&path).unwrap();
    file.set_times(FileTimes::new().set_modified(UNIX_EPOCH))
        .unwrap();
    assert!(look(&bench.store, &meta.key).is_some());
    assert_eq!(modified(), stamped);
    // A reader who has it open already is not our business: one bit changed in the middle.
    file.write_all_at(&[content(200_000, 1)[100_000] ^ 1], 4096 + 100_000)
        .unwrap();
    assert_ne!(modified(), stamped);
    assert!(look(&bench.store, &meta.key).is_none());
    assert!(!path.exists());
    assert_eq!(bench.store.take_removed().len(), 1);
}

#[test]
fn large_records_are_length_checked() {
    let bench = bench();
    let meta = plain("GET http://a/");
    publish_draft(&bench.store, &meta, &content(70_000, 1));
    let path = bench.store.root.file(meta.key.hash(), &NO_VARIANT);
    let whole = std::fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(997).chain([4096, whole.len() - 1]) {
        assert!(
            !damaged(&bench, &meta, &whole, &|bytes| bytes.truncate(length)),
            "{length}"
        );
    }
    for at in (0..700).chain((4096..whole.len()).step_by(1009)) {
        damaged(&bench, &meta, &whole, &|bytes| bytes[at] ^= 4);
    }
}

#[test]
fn content_of_another_boot_is_verified_unless_it_ended_cleanly() {
    let bench = bench();
    let meta = plain("GET http://a/");
    publish_draft(&bench.store, &meta, &content(200_000, 1));
    let path = bench.store.root.file(meta.key.hash(), &NO_VARIANT);
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let stamp_of = || std::fs::metadata(&path).unwrap().modified().unwrap();
    let boot = || {
        let mut boot = [0; 16];
        file.read_exact_at(&mut boot, 96).unwrap();
        boot
    };
    let stamp = stamp_of();
    let pretend_boot = || {
        file.write_all_at(&[7; 16], 96).unwrap();
        file.set_times(FileTimes::new().set_modified(stamp))
            .unwrap();
    };
    pretend_boot();
    assert!(look(&bench.store, &meta.key).is_some());
    assert_eq!(
        (boot(), stamp_of()),
        (bench.shared.boot(), stamp),
        "verified and noted"
    );

    // Synced in that boot: trusted as it is, so even damage that left the time alone goes unseen.
    let seconds = stamp.duration_since(UNIX_EPOCH).unwrap().as_secs();
    pretend_boot();
    let synced = |time| {
        Synced::default()
            .mark(&bench.store.root, [7; 16], time)
            .unwrap()
    };
    synced(seconds + 3);
    let reopened = open(bench.dir.path(), &bench.shared, 0);
    assert!(look(&reopened, &meta.key).is_some());
    assert_eq!(boot(), [7; 16]);

    // Synced before it was written, and damaged by the unclean end of that boot.
    synced(seconds + 2);
    file.write_all_at(&[0; 512], 50_000).unwrap();
    pretend_boot();
    let reopened = open(bench.dir.path(), &bench.shared, 0);
    assert!(look(&reopened, &meta.key).is_none());
    assert!(!path.exists());
}

#[test]
fn strange_things_under_a_records_name_are_a_miss() {
    let bench = bench();
    let key = Key::new("GET http://a/");
    let path = bench.store.root.file(key.hash(), &NO_VARIANT);
    drop(bench.store.root.lock(key.hash()).unwrap());
    crate::sys::disk::make_pipe(&path).unwrap();
    assert!(look(&bench.store, &key).is_none());
    assert!(!path.exists());
    // A record under the wrong name, as if two keys had one hash.
    let other = plain("GET http://b/");
    publish(&bench.store, &other, &content(10, 1));
    let wrong = bench.store.root.file(other.key.hash(), &NO_VARIANT);
    std::fs::copy(wrong, &path).unwrap();
    assert!(look(&bench.store, &key).is_none());
    assert!(bench.store.remove(&key).unwrap().is_empty());
    std::os::unix::fs::symlink("/etc/passwd", bench.dir.path().join("link")).unwrap();
    std::fs::rename(bench.dir.path().join("link"), &path).unwrap();
    assert!(bench.store.lookup(&key, &Fields::default()).is_err());
}

#[test]
fn a_damaged_index_is_a_miss_and_is_replaced() {
    let bench = bench();
    let request = fields(&[("A", "1")]);
    let meta = meta("GET http://a/", &[("Vary", "A")], &request);
    publish(&bench.store, &meta, &content(10, 1));
    let path = bench.store.root.file(meta.key.hash(), &NO_VARIANT);
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let found = bench.store.lookup(&meta.key, &request).unwrap();
        assert!(matches!(found, Found::Nothing), "byte {at}");
    }
    publish(&bench.store, &meta, &content(10, 1));
    let found = bench.store.lookup(&meta.key, &request).unwrap();
    assert!(matches!(found, Found::Object(_)));
    // A variant that is damaged or gone leaves the others alone.
    std::fs::write(
        bench.store.root.file(meta.key.hash(), meta.variant.hash()),
        "x",
    )
    .unwrap();
    let found = bench.store.lookup(&meta.key, &request).unwrap();
    assert!(matches!(found, Found::OtherVariants));
    assert_eq!(
        files(bench.dir.path()),
        Vec::<PathBuf>::new(),
        "the last takes the index along"
    );
}

#[test]
fn room_is_reserved_settled_and_given_back() {
    let bench = bench();
    bench.shared.set_limit(1 << 20);
    let meta = plain("GET http://a/");
    // What the store could never hold isn't begun, and evicts nothing.
    let refused = bench.store.begin(&meta, Some(1 << 20)).unwrap_err();
    assert!(refused.is_full(), "{refused}");
    assert_eq!(bench.shared.take_wanted(), 0);
    // A length that is announced takes nothing; bytes that come do.
    let draft = bench.store.begin(&meta, Some(500_000)).unwrap();
    assert_eq!(bench.shared.used(), 0);
    draft.write_at(&[1; 1000], 0).unwrap();
    assert!((1000..30_000).contains(&bench.shared.used()));
    draft.reserve(500_000).unwrap();
    assert!(bench.shared.used() >= 500_000);
    let other = bench.store.begin(&meta, Some(600_000)).unwrap();
    let refused = other.reserve(600_000).unwrap_err();
    assert!(refused.is_full(), "{refused}");
    assert!(bench.shared.take_wanted() >= 600_000);
    drop(other);
    let whole = Whole::Draft {
        draft,
        len: 0,
        checksum: Checksum::new(),
    };
    let published = bench.store.publish(&meta, whole, None).unwrap();
    assert_eq!(bench.shared.used(), published.size);
    let file = bench.store.root.file(meta.key.hash(), &NO_VARIANT);
    let length = std::fs::metadata(file).unwrap().len();
    assert_eq!(published.size, length.next_multiple_of(4096));
    // The length of the second was not known; it grows until there is no room.
    let draft = bench.store.begin(&meta, None).unwrap();
    let piece = vec![1; 200_000];
    let written = (0..100).take_while(|at| draft.write_at(&piece, at * 200_000).is_ok());
    assert!(written.count() < 6);
    assert!(bench.shared.used() <= 1 << 20);
    drop(draft);
    assert_eq!(bench.shared.used(), published.size);
    bench.shared.set_full(true);
    assert!(bench.store.begin(&meta, None).unwrap_err().is_full());
    let refused = bench.store.publish(&meta, Whole::Memory(vec![]), None);
    assert!(refused.unwrap_err().is_full());
}

#[test]
fn a_worker_that_was_killed_keeps_no_room() {
    let bench = bench();
    let killed = open(bench.dir.path(), &bench.shared, 1);
    let draft = killed.begin(&plain("GET http://a/"), Some(1000)).unwrap();
    draft.write_at(&[1; 10], 0).unwrap();
    std::mem::forget(draft);
    assert!(bench.shared.used() > 0);
    open(bench.dir.path(), &bench.shared, 1);
    assert_eq!(bench.shared.used(), 0);
}

#[test]
fn readers_and_writers_at_once_see_whole_responses() {
    let bench = bench();
    let stores = [0, 1].map(|worker| open(bench.dir.path(), &bench.shared, worker));
    let stop = AtomicBool::new(false);
    let metas = |round: usize| {
        let long = "x".repeat(round % 400);
        let mut meta = meta("GET http://a/", &[("Long", &long)], &Fields::default());
        meta.response_time = Timestamp::from_millis(long.len() as u64);
        meta
    };
    let lengths = [100, SMALL, SMALL + 1, 150_000];
    let whole = |content: &Content| -> bool {
        let bytes: Bytes = suite::read(content);
        (0..4).any(|seed| bytes == suite::content(lengths[seed as usize], seed))
    };
    let check = |store: &FilesystemStore| {
        let Some(object) = look(store, &metas(0).key) else {
            return false;
        };
        let long = object.meta.fields.first("long").unwrap().len() as u64;
        assert_eq!(
            object.meta.response_time.millis(),
            long,
            "metadata of one response"
        );
        assert!(whole(&object.content));
        true
    };
    std::thread::scope(|scope| {
        let writers = stores.each_ref().map(|store| {
            scope.spawn(|| {
                for round in 0..60 {
                    let seed = (round % 4) as u8;
                    let content = content(lengths[usize::from(seed)], seed);
                    publish_draft(store, &metas(round), &content);
                    for more in 0..3 {
                        if let Some(object) = look(store, &metas(0).key) {
                            let _ = store.refresh(&object, &metas(round + more * 7), None);
                        }
                    }
                }
            })
        });
        for store in &stores {
            scope.spawn(|| {
                let mut found = 0;
                while !stop.load(Relaxed) {
                    found += usize::from(check(store));
                    std::thread::sleep(Duration::from_micros(50));
                }
                assert!(found > 10);
            });
        }
        for writer in writers {
            writer.join().unwrap();
        }
        stop.store(true, Relaxed);
    });
    assert!(check(&bench.store));
    for store in stores {
        assert_eq!(store.take_removed(), [], "nothing was taken for damaged");
    }
}
