//! What must hold of a store at rest: every entry, number, file and sum has its counterpart, and nothing else lies there.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::*;
use crate::store::filesystem::brief::whole;
use crate::store::filesystem::entry::{RecordPlace, list_of};
use crate::store::filesystem::lookup::{decode, variants_of};
use crate::store::filesystem::maintenance::StoreMaintenance;
use crate::store::record::head::ContentPlace;

/// Removes what belongs to nobody, as the worker does that sees to the store, once all of it is old.
pub(super) fn tidy(dir: &Path, shared: &Arc<Shared>) {
    let maintenance = StoreMaintenance::open(dir, Arc::clone(shared)).unwrap();
    let later = SystemTime::now() + Duration::from_secs(1000);
    loop {
        let tidied = maintenance.tidy(later, Duration::from_secs(60));
        assert!(tidied.failure.is_none(), "{tidied:?}");
        if tidied.is_done {
            break;
        }
    }
}

/// The number of records in a store that nobody changes; each of them is whole.
#[track_caller]
pub(super) fn audit(dir: &Path, store: &FilesystemStore) -> usize {
    let environment = store.environment().unwrap();
    let txn = environment.read().unwrap();
    let state = environment.state(&txn).unwrap();
    let (mut records, mut lists) = (BTreeSet::new(), Vec::new());
    let mut named = BTreeSet::new();
    let mut file_bytes = 0;
    for entry in environment.objects.iter(&txn).unwrap() {
        let (entry, value) = entry.unwrap();
        let list = list_of(entry);
        let is_record = RecordPlace::parse(entry)
            .is_some_and(|it| decode_key(entry, value).is_some_and(|key| *key.hash() == it.hash));
        if !is_record {
            lists.push((entry.to_vec(), value.to_vec()));
            continue;
        }
        let brief = Brief::decode(value).unwrap();
        let record = environment.record(&txn, brief.order).unwrap().unwrap();
        let (head, _) = decode(Bytes::copy_from_slice(record)).unwrap();
        assert_eq!(Brief::of(&head, record.len()), brief);
        assert_eq!(EntryKey::of_list(&head.meta.key).as_bytes(), list);
        let number = environment.order.get(&txn, &head.order).unwrap();
        assert_eq!(number, Some(entry), "its number in the queue");
        if let ContentPlace::File(id) = head.place {
            let path = store.directory.file(&id);
            let file = std::fs::File::open(&path).unwrap();
            let own = crate::store::filesystem::file::read_head(&file, &id);
            assert_eq!(own.unwrap().unwrap().content, head.content);
            file_bytes += brief.file_size();
            named.insert(path);
        }
        records.insert(entry.to_vec());
    }
    for (entry, value) in lists {
        let key = list_key(&value);
        assert_eq!(EntryKey::of_list(&key).as_bytes(), entry, "a list's place");
        for variant in variants_of(&value, &key) {
            let prefix = EntryKey::of_variant(&key, &variant);
            let is_there = |it: &Vec<u8>| it.starts_with(prefix.as_bytes());
            assert!(records.iter().any(is_there), "a variant without a record");
        }
    }
    let queued = environment.order.iter(&txn).unwrap();
    let queued: BTreeSet<Vec<u8>> = queued.map(|it| it.unwrap().1.to_vec()).collect();
    let numbers = environment.order.stat(&txn).unwrap().entries;
    assert_eq!((numbers, &queued), (records.len(), &records), "the queue");
    let lying = environment.records.stat(&txn).unwrap().entries;
    assert_eq!(lying, numbers, "records that nothing finds");
    assert_eq!(
        (state.files, state.file_bytes),
        (named.len() as u64, file_bytes)
    );
    let present: BTreeSet<PathBuf> = files(dir).into_iter().collect();
    assert_eq!(present, named, "files");
    drop(txn);
    only_what_belongs_there(dir);
    store.settle().unwrap();
    assert_eq!(
        store.shared.stored(),
        environment.size() + state.file_bytes - state.holes,
        "room"
    );
    records.len()
}

fn decode_key(entry: &[u8], value: &[u8]) -> Option<Key> {
    let [entry, value] = [entry, value].map(Bytes::copy_from_slice);
    whole(&entry, &value).map(|(_, key, _)| key)
}

fn list_key(value: &[u8]) -> Key {
    use crate::store::record::variants::VariantList;
    let list = VariantList::decode(&Bytes::copy_from_slice(value));
    Key::new(list.expect("neither a record nor a list").key)
}

/// Nothing of an index that isn't used any more, and nothing half-made.
fn only_what_belongs_there(dir: &Path) {
    let version = dir.join("v3");
    let index = std::fs::read_link(version.join("index")).unwrap();
    let index = index.to_str().unwrap().to_owned();
    let names = std::fs::read_dir(&version).unwrap();
    let names = names.map(|it| it.unwrap().file_name().into_string().unwrap());
    let expected = ["files", "index", "lock", "owner", "users"];
    let strange: Vec<String> = names
        .filter(|it| *it != index && !expected.contains(&it.as_str()))
        .collect();
    assert_eq!(strange, [""; 0], "in {}", version.display());
}
