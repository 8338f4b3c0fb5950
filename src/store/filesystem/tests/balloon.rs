//! Free pages that are given back to the disk, and taken again.

use std::os::unix::fs::MetadataExt;

use super::*;

/// What the index takes on disk.
fn taken(bench: &Bench) -> u64 {
    let index = bench.dir.path().join("v3/index/data.mdb");
    index.metadata().unwrap().blocks() * 512
}

fn holes(bench: &Bench) -> u64 {
    let environment = bench.store.environment().unwrap();
    let txn = environment.read().unwrap();
    environment.state(&txn).unwrap().holes
}

fn name(number: usize) -> String {
    format!("GET http://a/{number}")
}

/// Publishes content of 60 KB under this number, of which the bytes tell.
fn put(bench: &Bench, number: usize) {
    publish(
        &bench.store,
        &plain(&name(number)),
        &content(60_000, number as u8),
    );
}

fn has(bench: &Bench, number: usize) -> bool {
    let found = look(&bench.store, &Key::new(name(number)));
    found.is_some_and(|object| suite::read(&object.content) == content(60_000, number as u8))
}

#[test]
fn free_pages_are_given_back_and_taken_again() {
    let bench = bench();
    (0..200).for_each(|number| put(&bench, number));
    for number in (0..200).filter(|number| number % 4 != 0) {
        bench.store.remove(&Key::new(name(number))).unwrap();
    }
    let (full, before) = (taken(&bench), bench.shared.stored());
    assert!(bench.shared.slack() > 8 << 20, "{}", bench.shared.slack());
    let given = bench.store.give_back(4 << 20).unwrap();
    if bench.store.no_holes.load(Relaxed) {
        println!("left out: no holes in files here");
        return;
    }
    assert!(given >= 4 << 20, "{given}");
    let freed = full - taken(&bench);
    assert!(freed >= given, "{freed} of {given}");
    let told = before - bench.shared.stored();
    assert!(
        told >= given && told <= given + (1 << 20),
        "{told} of {given}"
    );
    assert!((0..200).all(|number| has(&bench, number) == (number % 4 == 0)));
    // Small responses use what is free, and what was given back.
    for number in 200..330 {
        put(&bench, number);
        let stored = bench.shared.stored();
        assert!(stored + (1 << 20) > taken(&bench), "{number}: {stored}");
    }
    assert!((200..330).all(|number| has(&bench, number)));
    assert!(holes(&bench) < given / 2, "{} of {given}", holes(&bench));
    // Another process finds the same.
    drop(bench.store);
    let store = open(bench.dir.path(), &bench.shared, 0);
    let bench = Bench { store, ..bench };
    assert!((200..330).all(|number| has(&bench, number)));
    assert_eq!(bench.store.give_back(0).unwrap(), 0);
}
