//! Disk space for content that is on its way into a database: a thread that looks at the disk it is spooled to, and
//! keeps the floor of free space. The files have no names and go by themselves.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::sys::disk;
use crate::sys::shared::Shared;

/// The time between two looks at the disk.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct DiskWatch {
    min_free: Arc<AtomicU64>,
    end: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl DiskWatch {
    pub(super) fn start(
        path: PathBuf,
        min_free: u64,
        shared: Arc<Shared>,
    ) -> io::Result<DiskWatch> {
        // Leftovers of another kind of store are of no meaning here.
        shared.set_stored(0);
        shared.set_slack(0);
        shared.set_leftovers(0);
        shared.set_out_of_inodes(false);
        let min_free = Arc::new(AtomicU64::new(min_free));
        let (end, ended) = sync_channel(0);
        let floor = min_free.clone();
        let thread = std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || {
                let mut failing = false;
                loop {
                    let free = disk::free(&path);
                    match &free {
                        Ok(free) => {
                            let is_below = *free < floor.load(Relaxed);
                            shared.set_full(is_below);
                            shared.set_below_floor(is_below);
                        }
                        // A worker makes it when it starts.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) if !failing => {
                            log::warn!("{}: its free space can't be told: {error}", path.display());
                        }
                        Err(_) => {}
                    }
                    failing = free.is_err();
                    if ended.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                        break;
                    }
                }
            })?;
        Ok(DiskWatch {
            min_free,
            end,
            thread,
        })
    }

    /// The floor of free space, as of the next look.
    pub(super) fn min_free(&self) -> &AtomicU64 {
        &self.min_free
    }

    pub(super) fn stop(self) {
        drop(self.end);
        if self.thread.join().is_err() {
            log::error!("the thread that looks at the spool's disk had failed");
        }
    }
}
