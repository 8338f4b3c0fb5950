//! Large content's files, on the way into the index and out of it: written and named before a record names them, removed
//! once none does.

use std::sync::Arc;

use super::FilesystemStore;
use super::brief::file_size;
use super::entry::EntryKey;
use super::file;
use crate::cache::stored::Meta;
use crate::store::blocks::OfFile;
use crate::store::draft::Reservation;
use crate::store::record::head::{self, ContentPlace, FileId, RecordHead};
use crate::store::{Content, Draft, StoreError, Whole};
use crate::sys::disk;

/// The least that a record counts, and what it counts in.
const BLOCK: u64 = 4096;

impl FilesystemStore {
    /// A place for content that is expected to be so long.
    pub(super) fn begin(&self, meta: &Meta, expected: Option<u64>) -> Result<Draft, StoreError> {
        // What is too large is refused before it is fetched.
        head::encode(&RecordHead {
            meta: meta.clone(),
            order: 0,
            content: 0,
            content_checksum: 0,
            place: ContentPlace::Here,
        })?;
        let size = file_size(expected.unwrap_or(0));
        let path = self.directory.path();
        let reservation = Reservation::begin(&self.shared, self.worker, path, size)?;
        let (file, name) = self.directory.temporary()?;
        let file = Arc::new(file);
        self.open_files.add_draft(&file, &reservation);
        let _ = disk::mark_in_use(&file);
        Ok(Draft::new(file, reservation, name))
    }

    /// Makes the file of large content, whole and with its name, and notes it as the record's; what is reserved for it.
    pub(super) fn write_file(
        &self,
        record: &mut RecordHead,
        whole: Whole,
    ) -> Result<Reservation, StoreError> {
        let len = whole.len();
        let (draft, checksum) = match whole {
            Whole::Draft {
                draft, checksum, ..
            } => (draft, checksum.finish()),
            Whole::Memory(parts) => {
                let draft = self.begin(&record.meta, Some(len))?;
                let mut end = 0;
                for part in &parts {
                    draft.write_at(part, end)?;
                    end += part.len() as u64;
                }
                (draft, super::publish::sum_of(&parts))
            }
        };
        let id = self.directory.new_id();
        record.place = ContentPlace::File(id);
        record.content = len;
        record.content_checksum = checksum;
        let complete = file::complete(draft, record, id)?;
        #[cfg(test)]
        super::steps::reached("written");
        self.directory
            .name_file(&complete.file, complete.name, &id)?;
        #[cfg(test)]
        super::steps::reached("named");
        Ok(complete.reservation)
    }

    /// The content in a file, to be checked as it is read; None where there is no whole file.
    pub(super) fn open_content(
        &self,
        id: FileId,
        head: &RecordHead,
    ) -> Result<Option<Content>, StoreError> {
        let Some(file) = self.directory.open(&id)? else {
            return Ok(None);
        };
        let file = Arc::new(file);
        self.open_files.add(&file);
        // Whoever evicts it sees that it goes on taking disk.
        let _ = disk::mark_in_use(&file);
        let entry = EntryKey::of_meta(&head.meta);
        let of = OfFile {
            id,
            content: head.content,
            entry: entry.as_bytes().into(),
            shared: self.shared.clone(),
            damaged: self.damaged.clone(),
        };
        let path = self.directory.file(&id);
        file::content(file, of).map_err(StoreError::at(&path))
    }

    /// Removes the records of large files in which damage was found, if they still name those.
    pub(super) fn remove_damaged(&self) -> Result<(), StoreError> {
        for found in self.damaged.take() {
            let removed = self.change(|change| {
                let brief = change.brief(&found.entry)?;
                match brief.is_some_and(|it| it.place == ContentPlace::File(found.id)) {
                    true => change.remove(&found.entry),
                    false => Ok(None),
                }
            })?;
            if removed.is_some() {
                let path = self.directory.file(&found.id);
                log::warn!("{}: {}; removed from the store", path.display(), found.why);
            }
        }
        Ok(())
    }

    /// Removes the file of a record that wasn't entered.
    pub(super) fn abandon(&self, place: &ContentPlace) {
        if let ContentPlace::File(id) = place {
            self.remove_file(id, 0);
        }
    }

    /// Removes a file that no record names any more. While somebody is sent it, it goes on taking disk, which is counted.
    pub(super) fn remove_file(&self, id: &FileId, size: u64) {
        let path = self.directory.file(id);
        let file = disk::open(&path, false).ok();
        if file.is_some_and(|file| disk::is_in_use(&file)) {
            self.shared.count_leaving(size);
        }
        // One that can't be removed now is found by those who tidy up.
        let _ = self.directory.unlink(&path);
    }

    /// Room for a record in the index.
    pub(super) fn reserve_record(&self, record: u64) -> Result<Reservation, StoreError> {
        let path = self.directory.path();
        Reservation::reserve_small(&self.shared, self.worker, path, record.max(BLOCK))
    }
}

/// Files that are about to be removed, which take disk until they are.
pub(super) struct Releasing<'a> {
    store: &'a FilesystemStore,
    bytes: u64,
}

impl Releasing<'_> {
    pub(super) fn begin<'a>(store: &'a FilesystemStore, files: &[(FileId, u64)]) -> Releasing<'a> {
        let bytes = files.iter().map(|(_, size)| size).sum();
        store.shared.begin_release(store.worker, bytes);
        Releasing { store, bytes }
    }
}

impl Drop for Releasing<'_> {
    fn drop(&mut self) {
        let Releasing { store, bytes } = self;
        store.shared.end_release(store.worker, *bytes);
    }
}
