//! Eviction: a thread of the supervisor that knows what is stored, keeps it within the size limit and above
//! the floor of free disk, and decides by SIEVE what goes.
//!
//! It hears of what workers publish and remove, and has the whole store read at the start, in the
//! background: hits work meanwhile. Nothing here is on the path of a request, and no file of the store is opened here.

mod leaving;
mod maintenance;
mod message;
mod scan;
#[cfg(test)]
mod tests;
mod thread;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use maintenance::{Maintainer, Maintenance};
pub(super) use message::EvictorMessage;
use message::EvictorRequests;
use thread::EvictorThread;

use crate::ipc::MaintainerChannel;
use crate::sys::shared::Shared;

/// Messages waiting for the thread, and objects in them; what does not fit is found by reading the store again.
const QUEUE: usize = 16 * 1024;
const QUEUED_OBJECTS: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Evictor {
    sender: SyncSender<EvictorMessage>,
    requests: Arc<EvictorRequests>,
    thread: JoinHandle<()>,
}

impl Evictor {
    /// Starts the thread, for the store at `path`.
    pub(super) fn start(path: &Path, min_free: u64, shared: Arc<Shared>) -> io::Result<Evictor> {
        let requests = Arc::new(EvictorRequests::default());
        requests.wanted.store(true, Relaxed);
        let maintenance = Maintainer::new(path, Arc::clone(&requests));
        Evictor::start_with(maintenance, min_free, shared, requests)
    }

    fn start_with(
        maintenance: impl Maintenance + Send + 'static,
        min_free: u64,
        shared: Arc<Shared>,
        requests: Arc<EvictorRequests>,
    ) -> io::Result<Evictor> {
        requests.min_free.store(min_free, Relaxed);
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = EvictorThread::new(maintenance, shared, receiver, Arc::clone(&requests));
        let thread = std::thread::Builder::new()
            .name("evict".to_owned())
            .spawn(|| thread.run())?;
        Ok(Evictor {
            sender,
            requests,
            thread,
        })
    }

    /// True when a worker is wanted that sees to the files.
    pub(super) fn wants_maintainer(&self) -> bool {
        self.requests.wanted.load(Relaxed)
    }

    /// Has the worker at the other end of this channel see to the files. False when it can't be heard of now.
    pub(super) fn appoint(&self, channel: MaintainerChannel) -> bool {
        // First: the thread may find that it is gone at once.
        self.requests.wanted.store(false, Relaxed);
        let sent = self.sender.try_send(EvictorMessage::Appointed(channel));
        if sent.is_err() {
            self.dismiss_maintainer();
        }
        sent.is_ok()
    }

    /// The worker that saw to the files takes no more orders.
    pub(super) fn dismiss_maintainer(&self) {
        self.requests.wanted.store(true, Relaxed);
    }

    /// Tells of what a worker has published or removed. Never waits.
    pub(super) fn send(&self, message: EvictorMessage) {
        let (count, queued) = (message.objects(), &self.requests.queued);
        if queued.fetch_add(count, Relaxed) + count <= QUEUED_OBJECTS {
            match self.sender.try_send(message) {
                Err(TrySendError::Full(_)) => {}
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
            }
        }
        queued.fetch_sub(count, Relaxed);
        self.rescan();
    }

    /// Asks for the store to be read again, because a worker ended without telling all that it did.
    pub(super) fn rescan(&self) {
        self.requests.scan.store(true, Relaxed);
    }

    pub(super) fn min_free(&self) -> &AtomicU64 {
        &self.requests.min_free
    }

    /// The size limit changes.
    pub(super) fn set_size(&self, bytes: u64) {
        self.requests.size.store(bytes, Relaxed);
    }

    pub(super) fn stop(self) {
        self.requests.stopping.store(true, Relaxed);
        let _ = self.sender.send(EvictorMessage::Stop);
        if self.thread.join().is_err() {
            log::error!("the evictor's thread had failed");
        }
    }
}
