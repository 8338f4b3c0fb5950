//! A store's directory seen from outside, by a command, whether or not a proxy runs. Where there is no store none is made.
//!
//! Entries are read some at a time, so that no look at all of them holds up the others, nor takes their memory.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::FilesystemStore;
use super::directory::Directory;
use super::entry::{EntryKey, RecordPlace};
use super::lookup::decode;
use crate::cache::key::{Hash, Key};
use crate::store::admin::{StoreAdmin, StoredInfo};
use crate::store::record::head::{self, RecordHead};
use crate::store::{Object, Published, StoreError};
use crate::sys::shared::Shared;

/// The entries that are read at once.
const AT_ONCE: usize = 1000;

/// The store at a path.
#[derive(Debug)]
pub struct StoreDirectory(PathBuf);

/// An entry of the index.
type Entry = (Vec<u8>, Bytes);

/// What is done with the key and the head of a record.
type Visit<'a> = &'a mut dyn FnMut(&[u8], Bytes) -> Result<ControlFlow<()>, StoreError>;

impl StoreDirectory {
    /// The store at `path`, which may have nothing in it or not be there.
    pub fn of(path: &Path) -> StoreDirectory {
        StoreDirectory(path.to_path_buf())
    }

    /// The store itself; None where there is none. Nobody's room is reserved by it.
    fn open(&self, shared: Option<&Shared>) -> Result<Option<FilesystemStore>, StoreError> {
        let directory = Directory::at(&self.0);
        if super::index::current(&directory).is_none() {
            return Ok(None);
        }
        let shared = match shared {
            Some(shared) => shared.fd().try_clone_to_owned().and_then(Shared::from_fd),
            None => Shared::create(),
        };
        let shared = Arc::new(shared.map_err(StoreError::at(&self.0))?);
        FilesystemStore::open_beside(&self.0, shared).map(Some)
    }

    /// Visits the records' heads whose keys begin with `prefix`, until that breaks.
    fn each_record(&self, store: &FilesystemStore, visit: Visit<'_>) -> Result<(), StoreError> {
        let mut after = Vec::new();
        loop {
            let entries = entries_after(store, &after)?;
            let Some((last, _)) = entries.last() else {
                return Ok(());
            };
            after.clone_from(last);
            for (key, bytes) in entries {
                if head::brief(&bytes).is_some() && visit(&key, bytes)?.is_break() {
                    return Ok(());
                }
            }
        }
    }
}

/// The next entries, only the heads of records.
fn entries_after(store: &FilesystemStore, after: &[u8]) -> Result<Vec<Entry>, StoreError> {
    let environment = store.environment()?;
    store.noting_damage(&environment, |txn| {
        // No key is empty.
        let start = match after {
            [] => std::ops::Bound::Unbounded,
            after => std::ops::Bound::Excluded(after),
        };
        let range = (start, std::ops::Bound::Unbounded);
        let entries = environment.objects.range(txn, &range)?.take(AT_ONCE);
        let head = |value: &[u8]| Bytes::copy_from_slice(&value[..head::length(value)]);
        entries
            .map(|entry| entry.map(|(key, value)| (key.to_vec(), head(value))))
            .collect()
    })
}

fn info(head: RecordHead, entry: &[u8]) -> StoredInfo {
    let file = head::Brief {
        order: 0,
        content: head.content,
        place: head.place,
    };
    let here = match file.file_size() {
        0 => head.content,
        size => size,
    };
    StoredInfo {
        size: here + entry.len() as u64 + head.meta.key.text().len() as u64,
        content: head.content,
        used: None,
        hits: None,
        meta: head.meta,
    }
}

impl StoreAdmin for StoreDirectory {
    fn each(&self, visit: &mut dyn FnMut(StoredInfo)) -> Result<(), StoreError> {
        let Some(store) = self.open(None)? else {
            return Ok(());
        };
        self.each_record(&store, &mut |key, bytes| {
            if let Ok((head, _)) = head::decode(&bytes) {
                visit(info(head, key));
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn each_whole(
        &self,
        visit: &mut dyn FnMut(Object) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Some(store) = self.open(None)? else {
            return Ok(());
        };
        self.each_record(&store, &mut |key, _| {
            let environment = store.environment()?;
            let bytes = store.noting_damage(&environment, |txn| {
                let found = environment.objects.get(txn, key)?;
                Ok(found.map(Bytes::copy_from_slice))
            })?;
            let Some(Ok((head, content))) = bytes.map(decode) else {
                return Ok(ControlFlow::Continue(()));
            };
            Ok(match store.object(head, content, 0)? {
                Some(object) => visit(object),
                None => ControlFlow::Continue(()),
            })
        })
    }

    fn of_key(&self, key: &Key) -> Result<Vec<StoredInfo>, StoreError> {
        let Some(store) = self.open(None)? else {
            return Ok(Vec::new());
        };
        let environment = store.environment()?;
        let list = EntryKey::of_list(key);
        let (order, entries) = store.noting_damage(&environment, |txn| {
            let variants = environment.objects.get(txn, list.as_bytes())?;
            let order = variants.map(|list| super::lookup::variants_of(list, key));
            let entries = environment.objects.prefix_iter(txn, list.as_bytes())?;
            let entries = entries.map(|entry| {
                entry.map(|(entry, value)| (entry.to_vec(), Bytes::copy_from_slice(value)))
            });
            Ok((order, entries.collect::<Result<Vec<Entry>, _>>()?))
        })?;
        let mut found: Vec<(usize, StoredInfo)> = Vec::new();
        for (entry, bytes) in entries {
            let Ok((head, _)) = head::decode(&bytes) else {
                continue;
            };
            if head.meta.key == *key {
                let at = |order: &Vec<Hash>| {
                    let variant = head.meta.variant.hash();
                    order.iter().position(|it| it == variant)
                };
                let place = order.as_ref().and_then(at).unwrap_or(usize::MAX);
                found.push((place, info(head, &entry)));
            }
        }
        found.sort_by_key(|(place, _)| *place);
        Ok(found.into_iter().map(|(_, info)| info).collect())
    }

    fn purge(&self, key: &Key, shared: &Shared) -> Result<Vec<Published>, StoreError> {
        shared.invalidate(key.hash());
        let removed = match self.open(Some(shared))? {
            Some(store) => store.change(|change| super::publish::remove_all(change, key))?,
            None => Vec::new(),
        };
        shared.next_generation(key.hash());
        Ok(removed)
    }

    fn purge_where(
        &self,
        shared: &Shared,
        wanted: &dyn Fn(&Key) -> bool,
    ) -> Result<Vec<Published>, StoreError> {
        shared.invalidate_all();
        let Some(store) = self.open(Some(shared))? else {
            return Ok(Vec::new());
        };
        let mut keys = Vec::new();
        self.each_record(&store, &mut |entry, bytes| {
            let is_wanted = head::key_of(&bytes)
                .is_some_and(|text| wanted(&Key::new(Bytes::copy_from_slice(text))));
            if is_wanted && RecordPlace::parse(entry).is_some() {
                keys.push(entry.to_vec());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let mut removed = Vec::new();
        for keys in keys.chunks(AT_ONCE) {
            removed.extend(store.change(|change| {
                let mut removed = Vec::new();
                for key in keys {
                    removed.extend(change.remove(key)?);
                }
                Ok(removed)
            })?);
        }
        Ok(removed)
    }
}
