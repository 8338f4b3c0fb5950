//! Removed files that clients are still sent: they count as used for as long as that takes, and when less disk is free
//! than `min_free_disk` the slowest of these clients is cut off, one a second, until that is over.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::state::Worker;
use crate::store::{OpenFiles, RemovedFiles};

/// The time between two looks at what is sent, and between two clients that are cut off.
const EVERY: Duration = Duration::from_millis(250);
const BETWEEN_CUTS: Duration = Duration::from_secs(1);

/// Tells the others what removed files take, and cuts clients off when that leaves too little disk.
pub(super) async fn watch(worker: Rc<Worker>) {
    let mut last_cut = Instant::now();
    loop {
        sleep(EVERY).await;
        let removed = match worker.store.get() {
            Some(store) => look(store.open_files()).await,
            None => RemovedFiles::default(),
        };
        let index = usize::from(worker.index);
        worker.shared.set_removed(index, removed.bytes);
        let now = Instant::now();
        let may_cut = worker.shared.is_below_floor() && now - last_cut >= BETWEEN_CUTS;
        if may_cut && worker.transfers.cut_slowest(&removed, now) {
            last_cut = now;
            worker.warn_cut_off(removed.bytes);
        }
    }
}

async fn look(files: &Arc<OpenFiles>) -> RemovedFiles {
    if files.is_empty() {
        return RemovedFiles::default();
    }
    let files = files.clone();
    spawn_blocking(move || files.removed())
        .await
        .unwrap_or_default()
}
