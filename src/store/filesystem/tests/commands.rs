//! The store as commands see it: ranges of hosts and prefixes, walks of more than is copied at once, what lies strangely.

use std::ops::ControlFlow;

use super::audit::tidy;
use super::*;
use crate::http::target::Uri;
use crate::store::admin::{Removed, StoreAdmin, StoredInfo};
use crate::store::filesystem::admin::StoreDirectory;
use crate::store::record::head::ContentPlace;
use crate::store::scope::{HostFilter, Scope};
use crate::store::suite::{part_of, read};

fn hosts(hosts: &[&str]) -> Scope {
    Scope::Of {
        hosts: hosts
            .iter()
            .map(|it| HostFilter::parse(it).unwrap())
            .collect(),
        prefixes: Vec::new(),
    }
}

fn prefix(prefix: &str) -> Scope {
    Scope::Of {
        hosts: Vec::new(),
        prefixes: vec![Uri::parse(&Bytes::from(prefix.to_owned())).unwrap()],
    }
}

fn each(admin: &StoreDirectory, scope: &Scope) -> Vec<StoredInfo> {
    let mut found = Vec::new();
    let visit = &mut |info| {
        found.push(info);
        ControlFlow::Continue(())
    };
    admin.each(scope, visit).unwrap();
    found
}

fn texts(found: &[StoredInfo]) -> Vec<String> {
    let text = |it: &StoredInfo| String::from_utf8(it.key.text().to_vec()).unwrap();
    found.iter().map(text).collect()
}

/// What an export has of each response: its key, its variant, where it begins and its content.
fn whole(admin: &StoreDirectory) -> (Vec<(String, String, Bytes)>, Vec<String>) {
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    let visit = &mut |object: Result<Object, StoreError>| {
        match object {
            Ok(it) => {
                let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
                let texts = (text(it.meta.key.text()), text(it.meta.variant.text()));
                found.push((texts.0, texts.1, read(&it.content)));
            }
            Err(why) => failed.push(why.to_string()),
        }
        ControlFlow::Continue(())
    };
    admin.each_whole(visit).unwrap();
    (found, failed)
}

impl Bench {
    fn admin(&self) -> StoreDirectory {
        StoreDirectory::of(self.dir.path(), Some(self.shared.clone()))
    }
}

const URIS: [&str; 10] = [
    "http://a/",
    "http://a/x",
    "http://a/x/y?z",
    "http://a.b/x",
    "http://a:81/x",
    "http://ab/x",
    "http://b/http://a/x",
    "http://[::1]/x",
    "http://[::1]:81/x",
    "https://a/x",
];

#[test]
fn a_scope_is_listed_and_purged_and_nothing_else() {
    let long = format!("http://a/x/{}", "l".repeat(1000));
    let other = format!("http://a/x/{}m", "l".repeat(999));
    let uris = || {
        URIS.iter()
            .map(|it| (*it).to_owned())
            .chain([long.clone(), other.clone()])
    };
    let table = [
        (hosts(&["a"]), 7),
        (hosts(&["a:81"]), 1),
        (hosts(&["HTTPS///a"]), 1),
        (hosts(&["::1"]), 2),
        (hosts(&["[::1]:81", "ab"]), 2),
        (hosts(&["none"]), 0),
        (prefix("http://a/x"), 4),
        (prefix("http://a"), 5),
        (prefix(&long), 1),
        (prefix(&long[..500]), 2),
        (Scope::Everything, 12),
    ];
    let Bench { dir, shared, store } = bench();
    let bench = Bench { dir, shared, store };
    let admin = bench.admin();
    for (scope, count) in table {
        for uri in uris() {
            let key = Key::new(format!("GET {uri}"));
            publish(&bench.store, &plain(&format!("GET {uri}")), &content(10, 1));
            publish(&bench.store, &plain(&format!("HEAD {uri}")), &content(0, 1));
            for first in [0, 300] {
                let part = part_of(&key, first..first + 10);
                publish(&bench.store, &part, &content(10, 2));
            }
        }
        let all = each(&admin, &Scope::Everything);
        assert_eq!(all.len(), 4 * 12);
        let entries = all.iter().map(|it| EntryKey::of_list(&it.key));
        assert!(entries.map(|it| it.as_bytes().to_vec()).is_sorted());
        let listed = each(&admin, &scope);
        assert_eq!(listed.len(), 4 * count, "{scope:?}");
        let bytes: u64 = listed.iter().map(|it| it.content).sum();
        let removed = admin.purge_scope(&scope, &bench.shared).unwrap();
        assert_eq!(removed.count, 4 * count as u64, "{scope:?}");
        assert!(removed.bytes >= bytes);
        assert_eq!(each(&admin, &scope).len(), 0);
        let left: Vec<_> = all.iter().filter(|it| !scope.has(&it.key)).collect();
        let there = each(&admin, &Scope::Everything);
        assert!(
            there
                .iter()
                .map(|it| (&it.key, it.order))
                .eq(left.iter().map(|it| (&it.key, it.order)))
        );
        let again = admin.purge_scope(&scope, &bench.shared).unwrap();
        assert_eq!(again, Removed::default());
    }
    // The records lie there until they are swept.
    assert_ne!(bench.counts().1, 0);
    tidy(bench.dir.path(), &bench.shared);
    assert_eq!(bench.counts(), (0, 0));
}

#[test]
fn walks_see_each_once_however_many_there_are() {
    let bench = bench();
    let request = fields(&[("Accept", "b")]);
    for number in 0..1200 {
        // Several lie under one key, also where one walk ends and the next begins.
        let key = format!("GET http://a/{:04}", number / 2);
        let vary = [("Vary", "Accept"), ("ETag", "\"1\"")];
        let meta = match number % 2 {
            0 => meta(&key, &vary, &Fields::default()),
            _ => meta(&key, &vary, &request),
        };
        publish(&bench.store, &meta, &content(2000, number as u8));
    }
    let admin = bench.admin();
    assert_eq!(each(&admin, &hosts(&["a"])).len(), 1200);
    let (found, failed) = whole(&admin);
    assert_eq!(failed, [""; 0]);
    let key = |number: usize| format!("GET http://a/{:04}", number / 2);
    let expected = (0..1200).map(|number| {
        // In the order in which they were stored.
        let variant = ["accept\n", "accept: b\n"][number % 2];
        (key(number), variant.to_owned(), content(2000, number as u8))
    });
    assert!(found == expected.collect::<Vec<_>>());
    // By number, as asked for; what isn't there is passed over.
    let mut orders = Vec::new();
    let visit = &mut |info: StoredInfo| {
        orders.push(info.order);
        ControlFlow::Continue(())
    };
    admin.numbered(&[1199, 5, 1 << 40, 7], visit).unwrap();
    assert_eq!(orders, [1199, 5, 7]);
    let removed = admin.purge_scope(&prefix("http://a/"), &bench.shared);
    assert_eq!(removed.unwrap().count, 1200);
    assert_eq!(bench.counts().0, 0, "lists included");
}

#[test]
fn what_can_not_be_read_is_passed_over() {
    let bench = bench();
    let keys = [
        "GET http://a/1",
        "GET http://a/2",
        "GET http://a/3",
        "GET http://a/4",
    ];
    for key in keys {
        publish_draft(&bench.store, &plain(key), &content(100_000, 1));
    }
    bench.damage(&plain(keys[0]).key, &|record| record[60] ^= 1);
    let large = files(bench.dir.path());
    let file_of = |key: &str| {
        let record = bench.record(&plain(key).key);
        let (head, _) = head::decode(&Bytes::from(record)).unwrap();
        let ContentPlace::File(id) = head.place else {
            panic!("{key} has no file");
        };
        bench.store.directory.file(&id)
    };
    assert_eq!(large.len(), 4);
    std::fs::remove_file(file_of(keys[1])).unwrap();
    std::fs::create_dir(file_of(keys[1])).unwrap();
    let admin = bench.admin();
    let (found, failed) = whole(&admin);
    assert_eq!(
        found.iter().map(|it| &it.0[..]).collect::<Vec<_>>(),
        keys[2..]
    );
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(
        failed[0].contains(file_of(keys[1]).to_str().unwrap()),
        "{failed:?}"
    );
    // What is listed isn't read from the record.
    assert_eq!(texts(&each(&admin, &hosts(&["a"]))), keys);
    let removed = admin.purge_scope(&hosts(&["a"]), &bench.shared).unwrap();
    assert_eq!(removed.count, 4, "what is damaged goes too");
    assert_eq!(bench.counts().0, 0);
}

#[test]
fn a_purge_holds_for_what_is_being_fetched() {
    let bench = bench();
    let admin = bench.admin();
    let meta = plain("GET http://a/x");
    publish(&bench.store, &meta, &content(10, 1));
    let found = look(&bench.store, &meta.key).unwrap();
    let fetched_before = bench.shared.invalidations(meta.key.hash());
    admin.purge_scope(&hosts(&["a"]), &bench.shared).unwrap();
    assert_ne!(found.generation, bench.shared.generation(meta.key.hash()));
    let publish = |epoch| {
        let whole = Whole::Memory(vec![content(10, 2)]);
        bench.store.publish(&meta, whole, Some(epoch))
    };
    assert!(matches!(publish(fetched_before), Err(StoreError::Gone)));
    assert!(look(&bench.store, &meta.key).is_none());
    publish(bench.shared.invalidations(meta.key.hash())).unwrap();
    assert!(look(&bench.store, &meta.key).is_some());
    // Also where the index had nothing of it any more.
    let other = plain("GET http://a/gone");
    let before = bench.shared.generation(other.key.hash());
    admin.purge_scope(&hosts(&["a"]), &bench.shared).unwrap();
    assert_ne!(bench.shared.generation(other.key.hash()), before);
}

#[test]
fn a_command_makes_no_store_and_leaves_one_closed() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared();
    let admin = StoreDirectory::of(dir.path(), None);
    admin.purge_scope(&Scope::Everything, &shared).unwrap();
    assert_eq!(each(&admin, &Scope::Everything).len(), 0);
    assert_eq!(whole(&admin), (Vec::new(), Vec::new()));
    admin.close().unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

    let closed = || {
        let mark = mark::Mark::read(&dir.path().join("v3/index/boot")).unwrap();
        mark.closed_at.is_some()
    };
    let store = open(dir.path(), &shared, 0);
    publish(&store, &plain("GET http://a/"), &content(10, 1));
    store.close().unwrap();
    drop(store);
    assert_eq!(each(&admin, &Scope::Everything).len(), 1);
    assert!(!closed());
    admin.close().unwrap();
    assert!(closed());
    let removed = admin.purge_scope(&Scope::Everything, &shared).unwrap();
    assert_eq!(removed.count, 1);
    admin.close().unwrap();
    assert!(closed());
    // A proxy that runs does that itself.
    let store = open(dir.path(), &shared, 0);
    let admin = StoreDirectory::of(dir.path(), Some(shared));
    assert_eq!(each(&admin, &Scope::Everything).len(), 0);
    admin.close().unwrap();
    drop(store);
    assert!(!closed());
}
