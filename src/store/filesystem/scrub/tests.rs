//! Passes over a store in which there is damage.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Sender, channel};

use super::*;
use crate::store::blocks::BLOCK;
use crate::store::filesystem::lookup::decode;
use crate::store::suite::{self, content, look, plain};

struct Bench {
    dir: tempfile::TempDir,
    store: FilesystemStore,
    _go_on: Sender<()>,
    stop: Stop,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let shared = Arc::new(Shared::create().unwrap());
    let (_go_on, stop) = channel();
    Bench {
        store: FilesystemStore::open(dir.path(), 0, shared).unwrap(),
        dir,
        _go_on,
        stop,
    }
}

impl Bench {
    /// Stores content of this length under this key.
    fn publish(&self, key: &str, length: u64) {
        suite::publish_draft(&self.store, &plain(key), &content(length, 1));
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for number in 0..=u8::MAX {
            let mut ids = Vec::new();
            let visit = &mut |id: FileId| {
                ids.push(id);
                ControlFlow::Continue(())
            };
            self.store.each_file(number, visit).unwrap();
            found.extend(ids.iter().map(|id| self.store.directory.file(id)));
        }
        found
    }

    fn has(&self, key: &str) -> bool {
        look(&self.store, &plain(key).key).is_some()
    }

    /// Reads all from this position on; what it found.
    fn pass(&self, position: Position) -> Position {
        let mut scrub = Scrub {
            store: &self.store,
            pace: Pace::new(&self.stop, None),
            position,
            noted: Instant::now(),
        };
        assert!(scrub.pass().is_ok());
        scrub.position
    }

    /// What it noted last.
    fn noted(&self) -> Position {
        let text = read_to_string(noted_at(&self.store.directory)).unwrap();
        Position::read(&text, SystemTime::now())
    }
}

fn beginning() -> Position {
    Position::beginning(SystemTime::now())
}

#[test]
fn all_is_read_and_what_is_damaged_goes() {
    let bench = bench();
    let lengths = [2 * BLOCK, 100_000, BLOCK + 7];
    let keys = ["GET http://a/1", "GET http://a/2", "GET http://a/3"];
    for (key, length) in keys.into_iter().zip(lengths) {
        bench.publish(key, length);
    }
    for number in 0..10 {
        bench.publish(&format!("GET http://small/{number}"), 1000);
    }
    let found = bench.pass(beginning());
    assert_eq!((found.files, found.small, found.damaged), (3, 10, 0));
    let all: u64 = lengths.iter().sum();
    assert!(found.bytes > all + 10_000 && found.bytes < all + 40_000);
    assert_eq!(bench.noted(), found);
    assert_eq!(found.place, Place::Over);
    // What was read needn't be checked when it is sent.
    let object = look(&bench.store, &plain(keys[0]).key).unwrap();
    let crate::store::Content::File { file, blocks, .. } = object.content else {
        panic!("in memory");
    };
    let blocks = blocks.unwrap();
    assert!(blocks.is_checked(&file, 0) && blocks.is_checked(&file, 1));
    // The last block of the largest is damaged.
    let largest = |path: &PathBuf| path.metadata().unwrap().len();
    let path = bench.files().into_iter().max_by_key(largest).unwrap();
    let damaged = File::options().write(true).open(&path).unwrap();
    damaged.write_all_at(b"?", 2 * BLOCK - 1).unwrap();
    let stored = bench.store.shared.stored();
    let found = bench.pass(beginning());
    assert_eq!((found.files, found.small, found.damaged), (3, 10, 1));
    assert!(!path.exists() && !bench.has(keys[0]) && bench.has(keys[1]));
    assert!(bench.store.shared.stored() + 2 * BLOCK <= stored);
    assert_eq!(bench.pass(beginning()).damaged, 0);
}

#[test]
fn a_file_that_does_not_say_whose_it_is_goes_with_its_record() {
    let bench = bench();
    let key = "GET http://a/";
    bench.publish(key, 100_000);
    let path = bench.files().pop().unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    let length = path.metadata().unwrap().len();
    for (at, name) in [(100_016 + 50, "head"), (length - 1, "footer")] {
        if !path.exists() {
            bench.publish(key, 100_000);
        }
        let path = bench.files().pop().unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[0xff; 1], at).unwrap();
        // It may just be being made.
        assert_eq!(bench.pass(beginning()).damaged, 0, "{name}");
        assert!(path.exists(), "{name}");
        file.set_modified(SystemTime::now() - 2 * NEW).unwrap();
        assert_eq!(bench.pass(beginning()).damaged, 1, "{name}");
        assert!(!path.exists() && !bench.has(key), "{name}");
    }
    drop(file);
    // Nor one that no record names, or that is none.
    let stray = bench.store.directory.file(&[7; 16]);
    std::fs::create_dir_all(stray.parent().unwrap()).unwrap();
    std::fs::write(&stray, "stray").unwrap();
    let strange = stray.with_file_name("08".repeat(16));
    std::fs::create_dir(&strange).unwrap();
    let file = File::options().write(true).open(&stray).unwrap();
    file.set_modified(SystemTime::now() - 2 * NEW).unwrap();
    bench.pass(beginning());
    assert!(!stray.exists() && strange.exists());
}

#[test]
fn a_record_that_does_not_check_goes() {
    let bench = bench();
    for number in 0..3 {
        bench.publish(&format!("GET http://a/{number}"), 1000);
    }
    let entries = bench.store.entries_after(&[], usize::MAX).unwrap();
    assert_eq!(entries.len(), 3);
    let (entry, mut bytes) = (entries[1].0.clone(), entries[1].1.to_vec());
    *bytes.last_mut().unwrap() ^= 1;
    let damaged = EntryKey::of_meta(&plain("GET http://a/1"));
    assert_eq!(damaged.as_bytes(), entry);
    let (head, _) = decode(entries[1].1.clone()).unwrap();
    (bench.store)
        .change(|change| change.put(&damaged, &head, &mut bytes))
        .unwrap();
    let found = bench.pass(beginning());
    assert_eq!((found.small, found.damaged), (2, 1));
    assert!(bench.has("GET http://a/0") && !bench.has("GET http://a/1"));
}

#[test]
fn it_goes_on_where_it_was_and_stops_when_it_is_told_to() {
    let mut bench = bench();
    for number in 0..40 {
        bench.publish(&format!("GET http://a/{number}"), 70_000);
    }
    let ids: Vec<_> = bench.files();
    let id = |path: &PathBuf| {
        super::super::directory::unhex(path.file_name().unwrap().to_str().unwrap())
    };
    let mut ids: Vec<FileId> = ids.iter().filter_map(id).collect();
    ids.sort_unstable();
    let position = Position {
        place: Place::Files {
            directory: ids[29][0],
            after: Some(ids[29]),
        },
        files: 30,
        ..beginning()
    };
    assert_eq!(bench.pass(position).files, 40);
    // Told to stop, it notes where it is.
    let (go_on, stop) = channel();
    bench.stop = stop;
    drop(go_on);
    let mut scrub = Scrub {
        store: &bench.store,
        pace: Pace::new(&bench.stop, Some(1)),
        position: beginning(),
        noted: Instant::now(),
    };
    assert!(matches!(scrub.pass(), Err(Broken::Stopped)));
    assert_eq!(bench.noted().files, 1);
    run(bench.dir.path(), &bench.store.shared, 0, &bench.stop);
}
