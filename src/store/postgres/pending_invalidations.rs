//! Keys that were made invalid while the database could not be told. They are removed there before it is
//! used again; until then nothing that it has under them is found here.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postgres::Error;

use super::remove::remove;
use super::session::Session;
use crate::cache::key::Key;
use crate::sys::shared::Shared;

/// The most keys that are remembered. With more, everything is removed.
const MOST: usize = 10_000;
const REMOVE_ALL: &str = "SELECT cacheproxy.remove_all($1)";

/// The keys.
pub struct PendingInvalidations {
    any: AtomicBool,
    keys: Mutex<Keys>,
    shared: Arc<Shared>,
    /// The index of the worker, by which the others know.
    worker: usize,
    /// This host's name in what others are told.
    host: String,
}

#[derive(Debug, Default)]
struct Keys {
    /// Every key.
    all: bool,
    some: HashSet<Key>,
}

impl PendingInvalidations {
    /// None yet, in the worker with this index.
    pub fn new(shared: Arc<Shared>, worker: usize, host: String) -> PendingInvalidations {
        // The knowledge of a worker that had this index before went with it.
        shared.set_pending_invalidations(worker, false);
        PendingInvalidations {
            any: AtomicBool::new(false),
            keys: Mutex::default(),
            shared,
            worker,
            host,
        }
    }

    /// Adds a key that the database could not be told of.
    pub fn add(&self, key: &Key) {
        let mut keys = self.lock();
        if keys.some.len() < MOST {
            keys.some.insert(key.clone());
        } else {
            keys.all = true;
        }
        self.any.store(true, Release);
        self.shared.set_pending_invalidations(self.worker, true);
    }

    /// True when there are any.
    pub fn any(&self) -> bool {
        self.any.load(Acquire)
    }

    /// True when what the database has under this key is not to be used, by what this worker or another knows.
    pub fn has(&self, key: &Key) -> bool {
        let own = || {
            let keys = self.lock();
            keys.all || keys.some.contains(key)
        };
        (self.any() && own()) || self.shared.has_pending_invalidations_beside(self.worker)
    }

    /// Tells the database of all of them. Those that it could not be told of remain.
    pub fn tell(&self, session: &mut Session) -> Result<(), Error> {
        if !self.any() || session.read_only {
            return Ok(());
        }
        let (all, some) = {
            let keys = self.lock();
            (keys.all, keys.some.iter().cloned().collect::<Vec<_>>())
        };
        if all {
            session.query(REMOVE_ALL, &[&self.host])?;
            self.shared.invalidate_all();
            self.shared.next_generation_of_all();
            // Those that came meanwhile are in it too, or are added again by who failed.
            self.lock().all = false;
        }
        for key in &some {
            if !all {
                remove(session, &self.host, &self.shared, key)?;
            }
            self.lock().some.remove(key);
        }
        let keys = self.lock();
        let any = !keys.some.is_empty() || keys.all;
        self.any.store(any, Release);
        self.shared.set_pending_invalidations(self.worker, any);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn more_than_can_be_remembered_is_everything() {
        let shared = Arc::new(Shared::create().unwrap());
        let pending_invalidations = PendingInvalidations::new(shared, 1, "host".to_owned());
        let key = |number: usize| Key::new(format!("GET http://a/{number}"));
        assert!(!pending_invalidations.any() && !pending_invalidations.has(&key(0)));
        (0..MOST).for_each(|number| pending_invalidations.add(&key(number)));
        assert!(
            pending_invalidations.any()
                && pending_invalidations.has(&key(0))
                && !pending_invalidations.has(&key(MOST))
        );
        pending_invalidations.add(&key(MOST));
        assert!(pending_invalidations.has(&key(MOST)) && pending_invalidations.has(&key(MOST + 1)));
    }
}
