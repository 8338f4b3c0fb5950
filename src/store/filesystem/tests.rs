//! The filesystem store: the common suite, and what is its own: damage, limits, boots, other processes.
#![allow(clippy::unwrap_used)]

mod actor;
mod audit;
mod balloon;
mod broken;
mod commands;
mod damage;
mod index;
mod processes;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::brief::Brief;
use super::directory::NO_VARIANT;
use super::entry::EntryKey;
use super::*;
use crate::cache::key::Key;
use crate::cache::time::Timestamp;
use crate::http::testing::fields;
use crate::store::suite::{self, content, look, meta, plain, publish, publish_draft};
use crate::store::{Content, SMALL};

struct Bench {
    dir: TempDir,
    shared: Arc<Shared>,
    store: FilesystemStore,
}

fn open(path: &Path, shared: &Arc<Shared>, worker: usize) -> FilesystemStore {
    FilesystemStore::open(path, worker, Arc::clone(shared)).unwrap()
}

fn shared() -> Arc<Shared> {
    let shared = Shared::create().unwrap();
    shared.set_limit(1 << 30);
    Arc::new(shared)
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared();
    let store = open(dir.path(), &shared, 0);
    Bench { dir, shared, store }
}

/// Every file of large content, and every temporary one.
fn files(dir: &Path) -> Vec<PathBuf> {
    let list = |path: PathBuf| {
        let names = std::fs::read_dir(path).unwrap();
        names.map(|name| name.unwrap().path())
    };
    let large = list(dir.join("v3/files")).flat_map(list);
    large.chain(list(dir.join("tmp"))).collect()
}

impl Bench {
    /// Changes the bytes of the record of this key.
    fn damage(&self, key: &Key, damage: &dyn Fn(&mut Vec<u8>)) {
        let entry = EntryKey::of_record(key, &NO_VARIANT, 0);
        let environment = self.store.environment().unwrap();
        let mut txn = environment.write().unwrap();
        let value = environment.objects.get(&txn, entry.as_bytes()).unwrap();
        let number = Brief::decode(value.unwrap()).unwrap().order;
        let mut bytes = environment.record(&txn, number).unwrap().unwrap().to_vec();
        damage(&mut bytes);
        environment.records.put(&mut txn, &number, &bytes).unwrap();
        txn.commit().unwrap();
    }

    /// Changes the bytes of what finds it.
    fn damage_entry(&self, key: &Key, damage: &dyn Fn(&mut Vec<u8>)) {
        let entry = EntryKey::of_record(key, &NO_VARIANT, 0);
        let environment = self.store.environment().unwrap();
        let mut txn = environment.write().unwrap();
        let value = environment.objects.get(&txn, entry.as_bytes()).unwrap();
        let mut value = value.unwrap().to_vec();
        damage(&mut value);
        let put = environment.objects.put(&mut txn, entry.as_bytes(), &value);
        put.unwrap();
        txn.commit().unwrap();
    }

    fn evict(&self, bytes: u64) -> Evicted {
        let wanted = Wanted { bytes, files: 0 };
        self.store.evict(wanted, Duration::from_secs(60)).unwrap()
    }

    /// The numbers of entries, and of places in the queue, each of which has a record.
    fn counts(&self) -> (u64, u64) {
        let environment = self.store.environment().unwrap();
        let txn = environment.read().unwrap();
        let count = |stat: Result<heed::DatabaseStat, heed::Error>| stat.unwrap().entries as u64;
        let places = count(environment.order.stat(&txn));
        assert_eq!(count(environment.records.stat(&txn)), places);
        (count(environment.objects.stat(&txn)), places)
    }

    fn record(&self, key: &Key) -> Vec<u8> {
        let entry = EntryKey::of_record(key, &NO_VARIANT, 0);
        let environment = self.store.environment().unwrap();
        let txn = environment.read().unwrap();
        let value = environment.objects.get(&txn, entry.as_bytes()).unwrap();
        let number = Brief::decode(value.unwrap()).unwrap().order;
        environment.record(&txn, number).unwrap().unwrap().to_vec()
    }
}

#[test]
fn does_what_every_store_does() {
    let bench = bench();
    suite::run(&bench.store);
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
    let (small, large) = (plain("GET http://a/"), plain("GET http://b/"));
    publish(&bench.store, &small, &content(10, 1));
    publish_draft(&bench.store, &large, &content(SMALL + 1, 1));
    assert!(look(&other, &small.key).is_some() && look(&other, &large.key).is_some());
    assert_eq!(files(bench.dir.path()).len(), 1);
    let Bench { dir, store, .. } = bench;
    drop((store, other));
    let later = open(dir.path(), &shared(), 0);
    assert!(look(&later, &small.key).is_some() && look(&later, &large.key).is_some());
    assert!(dir.path().join("CACHEDIR.TAG").exists());
}

#[test]
fn what_is_looked_up_at_once_is_what_is_looked_up() {
    let bench = bench();
    let small = plain("GET http://a/");
    let large = plain("GET http://b/");
    publish(&bench.store, &small, &content(SMALL, 1));
    publish_draft(&bench.store, &large, &content(SMALL + 1, 1));
    let none = fields(&[]);
    assert!(
        bench.store.lookup_now(&small.key, &none).is_none(),
        "not known to be in memory"
    );
    for _ in 0..100 {
        look(&bench.store, &small.key).unwrap();
    }
    let found = bench.store.lookup_now(&small.key, &none);
    let Some(Ok(Found::Object(object))) = found else {
        panic!("{found:?}");
    };
    assert_eq!(suite::read(&object.content), content(SMALL, 1));
    let missing = bench.store.lookup_now(&Key::new("GET http://c/"), &none);
    assert!(matches!(missing, Some(Ok(Found::Nothing))));
    assert!(
        bench.store.lookup_now(&large.key, &none).is_none(),
        "a file is opened"
    );
    bench.damage(&small.key, &|bytes| bytes[300] ^= 1);
    assert!(bench.store.lookup_now(&small.key, &none).is_none());
    assert!(look(&bench.store, &small.key).is_none());
}

#[test]
fn keys_that_begin_alike_are_kept_apart() {
    let bench = bench();
    let long = "x".repeat(600);
    let metas: Vec<_> = ["a", "b", ""]
        .iter()
        .map(|end| plain(&format!("GET http://a/{long}{end}")))
        .collect();
    for (seed, meta) in metas.iter().enumerate() {
        publish(&bench.store, meta, &content(10, seed as u8));
    }
    for (seed, meta) in metas.iter().enumerate() {
        let found = look(&bench.store, &meta.key).unwrap();
        assert_eq!(suite::read(&found.content), content(10, seed as u8));
    }
    bench.store.remove(&metas[0].key).unwrap();
    assert!(look(&bench.store, &metas[0].key).is_none());
    assert!(look(&bench.store, &metas[1].key).is_some());
}

#[test]
fn several_are_published_together() {
    let bench = bench();
    let key = |n: usize| plain(&format!("GET http://a/{n}"));
    let before = bench.shared.invalidations(key(3).key.hash());
    bench.shared.invalidate(key(3).key.hash());
    let publications = (0..10).map(|n| Publication {
        meta: key(n % 9),
        whole: Whole::Memory(vec![content(10 + n as u64, n as u8)]),
        invalidation_epoch: (n == 3).then_some(before),
    });
    let outcomes = bench.store.publish_all(publications.collect());
    assert!(matches!(outcomes[3], Err(StoreError::Gone)));
    assert_eq!(outcomes.iter().filter(|it| it.is_ok()).count(), 9);
    assert!(look(&bench.store, &key(3).key).is_none());
    let found = look(&bench.store, &key(0).key).unwrap();
    assert_eq!(
        suite::read(&found.content),
        content(19, 9),
        "the later of two"
    );
    let generations = [&outcomes[0], &outcomes[9]].map(|it| it.as_ref().unwrap().generation);
    assert!(generations[0] != found.generation && generations[1] == found.generation);
}

#[test]
fn what_is_replaced_leaves_no_file() {
    let bench = bench();
    let meta = plain("GET http://a/");
    let lengths = [SMALL + 1, 10, 200_000, 300_000, 0];
    for (seed, length) in lengths.into_iter().enumerate() {
        let content = content(length, seed as u8);
        publish_draft(&bench.store, &meta, &content);
        let found = look(&bench.store, &meta.key).unwrap();
        assert!(suite::read(&found.content) == content, "{length}");
        let expected = usize::from(length > SMALL);
        assert_eq!(files(bench.dir.path()).len(), expected, "{length}");
        assert_eq!(bench.counts(), (1, 1));
    }
    publish_draft(&bench.store, &meta, &content(200_000, 1));
    assert!(bench.shared.stored() > 200_000);
    assert_eq!(bench.store.remove(&meta.key).unwrap().len(), 1);
    assert_eq!((bench.counts(), files(bench.dir.path()).len()), ((0, 0), 0));
    assert!(bench.shared.stored() < 200_000);
}

/// The queue's order is that of the traces of SIEVE's paper.
#[test]
fn evicts_in_the_order_of_sieve() {
    let table = [
        // Without hits it is first in, first out.
        ("ABCDE", 3, "AB"),
        // A visited record is passed over once.
        ("ABCADE", 3, "BC"),
        // The hand stays where it evicted: after B and C come D, then, around the head, A.
        ("ABCADEFG", 3, "BCDE"),
        // The example of the paper: A, B and G are visited before H comes.
        ("ABCDEFGABGHADIBJ", 7, "CEF"),
        // All visited: the whole round clears them and the oldest goes.
        ("ABCABCD", 3, "A"),
    ];
    for (trace, room, evicted) in table {
        let bench = bench();
        let mut present = Vec::new();
        let mut gone = String::new();
        for name in trace.chars() {
            let meta = plain(&format!("GET http://a/{name}"));
            if look(&bench.store, &meta.key).is_some() {
                continue;
            }
            if present.len() == room {
                assert_eq!(bench.evict(1).responses, 1);
                let left = |it: &char| {
                    let key = Key::new(format!("GET http://a/{it}"));
                    let entry = EntryKey::of_record(&key, &NO_VARIANT, 0);
                    let environment = bench.store.environment().unwrap();
                    let txn = environment.read().unwrap();
                    let found = environment.objects.get(&txn, entry.as_bytes());
                    found.unwrap().is_some()
                };
                let out = present.iter().position(|it| !left(it)).unwrap();
                gone.push(present.remove(out));
            }
            publish(&bench.store, &meta, &content(10, 0));
            present.push(name);
        }
        assert_eq!(gone, evicted, "{trace}");
    }
}

#[test]
fn a_worker_that_was_killed_keeps_no_room() {
    let bench = bench();
    let before = bench.shared.used();
    let killed = open(bench.dir.path(), &bench.shared, 1);
    let draft = Store::begin(&killed, &plain("GET http://a/"), Some(1000)).unwrap();
    draft.write_at(&[1; 10], 0).unwrap();
    std::mem::forget(draft);
    assert!(bench.shared.used() > before);
    open(bench.dir.path(), &bench.shared, 1);
    assert_eq!(bench.shared.used(), before);
}

#[test]
fn readers_and_writers_at_once_see_whole_responses() {
    let bench = bench();
    let stores = [0, 1].map(|worker| open(bench.dir.path(), &bench.shared, worker));
    let stop = AtomicBool::new(false);
    let metas = |round: usize| {
        let long = "x".repeat(round % 400);
        let mut meta = meta("GET http://a/", &[("Long", &long)], &fields(&[]));
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
        let time = object.meta.response_time.millis();
        assert_eq!(time, long, "metadata of one response");
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
    assert_eq!(bench.counts(), (1, 1), "nothing was taken for damaged");
}
