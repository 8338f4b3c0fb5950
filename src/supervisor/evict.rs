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

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

pub(super) use message::EvictorMessage;
use message::EvictorRequests;
use thread::EvictorThread;

use crate::store::StoreError;
use crate::store::filesystem::maintenance::DirectoryMaintenance;
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
    /// Starts the thread. Refused with the reason when the store's directory cannot be written.
    pub(super) fn start(
        path: &Path,
        min_free: u64,
        shared: Arc<Shared>,
    ) -> Result<Evictor, StoreError> {
        let maintenance = DirectoryMaintenance::open(path, Arc::clone(&shared))?;
        let requests = Arc::new(EvictorRequests::default());
        requests.min_free.store(min_free, Relaxed);
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = EvictorThread::new(maintenance, shared, receiver, Arc::clone(&requests));
        let thread = std::thread::Builder::new()
            .name("evict".to_owned())
            .spawn(|| thread.run())
            .map_err(StoreError::at(path))?;
        Ok(Evictor {
            sender,
            requests,
            thread,
        })
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

    /// Ends the thread, once everything stored has reached the disk and that is noted.
    pub(super) fn stop(self) {
        let _ = self.sender.send(EvictorMessage::Stop);
        if self.thread.join().is_err() {
            log::error!("the evictor's thread had failed");
        }
    }
}
