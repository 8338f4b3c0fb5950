//! Origin servers that hang (RFC 9111 §4.2.4: one that is disconnected): remembered for a while by all workers, so that what
//! is stored answers at once, and tried by one request at a time meanwhile.
//!
//! An address that takes no connection is remembered for all hosts that have it; one that takes them and sends nothing for
//! the host that was asked. A host hangs when all its addresses do.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::course::{Course, Step};
use crate::cache::key::{Hash, hash};
use crate::http::target::Uri;
use crate::sys::shared::Shared;

/// The time for which it is remembered, and for which one request tries alone.
const REMEMBERED: Duration = Duration::from_secs(30);

/// The memory of what hangs.
pub(crate) struct HungOrigins(Arc<Shared>);

/// An origin server: its origin (`scheme://host:port`), its port, and its addresses as far as they are known.
#[derive(Clone)]
pub(crate) struct OriginServer<'a> {
    pub(crate) origin: &'a str,
    pub(crate) port: u16,
    pub(crate) addresses: Option<Arc<[IpAddr]>>,
}

impl HungOrigins {
    pub(crate) fn new(shared: Arc<Shared>) -> HungOrigins {
        HungOrigins(shared)
    }

    /// True when a server hangs: it was found to, or none of its addresses takes a connection.
    pub(crate) fn has(&self, server: &OriginServer<'_>) -> bool {
        let no_connection = |ip: &IpAddr| {
            let address = SocketAddr::new(*ip, server.port);
            self.is_noted(&of_address(address))
        };
        let addresses = server.addresses.as_deref().unwrap_or_default();
        self.is_noted(&of_origin(server.origin))
            || !addresses.is_empty() && addresses.iter().all(no_connection)
    }

    /// True when this address hangs, at least for this origin.
    pub(crate) fn has_address(&self, origin: &str, address: SocketAddr) -> bool {
        self.is_noted(&of_address(address)) || self.is_noted(&of_both(origin, address))
    }

    /// Remembers the addresses to which there is no connection by now.
    pub(crate) fn note_unconnected(&self, course: &Course) {
        for (address, step) in course.steps() {
            if step == Step::Connecting {
                self.note(&of_address(address));
            }
        }
    }

    /// Remembers what sends nothing: the address that it is connected to; and the server, where nothing else is left to
    /// be tried.
    pub(crate) fn note_silent(&self, server: &OriginServer<'_>, course: &Course) {
        let steps = course.steps();
        for (address, step) in &steps {
            if *step == Step::Connected {
                self.note(&of_both(server.origin, *address));
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
            self.note(&of_origin(server.origin));
        }
    }

    /// Remembers a server that can't be reached, which took its time to show.
    pub(crate) fn note_unreachable(&self, origin: &str, course: &Course) {
        for (address, _) in course.steps() {
            self.note(&of_address(address));
        }
        self.note(&of_origin(origin));
    }

    /// Forgets a server that has answered from this address.
    pub(crate) fn answers(&self, origin: &str, address: SocketAddr) {
        for name in [
            of_origin(origin),
            of_address(address),
            of_both(origin, address),
        ] {
            self.0.forget_hung(&name);
        }
    }

    /// Forgets a server that can't be reached, and says so at once.
    pub(crate) fn fails(&self, origin: &str, course: &Course) {
        self.0.forget_hung(&of_origin(origin));
        for (address, _) in course.steps() {
            self.0.forget_hung(&of_address(address));
        }
    }

    /// Has one request of all workers try a server that hangs, as long as this is kept.
    pub(crate) fn attempt(&self, origin: &str) -> Option<Attempt> {
        let name = hash(&[b"try ", origin.as_bytes()].concat());
        let now = now();
        let taken = self.0.take_hung(&name, now, now + REMEMBERED.as_secs());
        taken.then(|| Attempt {
            shared: self.0.clone(),
            name,
        })
    }

    fn note(&self, name: &Hash) {
        self.0.note_hung(name, now() + REMEMBERED.as_secs());
    }

    fn is_noted(&self, name: &Hash) -> bool {
        self.0.is_hung(name, now())
    }
}

/// The turn to try a server that hangs.
pub(crate) struct Attempt {
    shared: Arc<Shared>,
    name: Hash,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.shared.forget_hung(&self.name);
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

fn of_address(address: SocketAddr) -> Hash {
    hash(address.to_string().as_bytes())
}

fn of_both(origin: &str, address: SocketAddr) -> Hash {
    hash(format!("{origin} {address}").as_bytes())
}

/// The wall clock in seconds, which all workers have.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ORIGIN: &str = "http://a.example:80";

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 80))
    }

    fn server(lasts: &[u8]) -> OriginServer<'static> {
        named(ORIGIN, lasts)
    }

    fn named(origin: &'static str, lasts: &[u8]) -> OriginServer<'static> {
        OriginServer {
            origin,
            port: 80,
            addresses: Some(lasts.iter().map(|last| address(*last).ip()).collect()),
        }
    }

    fn course(steps: &[(u8, Step)]) -> Course {
        let course = Course::default();
        course.begins(steps.iter().map(|(last, _)| address(*last)));
        for (last, step) in steps {
            course.takes(address(*last), *step);
        }
        course
    }

    #[test]
    fn a_server_hangs_when_all_its_addresses_do() {
        use Step::{Connected, Connecting, Failed, Untried};
        type Row = (&'static [(u8, Step)], bool, &'static [u8]);
        // (how far each address has come, whether the server hangs, the addresses that do)
        let table: &[Row] = &[
            (&[], true, &[]),
            (&[(1, Connecting)], true, &[1]),
            (&[(1, Connected)], true, &[1]),
            (&[(1, Connecting), (2, Connecting)], true, &[1, 2]),
            (&[(1, Failed), (2, Connecting)], true, &[2]),
            (&[(1, Failed), (2, Connected)], true, &[2]),
            (&[(1, Connected), (2, Untried)], false, &[1]),
            (&[(1, Connecting), (2, Untried)], false, &[1]),
        ];
        for (steps, hangs, of_them) in table {
            let hung = HungOrigins::new(Arc::new(Shared::create().unwrap()));
            let lasts: Vec<u8> = steps.iter().map(|(last, _)| *last).collect();
            let (server, course) = (server(&lasts), course(steps));
            hung.note_unconnected(&course);
            hung.note_silent(&server, &course);
            assert_eq!(hung.has(&server), *hangs, "{steps:?}");
            for last in lasts {
                let expected = of_them.contains(&last);
                let got = hung.has_address(ORIGIN, address(last));
                assert_eq!(got, expected, "{steps:?} {last}");
            }
        }
    }

    #[test]
    fn the_other_address_is_left_until_it_hangs_too() {
        let hung = HungOrigins::new(Arc::new(Shared::create().unwrap()));
        let both = server(&[1, 2]);
        hung.note_silent(&both, &course(&[(1, Step::Connected)]));
        assert!(!hung.has(&both));
        hung.note_silent(&both, &course(&[(2, Step::Connected)]));
        assert!(hung.has(&both));
        hung.answers(ORIGIN, address(2));
        assert!(!hung.has(&both));
        assert!(hung.has_address(ORIGIN, address(1)) && !hung.has_address(ORIGIN, address(2)));
    }

    #[test]
    fn an_address_without_a_connection_hangs_for_all_its_hosts_a_silent_one_for_one() {
        let hung = HungOrigins::new(Arc::new(Shared::create().unwrap()));
        let other = named("http://b.example:80", &[1]);
        hung.note_silent(&server(&[1]), &course(&[(1, Step::Connected)]));
        assert!(!hung.has(&other));
        let unconnected = course(&[(1, Step::Connecting)]);
        hung.note_unconnected(&unconnected);
        assert!(hung.has(&other));
        hung.fails(ORIGIN, &unconnected);
        assert!(!hung.has(&other) && !hung.has(&server(&[1])));
        hung.note_unreachable(ORIGIN, &course(&[(1, Step::Failed)]));
        assert!(hung.has(&other) && hung.has(&server(&[])));
    }

    #[test]
    fn one_tries_at_a_time() {
        let shared = Arc::new(Shared::create().unwrap());
        let (one, two) = (HungOrigins::new(shared.clone()), HungOrigins::new(shared));
        let attempt = one.attempt(ORIGIN);
        assert!(attempt.is_some() && two.attempt(ORIGIN).is_none());
        assert!(two.attempt("http://b.example:80").is_some());
        drop(attempt);
        assert!(two.attempt(ORIGIN).is_some());
    }
}
