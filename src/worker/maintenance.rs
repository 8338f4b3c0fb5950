//! The upkeep of a filesystem store, as the supervisor's evictor orders it: on a thread of its own, until the channel on
//! which the orders come is closed. What goes is decided there; the files are the workers'.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::state::Worker;
use crate::config::StoreKind;
use crate::ipc::{
    ChannelError, MAX_ITEMS, Object, OrderChannel, Received, StoreOrder, StoreReply, StoredObject,
};
use crate::store::StoreError;
use crate::store::filesystem::maintenance::DirectoryMaintenance;
use crate::store::sieve::SieveEntry;
use crate::sys::shared::Shared;

/// Does what is ordered over this channel from now on.
pub(super) fn start(worker: &Worker, channel: OwnedFd) {
    let store = &worker.store_choice;
    if store.kind != StoreKind::Filesystem {
        return;
    }
    let (path, shared) = (store.path.clone(), worker.shared.clone());
    let thread = std::thread::Builder::new().name("maintenance".to_owned());
    let started = thread.spawn(move || {
        // It ends with its channel, whatever the reason: the supervisor makes another.
        let _ = serve(&channel.into(), &path, &shared);
    });
    if let Err(why) = started {
        log::error!("no thread for the store's upkeep: {why}");
    }
}

/// Notes that everything stored has reached the disk, so that it needn't be verified after a reboot. Waits for the disk.
pub(super) fn mark_synced(path: &Path, shared: &Arc<Shared>) {
    let marked = DirectoryMaintenance::open(path, shared.clone())
        .and_then(|maintenance| maintenance.mark_synced(SystemTime::now()));
    match marked {
        Ok(()) => {}
        // That there is no room is said when something isn't stored.
        Err(why @ StoreError::Full { .. }) => {
            log::debug!("what is stored will be verified after a reboot: {why}");
        }
        Err(why) => log::warn!("what is stored will be verified after a reboot: {why}"),
    }
}

fn serve(channel: &OrderChannel, path: &Path, shared: &Arc<Shared>) -> Result<(), ChannelError> {
    let maintenance = DirectoryMaintenance::open(path, shared.clone());
    loop {
        let order = match channel.recv_within(None)? {
            Received::Message(order) => order,
            Received::Nothing => continue,
            Received::Closed => return Ok(()),
        };
        let outcome = match &maintenance {
            Ok(maintenance) => carry_out(maintenance, order).map_err(|why| why.to_string()),
            Err(why) => Err(why.to_string()),
        };
        let replies = outcome.unwrap_or_else(|reason| vec![StoreReply::Failed { reason }]);
        for reply in &replies {
            channel.send_waiting(reply)?;
        }
    }
}

fn carry_out(
    maintenance: &DirectoryMaintenance,
    order: StoreOrder,
) -> Result<Vec<StoreReply>, StoreError> {
    let value = match order {
        StoreOrder::RemoveLeftovers {} => maintenance.remove_leftovers(SystemTime::now())? as u64,
        StoreOrder::Scan { directory } => return Ok(found(&maintenance.scan(directory)?)),
        StoreOrder::Evict { object } => {
            maintenance.evict(&SieveEntry {
                hash: object.hash,
                variant: object.variant,
                size: object.size,
            })?;
            0
        }
        StoreOrder::Directories {} => maintenance.directories(),
        StoreOrder::Free {} => maintenance.free()?,
    };
    Ok(vec![StoreReply::Number { value }])
}

/// The responses found, in as many messages as that takes.
fn found(entries: &[(u64, SieveEntry)]) -> Vec<StoreReply> {
    let stored = |(modified, entry): &(u64, SieveEntry)| StoredObject {
        object: Object {
            hash: entry.hash,
            variant: entry.variant,
            size: entry.size,
        },
        modified: *modified,
    };
    let parts = entries.len().div_ceil(MAX_ITEMS).max(1);
    let part = |number: usize| {
        let of_it = entries.chunks(MAX_ITEMS).nth(number).unwrap_or_default();
        StoreReply::Found {
            entries: of_it.iter().map(stored).collect(),
            is_last: number + 1 == parts,
        }
    };
    (0..parts).map(part).collect()
}
