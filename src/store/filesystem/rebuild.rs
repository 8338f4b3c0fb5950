//! An index that was made anew gets the large files that there are: each says in its end what it is. Small responses, which
//! were in the index before, are lost.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::FilesystemStore;
use super::brief::Brief;
use super::directory::unhex;
use super::entry::EntryKey;
use super::publish::Prepared;
use crate::store::StoreError;
use crate::store::record::head::{ContentPlace, FileId, RecordHead};

/// The files that are entered in one transaction.
const STEP: usize = 64;

impl FilesystemStore {
    /// True when some large files may have no record yet, since the index was made anew.
    pub fn is_incomplete(&self) -> Result<bool, StoreError> {
        let environment = self.environment()?;
        let state = self.noting_damage(&environment, |txn| environment.state(txn))?;
        Ok(!state.complete)
    }

    /// Enters the files of this directory, 0 to 255, that have no record; returns how many. After the last the index is
    /// complete.
    pub fn enter_files(&self, number: u8) -> Result<u64, StoreError> {
        let mut entered = 0;
        let mut waiting: Vec<RecordHead> = Vec::new();
        let mut failure = None;
        self.each_file(number, &mut |id| {
            waiting.extend(self.head_of_file(&id));
            if waiting.len() >= STEP {
                match self.enter_heads(std::mem::take(&mut waiting)) {
                    Ok(count) => entered += count,
                    Err(failed) => {
                        failure = Some(failed);
                        return ControlFlow::Break(());
                    }
                }
            }
            ControlFlow::Continue(())
        })?;
        if let Some(failed) = failure {
            return Err(failed);
        }
        entered += self.enter_heads(waiting)?;
        if number == u8::MAX {
            self.change(|change| {
                change.state.complete = true;
                Ok(())
            })?;
        }
        Ok(entered)
    }

    /// Visits the ids of the files in this directory, until that breaks. What isn't named as a file of ours is passed over.
    pub(super) fn each_file(
        &self,
        number: u8,
        visit: &mut dyn FnMut(FileId) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let path = self.directory.files_of(number);
        let names = match std::fs::read_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            names => names.map_err(StoreError::at(&path))?,
        };
        for name in names.flatten() {
            let id = name.file_name().to_str().and_then(unhex);
            if id.is_some_and(|id| visit(id).is_break()) {
                break;
            }
        }
        Ok(())
    }

    /// True when a record names the file with this id, and where that can't be told now.
    pub(super) fn names(&self, id: &FileId) -> bool {
        let Ok(file) = self.directory.open(id) else {
            return true;
        };
        let head = file.map(|file| super::file::read_head(&file, id));
        let head = match head {
            None | Some(Ok(Err(_))) => return false,
            Some(Err(_)) => return true,
            Some(Ok(Ok(head))) => head,
        };
        let entry = EntryKey::of_meta(&head.meta);
        let named = self.environment().and_then(|environment| {
            self.noting_damage(&environment, |txn| {
                let found = environment.objects.get(txn, entry.as_bytes())?;
                Ok(found.and_then(Brief::decode).map(|brief| brief.place))
            })
        });
        named.map_or(true, |place| place == Some(ContentPlace::File(*id)))
    }

    /// The record that a file says it is of; None for what doesn't check.
    fn head_of_file(&self, id: &FileId) -> Option<RecordHead> {
        let file = self.directory.open(id).ok()??;
        let head = super::file::read_head(&file, id).ok()?.ok()?;
        (head.place == ContentPlace::File(*id)).then_some(head)
    }

    fn enter_heads(&self, heads: Vec<RecordHead>) -> Result<u64, StoreError> {
        let mut entered = 0;
        self.change(|change| {
            entered = 0;
            for head in &heads {
                let entry = EntryKey::of_meta(&head.meta);
                // What was stored since is newer.
                if change.get(entry.as_bytes())?.is_some() {
                    continue;
                }
                let Ok(mut prepared) = Prepared::again(head.clone(), Bytes::new()) else {
                    continue;
                };
                match self.enter_beside(change, &mut prepared) {
                    Err(StoreError::Unselectable) => {}
                    outcome => {
                        outcome?;
                        entered += 1;
                    }
                }
            }
            Ok(())
        })?;
        Ok(entered)
    }
}
