//! Large content's files, on the way into the index and out of it: written and named before a record names them, removed
//! once none does.

use std::sync::{Arc, Mutex};

use super::FilesystemStore;
use super::file::{self, LargeFile};
use crate::store::draft::Reservation;
use crate::store::record::head::{self, Brief, ContentPlace, FileId, RecordHead};
use crate::store::{Content, Draft, StoreError, Whole};
use crate::sys::disk;

/// The least that a record counts, and what it counts in.
const BLOCK: u64 = 4096;

impl FilesystemStore {
    /// A place for content that is expected to be so long.
    pub(super) fn begin(&self, expected: Option<u64>) -> Result<Draft, StoreError> {
        let size = Brief {
            order: 0,
            content: expected.unwrap_or(0),
            place: ContentPlace::File(FileId::default()),
        }
        .file_size();
        let path = self.directory.path();
        let reservation = Reservation::begin(&self.shared, self.worker, path, size)?;
        let (file, name) = self.directory.temporary()?;
        let file = Arc::new(file);
        self.open_files.add_draft(&file, &reservation);
        let _ = disk::mark_in_use(&file);
        Ok(Draft {
            file,
            content_offset: 0,
            slot: 0,
            reservation,
            name,
            sums: Mutex::default(),
        })
    }

    /// Makes the file of large content, whole and with its name, and notes it as the record's; what is reserved for it.
    pub(super) fn write_file(
        &self,
        record: &mut RecordHead,
        whole: Whole,
    ) -> Result<Reservation, StoreError> {
        let at = StoreError::at(self.directory.path());
        let (draft, len, checksum) = match whole {
            Whole::Draft {
                draft,
                len,
                checksum,
            } => (draft, len, checksum.finish()),
            Whole::Memory(parts) => {
                let len = parts.iter().map(|part| part.len() as u64).sum();
                let draft = self.begin(Some(len))?;
                let mut end = 0;
                for part in &parts {
                    draft.write_at(part, end)?;
                    end += part.len() as u64;
                }
                (draft, len, super::publish::sum_of(&parts))
            }
        };
        let id = self.directory.new_id();
        record.place = ContentPlace::File(id);
        record.content = len;
        record.content_checksum = checksum;
        let head = head::encode(record)?;
        let size = file::counted(file::length(len, head.len()));
        draft.reservation.cover(size)?;
        let sums = draft.block_sums(len)?;
        file::complete(&draft.file, id, len, &sums, &head).map_err(at)?;
        file::name(&draft.file, draft.name, &self.directory.file(&id))?;
        Ok(draft.reservation)
    }

    /// The content in a file, to be checked as it is read; None where there is no such file.
    pub(super) fn open_content(
        &self,
        id: FileId,
        content: u64,
    ) -> Result<Option<Content>, StoreError> {
        let files = self.directory.files();
        LargeFile { id, content }.open(&files, &self.shared, &self.open_files)
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
        Reservation::reserve(&self.shared, self.worker, path, record.max(BLOCK))
    }
}
