//! Origin servers that hang (RFC 9111 §4.2.4: one that is disconnected): remembered for a while by all workers, so that what
//! is stored answers at once, and tried by one request at a time meanwhile.
//!
//! An address that takes no connection is remembered for all hosts that have it; one that takes them and sends nothing for
//! the host that was asked. A host hangs when all its addresses do. Nothing is remembered of what answered anybody meanwhile:
//! the request that waits asks for what is slow.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::course::{Course, Step};
use crate::cache::key::{Hash, hash};
use crate::http::target::Uri;
use crate::sys::shared::Shared;

/// The time for which it is remembered.
const REMEMBERED: Duration = Duration::from_secs(30);
/// The least time for which one request tries alone.
const TRIED: Duration = Duration::from_secs(10);

/// The memory of what hangs.
pub(crate) struct HungOrigins {
    shared: Arc<Shared>,
    /// The wall clock in milliseconds, which all workers have.
    clock: fn() -> u64,
}

/// An origin server: its origin (`scheme://host:port`), its port, and its addresses as far as they are known.
#[derive(Clone)]
pub(crate) struct OriginServer<'a> {
    pub(crate) origin: &'a str,
    pub(crate) port: u16,
    pub(crate) addresses: Option<Arc<[IpAddr]>>,
}

impl HungOrigins {
    pub(crate) fn new(shared: Arc<Shared>) -> HungOrigins {
        HungOrigins {
            shared,
            clock: wall_clock,
        }
    }

    /// True when a server hangs: it was found to, or none of its addresses takes a connection.
    pub(crate) fn has(&self, server: &OriginServer<'_>) -> bool {
        let no_connection = |ip: &IpAddr| {
            let address = SocketAddr::new(*ip, server.port);
            self.is_noted(&of_address(address))
        };
        let addresses = server.addresses.as_deref().unwrap_or_default();
        self.has_origin(server.origin)
            || !addresses.is_empty() && addresses.iter().all(no_connection)
    }

    /// True when a server was found to hang, by a request to it.
    pub(crate) fn has_origin(&self, origin: &str) -> bool {
        self.is_noted(&of_origin(origin))
    }

    /// True when this address hangs, at least for this origin.
    pub(crate) fn has_address(&self, origin: &str, address: SocketAddr) -> bool {
        self.is_noted(&of_address(address)) || self.is_noted(&of_both(origin, address))
    }

    /// Remembers the addresses to which there is no connection, after this time.
    pub(crate) fn note_unconnected(&self, course: &Course, silence: Duration) {
        for (address, step) in course.steps() {
            if step == Step::Connecting {
                self.note(&of_address(address), silence);
            }
        }
    }

    /// Remembers what has sent nothing for this time: the address that it is connected to; and the server, where nothing
    /// else is left to be tried.
    pub(crate) fn note_silent(
        &self,
        server: &OriginServer<'_>,
        course: &Course,
        silence: Duration,
    ) {
        let steps = course.steps();
        for (address, step) in &steps {
            if *step == Step::Connected {
                self.note(&of_both(server.origin, *address), silence);
            }
        }
        let is_left = |address: SocketAddr| {
            let step = steps.iter().find(|(it, _)| *it == address);
            step.is_none_or(|(_, step)| *step == Step::Untried)
                && !self.has_address(server.origin, address)
        };
        let known = server.addresses.as_deref().unwrap_or_default();
        let mut all = (known.iter())
            .map(|ip| SocketAddr::new(*ip, server.port))
            .chain(steps.iter().map(|(address, _)| *address));
        if !all.any(is_left) {
            self.note(&of_origin(server.origin), silence);
        }
    }

    /// Remembers a URI for which nothing has come, be it that others are answered.
    pub(crate) fn note_uri(&self, uri: &Uri) {
        let until = self.seconds() + REMEMBERED.as_secs();
        self.shared.note_hung(&of_uri(uri), until);
    }

    /// Remembers a server that can't be reached, which took this time to show, and those of its addresses that took about as
    /// long.
    pub(crate) fn note_unreachable(&self, origin: &str, course: &Course, silence: Duration) {
        for (address, step) in course.steps() {
            if matches!(step, Step::Failed(after) if after >= silence / 2) {
                self.note(&of_address(address), silence);
            }
        }
        self.note(&of_origin(origin), silence);
    }

    /// Forgets a server that answers from this address, and has nothing remembered of it by those who wait meanwhile.
    pub(crate) fn answers(&self, origin: &str, address: SocketAddr) {
        for name in [
            of_origin(origin),
            of_address(address),
            of_both(origin, address),
        ] {
            self.shared.note_answer(&name, (self.clock)());
            self.shared.forget_hung(&name);
        }
    }

    /// Forgets a server that can't be reached, and says so at once.
    pub(crate) fn fails(&self, origin: &str, course: &Course) {
        self.shared.forget_hung(&of_origin(origin));
        for (address, _) in course.steps() {
            self.shared.forget_hung(&of_address(address));
        }
    }

    /// Has one request of all workers try a server that hangs, as long as this is kept, at most for twice the time after
    /// which it counts as hung, within bounds. One of a URI for which nothing came is no reason for others not to try: it
    /// may be this alone that is slow.
    pub(crate) fn attempt(&self, uri: &Uri, origin_hang: Duration) -> Option<Attempt> {
        let turn = |kind: &str| hash(format!("{kind} {}", uri.origin()).as_bytes());
        let name = match self.is_noted(&of_uri(uri)) {
            true if self.is_noted(&turn("try")) => return None,
            true => turn("try again"),
            false => turn("try"),
        };
        let limit = (2 * origin_hang).clamp(TRIED, REMEMBERED);
        let now = self.seconds();
        let until = now + limit.as_secs();
        let taken = self.shared.take_hung(&name, now, until);
        taken.then(|| Attempt {
            shared: self.shared.clone(),
            name,
            until,
            limit,
        })
    }

    /// Remembers this name, unless what has it answered anybody in the time that one has waited for it.
    fn note(&self, name: &Hash, silence: Duration) {
        let within = silence.as_millis().try_into().unwrap_or(u64::MAX);
        let has_answered = || self.shared.has_answered(name, (self.clock)(), within);
        if has_answered() {
            return;
        }
        let until = self.seconds() + REMEMBERED.as_secs();
        self.shared.note_hung(name, until);
        // It may just have, in another worker.
        if has_answered() {
            self.shared.forget_hung(name);
        }
    }

    fn is_noted(&self, name: &Hash) -> bool {
        self.shared.is_hung(name, self.seconds())
    }

    fn seconds(&self) -> u64 {
        (self.clock)() / 1000
    }
}

/// The turn to try a server that hangs.
pub(crate) struct Attempt {
    shared: Arc<Shared>,
    name: Hash,
    until: u64,
    limit: Duration,
}

impl Attempt {
    /// The time after which it is another's turn.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.shared.end_hung(&self.name, self.until);
    }
}

/// True when workers with this shared memory know that the origin server of a URI hangs.
pub fn is_hung(shared: &Arc<Shared>, uri: &Uri) -> bool {
    let literal = uri.host().parse::<IpAddr>().ok();
    HungOrigins::new(shared.clone()).has(&OriginServer {
        origin: uri.origin(),
        port: uri.port(),
        addresses: literal.map(|literal| Arc::from([literal])),
    })
}

fn of_origin(origin: &str) -> Hash {
    hash(origin.as_bytes())
}

fn of_uri(uri: &Uri) -> Hash {
    hash(&[&b"uri "[..], uri.as_bytes()].concat())
}

fn of_address(address: SocketAddr) -> Hash {
    hash(address.to_string().as_bytes())
}

fn of_both(origin: &str, address: SocketAddr) -> Hash {
    hash(format!("{origin} {address}").as_bytes())
}

fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis().try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
