//! A store that a command looks into or writes to, and the shared memory of the proxy that uses it, if one runs.

use std::path::PathBuf;
use std::sync::Arc;

use super::output::warn;
use crate::cache::freshness::Facts;
use crate::cache::stored::Meta;
use crate::config::{Settings, StoreKind};
use crate::http::target::Uri;
use crate::store::Store;
use crate::store::admin::{StoreAdmin, StoredInfo};
use crate::store::open::open;
use crate::sys::exit::Failure;
use crate::sys::shared::Shared;
use crate::worker;

pub(super) struct StoreHandle {
    pub(super) admin: Box<dyn StoreAdmin>,
    /// The settings of the proxy that uses it.
    pub(super) settings: Settings,
    /// The memory that its processes share; None when it doesn't run.
    pub(super) shared: Option<Arc<Shared>>,
    /// The directory of that proxy's sockets.
    pub(super) runtime_dir: PathBuf,
}

impl StoreHandle {
    pub(super) fn is_database(&self) -> bool {
        self.settings.store.kind != StoreKind::Filesystem
    }

    /// About how often a stored response answered; None when no proxy runs.
    pub(super) fn hits(&self, stored: &StoredInfo) -> Option<u32> {
        let counted = || Some(self.shared.as_ref()?.hits(&stored.place()));
        stored.hits.or_else(counted)
    }

    /// True when a stored response was used since eviction last looked at it; None when no proxy runs.
    pub(super) fn used(&self, stored: &StoredInfo) -> Option<bool> {
        let visited = || Some(self.shared.as_ref()?.is_visited(&stored.place()));
        stored.used.or_else(visited)
    }

    /// True when a running proxy knows that the origin server of this URI hangs.
    pub(super) fn is_hung(&self, uri: &Uri) -> bool {
        self.shared
            .as_ref()
            .is_some_and(|shared| worker::is_hung(shared, uri))
    }

    pub(super) fn facts(&self, stored: &Meta, uri: &[u8]) -> Facts {
        Facts::of(stored, &self.settings.policy(uri))
    }

    /// The store itself, to be written to, and the shared memory that it uses.
    pub(super) fn store(&self) -> Result<(Arc<dyn Store>, Arc<Shared>), Failure> {
        let shared = match &self.shared {
            Some(shared) => shared.clone(),
            None => Arc::new(self.unshared()?),
        };
        let store = open(&self.settings.store, 0, &shared).map_err(Failure::unavailable)?;
        Ok((store, shared))
    }

    /// Shared memory such as a proxy has, for a command that runs without one. The store says there what it takes.
    fn unshared(&self) -> Result<Shared, Failure> {
        let shared = Shared::create().map_err(Failure::unavailable)?;
        shared.set_limit(self.settings.store.size);
        Ok(shared)
    }
}

impl Drop for StoreHandle {
    fn drop(&mut self) {
        if let Err(why) = self.admin.close() {
            warn(&format!("the store can't be closed as it should be: {why}"));
        }
    }
}
