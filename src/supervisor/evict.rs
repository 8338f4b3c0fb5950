//! Eviction: a thread of the supervisor that keeps what is stored within the size limit, and free disk and free inodes above
//! their floors. It decides how much has to go, from what shared memory tells and one worker looks at.
//!
//! What goes is the store's to say, in the order that it keeps (SIEVE). Nothing here is on the path of a request, knows a
//! stored response or opens a file of the store.

mod disk;
mod headroom;
mod leaving;
mod maintenance;
mod message;
mod room;
mod slack;
#[cfg(test)]
mod tests;
mod thread;
mod tidying;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use maintenance::{Maintainer, Maintenance};
use message::{EvictorMessage, EvictorRequests};
use thread::EvictorThread;

use crate::ipc::MaintainerChannel;
use crate::sys::shared::Shared;

/// Messages waiting for the thread.
const QUEUE: usize = 16;

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

    /// A worker has ended, perhaps amid something: what it left is looked for.
    pub(super) fn worker_ended(&self) {
        self.requests.ended.store(true, Relaxed);
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
