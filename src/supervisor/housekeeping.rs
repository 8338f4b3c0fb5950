//! The thread that sees to the store's disk space: started, ended, told of workers that end, and of the limits of a
//! reload. How much is evicted is decided there.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::disk_watch::DiskWatch;
use super::evict::Evictor;
use crate::config::{Settings, StoreChoice, StoreKind};
use crate::ipc::MaintainerChannel;
use crate::sys::exit::Failure;
use crate::sys::shared::Shared;

/// The longest time for which nobody looks whether a maintainer is wanted.
const LOOK: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) enum DiskSpace {
    /// For a directory: what is used least goes.
    Directory(Evictor),
    /// For a database, which keeps itself within its limits: only content on its way there takes room here.
    Spool(DiskWatch),
}

impl DiskSpace {
    pub(super) fn start(settings: &Settings, shared: &Arc<Shared>) -> Result<DiskSpace, Failure> {
        let store = &settings.store;
        // Of the store before.
        shared.set_ceiling(u64::MAX);
        shared.set_limit(store.size);
        let (path, min_free, shared) = (&store.path, store.min_free, Arc::clone(shared));
        match store.kind {
            StoreKind::Filesystem => Evictor::start(path, min_free, shared)
                .inspect(|evictor| evictor.set_size(store.size))
                .map(DiskSpace::Directory)
                .map_err(Failure::unavailable),
            StoreKind::Postgres(_) => DiskWatch::start(path.clone(), min_free, shared)
                .map(DiskSpace::Spool)
                .map_err(Failure::unavailable),
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

    /// A worker has ended, perhaps amid something.
    pub(super) fn worker_ended(&self) {
        if let Some(evictor) = self.evictor() {
            evictor.worker_ended();
        }
    }

    pub(super) fn wants_maintainer(&self) -> bool {
        self.evictor().is_some_and(Evictor::wants_maintainer)
    }

    /// The time at which it is to be seen whether a maintainer is wanted: the evictor can't wake who appoints one.
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        self.evictor().map(|_| now + LOOK)
    }

    /// Has a worker see to the store's files. False when that can't be said now.
    pub(super) fn appoint(&self, channel: MaintainerChannel) -> bool {
        self.evictor().is_some_and(|it| it.appoint(channel))
    }

    pub(super) fn dismiss_maintainer(&self) {
        if let Some(evictor) = self.evictor() {
            evictor.dismiss_maintainer();
        }
    }

    /// The settings have changed. Another kind of store, or another place, is for the next start.
    pub(super) fn set_limits(&self, store: &StoreChoice, shared: &Shared) {
        let min_free = match (self, &store.kind) {
            (DiskSpace::Directory(evictor), StoreKind::Filesystem) => {
                evictor.set_size(store.size);
                evictor.min_free()
            }
            (DiskSpace::Spool(watch), StoreKind::Postgres(_)) => watch.min_free(),
            _ => return,
        };
        min_free.store(store.min_free, Relaxed);
        shared.set_limit(store.size);
    }
}
