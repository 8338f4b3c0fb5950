//! Eviction: a thread of the supervisor that knows what is stored, keeps it within the size limit and above
//! the floor of free disk, and decides by SIEVE what goes.
//!
//! It hears of what workers publish and remove, and reads the whole store at the start, in the
//! background: hits work meanwhile. Nothing here is on the path of a request.

mod message;
mod scan;
#[cfg(test)]
mod tests;
mod thread;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use message::{EvictorMessage, EvictorRequests};
use thread::EvictorThread;

use crate::ipc::Object;
use crate::store::StoreError;
use crate::store::filesystem::maintenance::DirectoryMaintenance;
use crate::sys::shared::Shared;

/// Messages waiting for the thread; what does not fit is found by reading the store again.
const QUEUE: usize = 16 * 1024;

/// A store and the limits it is kept within.
#[derive(Debug, Clone)]
pub(super) struct EvictorOptions {
    /// The store's directory.
    pub path: PathBuf,
    /// The most bytes that may be in use.
    pub limit: u64,
    /// The fewest bytes of disk that are to stay free.
    pub min_free: u64,
}

#[derive(Debug)]
pub(super) struct Evictor {
    sender: SyncSender<EvictorMessage>,
    requests: Arc<EvictorRequests>,
    thread: JoinHandle<()>,
}

impl Evictor {
    /// Starts the thread. Refused with the reason when the store's directory cannot be written.
    pub(super) fn start(
        options: &EvictorOptions,
        shared: Arc<Shared>,
    ) -> Result<Evictor, StoreError> {
        let maintenance = DirectoryMaintenance::open(&options.path, Arc::clone(&shared))?;
        shared.set_limit(options.limit);
        let requests = Arc::new(EvictorRequests::default());
        requests.min_free.store(options.min_free, Relaxed);
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = EvictorThread::new(maintenance, shared, receiver, Arc::clone(&requests));
        let thread = std::thread::Builder::new()
            .name("evict".to_owned())
            .spawn(|| thread.run())
            .map_err(|error| StoreError::at(&options.path, error))?;
        Ok(Evictor {
            sender,
            requests,
            thread,
        })
    }

    /// Tells of what a worker has published. Never waits.
    pub(super) fn published(&self, objects: Vec<Object>) {
        self.send(EvictorMessage::Published(objects));
    }

    /// Tells of what a worker has removed. Never waits.
    pub(super) fn removed(&self, objects: Vec<Object>) {
        self.send(EvictorMessage::Removed(objects));
    }

    fn send(&self, message: EvictorMessage) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(message) {
            self.rescan();
        }
    }

    /// Asks for the store to be read again, because a worker ended without telling all that it did.
    pub(super) fn rescan(&self) {
        self.requests.scan.store(true, Relaxed);
    }

    /// Asks for the store to be read again soon, because much was removed by somebody else.
    pub(super) fn rescan_soon(&self) {
        self.requests.soon.store(true, Relaxed);
        self.rescan();
    }

    /// Takes new limits, from the next second on.
    pub(super) fn set_limits(&self, shared: &Shared, limit: u64, min_free: u64) {
        shared.set_limit(limit);
        self.requests.min_free.store(min_free, Relaxed);
    }

    /// Ends the thread, once everything stored has reached the disk and that is noted.
    pub(super) fn stop(self) {
        let _ = self.sender.send(EvictorMessage::Stop);
        if self.thread.join().is_err() {
            log::error!("the evictor's thread had failed");
        }
    }
}
