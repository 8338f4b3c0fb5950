//! The supervisors of a worker, one after another: the first says what the worker is to be, later ones
//! find it as it is. A worker that has had none for a while drains.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::time::{sleep, timeout};

use super::channel::{self, SupervisorLink};
use super::phase::Supervision;
use super::startup::build;
use super::state::Worker;
use crate::config::display_duration;
use crate::ipc::{ToWorker, WorkerChannel};
use crate::sys::exit::Failure;
use crate::sys::{credentials, seqpacket};

/// The time that a worker goes on without a supervisor.
const UNSUPERVISED: Duration = Duration::from_secs(10);
/// The wait after a supervisor could not be accepted.
const RETRY: Duration = Duration::from_millis(100);

/// Waits for the first supervisor and becomes what it says. `None` when none came.
pub(super) async fn begin(
    index: u16,
    listener: &AsyncFd<OwnedFd>,
) -> Result<Option<(Rc<Worker>, SupervisorLink)>, Failure> {
    loop {
        let Ok(channel) = timeout(UNSUPERVISED, accept(listener)).await else {
            log::info!(
                "no supervisor came within {}",
                display_duration(UNSUPERVISED)
            );
            return Ok(None);
        };
        let Some(mut link) = link(channel) else {
            continue;
        };
        // One of another version can't be read: the next supervisor may be of ours.
        let Some(ToWorker::Hello {
            settings, shared, ..
        }) = link.receive().await
        else {
            continue;
        };
        let dir = seqpacket::directory(listener.get_ref()).unwrap_or_default();
        let worker = build(index, settings, shared, &dir).await?;
        link.hello(&worker);
        return Ok(Some((worker, link)));
    }
}

/// Accepts a channel from the user whose the socket is, or root.
async fn accept(listener: &AsyncFd<OwnedFd>) -> WorkerChannel {
    loop {
        let Ok(mut guard) = listener.readable().await else {
            sleep(RETRY).await;
            continue;
        };
        match seqpacket::accept(listener.get_ref()) {
            Ok(socket) => match credentials::peer_uid(&socket) {
                Ok(uid) if uid == 0 || is_owner(listener, uid) => return socket.into(),
                Ok(uid) => log::warn!("user {uid} may not be this worker's supervisor"),
                Err(why) => log::warn!("who connected can't be told: {why}"),
            },
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
            Err(why) => {
                log::warn!("a supervisor could not connect: {why}");
                sleep(RETRY).await;
            }
        }
    }
}

/// True when the socket is this user's, and no one else may connect. In the unit's namespace of users all but this
/// process's own and root are one: then it is the socket's mode that tells them apart.
fn is_owner(listener: &AsyncFd<OwnedFd>, uid: u32) -> bool {
    seqpacket::sole_user(listener.get_ref())
        .inspect_err(|why| log::warn!("whose this worker's socket is can't be told: {why}"))
        .is_ok_and(|owner| owner == uid)
}

fn link(channel: WorkerChannel) -> Option<SupervisorLink> {
    SupervisorLink::new(channel)
        .inspect_err(|why| log::warn!("the channel to the supervisor is unusable: {why}"))
        .ok()
}

/// Serves one supervisor after another. When none comes any more, the worker drains.
pub(super) async fn serve(worker: &Rc<Worker>, listener: &AsyncFd<OwnedFd>, first: SupervisorLink) {
    let mut current = Some(first);
    loop {
        let mut next = None;
        if let Some(link) = current.take() {
            worker.phase.set_supervision(Supervision::Delivered);
            // A new supervisor may come before the old one's channel is seen to end.
            next = tokio::select! {
                () = channel::serve(worker, link) => None,
                next = next_supervisor(worker, listener) => Some(next),
            };
            worker.phase.set_supervision(Supervision::Absent);
        }
        if next.is_none() {
            let wait = timeout(UNSUPERVISED, next_supervisor(worker, listener));
            next = wait.await.ok();
        }
        let Some(next) = next else {
            log::info!("no supervisor for {}", display_duration(UNSUPERVISED));
            worker.phase.drain();
            return std::future::pending().await;
        };
        current = link(next);
        if let Some(link) = &mut current {
            link.hello(worker);
        }
    }
}

/// The next connection is a new supervisor's; but once this worker drains it is meant for its
/// successor, and is left in the listener's queue.
async fn next_supervisor(worker: &Worker, listener: &AsyncFd<OwnedFd>) -> WorkerChannel {
    tokio::select! {
        biased;
        () = worker.phase.drains() => std::future::pending().await,
        next = accept(listener) => next,
    }
}
