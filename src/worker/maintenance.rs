//! The upkeep of a filesystem store, as the supervisor's evictor orders it: on a thread of its own, until the channel on
//! which the orders come is closed. How much goes is decided there; the files are the workers'.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use super::state::Worker;
use crate::config::StoreKind;
use crate::ipc::{self, ChannelError, OrderChannel, Received, StoreOrder, StoreReply};
use crate::store::StoreError;
use crate::store::filesystem::Wanted;
use crate::store::filesystem::maintenance::StoreMaintenance;
use crate::store::filesystem::{scrub, tidy};
use crate::sys::shared::Shared;

/// The time that one order takes, about.
const STEP: Duration = Duration::from_millis(100);
/// What comes of an end that couldn't be noted.
const LOST: &str = "small responses in the store will be lost at a reboot";
/// The most of a failure's text that is told.
const LONGEST_FAILURE: usize = 1000;

/// Does what is ordered over this channel from now on.
pub(super) fn start(worker: &Worker, channel: OwnedFd) {
    let store = &worker.store_choice;
    if store.kind != StoreKind::Filesystem {
        return;
    }
    let (path, shared) = (store.path.clone(), worker.shared.clone());
    let index = usize::from(worker.index);
    let thread = std::thread::Builder::new().name("maintenance".to_owned());
    let started = thread.spawn(move || {
        // Until this is dropped.
        let _scrub = start_scrub(&path, &shared, index);
        // It ends with its channel, whatever the reason: the supervisor makes another.
        let _ = serve(&channel.into(), &path, &shared, index);
    });
    if let Err(why) = started {
        log::error!("no thread for the store's upkeep: {why}");
    }
}

/// Reads all that is stored in the background, until what this returns is dropped.
fn start_scrub(path: &Path, shared: &Arc<Shared>, worker: usize) -> mpsc::Sender<()> {
    let (go_on, stop) = mpsc::channel();
    let (path, shared) = (path.to_path_buf(), shared.clone());
    let thread = std::thread::Builder::new().name("scrub".to_owned());
    if let Err(why) = thread.spawn(move || scrub::run(&path, &shared, worker, &stop)) {
        log::error!("no thread for the store's scrub: {why}");
    }
    go_on
}

/// Notes that everything stored has reached the disk, so that the index is believed after a reboot. Waits for the disk.
pub(super) fn note_closed(path: &Path, shared: &Arc<Shared>) {
    let noted =
        StoreMaintenance::open(path, shared.clone()).and_then(|maintenance| maintenance.close());
    match noted {
        Ok(()) => {}
        // That there is no room is said when something isn't stored.
        Err(why @ StoreError::Full { .. }) => {
            log::debug!("{LOST}: {why}");
        }
        Err(why) => log::warn!("{LOST}: {why}"),
    }
}

fn serve(
    channel: &OrderChannel,
    path: &Path,
    shared: &Arc<Shared>,
    worker: usize,
) -> Result<(), ChannelError> {
    let open = || match shared.may_change_store(worker) {
        true => StoreMaintenance::open(path, shared.clone()).map_err(|why| why.to_string()),
        false => Err("it isn't this proxy's store".to_owned()),
    };
    let mut maintenance = open();
    loop {
        let order = match channel.recv_within(None)? {
            Received::Message(order) => order,
            Received::Nothing => continue,
            Received::Closed => return Ok(()),
        };
        // It may have been removed, or come back.
        let is_ours = shared.may_change_store(worker);
        if !matches!(&maintenance, Ok(it) if is_ours && it.is_in_place()) {
            maintenance = open();
        }
        let outcome = match &maintenance {
            Ok(maintenance) => carry_out(maintenance, &order).map_err(|why| why.to_string()),
            Err(why) => Err(why.clone()),
        };
        let reply = outcome.unwrap_or_else(|reason| StoreReply::Failed {
            reason: shortened(reason),
        });
        channel.send_waiting(&reply)?;
    }
}

fn carry_out(store: &StoreMaintenance, order: &StoreOrder) -> Result<StoreReply, StoreError> {
    Ok(match *order {
        StoreOrder::Tidy {} => StoreReply::Tidied {
            tidied: told(store.tidy(SystemTime::now(), STEP)),
        },
        StoreOrder::Evict { bytes, files } => {
            let evicted = store.evict(Wanted { bytes, files }, STEP)?;
            StoreReply::Evicted {
                evicted: ipc::Evicted {
                    responses: evicted.responses,
                    bytes: evicted.bytes,
                    files: evicted.files,
                },
            }
        }
        StoreOrder::Compact { bytes } => StoreReply::Compacted {
            bytes: store.compact(bytes)?,
        },
        StoreOrder::Free {} => {
            let free = store.free()?;
            StoreReply::Free {
                free: ipc::Free {
                    bytes: free.bytes,
                    held: free.held,
                    inodes: free.inodes.free,
                    all_inodes: free.inodes.all,
                    directories: free.directories,
                },
            }
        }
    })
}

fn told(tidied: tidy::Tidied) -> ipc::Tidied {
    let cleared = |it: tidy::Cleared| ipc::Cleared {
        files: it.files,
        bytes: it.bytes,
    };
    let failure = |(path, why): (PathBuf, io::Error)| format!("{}: {why}", path.display());
    ipc::Tidied {
        versions: cleared(tidied.versions),
        unfinished: cleared(tidied.unfinished),
        left: tidied.left,
        is_done: tidied.is_done,
        failure: shortened(tidied.failure.map(failure).unwrap_or_default()),
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(LONGEST_FAILURE) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}
