//! The store's files, which are the workers' alone: what the evictor wants of them is done by one worker, the
//! maintainer, over a channel of its own, one order after another. What it answers is bounded and otherwise believed: a
//! worker can write the store anyway.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::message::{EvictorRequests, entry};
use crate::ipc::{MaintainerChannel, Object, Received, Sent, StoreOrder, StoreReply};
use crate::store::StoreError;
use crate::store::sieve::SieveEntry;

/// A maintainer that doesn't answer for so long is given up, and another is asked for.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);
/// The time between two looks whether to stop.
const LOOK: Duration = Duration::from_millis(200);
/// More responses than this in one of 256 directories aren't taken in: no store is so large.
const MOST_FOUND: usize = 256 << 10;

pub(super) trait Maintenance {
    /// Goes on with the worker at the other end of this channel.
    fn appoint(&self, channel: MaintainerChannel);

    /// True when there is somebody to ask.
    fn is_there(&self) -> bool;

    /// Removes temporary files that a process left behind; returns how many.
    fn remove_leftovers(&self) -> Result<u64, StoreError>;

    /// Every stored response in the directory with this number, with the time it was last modified.
    fn scan(&self, number: u8) -> Result<Vec<(u64, SieveEntry)>, StoreError>;

    /// Removes a stored response, whether or not it is still there.
    fn evict(&self, entry: &SieveEntry) -> Result<(), StoreError>;

    /// The bytes that the store's directories take themselves.
    fn directories(&self) -> Result<u64, StoreError>;

    /// The bytes that are free on the store's disk.
    fn free(&self) -> Result<u64, StoreError>;
}

/// The worker that does it.
#[derive(Debug)]
pub(super) struct Maintainer {
    /// The store's path, for messages.
    path: PathBuf,
    channel: RefCell<Option<MaintainerChannel>>,
    requests: Arc<EvictorRequests>,
}

impl Maintainer {
    pub(super) fn new(path: &Path, requests: Arc<EvictorRequests>) -> Maintainer {
        Maintainer {
            path: path.to_path_buf(),
            channel: RefCell::new(None),
            requests,
        }
    }

    fn failed(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
        StoreError::at(&self.path)(io::Error::other(error))
    }

    fn ask(&self, order: &StoreOrder) -> Result<StoreReply, StoreError> {
        let sent = match &*self.channel.borrow() {
            Some(channel) => matches!(channel.try_send(order), Ok(Sent::Done)),
            None => return Err(self.failed("no worker is there to do it")),
        };
        match sent {
            true => self.hear(),
            false => Err(self.lose()),
        }
    }

    /// The next answer.
    fn hear(&self) -> Result<StoreReply, StoreError> {
        let end = Instant::now() + LONGEST_ANSWER;
        while Instant::now() < end && !self.requests.stopping.load(Relaxed) {
            let channel = self.channel.borrow();
            let heard = channel.as_ref().map(|it| it.recv_within(Some(LOOK)));
            match heard {
                Some(Ok(Received::Message(StoreReply::Failed { reason }))) => {
                    let plain = |c: char| if c.is_control() { ' ' } else { c };
                    return Err(self.failed(reason.chars().map(plain).collect::<String>()));
                }
                Some(Ok(Received::Message(reply))) => return Ok(reply),
                Some(Ok(Received::Nothing)) => {}
                Some(Ok(Received::Closed) | Err(_)) | None => break,
            }
        }
        Err(self.lose())
    }

    /// Gives the worker up and asks for another.
    fn lose(&self) -> StoreError {
        *self.channel.borrow_mut() = None;
        self.requests.wanted.store(true, Relaxed);
        self.failed("the worker that was to do it has gone")
    }

    fn number(&self, order: &StoreOrder) -> Result<u64, StoreError> {
        match self.ask(order)? {
            StoreReply::Number { value } => Ok(value),
            StoreReply::Found { .. } | StoreReply::Failed { .. } => Err(self.lose()),
        }
    }
}

impl Maintenance for Maintainer {
    fn appoint(&self, channel: MaintainerChannel) {
        *self.channel.borrow_mut() = Some(channel);
    }

    fn is_there(&self) -> bool {
        self.channel.borrow().is_some()
    }

    fn remove_leftovers(&self) -> Result<u64, StoreError> {
        self.number(&StoreOrder::RemoveLeftovers {})
    }

    fn scan(&self, number: u8) -> Result<Vec<(u64, SieveEntry)>, StoreError> {
        let mut found = Vec::new();
        let mut reply = self.ask(&StoreOrder::Scan { directory: number })?;
        loop {
            let StoreReply::Found { entries, is_last } = reply else {
                return Err(self.lose());
            };
            if found.len() + entries.len() > MOST_FOUND || (entries.is_empty() && !is_last) {
                return Err(self.lose());
            }
            let entries = entries.into_iter();
            found.extend(entries.map(|it| (it.modified, entry(&it.object))));
            if is_last {
                return Ok(found);
            }
            reply = self.hear()?;
        }
    }

    fn evict(&self, entry: &SieveEntry) -> Result<(), StoreError> {
        let object = Object {
            hash: entry.hash,
            variant: entry.variant,
            size: entry.size,
        };
        self.number(&StoreOrder::Evict { object }).map(drop)
    }

    fn directories(&self) -> Result<u64, StoreError> {
        self.number(&StoreOrder::Directories {})
    }

    fn free(&self) -> Result<u64, StoreError> {
        self.number(&StoreOrder::Free {})
    }
}
