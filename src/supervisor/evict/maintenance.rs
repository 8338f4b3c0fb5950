//! The store's files, which are the workers' alone: what the evictor wants of them is done by one worker, the
//! maintainer, over a channel of its own, one order after another. What it answers is bounded and otherwise believed: a
//! worker can write the store anyway.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::message::EvictorRequests;
use crate::ipc::{
    Evicted, Free, MaintainerChannel, Received, Sent, StoreOrder, StoreReply, Tidied,
};
use crate::store::StoreError;

/// A maintainer that doesn't answer for so long is given up, and another is asked for.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);
/// The time between two looks whether to stop.
const LOOK: Duration = Duration::from_millis(200);

pub(super) trait Maintenance {
    /// Goes on with the worker at the other end of this channel.
    fn appoint(&self, channel: MaintainerChannel);

    /// True when there is somebody to ask.
    fn is_there(&self) -> bool;

    /// Removes some of what belongs to nobody.
    fn tidy(&self) -> Result<Tidied, StoreError>;

    /// Removes stored responses until they gave so much back, or some of them.
    fn evict(&self, bytes: u64, files: u64) -> Result<Evicted, StoreError>;

    /// Gives free pages of the index back to the disk; returns their bytes.
    fn compact(&self, bytes: u64) -> Result<u64, StoreError>;

    /// The room that is free on the store's disk.
    fn free(&self) -> Result<Free, StoreError>;
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
}

/// An answer of another kind ends the channel.
impl Maintenance for Maintainer {
    fn appoint(&self, channel: MaintainerChannel) {
        *self.channel.borrow_mut() = Some(channel);
    }

    fn is_there(&self) -> bool {
        self.channel.borrow().is_some()
    }

    fn tidy(&self) -> Result<Tidied, StoreError> {
        let StoreReply::Tidied { tidied } = self.ask(&StoreOrder::Tidy {})? else {
            return Err(self.lose());
        };
        Ok(tidied)
    }

    fn evict(&self, bytes: u64, files: u64) -> Result<Evicted, StoreError> {
        let StoreReply::Evicted { evicted } = self.ask(&StoreOrder::Evict { bytes, files })? else {
            return Err(self.lose());
        };
        Ok(evicted)
    }

    fn compact(&self, bytes: u64) -> Result<u64, StoreError> {
        let StoreReply::Compacted { bytes } = self.ask(&StoreOrder::Compact { bytes })? else {
            return Err(self.lose());
        };
        Ok(bytes)
    }

    fn free(&self) -> Result<Free, StoreError> {
        let StoreReply::Free { free } = self.ask(&StoreOrder::Free {})? else {
            return Err(self.lose());
        };
        Ok(free)
    }
}
