//! The index's file damaged, cut, or without room to grow: never a wrong answer, and the store goes on.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::actor::{Actor, KEYS, key};
use super::audit::{audit, tidy};
use super::processes::Process;
use super::*;
use crate::store::filesystem::entry::list_of;

const PAGE: u64 = 4096;
/// The heads of an index, which are its first pages.
const HEADS: u64 = 2 * PAGE;

fn actor(dir: &Path, shared: &Arc<Shared>) -> Actor {
    Actor::new(open(dir, shared, 0), Arc::clone(shared))
}

/// Stores something small under all keys but the last, which is large.
fn filled(dir: &Path, shared: &Arc<Shared>) -> PathBuf {
    let actor = actor(dir, shared);
    (0..KEYS - 1).for_each(|number| actor.publish(&key(number), 3, 1));
    actor.publish(&key(KEYS - 1), 6, 1);
    std::fs::canonicalize(dir.join("v3/index/data.mdb")).unwrap()
}

fn enter_all(store: &FilesystemStore) -> u64 {
    (0..=255).map(|n| store.enter_files(n).unwrap()).sum()
}

fn has(actor: &Actor) -> usize {
    let found = |number: &u64| actor.look(&key(*number)).is_some();
    (0..KEYS).filter(found).count()
}

fn write(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

#[test]
fn an_index_that_is_cut_kills_two_and_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared();
    let data = filled(dir.path(), &shared);
    write(&data).set_len(HEADS).unwrap();
    for _ in 0..2 {
        let status = Process::start(dir.path(), &shared, 1, "look", "").await_its_end();
        assert_eq!(status.signal(), Some(7), "{status}");
    }
    let actor = actor(dir.path(), &shared);
    assert_eq!(has(&actor), 0);
    assert_eq!(enter_all(&actor.store), 1);
    actor.publish(&key(0), 4, 1);
    assert_eq!(has(&actor), 2);
    let status = Process::start(dir.path(), &shared, 1, "look", "").await_its_end();
    assert!(status.success(), "{status}");
    tidy(dir.path(), &shared);
    assert_eq!(audit(dir.path(), &actor.store), 2);
}

/// Nor does it end more than two processes.
#[test]
fn an_index_that_is_overwritten_gives_no_wrong_answer() {
    for (seed, byte) in [
        (1, 0),
        (2, 0xff),
        (3, 0x5a),
        (5, 0),
        (7, 1),
        (2, 1),
        (3, 0x10),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let shared = shared();
        let data = filled(dir.path(), &shared);
        let file = write(&data);
        let pages = file.metadata().unwrap().len() / PAGE;
        for page in (2..pages).filter(|page| page % seed == 0) {
            file.write_all_at(&[byte; PAGE as usize], page * PAGE)
                .unwrap();
        }
        let mut ends = Vec::new();
        for _ in 0..4 {
            let status = Process::start(dir.path(), &shared, 1, "look", "").await_its_end();
            ends.push(status.to_string());
            if status.success() {
                break;
            }
        }
        let what = format!("every page by {seed}, {byte}: {ends:?}");
        assert!(ends.last().unwrap().contains("status: 0"), "{what}");
        // What was overwritten had been read in part before.
        let actor = actor(dir.path(), &shared);
        actor.publish(&key(0), 3, 1);
        assert!(actor.look(&key(0)).is_some(), "{what}");
    }
}

/// What a power cut leaves: some pages were written, others not.
#[test]
fn what_was_copied_while_it_was_written_gives_no_wrong_answer() {
    let dir = tempfile::tempdir().unwrap();
    let memory = shared();
    let start = |worker| Process::start(dir.path(), &memory, worker, "all", "");
    let mut writers = [1, 2].map(start);
    let done = || memory.counters(1).requests.load(Relaxed);
    for round in 1..=4 {
        let end = std::time::Instant::now() + Duration::from_secs(30);
        while done() < round * 30 && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(done() >= round * 30);
        let copy = tempfile::tempdir().unwrap();
        let to = copy.path().join("store");
        // What vanishes meanwhile is said, and no matter.
        let mut copying = Command::new("cp");
        copying.arg("-a").arg(dir.path()).arg(&to);
        copying.output().unwrap();
        let torn = [files(&to), vec![to.join("v3/index/data.mdb")]].concat();
        for path in torn.iter().filter(|path| path.is_file()) {
            let file = write(path);
            let pages = file.metadata().unwrap().len() / PAGE;
            for page in (0..pages).filter(|page| page % 7 == round) {
                file.write_all_at(&[0; PAGE as usize], page * PAGE).unwrap();
            }
        }
        let mark = to.join("v3/index/boot");
        let copied = mark::Mark::read(&mark).filter(|_| round % 2 == 0);
        if let Some(mut other) = copied {
            other.boot = [9; 16];
            std::fs::write(&mark, other.to_string()).unwrap();
        }
        let shared = shared();
        let actor = actor(&to, &shared);
        assert_eq!(has(&actor), 0, "nothing of the index is believed");
        enter_all(&actor.store);
        has(&actor);
        actor.store.remove_damaged().unwrap();
        actor.publish(&key(0), 3, 1);
        assert!(actor.look(&key(0)).is_some());
        tidy(&to, &shared);
        audit(&to, &actor.store);
    }
    writers.iter_mut().for_each(Process::kill);
}

#[test]
fn a_damaged_state_has_the_index_made_anew() {
    let bench = bench();
    let meta = plain("GET http://a/");
    publish(&bench.store, &meta, &content(10, 1));
    publish_draft(&bench.store, &plain("GET http://b/"), &content(100_000, 1));
    let environment = bench.store.environment().unwrap();
    let mut txn = environment.write().unwrap();
    let damaged = [7; 50];
    let put = environment.state.put(&mut txn, b"state", &damaged);
    put.unwrap();
    txn.commit().unwrap();
    let failed = bench.store.remove(&plain("GET http://c/").key);
    assert!(matches!(failed, Err(StoreError::IndexDamaged { .. })));
    assert!(look(&bench.store, &meta.key).is_none());
    publish(&bench.store, &meta, &content(10, 1));
    assert_eq!(enter_all(&bench.store), 1);
    tidy(bench.dir.path(), &bench.shared);
    assert_eq!(audit(bench.dir.path(), &bench.store), 2);
}

/// Damaged numbers in the queue: evicting ends, and takes each record.
#[test]
fn a_damaged_queue_is_gone_through() {
    let bench = bench();
    let metas = [0, 1, 2, 3].map(|n| plain(&format!("GET http://a/{n}")));
    for meta in &metas {
        publish(&bench.store, meta, &content(10, 1));
    }
    let entry = |n: usize| EntryKey::of_record(&metas[n].key, &NO_VARIANT, 0);
    let environment = bench.store.environment().unwrap();
    let mut txn = environment.write().unwrap();
    let order = environment.order;
    order.put(&mut txn, &0, b"short").unwrap();
    let another = entry(2);
    order.put(&mut txn, &1, another.as_bytes()).unwrap();
    let list = list_of(another.as_bytes()).to_vec();
    order.put(&mut txn, &9, &list).unwrap();
    txn.commit().unwrap();
    bench.evict(u64::MAX);
    assert_eq!(bench.counts().1, 0, "numbers in the queue");
    let is_there = |n: &usize| look(&bench.store, &metas[*n].key).is_some();
    assert_eq!(bench.counts().0, 2, "what found those of wrong numbers");
    assert_eq!(Vec::from_iter((0..4).filter(is_there)), [0; 0]);
    assert_eq!(bench.counts().0, 0, "it goes when it is looked up");
    publish(&bench.store, &metas[0], &content(10, 1));
    assert_eq!(bench.evict(u64::MAX).responses, 1);
}

#[test]
fn a_full_disk_in_a_commit_loses_only_that() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared();
    let unshare = || {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount"]);
        unshare
    };
    if !unshare().arg("true").status().is_ok_and(|it| it.success()) {
        eprintln!("it didn't run: this user may not make namespaces");
        return;
    }
    let mut full = Process::on_a_small_disk(dir.path(), &shared, "full", unshare());
    let status = full.await_its_end();
    assert!(status.success(), "{status}");
}

/// The part of the process whose store is on a small disk of its own.
pub(super) fn fill(actor: &Actor) {
    let dir = actor.store.directory.path();
    let filler = dir.join("tmp/filler");
    std::fs::write(&filler, vec![1; 1 << 20]).unwrap();
    let stored = |from: u64, seed: usize| {
        let number = (from..from + 1000).find(|n| actor.try_publish(&key(*n), seed, 1).is_err());
        number.expect("the disk is full some time") - from
    };
    let is_there = |number: &u64| actor.look(&key(*number)).is_some();
    let small = stored(0, 3);
    assert!(small > 20, "{small}");
    for seed in [3, 4, 5, 6] {
        assert_eq!(stored(1000, seed), 0);
    }
    assert_eq!((0..small + 9).filter(is_there).count() as u64, small);
    std::fs::remove_file(&filler).unwrap();
    let more = stored(2000, 3);
    assert!(more > 20, "{more}");
    assert_eq!((0..3000).filter(is_there).count() as u64, small + more);
    for number in 0..small {
        actor.store.remove(&key(number)).unwrap();
    }
    // In what is free in the index.
    for number in 0..small / 2 {
        actor.publish(&key(number), 2, 1);
    }
    audit(dir, &actor.store);
}
