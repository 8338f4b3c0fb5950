//! What the loop does for the store: starts and ends the thread that sees to its room, passes on what workers
//! publish and remove, and the limits of a reload. What is evicted is decided there.

use std::sync::Arc;

use super::evict::{Evictor, EvictorOptions};
use super::spool::Spool;
use super::turn::Supervisor;
use crate::config::{Settings, StoreChoice};
use crate::ipc::Object;
use crate::sys::exit::Failure;
use crate::sys::shared::Shared;

/// Who sees to it that there is room.
#[derive(Debug)]
pub(super) enum Room {
    /// For a directory: what is used least goes.
    Directory(Evictor),
    /// For a database, which keeps itself within its limits: only content on its way there takes room here.
    Spool(Spool),
}

impl Room {
    /// Starts to see to the configured store.
    pub(super) fn start(settings: &Settings, shared: &Arc<Shared>) -> Result<Room, Failure> {
        let store = &settings.store;
        let (size, min_free) = (store.size(), store.min_free());
        let path = store.path().to_owned();
        // Of the store before.
        shared.set_ceiling(u64::MAX);
        match store {
            StoreChoice::Filesystem { .. } => {
                let options = EvictorOptions {
                    path,
                    limit: size,
                    min_free,
                };
                let evictor = Evictor::start(&options, Arc::clone(shared));
                Ok(Room::Directory(evictor.map_err(Failure::unavailable)?))
            }
            StoreChoice::Postgres { .. } => {
                let spool = Spool::start(path, size, min_free, Arc::clone(shared));
                Ok(Room::Spool(spool.map_err(Failure::unavailable)?))
            }
        }
    }

    /// Ends what was started.
    pub(super) fn stop(self) {
        match self {
            Room::Directory(evictor) => evictor.stop(),
            Room::Spool(spool) => spool.stop(),
        }
    }

    fn evictor(&self) -> Option<&Evictor> {
        match self {
            Room::Directory(evictor) => Some(evictor),
            Room::Spool(_) => None,
        }
    }
}

impl Supervisor {
    /// A worker has published these.
    pub(super) fn published(&self, objects: Vec<Object>) {
        if let Some(evictor) = self.evictor() {
            evictor.published(objects);
        }
    }

    /// A worker has removed these.
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

    fn evictor(&self) -> Option<&Evictor> {
        self.room.as_ref().and_then(Room::evictor)
    }

    /// The settings have changed. Another kind of store, or another place, is for the next start.
    pub(super) fn set_store_limits(&self) {
        let store = &self.settings.current().store;
        match (&self.room, store) {
            (Some(Room::Directory(evictor)), StoreChoice::Filesystem { size, min_free, .. }) => {
                evictor.set_limits(&self.shared, *size, *min_free);
            }
            (Some(Room::Spool(spool)), StoreChoice::Postgres { size, min_free, .. }) => {
                spool.set_limits(&self.shared, *size, *min_free);
            }
            _ => {}
        }
    }

    /// What the status says of a store that isn't a directory of this machine.
    pub(super) fn store_line(&self) -> Option<String> {
        let StoreChoice::Postgres { database, .. } = &self.settings.current().store else {
            return None;
        };
        Some(match self.shared.is_store_down() {
            true => format!("database unreachable: {}", database.place()),
            false => format!("stored in database {}", database.place()),
        })
    }
}
