//! The beginning of a worker, when the first supervisor has sent it settings and shared memory: its
//! store is opened, and goes without one when that fails.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use super::state::Worker;
use super::store_writer::StoreWriter;
use crate::cache::owner::Secret;
use crate::config::{self, Settings};
use crate::store::open::open;
use crate::store::secret::secret;
use crate::sys::exit::Failure;
use crate::sys::memory_file;
use crate::sys::shared::Shared;

/// Makes worker `index` of the settings and the shared memory that a supervisor sent.
pub(super) fn build(index: u16, settings: OwnedFd, shared: OwnedFd) -> Result<Worker, Failure> {
    let settings = read_settings(settings).map_err(Failure::config)?;
    let shared = Arc::new(Shared::from_fd(shared).map_err(Failure::unavailable)?);
    // Claims of a worker that died with this number.
    shared.unclaim_all(index);
    let pseudonym = pseudonym(&shared);
    let store = open_store(index, &settings, &shared);
    let secret = store.as_ref().and_then(|_| secret_of(&settings));
    let mut worker = Worker::new(index, settings, shared, pseudonym, store);
    worker.secret = secret;
    Ok(worker)
}

fn secret_of(settings: &Settings) -> Option<Secret> {
    let secret = secret(&settings.store.path);
    secret
        .inspect_err(|why| log::error!("nothing is stored for one client alone: {why}"))
        .ok()
}

/// The settings in a memory file that the supervisor sent.
pub(super) fn read_settings(file: OwnedFd) -> Result<Settings, String> {
    let bytes = memory_file::read(&file).map_err(|why| format!("settings can't be read: {why}"))?;
    config::decode(&bytes).map_err(|why| why.to_string())
}

fn open_store(index: u16, settings: &Settings, shared: &Arc<Shared>) -> Option<StoreWriter> {
    let opened = match open(&settings.store, usize::from(index), shared) {
        Ok(store) => {
            StoreWriter::start(store).map_err(|why| format!("no thread for the store: {why}"))
        }
        Err(why) => Err(why.to_string()),
    };
    opened
        .inspect_err(|why| log::error!("nothing is stored: {why}"))
        .ok()
}

/// The name of this proxy in Via: the same in all its workers, different from any other's, so
/// that only a request that was here before is taken for a loop. Tells nothing of the machine.
fn pseudonym(shared: &Shared) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&shared.boot());
    if let Ok(file) = shared.fd().try_clone_to_owned().map(std::fs::File::from) {
        if let Ok(metadata) = file.metadata() {
            hasher.update(&metadata.dev().to_le_bytes());
            hasher.update(&metadata.ino().to_le_bytes());
        }
    }
    format!("cacheproxy-{}", &hasher.finalize().to_hex()[..12])
}
