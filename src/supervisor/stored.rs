//! What the loop does for the evictor: starts and ends its thread, passes on what workers publish
//! and remove, and the limits of a reload. What is evicted is decided there.

use std::sync::Arc;

use super::evict::{Evictor, EvictorOptions};
use super::turn::Supervisor;
use crate::config::{Settings, StoreChoice};
use crate::ipc::Object;
use crate::sys::exit::Failure;
use crate::sys::shared::Shared;

/// Starts the evictor of the configured store; none when the store keeps itself within its limits.
pub(super) fn start(settings: &Settings, shared: &Arc<Shared>) -> Result<Option<Evictor>, Failure> {
    let StoreChoice::Filesystem {
        path,
        size,
        min_free,
    } = &settings.store
    else {
        return Ok(None);
    };
    let options = EvictorOptions {
        path: path.clone(),
        limit: *size,
        min_free: *min_free,
    };
    let evictor = Evictor::start(&options, Arc::clone(shared)).map_err(Failure::unavailable)?;
    Ok(Some(evictor))
}

impl Supervisor {
    /// A worker has published these.
    pub(super) fn published(&self, objects: Vec<Object>) {
        if let Some(evictor) = &self.evictor {
            evictor.published(objects);
        }
    }

    /// A worker has removed these.
    pub(super) fn removed(&self, objects: Vec<Object>) {
        if let Some(evictor) = &self.evictor {
            evictor.removed(objects);
        }
    }

    /// A worker has ended, perhaps with news that it didn't tell.
    pub(super) fn news_lost(&self) {
        if let Some(evictor) = &self.evictor {
            evictor.rescan();
        }
    }

    /// Somebody has removed things from the store.
    pub(super) fn rescan(&self) {
        if let Some(evictor) = &self.evictor {
            evictor.rescan_soon();
        }
    }

    /// The settings have changed.
    pub(super) fn set_store_limits(&self) {
        let store = &self.settings.current().store;
        if let (Some(evictor), StoreChoice::Filesystem { size, min_free, .. }) =
            (&self.evictor, store)
        {
            evictor.set_limits(&self.shared, *size, *min_free);
        }
    }
}
