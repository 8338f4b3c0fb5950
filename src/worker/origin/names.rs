//! The names resolved of late, and those being resolved: for each, the answer that counts now, or that it has to be
//! looked up, and the addresses that may be used instead if that takes long or fails (RFC 8767). getaddrinfo tells no
//! TTL, hence fixed times.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::sys::names::LookupError;

/// The time for which addresses are used again.
const FRESH: Duration = Duration::from_secs(30);
/// The time for which addresses are used while no newer ones can be had (RFC 8767 §5).
const STALE: Duration = Duration::from_secs(24 * 3600);
/// The time for which it is believed that a name has no address.
const ABSENT: Duration = Duration::from_secs(5);
/// The time after a failed look-up without another.
const UNKNOWN: Duration = Duration::from_secs(1);
/// The time that a look-up has before known addresses are used instead.
const PATIENCE: Duration = Duration::from_millis(500);
/// The least time between two look-ups of a name whose addresses don't answer.
const DOUBTED: Duration = Duration::from_secs(1);
/// The most names remembered.
const MOST_NAMES: usize = 4096;

/// The addresses of a name, in the system's order.
pub(super) type Addresses = Arc<[IpAddr]>;

/// The outcome of a look-up.
pub(super) type Answer = Result<Addresses, LookupError>;

/// The knowledge of a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Known {
    /// The answer.
    Answer(Answer),
    /// It has to be looked up; the addresses are to be used when there is none at this time.
    LookUp(Option<(Addresses, Instant)>),
}

/// A name, and its look-up while one runs.
struct Name<L> {
    /// The last addresses, when they came, and until when they need no look-up.
    good: Option<(Addresses, Instant, Instant)>,
    /// The last failure, if it is newer, and until when it counts.
    failed: Option<(LookupError, Instant)>,
    running: Option<(L, Instant)>,
    used: Instant,
}

/// The names; `L` is by what a running look-up is waited for.
pub(super) struct Names<L>(HashMap<Box<str>, Name<L>>);

impl<L> Default for Names<L> {
    fn default() -> Names<L> {
        Names(HashMap::new())
    }
}

impl<L: Clone> Names<L> {
    /// The knowledge of `host` at `now`.
    pub(super) fn known(&mut self, host: &str, now: Instant) -> Known {
        let Some(name) = self.0.get_mut(host) else {
            return Known::LookUp(None);
        };
        name.used = now;
        if let Some((addresses, _, _)) = name.good.as_ref().filter(|(.., until)| now < *until) {
            return Known::Answer(Ok(addresses.clone()));
        }
        let good = name
            .good
            .as_ref()
            .filter(|(_, since, _)| now < *since + STALE);
        match (&name.failed, good) {
            (Some((why, until)), good) if now < *until => Known::Answer(match (why, good) {
                (LookupError::Unknown(_), Some((addresses, ..))) => Ok(addresses.clone()),
                _ => Err(why.clone()),
            }),
            (_, None) => Known::LookUp(None),
            (_, Some((addresses, ..))) => {
                let begun = name.running.as_ref().map_or(now, |(_, begun)| *begun);
                Known::LookUp(Some((addresses.clone(), begun + PATIENCE)))
            }
        }
    }

    /// The addresses of `host` that were found last.
    pub(super) fn last_addresses(&self, host: &str) -> Option<Addresses> {
        let (addresses, ..) = self.0.get(host)?.good.as_ref()?;
        Some(addresses.clone())
    }

    /// The look-up of `host` that runs.
    pub(super) fn running(&self, host: &str) -> Option<L> {
        let (running, _) = self.0.get(host)?.running.as_ref()?;
        Some(running.clone())
    }

    /// Notes that a look-up of `host` runs.
    pub(super) fn begin(&mut self, host: &str, running: L, now: Instant) {
        self.make_room();
        let name = self.0.entry(host.into()).or_insert(Name {
            good: None,
            failed: None,
            running: None,
            used: now,
        });
        name.running = Some((running, now));
    }

    /// Takes the answer of the look-up of `host`, which came at this time; once, whoever brings it.
    pub(super) fn finish(&mut self, host: &str, answer: &Answer, at: Instant) {
        let Some(name) = self.0.get_mut(host) else {
            return;
        };
        match name.running.take() {
            Some((_, begun)) if begun <= at => {}
            // An answer of the look-up before.
            other => {
                name.running = other;
                return;
            }
        }
        name.failed = None;
        match answer {
            Ok(addresses) => name.good = Some((addresses.clone(), at, at + FRESH)),
            Err(why @ LookupError::Absent(_)) => {
                name.good = None;
                name.failed = Some((why.clone(), at + ABSENT));
            }
            Err(why @ LookupError::Unknown(_)) => name.failed = Some((why.clone(), at + UNKNOWN)),
        }
    }

    /// Has `host` looked up at its next use, since none of its addresses answers.
    pub(super) fn doubt(&mut self, host: &str) {
        let name = self.0.get_mut(host);
        if let Some((_, since, until)) = name.and_then(|name| name.good.as_mut()) {
            *until = (*until).min(*since + DOUBTED);
        }
    }

    /// Has all names looked up at their next use.
    pub(super) fn doubt_all(&mut self, now: Instant) {
        for name in self.0.values_mut() {
            name.failed = None;
            if let Some((.., until)) = &mut name.good {
                *until = now;
            }
        }
    }

    /// Forgets one name when there are too many: without addresses first, then what wasn't used for longest. A
    /// running look-up stays, or there would be two.
    fn make_room(&mut self) {
        if self.0.len() < MOST_NAMES {
            return;
        }
        let idle = self.0.iter().filter(|(_, name)| name.running.is_none());
        let least = idle.min_by_key(|(_, name)| (name.good.is_some(), name.used));
        if let Some(host) = least.map(|(host, _)| host.clone()) {
            self.0.remove(&host);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
