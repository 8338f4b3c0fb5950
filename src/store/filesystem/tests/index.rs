//! The index itself: compacted, moved, believed or not after a boot, damaged, removed.

use super::*;

#[test]
fn what_is_free_in_the_index_is_given_back() {
    let bench = bench();
    let other = open(bench.dir.path(), &bench.shared, 1);
    let key = |n: u64| plain(&format!("GET http://a/{n}"));
    for n in 0..200 {
        publish(&bench.store, &key(n), &content(20_000, n as u8));
    }
    publish_draft(&bench.store, &plain("GET http://b/"), &content(200_000, 1));
    for n in 20..200 {
        bench.store.remove(&key(n).key).unwrap();
    }
    let index = || std::fs::read_link(bench.dir.path().join("v3/index")).unwrap();
    let (before, stored) = (index(), bench.shared.stored());
    assert!(bench.store.compact().unwrap() > 3_000_000);
    assert_ne!(index(), before);
    assert!(!bench.dir.path().join("v3").join(&before).exists());
    assert!(bench.shared.stored() < stored - 3_000_000);
    // The other writes and reads where it was moved to.
    publish(&other, &key(1000), &content(10, 1));
    for store in [&bench.store, &other] {
        assert!(look(store, &key(1000).key).is_some());
        assert!(look(store, &key(5).key).is_some() && look(store, &key(50).key).is_none());
        assert!(look(store, &plain("GET http://b/").key).is_some());
        assert!(store.is_in_place());
    }
}

#[test]
fn what_was_moved_by_one_who_died_is_made_anew() {
    let bench = bench();
    let meta = plain("GET http://a/");
    publish(&bench.store, &meta, &content(10, 1));
    bench
        .store
        .change(|change| {
            change.state.moved = true;
            Ok(())
        })
        .unwrap();
    publish(&bench.store, &meta, &content(11, 2));
    let found = look(&bench.store, &meta.key).unwrap();
    assert_eq!(suite::read(&found.content), content(11, 2));
    let other = open(bench.dir.path(), &bench.shared, 1);
    assert!(look(&other, &meta.key).is_some());
}

/// Reopens the store as if the machine had been booted.
fn booted(dir: &Path, change: impl Fn(&mut mark::Mark)) -> (FilesystemStore, Arc<Shared>) {
    let path = dir.join("v3/index/boot");
    let mut mark = mark::Mark::read(&path).unwrap();
    change(&mut mark);
    std::fs::write(&path, mark.to_string()).unwrap();
    let shared = shared();
    (open(dir, &shared, 0), shared)
}

#[test]
fn an_index_is_believed_as_its_mark_says() {
    type Change = fn(&mut mark::Mark);
    let table: [(&str, bool, Change, bool); 6] = [
        ("same boot", false, |_| {}, true),
        ("another boot", false, |it| it.boot = [9; 16], false),
        ("another boot, closed", true, |it| it.boot = [9; 16], true),
        ("its lock was removed", false, |it| it.lock.1 += 1, false),
        (
            "its lock was removed when it was closed",
            true,
            |it| it.lock.1 += 1,
            true,
        ),
        (
            "changed after it was closed",
            true,
            |it| {
                it.boot = [9; 16];
                it.closed_at = it.closed_at.map(|at| at - 1);
            },
            false,
        ),
    ];
    for (name, closed, change, believed) in table {
        let Bench { dir, store, .. } = bench();
        let (small, large) = (plain("GET http://a/"), plain("GET http://b/"));
        publish(&store, &small, &content(10, 1));
        publish_draft(&store, &large, &content(200_000, 1));
        if closed {
            store.close().unwrap();
        }
        drop(store);
        let (store, _) = booted(dir.path(), change);
        assert_eq!(look(&store, &small.key).is_some(), believed, "{name}");
        assert_eq!(store.is_incomplete().unwrap(), !believed, "{name}");
        if !believed {
            assert!(look(&store, &large.key).is_none());
            let entered: u64 = (0..=255).map(|n| store.enter_files(n).unwrap()).sum();
            assert_eq!(entered, 1, "{name}");
        }
        let found = look(&store, &large.key).unwrap();
        assert!(suite::read(&found.content) == content(200_000, 1));
        assert_eq!(found.meta, large);
        assert!(!store.is_incomplete().unwrap());
    }
}

#[test]
fn the_last_to_close_it_notes_that() {
    let Bench { dir, shared, store } = bench();
    let key = Key::new("GET http://a/");
    let mark = || mark::Mark::read(&dir.path().join("v3/index/boot")).unwrap();
    let users = || std::fs::File::open(dir.path().join("v3/users")).unwrap();
    publish(&store, &plain("GET http://a/"), &content(10, 1));
    let other = users();
    crate::sys::disk::mark_in_use(&other).unwrap();
    store.close().unwrap();
    assert_eq!(mark().closed_at, None);
    // Whoever still has it changes nothing, and sees nothing.
    let late = Whole::Memory(vec![content(10, 1)]);
    assert!(store.publish(&plain("GET http://a/"), late, None).is_err());
    assert!(store.lookup(&key, &fields(&[])).is_err());
    // The other is now alone, though this process goes on.
    assert!(!crate::sys::disk::is_in_use(&other));
    drop(other);
    drop(store);
    let store = open(dir.path(), &shared, 0);
    assert!(look(&store, &key).is_some());
    assert!(crate::sys::disk::is_in_use(&users()));
    store.close().unwrap();
    assert!(mark().closed_at.is_some());
    assert!(!crate::sys::disk::is_in_use(&users()));
    drop(store);
    let again = open(dir.path(), &shared, 1);
    assert!(look(&again, &key).is_some());
    assert_eq!(mark().closed_at, None, "it may be changed from now on");
}

#[test]
fn an_index_that_cannot_be_read_is_made_anew() {
    let Bench { dir, store, .. } = bench();
    let (small, large) = (plain("GET http://a/"), plain("GET http://b/"));
    publish(&store, &small, &content(10, 1));
    publish_draft(&store, &large, &content(200_000, 1));
    drop(store);
    let data = std::fs::canonicalize(dir.path().join("v3/index")).unwrap();
    std::fs::write(data.join("data.mdb"), [7; 20_000]).unwrap();
    let store = open(dir.path(), &shared(), 0);
    assert!(look(&store, &small.key).is_none());
    let entered = (0..=255).map(|n| store.enter_files(n).unwrap());
    assert_eq!(entered.sum::<u64>(), 1);
    assert!(look(&store, &large.key).is_some());
}

#[test]
fn what_is_removed_under_it_is_noticed() {
    let bench = bench();
    assert!(bench.store.is_in_place());
    std::fs::remove_dir_all(bench.dir.path().join("v3")).unwrap();
    assert!(!bench.store.is_in_place());
    let Bench { dir, store, shared } = bench;
    let again = open(dir.path(), &shared, 0);
    // Who had it open before follows.
    assert!(again.is_in_place() && store.is_in_place());
    let meta = plain("GET http://a/");
    publish_draft(&again, &meta, &content(200_000, 1));
    assert!(look(&again, &meta.key).is_some() && look(&store, &meta.key).is_some());
}
