//! The index as a scrub reads it: record after record, in transactions that end soon.

use std::ops::Bound;

use bytes::Bytes;

use crate::cache::key::Key;
use crate::store::StoreError;
use crate::store::blocks::damaged::DamagedFile;
use crate::store::filesystem::FilesystemStore;
use crate::store::filesystem::brief::Brief;
use crate::store::filesystem::entry::EntryKey;
use crate::store::filesystem::lookup::{decode, record};
use crate::store::record::head::{ContentPlace, FileId};
use crate::store::record::variants::VariantList;

/// The entries that are looked at in one transaction for the one of a file.
const STEP: usize = 1000;

/// An entry of the index that checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sound {
    /// A response with its content.
    Small,
    /// One whose content lies in a file, or the list of a key's variants.
    Other,
}

/// An entry that checks; an error says what is wrong with it.
pub(super) fn check(entry: &[u8], bytes: Bytes) -> Result<Sound, &'static str> {
    if let Some(list) = VariantList::decode(&bytes) {
        let key = Key::new(list.key);
        let is_its = EntryKey::of_list(&key).as_bytes() == entry;
        return match is_its {
            true => Ok(Sound::Other),
            false => Err("it is another key's"),
        };
    }
    let (head, _) = decode(bytes)?;
    match EntryKey::of_meta(&head.meta).as_bytes() == entry {
        true if head.place == ContentPlace::Here => Ok(Sound::Small),
        true => Ok(Sound::Other),
        false => Err("it is another key's"),
    }
}

impl FilesystemStore {
    /// The entries after this key, of about so many bytes.
    pub(super) fn entries_after(
        &self,
        after: &[u8],
        most: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        let environment = self.environment()?;
        self.noting_damage(&environment, |txn| {
            let (mut found, mut bytes) = (Vec::new(), 0);
            for entry in environment.objects.range(txn, &from(after))? {
                let (key, value) = entry?;
                let value = record(&environment, txn, value)?;
                bytes += value.len();
                found.push((key.to_vec(), Bytes::copy_from_slice(value)));
                if bytes >= most {
                    break;
                }
            }
            Ok(found)
        })
    }

    /// Removes an entry that doesn't check, after a second look while nobody changes it; true if it still doesn't.
    pub(super) fn remove_unsound(
        &self,
        entry: &[u8],
        why: &'static str,
    ) -> Result<bool, StoreError> {
        let removed = self.change(|change| {
            let bytes = change.record(entry)?.map(Bytes::copy_from_slice);
            match bytes.is_some_and(|bytes| check(entry, bytes).is_err()) {
                true => change.remove(entry).map(|_| true),
                false => Ok(false),
            }
        })?;
        if removed {
            let key = crate::sys::printable::printable(entry);
            log::warn!("{key}: {why}; removed from the store");
        }
        Ok(removed)
    }

    /// Removes a file that doesn't say whose it is, with the record that names it.
    pub(super) fn remove_headless(&self, id: &FileId, why: &'static str) -> Result<(), StoreError> {
        if let Some(entry) = self.entry_of_file(id)? {
            self.damaged.note(DamagedFile {
                id: *id,
                entry: entry.into(),
                why,
            });
            return self.remove_damaged();
        }
        let path = self.directory.file(id);
        if self.directory.unlink(&path)?.is_some() {
            log::warn!("{}: {why}; removed from the store", path.display());
        }
        Ok(())
    }

    /// The key of the record that names this file.
    fn entry_of_file(&self, id: &FileId) -> Result<Option<Vec<u8>>, StoreError> {
        let mut after = Vec::new();
        loop {
            let environment = self.environment()?;
            let step = self.noting_damage(&environment, |txn| {
                let mut last = None;
                for entry in environment.objects.range(txn, &from(&after))?.take(STEP) {
                    let (key, value) = entry?;
                    let brief = Brief::decode(value);
                    if brief.is_some_and(|it| it.place == ContentPlace::File(*id)) {
                        return Ok(Err(key.to_vec()));
                    }
                    last = Some(key.to_vec());
                }
                Ok(Ok(last))
            })?;
            match step {
                Err(found) => return Ok(Some(found)),
                Ok(Some(last)) => after = last,
                Ok(None) => return Ok(None),
            }
        }
    }
}

/// The keys after this one; all after none.
fn from(after: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    match after {
        // LMDB has no empty key.
        [] => (Bound::Unbounded, Bound::Unbounded),
        after => (Bound::Excluded(after), Bound::Unbounded),
    }
}
