//! The beginning of a worker, when the first supervisor has sent it settings and shared memory: its
//! store is opened, or it serves without one.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::spawn_local;

use super::state::Worker;
use super::store_access::{self, Place};
use crate::config::{self, Settings};
use crate::store::filesystem::owner::ProxyIdentity;
use crate::sys::exit::Failure;
use crate::sys::memory_file;
use crate::sys::shared::Shared;

/// Makes worker `index` of the settings and the shared memory that a supervisor sent. `dir` has the proxy's sockets.
pub(super) async fn build(
    index: u16,
    settings: OwnedFd,
    shared: OwnedFd,
    dir: &Path,
) -> Result<Rc<Worker>, Failure> {
    let settings = read_settings(settings).map_err(Failure::config)?;
    let shared = Arc::new(Shared::from_fd(shared).map_err(Failure::unavailable)?);
    // Claims of a worker that died with this number.
    shared.unclaim_all(index);
    let pseudonym = pseudonym(&shared);
    let place = Place {
        choice: settings.store.clone(),
        worker: usize::from(index),
        proxy: ProxyIdentity {
            id: shared.host(),
            name: format!("its runtime directory is {}", dir.display()),
        },
        shared: shared.clone(),
    };
    let worker = Rc::new(Worker::new(index, settings, shared, pseudonym));
    worker.store.open_first(&place).await;
    spawn_local(store_access::keep(worker.store.clone(), place));
    Ok(worker)
}

/// The settings in a memory file that the supervisor sent.
pub(super) fn read_settings(file: OwnedFd) -> Result<Settings, String> {
    let bytes = memory_file::read(&file).map_err(|why| format!("settings can't be read: {why}"))?;
    config::decode(&bytes).map_err(|why| why.to_string())
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
