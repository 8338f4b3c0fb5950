//! The thread that sees to the store's disk space: started, ended, told what workers publish and remove, and of the
//! limits of a reload. What is evicted is decided there.

use std::sync::Arc;

use super::disk_watch::DiskWatch;
use super::evict::{Evictor, EvictorOptions};
use crate::config::{Settings, StoreChoice, StoreKind};
use crate::ipc::Object;
use crate::sys::exit::Failure;
use crate::sys::shared::Shared;

/// The keeper of the disk space.
#[derive(Debug)]
pub(super) enum DiskSpace {
    /// For a directory: what is used least goes.
    Directory(Evictor),
    /// For a database, which keeps itself within its limits: only content on its way there takes room here.
    Spool(DiskWatch),
}

impl DiskSpace {
    /// Starts to see to the configured store.
    pub(super) fn start(settings: &Settings, shared: &Arc<Shared>) -> Result<DiskSpace, Failure> {
        let store = &settings.store;
        let (size, min_free) = (store.size, store.min_free);
        let path = store.path.clone();
        // Of the store before.
        shared.set_ceiling(u64::MAX);
        match store.kind {
            StoreKind::Filesystem => {
                let options = EvictorOptions {
                    path,
                    limit: size,
                    min_free,
                };
                let evictor = Evictor::start(&options, Arc::clone(shared));
                Ok(DiskSpace::Directory(evictor.map_err(Failure::unavailable)?))
            }
            StoreKind::Postgres(_) => {
                let watch = DiskWatch::start(path, size, min_free, Arc::clone(shared));
                Ok(DiskSpace::Spool(watch.map_err(Failure::unavailable)?))
            }
        }
    }

    pub(super) fn stop(self) {
        match self {
            DiskSpace::Directory(evictor) => evictor.stop(),
            DiskSpace::Spool(watch) => watch.stop(),
        }
    }

    fn evictor(&self) -> Option<&Evictor> {
        match self {
            DiskSpace::Directory(evictor) => Some(evictor),
            DiskSpace::Spool(_) => None,
        }
    }

    pub(super) fn published(&self, objects: Vec<Object>) {
        if let Some(evictor) = self.evictor() {
            evictor.published(objects);
        }
    }

    pub(super) fn removed(&self, objects: Vec<Object>) {
        if let Some(evictor) = self.evictor() {
            evictor.removed(objects);
        }
    }

    /// A worker has ended, perhaps with news that it didn't tell.
    pub(super) fn news_lost(&self) {
        if let Some(evictor) = self.evictor() {
            evictor.rescan();
        }
    }

    /// Somebody has removed things from the store.
    pub(super) fn rescan(&self) {
        if let Some(evictor) = self.evictor() {
            evictor.rescan_soon();
        }
    }

    /// The settings have changed. Another kind of store, or another place, is for the next start.
    pub(super) fn set_limits(&self, store: &StoreChoice, shared: &Shared) {
        match (self, &store.kind) {
            (DiskSpace::Directory(evictor), StoreKind::Filesystem) => {
                evictor.set_limits(shared, store.size, store.min_free);
            }
            (DiskSpace::Spool(watch), StoreKind::Postgres(_)) => {
                watch.set_limits(shared, store.size, store.min_free);
            }
            _ => {}
        }
    }
}
