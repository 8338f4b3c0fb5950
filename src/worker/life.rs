//! A worker's life: the first supervisor tells it its settings, supervisors may come and go, and it
//! ends when it is told to stop or has had none for a while. What it has to do is finished first.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

use super::channel::{self, Link};
use super::state::Worker;
use super::store_writer::StoreWriter;
use crate::config::{self, Settings, StoreChoice};
use crate::ipc::{ToWorker, WorkerChannel};
use crate::store::filesystem::{FilesystemOptions, FilesystemStore};
use crate::store::postgres::{PostgresOptions, PostgresStore};
use crate::store::{Store, StoreError};
use crate::sys::exit::Failure;
use crate::sys::shared::Shared;
use crate::sys::{credentials, memory_file, notify, seqpacket, stream};

/// How long a worker goes on without a supervisor.
const ALONE: Duration = Duration::from_secs(10);
/// How often idle connections to origin servers are looked through, and the store hears what was used.
const SWEEP: Duration = Duration::from_secs(5);
/// What stopping may take beyond `drain`, before systemd kills.
const BEYOND_DRAIN: Duration = Duration::from_secs(10);

/// Lives until it is over.
pub async fn live(index: u16, listener: OwnedFd) -> Result<(), Failure> {
    let listener = stream::watch(listener).map_err(Failure::unavailable)?;
    // Before any client is here: a signal without a handler would cut it off.
    let mut told = told_to_stop();
    let begun = tokio::select! {
        biased;
        () = &mut told => return Ok(()),
        begun = begin(index, &listener) => begun?,
    };
    let Some((worker, link)) = begun else {
        return Ok(());
    };
    notify::ready();
    notify::status("serving");
    tokio::task::spawn_local(stay_alive());
    let draining = worker.clone();
    tokio::task::spawn_local(async move {
        told.await;
        draining.phase.drain();
    });
    tokio::task::spawn_local(sweep(worker.clone()));
    let supervised = supervised(&worker, &listener, link);
    tokio::select! {
        () = supervised => {}
        () = drained(&worker) => {}
    }
    log::info!("worker {index} ends");
    Ok(())
}

/// Waits for the first supervisor and becomes what it says. `None` when none came.
async fn begin(
    index: u16,
    listener: &AsyncFd<OwnedFd>,
) -> Result<Option<(Rc<Worker>, Link)>, Failure> {
    loop {
        let Ok(channel) = timeout(ALONE, accept(listener)).await else {
            log::info!("no supervisor came within {} s", ALONE.as_secs());
            return Ok(None);
        };
        let mut link = match Link::new(channel) {
            Ok(link) => link,
            Err(why) => {
                log::warn!("the channel to the supervisor is unusable: {why}");
                continue;
            }
        };
        // One of another version can't be read: the next supervisor may be of ours.
        let Some(ToWorker::Hello {
            settings, shared, ..
        }) = link.receive().await
        else {
            continue;
        };
        let worker = Rc::new(build(index, settings, shared)?);
        link.hello(&worker);
        return Ok(Some((worker, link)));
    }
}

/// Accepts a channel from this very user, or root.
async fn accept(listener: &AsyncFd<OwnedFd>) -> WorkerChannel {
    loop {
        let Ok(mut guard) = listener.readable().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        match seqpacket::accept(listener.get_ref()) {
            Ok(socket) => match credentials::peer_uid(&socket) {
                Ok(uid) if uid == 0 || uid == credentials::own_uid() => return socket.into(),
                Ok(uid) => log::warn!("user {uid} may not be this worker's supervisor"),
                Err(why) => log::warn!("who connected can't be told: {why}"),
            },
            Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => guard.clear_ready(),
            Err(why) => {
                log::warn!("a supervisor could not connect: {why}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn build(index: u16, settings: OwnedFd, shared: OwnedFd) -> Result<Worker, Failure> {
    let settings = read_settings(settings).map_err(Failure::config)?;
    let shared = Shared::from_fd(shared).map_err(Failure::unavailable)?;
    let shared = Arc::new(shared);
    // What a worker that died before it had claimed.
    shared.unclaim_all(index);
    let pseudonym = pseudonym(&shared);
    let store = open_store(index, &settings, &shared);
    Ok(Worker::new(index, settings, shared, pseudonym, store))
}

/// The settings in a memory file that the supervisor sent.
pub fn read_settings(file: OwnedFd) -> Result<Settings, String> {
    let bytes = memory_file::read(&file).map_err(|why| format!("settings can't be read: {why}"))?;
    config::decode(&bytes).map_err(|why| why.to_string())
}

fn open_store(index: u16, settings: &Settings, shared: &Arc<Shared>) -> Option<StoreWriter> {
    let opened = match open(usize::from(index), &settings.store, shared) {
        Ok(store) => {
            StoreWriter::start(store).map_err(|why| format!("no thread for the store: {why}"))
        }
        Err(why) => Err(why.to_string()),
    };
    opened
        .inspect_err(|why| log::error!("nothing is stored: {why}"))
        .ok()
}

fn open(
    worker: usize,
    choice: &StoreChoice,
    shared: &Arc<Shared>,
) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match choice {
        StoreChoice::Filesystem { path, .. } => {
            let path = path.clone();
            let options = FilesystemOptions { path, worker };
            Arc::new(FilesystemStore::open(&options, shared.clone())?)
        }
        StoreChoice::Postgres {
            database,
            password_file,
            logged,
            size,
            spool,
            ..
        } => {
            let given = || credentials::given("database-password");
            let options = PostgresOptions {
                database: database.as_str().to_owned(),
                password_file: password_file.clone().or_else(given),
                logged: *logged,
                spool: spool.clone(),
                worker,
                limit: *size,
            };
            Arc::new(PostgresStore::open(&options, shared.clone())?)
        }
    })
}

/// What this proxy calls itself in Via: the same in all its workers, different from any other's, so
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

/// Serves one supervisor after another, until none comes any more.
async fn supervised(worker: &Rc<Worker>, listener: &AsyncFd<OwnedFd>, first: Link) {
    let mut link = Some(first);
    loop {
        if let Some(now) = link.take() {
            worker.phase.set_supervised(true);
            // A new supervisor may come before the old one's channel is seen to end.
            let next = tokio::select! {
                () = channel::serve(worker, now) => None,
                next = next_supervisor(worker, listener) => Some(next),
            };
            worker.phase.set_supervised(false);
            if let Some(next) = next {
                link_with(worker, next, &mut link);
                continue;
            }
        }
        match timeout(ALONE, next_supervisor(worker, listener)).await {
            Ok(next) => link_with(worker, next, &mut link),
            Err(_) => {
                log::info!("no supervisor for {} s", ALONE.as_secs());
                worker.phase.drain();
                std::future::pending::<()>().await;
            }
        }
    }
}

/// The next connection is a new supervisor's; but once this worker drains it is meant for its
/// successor, and is left in the listener's queue.
async fn next_supervisor(worker: &Worker, listener: &AsyncFd<OwnedFd>) -> WorkerChannel {
    tokio::select! {
        biased;
        () = worker.phase.leaving() => std::future::pending().await,
        next = accept(listener) => next,
    }
}

fn link_with(worker: &Worker, channel: WorkerChannel, link: &mut Option<Link>) {
    match Link::new(channel) {
        Ok(mut new) => {
            new.hello(worker);
            *link = Some(new);
        }
        Err(why) => log::warn!("the channel to the supervisor is unusable: {why}"),
    }
}

/// Resolves when the worker has been told to stop and has no client left, or may wait no longer.
async fn drained(worker: &Rc<Worker>) {
    worker.phase.leaving().await;
    notify::stopping();
    notify::status("finishing what it has");
    let limit = worker.settings().times.drain;
    notify::stopping_takes(limit + BEYOND_DRAIN);
    let progress = &worker.phase.progress;
    let finished = async {
        let no_client = || (worker.clients.get() == 0).then_some(());
        progress.until(no_client).await;
        // What was fetched for them is stored before it is forgotten.
        let all_stored = || (worker.storing.get() == 0).then_some(());
        progress.until(all_stored).await;
        if let Some(writer) = &worker.store {
            let _ = writer.run_surely(|_| ()).await;
        }
        let told = || {
            // A client that could not be handed over is served here after all.
            let delivered =
                worker.outbox.is_empty() && worker.phase.delivered() && worker.clients.get() == 0;
            (delivered || !worker.phase.supervised()).then_some(())
        };
        progress.until(told).await;
    };
    if timeout(limit, finished).await.is_err() {
        log::warn!(
            "clients that are still served after {} s (timeouts.drain) are cut off: {}",
            limit.as_secs(),
            worker.clients.get()
        );
    }
}

/// Resolves at SIGTERM or SIGINT. They are caught from this call on.
fn told_to_stop() -> Pin<Box<dyn Future<Output = ()>>> {
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

/// Tells systemd that this event loop turns, twice in the time that it allows: one that hangs is killed and started anew.
async fn stay_alive() {
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
        worker.tell_used();
        let down = worker.shared.is_store_down_for(usize::from(worker.index));
        if std::mem::replace(&mut without_store, down) != down && !worker.phase.draining() {
            notify::status(if down {
                "serving without its store, which can't be reached"
            } else {
                "serving"
            });
        }
    }
}
