//! Compaction: LMDB's file never shrinks, so when much of it is free what is in use is copied to another environment, which
//! takes its place. Nobody else writes meanwhile; who has the old one open finds that it was moved, and follows.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;

use super::FilesystemStore;
use super::change::Change;
use super::directory::Directory;
use super::environment::{DATA, Environment};
use super::index;
#[cfg(test)]
use super::steps::reached;
use crate::store::StoreError;

impl FilesystemStore {
    /// Copies what is in use and goes on with that; the bytes that the index takes less.
    pub fn compact(&self) -> Result<u64, StoreError> {
        let environment = self.environment()?;
        // Before the transaction, as those who open the index do.
        let lock = index::lock(&self.directory)?;
        let Some(mut change) = Change::begin(&environment)? else {
            return Ok(0);
        };
        let before = environment.size();
        let path = index::new_directory(&self.directory)?;
        #[cfg(test)]
        reached("directory");
        let copied = copy(&self.directory, &environment, &path);
        let new = copied.inspect_err(|_| index::remove(&path))?;
        let room = (new.size(), change.state.file_bytes);
        #[cfg(test)]
        reached("copied");
        index::note_open(&new, self.shared.boot())?;
        // First: who dies here leaves an index that nobody uses any more, rather than two.
        change.state.moved = true;
        change.commit(|_, _| self.shared.set_room(room.0 + room.1, 0))?;
        #[cfg(test)]
        reached("moved");
        index::put_in_place(&self.directory, &path)?;
        #[cfg(test)]
        reached("placed");
        drop(lock);
        let moves = self.shared.move_index();
        self.follow(moves)?;
        Ok(before.saturating_sub(room.0))
    }
}

fn copy(
    directory: &Directory,
    environment: &Environment,
    path: &std::path::Path,
) -> Result<std::sync::Arc<Environment>, StoreError> {
    let data = path.join(DATA);
    let mut options = File::options();
    let file = options.write(true).create_new(true).mode(0o600).open(&data);
    let mut file = file.map_err(StoreError::at(&data))?;
    environment
        .copy(&mut file)
        .map_err(|error| environment.failure(error))?;
    index::reopen(directory, path)
}
