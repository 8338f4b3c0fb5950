//! The evictor's thread: hears who sees to the files, has the store tidied, looks at the disk, makes room; in turn, so that
//! none keeps the others waiting.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::disk::Disk;
use super::headroom::Headroom;
use super::leaving::Leaving;
use super::maintenance::Maintenance;
use super::message::{EvictorMessage, EvictorRequests};
use super::room::{Room, Step};
use super::slack::Slack;
use super::tidying::Tidying;
use crate::store::StoreError;
use crate::sys::rate::OncePerMinute;
use crate::sys::shared::Shared;

/// The time between two looks at what is used while something is received or was stored lately, and while nothing is.
const FILLING: Duration = Duration::from_millis(20);
/// The same while it is full: what is kept free is a sixty-fourth, which is soon taken.
const FULL: Duration = Duration::from_millis(4);
const QUIET: Duration = Duration::from_millis(250);
/// Lately.
const LATELY: Duration = Duration::from_secs(1);
/// The wait after a failure before going on, and when there was nothing to evict.
const AGAIN: Duration = Duration::from_millis(100);
const NOTHING_LEFT: Duration = Duration::from_millis(500);
/// At most this many orders for room before all else has its turn.
const BATCH: usize = 16;

pub(super) struct EvictorThread<M> {
    maintenance: M,
    shared: Arc<Shared>,
    receiver: Receiver<EvictorMessage>,
    requests: Arc<EvictorRequests>,
    tidying: Tidying,
    leaving: Leaving,
    disk: Disk,
    headroom: Headroom,
    slack: Slack,
    /// What was stored when last looked, and when that had changed.
    stored: (u64, Instant),
    /// The time when something was evicted last.
    evicted: Option<Instant>,
    /// Nothing more can be done about room before this time.
    rest: Option<Instant>,
    warnings: OncePerMinute,
}

impl<M: Maintenance> EvictorThread<M> {
    pub(super) fn new(
        maintenance: M,
        shared: Arc<Shared>,
        receiver: Receiver<EvictorMessage>,
        requests: Arc<EvictorRequests>,
    ) -> EvictorThread<M> {
        let now = Instant::now();
        EvictorThread {
            leaving: Leaving::new(shared.leaving()),
            maintenance,
            shared,
            receiver,
            requests,
            tidying: Tidying::new(now),
            disk: Disk::default(),
            headroom: Headroom::new(now),
            slack: Slack::default(),
            stored: (0, now),
            evicted: None,
            rest: None,
            warnings: OncePerMinute::default(),
        }
    }

    pub(super) fn run(mut self) {
        while self.hear() {
            if !self.maintenance.is_there() {
                continue;
            }
            let now = Instant::now();
            self.tidy(now);
            let looked = self.look(now);
            // A disk that others fill gives nothing back at once: there no faster than it is looked at.
            if looked || !self.shared.is_limited_by_floor() {
                self.headroom.hear(&self.shared, now);
            }
            self.make_room();
        }
    }

    /// Hears what there is to hear, or waits for it as long as nothing else is to be done. False
    /// when it was told to stop.
    fn hear(&mut self) -> bool {
        loop {
            match self.receiver.recv_timeout(self.wait()) {
                Ok(EvictorMessage::Appointed(channel)) => self.maintenance.appoint(channel),
                Ok(EvictorMessage::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        let now = Instant::now();
        if self.requests.ended.swap(false, Relaxed) {
            self.tidying.hear_of_end(now);
        }
        let (leaving, removed) = (self.shared.leaving(), self.shared.removed());
        if self.stored.0 != self.shared.stored() {
            self.stored = (self.shared.stored(), now);
        }
        let still = self.leaving.bytes(leaving, removed, now);
        self.shared.set_left(leaving.wrapping_sub(still));
        true
    }

    fn wait(&self) -> Duration {
        let now = Instant::now();
        if !self.maintenance.is_there() {
            return QUIET;
        }
        if self.tidying.is_under_way() {
            Duration::ZERO
        } else if let Some(rest) = self.rest.filter(|rest| now < *rest) {
            rest - now
        } else if self.room().next_step() != Step::Nothing {
            Duration::ZERO
        } else if self.evicted.is_some_and(|last| now - last < LATELY) {
            FULL
        } else if self.shared.is_filling() || now - self.stored.1 < LATELY {
            FILLING
        } else {
            QUIET
        }
    }

    fn tidy(&mut self, now: Instant) {
        if !self.tidying.is_due(now) {
            return;
        }
        match self.maintenance.tidy() {
            Ok(tidied) => {
                if let Some(failure) = self.tidying.new_failure(&tidied) {
                    log::warn!("left in the store, since it can't be removed: {failure}");
                }
                for line in self.tidying.hear(tidied, &self.shared, now) {
                    log::info!("{line}");
                }
            }
            Err(error) => {
                self.tidying.failed(now);
                self.complain(&error);
            }
        }
    }

    /// Looks at the disk where it is time to. True when it did.
    fn look(&mut self, now: Instant) -> bool {
        let floor = self.requests.min_free.load(Relaxed);
        if !self.disk.is_due(&self.shared, floor, now) {
            return false;
        }
        match self.maintenance.free() {
            Ok(free) => self.disk.looked(&free, floor, &self.shared),
            Err(error) => self.complain(&error),
        }
        true
    }

    /// The configured size, which alone is to be believed.
    fn size(&self) -> u64 {
        match self.requests.size.load(Relaxed) {
            0 => u64::MAX,
            size => size,
        }
    }

    fn room(&self) -> Room {
        let shared = &self.shared;
        Room {
            limit: shared.limit().min(self.size()),
            is_limited_by_floor: shared.is_limited_by_floor(),
            // Nothing has to go for what is going.
            used: shared.used().saturating_sub(self.tidying.going()),
            usable_slack: shared.usable_slack(),
            returnable_slack: self.slack.returnable(shared.slack(), Instant::now()),
            wanted: self.headroom.file.bytes(),
            wanted_small: self.headroom.small.bytes(),
            lacking_disk: self.disk.lacking(),
            lacking_inodes: self.disk.lacking_inodes(),
        }
    }

    fn make_room(&mut self) {
        let rests = |rest: Instant| Instant::now() < rest;
        for _ in 0..BATCH {
            if self.rest.is_some_and(rests) {
                break;
            }
            let is_done = match self.room().next_step() {
                Step::Nothing => break,
                Step::Evict { bytes, files } => self.evict(bytes, files),
                Step::Compact { bytes } => self.compact(bytes),
            };
            match is_done {
                Ok(true) => {}
                Ok(false) => self.rest = Some(Instant::now() + NOTHING_LEFT),
                Err(error) => self.complain(&error),
            }
        }
        self.disk.tell(&self.shared);
    }

    /// False when nothing is left to go.
    fn evict(&mut self, bytes: u64, files: u64) -> Result<bool, StoreError> {
        let before = self.shared.stored();
        let evicted = self.maintenance.evict(bytes, files)?;
        let freed = before.saturating_sub(self.shared.stored());
        self.evicted = Some(Instant::now());
        self.disk.gains(freed, evicted.files);
        Ok(evicted.responses > 0)
    }

    /// Slack that isn't given back stays, and is no reason to rest: others go for it.
    fn compact(&mut self, bytes: u64) -> Result<bool, StoreError> {
        let given_back = self.maintenance.compact(bytes)?;
        self.disk.gains(given_back, 0);
        let left = self.shared.slack();
        self.slack.note(bytes, given_back, left, Instant::now());
        Ok(true)
    }

    fn complain(&mut self, error: &StoreError) {
        // It may well come again: not at full speed.
        self.rest = Some(Instant::now() + AGAIN);
        if self.warnings.is_due(Instant::now()) {
            log::warn!("eviction: {error}");
        }
    }
}
