//! The evictor's thread: hears, scans, looks at the disk, makes room; in turn, so that none keeps the others waiting.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::leaving::Leaving;
use super::maintenance::Maintenance;
use super::message::{EvictorMessage, EvictorRequests, entry};
use super::scan::Scan;
use crate::ipc::Object;
use crate::store::StoreError;
use crate::store::sieve::{BLOCK, Sieve, SieveEntry};
use crate::sys::rate::OncePerMinute;
use crate::sys::shared::Shared;

/// The time between two looks at the disk while there is something going on, and when there isn't.
const BUSY: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(5);
/// The time between two looks at what is reserved while something is received, and while nothing is.
const FILLING: Duration = Duration::from_millis(20);
const QUIET: Duration = Duration::from_millis(250);
/// The wait after a failure before going on.
const AGAIN: Duration = Duration::from_millis(100);
/// At most this often the whole store is read again.
const BETWEEN_SCANS: Duration = Duration::from_secs(600);
/// And this often when somebody has removed things from it.
const SOON: Duration = Duration::from_secs(15);
/// Room made for an object that was refused is kept free this long, for when it is asked for again.
const HEADROOM: Duration = Duration::from_secs(300);
/// At most this many evictions before messages are heard again.
const BATCH: usize = 256;

pub(super) struct EvictorThread<M> {
    maintenance: M,
    shared: Arc<Shared>,
    receiver: Receiver<EvictorMessage>,
    requests: Arc<EvictorRequests>,
    sieve: Sieve,
    /// Leftovers have been removed.
    cleared: bool,
    leaving: Leaving,
    scan: Option<Scan>,
    scanned: Instant,
    /// The next is to come soon: a command has changed much.
    soon: bool,
    /// Free disk when last looked at, and what was evicted since.
    free: u64,
    /// The floor that was in force then.
    floor: u64,
    /// It was more than what was free.
    is_below: bool,
    looked: Option<Instant>,
    heard: bool,
    headroom: u64,
    headroom_until: Instant,
    /// Something failed in this turn.
    failed: bool,
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
            scan: Some(Scan::first(&shared)),
            leaving: Leaving::new(shared.leaving()),
            maintenance,
            shared,
            receiver,
            requests,
            sieve: Sieve::new(),
            cleared: false,
            scanned: now,
            soon: false,
            free: u64::MAX,
            floor: 0,
            is_below: false,
            looked: None,
            heard: false,
            headroom: 0,
            headroom_until: now,
            failed: false,
            warnings: OncePerMinute::default(),
        }
    }

    pub(super) fn run(mut self) {
        while self.hear() {
            if !self.maintenance.is_there() {
                continue;
            }
            self.clear_up();
            let now = Instant::now();
            self.go_on_scanning(now);
            let looked = self.look(now);
            // A disk that others fill gives nothing back at once: there no faster than it is looked at.
            if looked || !self.shared.is_limited_by_floor() {
                self.hear_wanted(now);
            }
            self.make_room();
        }
    }

    /// Has leftovers removed, once.
    fn clear_up(&mut self) {
        if std::mem::replace(&mut self.cleared, true) {
            return;
        }
        match self.maintenance.remove_leftovers() {
            Ok(0) => {}
            Ok(removed) => log::info!("removed {removed} unfinished files from the store"),
            Err(error) => self.complain(&error),
        }
    }

    /// Hears what there is to hear, or waits for it as long as nothing else is to be done. False
    /// when it was told to stop.
    fn hear(&mut self) -> bool {
        let mut wait = if !self.maintenance.is_there() {
            QUIET
        } else if self.scan.is_some() || self.is_over() {
            // A failure may well come again: not at full speed.
            if self.failed { AGAIN } else { Duration::ZERO }
        } else if self.shared.is_filling() {
            FILLING
        } else {
            QUIET
        };
        self.failed = false;
        for _ in 0..BATCH {
            let message = self.receiver.recv_timeout(wait);
            let count = message.as_ref().map_or(0, EvictorMessage::objects);
            self.requests.queued.fetch_sub(count, Relaxed);
            match message {
                Ok(EvictorMessage::Published(objects)) => {
                    objects.iter().for_each(|it| self.publish(it))
                }
                Ok(EvictorMessage::Removed(objects)) => {
                    objects.iter().for_each(|it| self.remove(it))
                }
                Ok(EvictorMessage::Appointed(channel)) => self.maintenance.appoint(channel),
                Ok(EvictorMessage::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => break,
            }
            self.heard = true;
            wait = Duration::ZERO;
        }
        self.count();
        true
    }

    /// The configured size, which alone is to be believed.
    fn size(&self) -> u64 {
        match self.requests.size.load(Relaxed) {
            0 => u64::MAX,
            size => size,
        }
    }

    /// The most objects that are remembered: more than fit, however often each of them was announced.
    fn most(&self) -> usize {
        usize::try_from(self.size() / BLOCK)
            .unwrap_or(usize::MAX)
            .saturating_mul(2)
            .max(1024)
    }

    fn publish(&mut self, object: &Object) {
        let entry = entry(object);
        if self.sieve.len() < self.most() || self.sieve.contains(&entry.place()) {
            self.sieve.insert(&entry);
        } else {
            self.requests.scan.store(true, Relaxed);
        }
        // Counted as stored before it is no longer counted as announced: else there would seem to be room.
        self.count();
        self.shared.settle_announced(entry.size);
        self.touch(&entry);
    }

    fn remove(&mut self, object: &Object) {
        let entry = entry(object);
        self.sieve.remove(&entry.place());
        self.touch(&entry);
    }

    /// A scan under way leaves this entry as it is now.
    fn touch(&mut self, entry: &SieveEntry) {
        let most = self.most();
        if let Some(scan) = &mut self.scan {
            scan.touch(entry, most);
        }
    }

    /// Tells everybody how much is stored.
    fn count(&mut self) {
        let known = self.sieve.bytes();
        let scan = self.scan.as_ref();
        let stored = scan.map_or(known, |scan| scan.stored(known));
        let (left, removed, now) = (self.shared.leaving(), self.shared.removed(), Instant::now());
        let leaving = self.leaving.bytes(left, removed, now);
        self.shared.set_stored(stored.saturating_add(leaving));
    }

    /// Reads one more directory while a scan goes on, or begins one that was asked for.
    fn go_on_scanning(&mut self, now: Instant) {
        let most = self.most();
        if let Some(scan) = &mut self.scan {
            match scan.step(&self.maintenance, &self.shared, most) {
                Ok(false) => {}
                Ok(true) => self.end_scan(now),
                Err(error) => self.complain(&error),
            }
            self.count();
            return;
        }
        let requests = &self.requests;
        self.soon |= self.shared.take_rescan();
        let wait = if self.soon { SOON } else { BETWEEN_SCANS };
        let is_asked_for = self.soon || requests.scan.load(Relaxed);
        if is_asked_for && now - self.scanned >= wait {
            requests.scan.store(false, Relaxed);
            self.soon = false;
            self.scan = Some(Scan::again(&self.shared));
        }
    }

    fn end_scan(&mut self, now: Instant) {
        if let Some(scan) = self.scan.take() {
            if !scan.whole {
                self.requests.scan.store(true, Relaxed);
            }
            scan.settle(&mut self.sieve);
            self.scanned = now;
            self.looked = None;
            let (count, mib) = (self.sieve.len(), self.sieve.bytes() >> 20);
            log::info!("the store holds {count} responses, {mib} MiB");
        }
    }

    /// Looks at the disk, at most once a second; during a scan each time, since what it finds changes what counts
    /// as used though not what is. True when it did.
    fn look(&mut self, now: Instant) -> bool {
        let is_filling = self.shared.is_filling() || self.shared.is_full();
        let is_busy = self.heard || self.is_below || is_filling;
        let wait = if is_busy { BUSY } else { IDLE };
        let lately = self.looked.is_some_and(|last| now - last < wait);
        let floor = self.requests.min_free.load(Relaxed);
        if lately && self.scan.is_none() && floor == self.floor {
            return false;
        }
        self.looked = Some(now);
        self.heard = false;
        // Asked first: what gets its name meanwhile is taken off the free disk and not counted as held.
        // What is reserved is written as it comes, and so off the free disk, too.
        let held = self.shared.used();
        // They are many to look at: not for each that a scan reads.
        if !lately {
            match self.maintenance.directories() {
                Ok(bytes) => self.shared.set_directories(bytes),
                Err(error) => self.complain(&error),
            }
        }
        match self.maintenance.free() {
            Ok(free) => {
                self.free = free;
                self.floor = floor;
                // A second after what is stored began to go for it.
                let was_below = std::mem::replace(&mut self.is_below, free < floor);
                self.shared.set_below_floor(was_below && free < floor);
                let ceiling = held.saturating_add(free).saturating_sub(floor);
                self.shared.set_ceiling(ceiling);
            }
            Err(error) => self.complain(&error),
        }
        true
    }

    /// Keeps room for what was refused.
    fn hear_wanted(&mut self, now: Instant) {
        let wanted = self.shared.take_wanted();
        if wanted > self.headroom && wanted <= self.shared.limit() / 2 {
            self.headroom = wanted;
            self.headroom_until = now + HEADROOM;
        } else if now >= self.headroom_until {
            self.headroom = 0;
        }
    }

    /// True when something has to go, and may.
    fn is_over(&self) -> bool {
        let reading_first = self.scan.as_ref().is_some_and(|scan| scan.first);
        let limit = self.shared.limit().min(self.size());
        // The floor is spare enough; what is stored doesn't go because others have filled the disk to it.
        let spare = match self.shared.is_limited_by_floor() {
            true => self.headroom,
            false => (limit / 64).max(self.headroom),
        };
        let is_above_limit = self.shared.used() > limit.saturating_sub(spare);
        !reading_first && !self.sieve.is_empty() && (is_above_limit || self.free < self.floor)
    }

    fn make_room(&mut self) {
        for _ in 0..BATCH {
            if !self.is_over() {
                break;
            }
            let shared = &self.shared;
            let Some(entry) = self.sieve.evict(|place| shared.take_visited(place)) else {
                break;
            };
            if let Err(error) = self.maintenance.evict(&entry) {
                // It is still there, and so has to count.
                self.sieve.insert(&entry);
                self.complain(&error);
                break;
            }
            self.touch(&entry);
            self.free = self.free.saturating_add(entry.size);
            self.count();
        }
        self.shared.set_full(self.free < self.floor);
    }

    fn complain(&mut self, error: &StoreError) {
        self.failed = true;
        if self.warnings.is_due(Instant::now()) {
            log::warn!("eviction: {error}");
        }
    }
}
