//! The evictor with a store that only counts.
#![allow(clippy::unwrap_used)]

mod counting;

use std::time::{Duration, Instant};

use counting::{Counting, DISK, SIZE, Stored};

use super::*;
use crate::ipc::{Cleared, Tidied};

struct Bench {
    shared: Arc<Shared>,
    store: Counting,
}

fn bench(limit: u64) -> Bench {
    let shared = Arc::new(Shared::create().unwrap());
    shared.set_limit(limit);
    let store = Counting::new(&shared);
    Bench { shared, store }
}

impl Bench {
    fn start(&self, min_free: u64) -> Evictor {
        let requests = Arc::new(EvictorRequests::default());
        let store = self.store.clone();
        Evictor::start_with(store, min_free, Arc::clone(&self.shared), requests).unwrap()
    }
}

/// Waits until it holds, for a thread that is at work.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_limit_holds_while_the_store_fills() {
    for kinds in [
        &[Stored::File][..],
        &[Stored::Small],
        &[Stored::Small, Stored::File],
    ] {
        let limit = 256 * SIZE;
        let bench = bench(limit);
        let evictor = bench.start(0);
        let mut refused = 0;
        for number in 0..1000 {
            let kind = kinds[number % kinds.len()];
            while !bench.store.publish(kind) {
                refused += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
            let used = bench.shared.used();
            assert!(used <= limit, "{kinds:?}: {used} after {number}");
        }
        assert!(refused < 500, "{kinds:?}: {refused} refused");
        let kept = bench.store.look(|store| store.responses.len()) as u64 * SIZE;
        assert!(kept > limit / 4 * 3, "{kinds:?}: {kept} kept");
        evictor.stop();
    }
}

#[test]
fn slack_becomes_room_for_a_file() {
    let bench = bench(256 * SIZE);
    while bench.store.publish(Stored::Small) {}
    let evictor = bench.start(0);
    let all = bench.store.look(|store| store.responses.len());
    eventually("a little is kept free", || bench.shared.reserve(1, SIZE));
    bench.shared.release(1, SIZE);
    assert!(!bench.shared.reserve(1, 64 * SIZE));
    eventually("there is room", || bench.shared.reserve(1, 64 * SIZE));
    let left = bench.store.look(|store| store.responses.len());
    assert!((all - 80..all - 60).contains(&left), "{left} of {all}");
    evictor.stop();
}

#[test]
fn what_cant_be_given_back_is_asked_for_once() {
    let bench = bench(256 * SIZE);
    bench.store.look(|store| store.keeps_slack = true);
    while bench.store.publish(Stored::Small) {}
    let evictor = bench.start(0);
    eventually("small ones find room", || {
        bench.store.publish(Stored::Small)
    });
    // Files don't, until all that is small has gone for them; which nobody asked for.
    std::thread::sleep(Duration::from_millis(600));
    let (left, compacted) = bench
        .store
        .look(|store| (store.responses.len(), store.compacted));
    assert!(
        left > 200 && compacted <= 2,
        "{left} left, {compacted} tries"
    );
    evictor.stop();
}

#[test]
fn below_the_floor_of_free_disk_everything_goes_and_nothing_is_stored() {
    let bench = bench(u64::MAX);
    assert!(bench.store.publish(Stored::File) && bench.store.publish(Stored::Small));
    let evictor = bench.start(u64::MAX);
    let is_empty = || bench.store.look(|store| store.responses.is_empty());
    eventually("nothing is left", is_empty);
    eventually("full", || bench.shared.is_full());
    assert!(!bench.store.publish(Stored::Small) && !bench.store.publish(Stored::File));
    eventually("it is said that others hold it", || {
        bench.shared.is_below_floor()
    });
    evictor.min_free().store(0, Relaxed);
    eventually("not full", || !bench.shared.is_full());
    assert!(bench.store.publish(Stored::File));
    evictor.stop();
}

#[test]
fn what_is_reserved_and_not_written_yet_makes_the_floor_no_lower() {
    let bench = bench(u64::MAX);
    assert!(bench.store.publish(Stored::File) && bench.shared.reserve(1, 8 * SIZE));
    let evictor = bench.start(DISK - 100 * SIZE);
    eventually("it is limited", || bench.shared.is_limited_by_floor());
    assert_eq!(bench.shared.limit(), 100 * SIZE);
    evictor.stop();
}

#[test]
fn files_go_for_inodes() {
    let bench = bench(u64::MAX);
    // Ten of them are left free.
    bench
        .store
        .look(|store| (store.all_inodes, store.taken_inodes) = (80, 35));
    let evictor = bench.start(0);
    for _ in 0..40 {
        assert!(bench.store.publish(Stored::File) && bench.store.publish(Stored::Small));
    }
    let count = |kind| {
        bench
            .store
            .look(|store| store.responses.iter().filter(|it| **it == kind).count())
    };
    // Between the floor and twice that is free then.
    eventually("they are free", || (20..=35).contains(&count(Stored::File)));
    assert_eq!(count(Stored::Small), 40);
    eventually("it goes on", || bench.store.publish(Stored::File));
    // Others take all: no file is stored, small responses are.
    bench.store.look(|store| store.taken_inodes = 80);
    eventually("none is left", || count(Stored::File) == 0);
    eventually("it is known", || bench.shared.is_out_of_inodes());
    assert!(!bench.store.publish(Stored::File) && bench.store.publish(Stored::Small));
    assert!(!bench.shared.is_full());
    bench.store.look(|store| store.taken_inodes = 0);
    eventually("it goes on once more", || bench.store.publish(Stored::File));
    evictor.stop();
}

#[test]
fn what_other_versions_left_counts_and_nothing_goes_for_it() {
    let bench = bench(256 * SIZE);
    for _ in 0..100 {
        assert!(bench.store.publish(Stored::File));
    }
    let step = |left, is_done| Tidied {
        versions: Cleared {
            files: 1,
            bytes: 100,
        },
        unfinished: Cleared::default(),
        left: left * SIZE,
        is_done,
        failure: String::new(),
    };
    bench
        .store
        .look(|store| store.tidied = vec![step(0, true), step(200, false), step(400, false)]);
    let counted = std::cell::Cell::new(0);
    let evictor = bench.start(0);
    eventually("it is gone", || {
        counted.set(counted.get().max(bench.shared.used()));
        bench.store.look(|store| store.tidied.is_empty())
    });
    eventually("there is room", || bench.store.publish(Stored::File));
    assert!(counted.get() >= 300 * SIZE, "{counted:?}");
    assert_eq!(bench.store.look(|store| store.responses.len()), 101);
    evictor.stop();
}

#[test]
fn a_length_that_is_announced_evicts_nothing() {
    let bench = bench(128 * SIZE);
    let evictor = bench.start(0);
    for _ in 0..100 {
        assert!(bench.store.publish(Stored::File));
    }
    // What has come makes room for itself.
    assert!(bench.shared.reserve(1, 8 * SIZE));
    let count = || bench.store.look(|store| store.responses.len());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(count(), 100);
    eventually("room", || bench.shared.reserve(1, 56 * SIZE));
    assert!(bench.shared.used() <= 128 * SIZE);
    evictor.stop();
}
