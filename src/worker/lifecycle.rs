//! The life cycle of a worker: it becomes what the first supervisor says, and ends when it is told to
//! stop or has had no supervisor for a while. What it has to do is finished first.

use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::maintenance;
use super::phase::Supervision;
use super::state::Worker;
use super::{removed_files, supervision};
use crate::config::{StoreKind, display_duration};
use crate::sys::exit::Failure;
use crate::sys::{notify, stream};

/// The time between two looks through the idle connections to origin servers, after which the store
/// also hears what was used.
const SWEEP: Duration = Duration::from_secs(5);
/// The time that stopping may take beyond `drain`, before systemd kills.
const BEYOND_DRAIN: Duration = Duration::from_secs(10);
/// The time of that which what is stored may take to reach the disk.
const SYNC: Duration = Duration::from_secs(8);

pub(super) async fn run(index: u16, listener: OwnedFd) -> Result<(), Failure> {
    let listener = stream::watch(listener).map_err(Failure::unavailable)?;
    // Before any client is here: a signal without a handler would cut it off.
    let mut stop = stop_signal();
    let begun = tokio::select! {
        biased;
        () = &mut stop => return Ok(()),
        begun = supervision::begin(index, &listener) => begun?,
    };
    let Some((worker, link)) = begun else {
        return Ok(());
    };
    notify::ready();
    notify::status("serving");
    tokio::task::spawn_local(feed_watchdog());
    let draining = worker.clone();
    tokio::task::spawn_local(async move {
        stop.await;
        draining.phase.drain();
    });
    tokio::task::spawn_local(sweep(worker.clone()));
    tokio::task::spawn_local(removed_files::watch(worker.clone()));
    tokio::select! {
        () = supervision::serve(&worker, &listener, link) => {}
        () = drained(&worker) => {}
    }
    let store = &worker.store_choice;
    let hangs = worker.store.get().is_none_or(|store| store.hangs());
    if !hangs && store.kind == StoreKind::Filesystem {
        let (path, shared) = (store.path.clone(), worker.shared.clone());
        // On another thread, since systemd hears meanwhile that this one turns.
        let noted = spawn_blocking(move || maintenance::note_closed(&path, &shared));
        if timeout(SYNC, noted).await.is_err() {
            log::warn!(
                "small responses in the store may be lost at a reboot: its disk takes too long to write them"
            );
        }
    }
    log::info!("worker {index} ends");
    Ok(())
}

/// Resolves when the worker has been told to stop and has no client left, or may wait no longer.
async fn drained(worker: &Rc<Worker>) {
    worker.phase.drains().await;
    notify::stopping();
    notify::status("finishing what it has");
    let limit = worker.settings().times.drain;
    notify::stopping_takes(limit + BEYOND_DRAIN);
    let progress = &worker.phase.progress;
    let finished = async {
        progress.holds(|| worker.clients.get() == 0).await;
        // Responses that were fetched for them are stored before they are forgotten.
        progress.holds(|| worker.storing.get() == 0).await;
        if let Some(store) = worker.store.get() {
            store.finish(limit).await;
        }
        let delivered = || match worker.phase.supervision() {
            Supervision::Absent => true,
            Supervision::Undelivered => false,
            // A client that could not be handed over is served here after all.
            Supervision::Delivered => worker.outbox.is_empty() && worker.clients.get() == 0,
        };
        progress.holds(delivered).await;
    };
    if timeout(limit, finished).await.is_err() {
        log::warn!(
            "clients that are still served after {} (timeouts.drain) are cut off: {}",
            display_duration(limit),
            worker.clients.get()
        );
    }
}

/// Resolves at SIGTERM or SIGINT. They are caught from this call on.
fn stop_signal() -> Pin<Box<dyn Future<Output = ()>>> {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        log::warn!("signals can't be received: stopping this worker will cut its clients off");
        return Box::pin(std::future::pending());
    };
    Box::pin(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Feeds systemd's watchdog twice in the time that it allows: a worker whose event loop hangs is killed
/// and started anew.
async fn feed_watchdog() {
    let Some(limit) = notify::watchdog() else {
        return;
    };
    loop {
        notify::alive();
        sleep(limit / 2).await;
    }
}

async fn sweep(worker: Rc<Worker>) {
    let mut without_store = false;
    loop {
        sleep(SWEEP).await;
        worker.pool.sweep(worker.settings().times.origin_idle);
        worker.report_used();
        let down = worker.shared.is_store_down_for(usize::from(worker.index));
        if std::mem::replace(&mut without_store, down) != down && !worker.phase.draining() {
            notify::status(if down {
                "serving without its store"
            } else {
                "serving"
            });
        }
    }
}
