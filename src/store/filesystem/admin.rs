//! A store's directory seen from outside, by a command, whether or not a proxy runs. Where there is no store none is made.
//!
//! What a scope has lies in a few ranges of the index; these are read and removed some entries at a time.

use std::cell::RefCell;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::brief::{self, Brief};
use super::directory::Directory;
use super::displaced::remove_all;
use super::entry::{EntryKey, RecordPlace};
use super::lookup::{decode, variants_of};
use super::walk::{Entry, Part, Went};
use super::{FilesystemStore, index};
use crate::cache::key::{Hash, Key, Variant};
use crate::store::admin::{Removed, StoreAdmin, StoredInfo, StoredResponse, Visit, VisitWhole};
use crate::store::record::head::{self, ContentPlace, RecordHead};
use crate::store::record::variants::VariantList;
use crate::store::scope::Scope;
use crate::store::{Published, StoreError};
use crate::sys::shared::Shared;

/// The store at a path.
pub struct StoreDirectory {
    path: PathBuf,
    /// The memory of the proxy that uses it; None when none runs.
    shared: Option<Arc<Shared>>,
    opened: RefCell<Option<Rc<FilesystemStore>>>,
}

impl StoreDirectory {
    /// The store at `path`, which may have nothing in it or not be there.
    pub fn of(path: &Path, shared: Option<Arc<Shared>>) -> StoreDirectory {
        StoreDirectory {
            path: path.to_path_buf(),
            shared,
            opened: RefCell::new(None),
        }
    }

    /// The store itself; None where there is none. It reserves no room.
    fn store(&self) -> Result<Option<Rc<FilesystemStore>>, StoreError> {
        let mut opened = self.opened.borrow_mut();
        if opened.is_none() && index::current(&Directory::at(&self.path)).is_some() {
            let shared = match &self.shared {
                Some(shared) => shared.clone(),
                None => Arc::new(Shared::create().map_err(StoreError::at(&self.path))?),
            };
            let store = FilesystemStore::open_beside(&self.path, shared)?;
            *opened = Some(Rc::new(store));
        }
        Ok(opened.clone())
    }
}

impl StoreAdmin for StoreDirectory {
    fn each(&self, scope: &Scope, visit: Visit<'_>) -> Result<(), StoreError> {
        let Some(store) = self.store()? else {
            return Ok(());
        };
        let mut visit_some = |entries: Vec<Entry>| {
            let infos = entries.iter().filter_map(info_of);
            let mut wanted = infos.filter(|info| scope.has(&info.key));
            Ok(wanted.try_for_each(&mut *visit))
        };
        if let Scope::Everything = scope {
            return store.walk_all(&mut visit_some).map(drop);
        }
        for beginning in scope.texts() {
            if store
                .walk(&beginning, Part::Value, &mut visit_some)?
                .is_break()
            {
                break;
            }
        }
        Ok(())
    }

    fn numbered(&self, orders: &[u64], visit: Visit<'_>) -> Result<(), StoreError> {
        if let Some(store) = self.store()? {
            let entries = store.numbered(orders)?;
            let _ = entries.iter().filter_map(info_of).try_for_each(visit);
        }
        Ok(())
    }

    fn each_whole(&self, visit: VisitWhole<'_>) -> Result<(), StoreError> {
        let Some(store) = self.store()? else {
            return Ok(());
        };
        let mut listed = Listed::default();
        let mut visit_some = |entries: Vec<Entry>| {
            for entry in entries {
                if listed.has(&entry.key) {
                    continue;
                }
                let went = match Listed::of(&entry) {
                    None => visit_whole(&store, entry, visit),
                    Some(list) => {
                        listed = list;
                        listed.visit_all(&store, visit)?
                    }
                };
                if went.is_break() {
                    return Ok(went);
                }
            }
            Ok(ControlFlow::Continue(()))
        };
        store.walk(b"", Part::Record, &mut visit_some).map(drop)
    }

    fn of_key(&self, key: &Key) -> Result<Vec<StoredResponse>, StoreError> {
        let Some(store) = self.store()? else {
            return Ok(Vec::new());
        };
        let list = EntryKey::of_list(key);
        let mut order = Vec::new();
        let mut found: Vec<(usize, StoredResponse)> = Vec::new();
        let mut visit_some = |entries: Vec<Entry>| {
            for entry in entries {
                if entry.key == list.as_bytes() {
                    order = variants_of(&entry.value, key);
                }
                let stored = response_of(&entry).filter(|stored| stored.meta.key == *key);
                found.extend(stored.map(|stored| {
                    let hash = stored.meta.variant.hash();
                    let place = order.iter().position(|it| it == hash);
                    (place.unwrap_or(usize::MAX), stored)
                }));
            }
            Ok(ControlFlow::Continue(()))
        };
        let _ = store.walk_from(list.as_bytes(), Part::Record, &mut visit_some)?;
        found.sort_by_key(|(place, _)| *place);
        Ok(found.into_iter().map(|(_, stored)| stored).collect())
    }

    fn purge(&self, key: &Key, shared: &Shared) -> Result<Removed, StoreError> {
        shared.invalidate(key.hash());
        let removed = match self.store()? {
            Some(store) => store.change(|change| remove_all(change, key))?,
            None => Vec::new(),
        };
        shared.next_generation(key.hash());
        Ok(sum(&removed))
    }

    fn purge_scope(&self, scope: &Scope, shared: &Shared) -> Result<Removed, StoreError> {
        shared.invalidate_all();
        let mut removed = Removed::default();
        if let Some(store) = self.store()? {
            let mut remove_some = |entries: Vec<Entry>| {
                removed += remove_of(&store, &entries, scope)?;
                Ok(ControlFlow::Continue(()))
            };
            for beginning in scope.texts() {
                let _ = store.walk(&beginning, Part::Value, &mut remove_some)?;
            }
        }
        // Of what a worker has in memory, some may have left the index before.
        shared.next_generation_of_all();
        Ok(removed)
    }

    fn close(&self) -> Result<(), StoreError> {
        let opened = self.opened.borrow_mut().take();
        match (&self.shared, opened) {
            (None, Some(store)) => store.close(),
            _ => Ok(()),
        }
    }
}

/// Removes all of the keys that these entries are of, if the scope has them.
fn remove_of(
    store: &FilesystemStore,
    entries: &[Entry],
    scope: &Scope,
) -> Result<Removed, StoreError> {
    let mut keys: Vec<Key> = Vec::new();
    for entry in entries {
        let is_last = |last: &Key| entry.key.starts_with(EntryKey::of_list(last).as_bytes());
        if !keys.last().is_some_and(is_last) {
            keys.extend(key_of(entry).filter(|key| scope.has(key)));
        }
    }
    if keys.is_empty() {
        return Ok(Removed::default());
    }
    store.change(|change| {
        change.leave_records();
        let mut removed = Removed::default();
        for key in &keys {
            removed += sum(&remove_all(change, key)?);
        }
        Ok(removed)
    })
}

fn sum(removed: &[Published]) -> Removed {
    let mut sum = Removed::default();
    removed.iter().for_each(|it| sum.add(it));
    sum
}

/// The key that an entry is of, compared whole; None where it doesn't check.
fn key_of(entry: &Entry) -> Option<Key> {
    let key = match VariantList::decode(&entry.value) {
        Some(list) => Key::new(list.key),
        None => brief::whole(&entry.key, &entry.value)?.1,
    };
    let is_its = entry.key.starts_with(EntryKey::of_list(&key).as_bytes());
    is_its.then_some(key)
}

/// What is listed of the record that this entry finds; None for a list, and for what doesn't check.
fn info_of(entry: &Entry) -> Option<StoredInfo> {
    let (found, key, variant) = brief::whole(&entry.key, &entry.value)?;
    let place = RecordPlace::parse(&entry.key)?;
    let is_its = *key.hash() == place.hash && *variant.hash() == place.variant;
    is_its.then(|| info(key, variant, &found, &entry.key))
}

/// The stored response whose record this is; None for a list, and for what doesn't check.
fn response_of(entry: &Entry) -> Option<StoredResponse> {
    let (head, _) = head::decode(&entry.value).ok()?;
    if !is_at(&head, &entry.key) {
        return None;
    }
    let found = Brief::of(&head, entry.value.len());
    let meta = head.meta;
    let (key, variant) = (meta.key.clone(), meta.variant.clone());
    let info = info(key, variant, &found, &entry.key);
    Some(StoredResponse { info, meta })
}

/// True where this is the key of this record.
fn is_at(head: &RecordHead, key: &[u8]) -> bool {
    EntryKey::of_meta(&head.meta).as_bytes() == key
}

fn info(key: Key, variant: Variant, found: &Brief, entry: &[u8]) -> StoredInfo {
    StoredInfo {
        key,
        variant,
        received: found.received,
        initial_age: found.initial_age,
        // Its key lies in the queue too.
        size: found.size() + 2 * entry.len() as u64,
        content: found.content,
        order: found.order,
        used: None,
        hits: None,
    }
}

fn visit_whole(store: &FilesystemStore, entry: Entry, visit: VisitWhole<'_>) -> ControlFlow<()> {
    let head = decode(entry.value).ok();
    let Some((head, content)) = head.filter(|(head, _)| is_at(head, &entry.key)) else {
        return ControlFlow::Continue(());
    };
    let place = head.place;
    match (store.object(head, content, 0).transpose(), place) {
        (Some(object), _) => visit(object),
        (None, ContentPlace::File(id)) if store.directory.file(&id).exists() => {
            let path = store.directory.file(&id);
            let strange = io::Error::other("it is no stored content");
            visit(Err(StoreError::at(&path)(strange)))
        }
        (None, _) => ControlFlow::Continue(()),
    }
}

/// A key's list, whose variants are visited in its order instead of that of their entries.
#[derive(Default)]
struct Listed {
    key: Bytes,
    variants: Vec<Hash>,
}

impl Listed {
    fn of(entry: &Entry) -> Option<Listed> {
        let list = VariantList::decode(&entry.value)?;
        let key = Key::new(list.key.clone());
        (EntryKey::of_list(&key).as_bytes() == entry.key).then(|| Listed {
            key: entry.key.clone(),
            variants: list.variants().copied().collect(),
        })
    }

    /// True for a record of one of the variants.
    fn has(&self, record: &[u8]) -> bool {
        let place = RecordPlace::parse(record).filter(|_| record.starts_with(&self.key));
        place.is_some_and(|place| self.variants.contains(&place.variant))
    }

    /// Visits the records of all variants, the most recent one last.
    fn visit_all(&self, store: &FilesystemStore, visit: VisitWhole<'_>) -> Went {
        for variant in self.variants.iter().rev() {
            let records = [&self.key[..], variant].concat();
            let mut visit_some = |entries: Vec<Entry>| {
                let mut entries = entries.into_iter();
                Ok(entries.try_for_each(|entry| visit_whole(store, entry, visit)))
            };
            if store
                .walk_from(&records, Part::Record, &mut visit_some)?
                .is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}
