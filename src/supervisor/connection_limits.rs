//! The limits on connections by who makes them. Those that the settings don't allow share a few places, in which a worker
//! tells them so; one address has a share of all places. A connection beyond that is closed at once.
//!
//! Loopback and Unix sockets have no share of their own: everybody on this machine comes from there.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use crate::config::Settings;
use crate::ipc::{Host, Peer};
use crate::sys::rate::OncePerMinute;

/// The places of those that aren't allowed, beside `max_clients`.
pub(super) const NOT_ALLOWED: usize = 64;

/// A connection that counts against a limit, with the others that do, for as long as this is kept. Small, as each client
/// has one.
#[derive(Debug, Default)]
pub(super) struct Counted(#[allow(dead_code)] Option<Rc<()>>);

/// The connections that were closed at once, by the limit they were beyond.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClosedAtOnce {
    pub(super) not_allowed: u64,
    pub(super) of_address: u64,
}

#[derive(Debug, Default)]
pub(super) struct ConnectionLimits {
    not_allowed: Rc<()>,
    hosts: HashMap<Host, Rc<()>>,
    /// The hosts with which those without connections are looked for.
    next_tidying: usize,
    pub(super) closed: ClosedAtOnce,
    warnings: OncePerMinute,
}

impl ConnectionLimits {
    /// Counts a connection of this peer; `None` where it has to be closed.
    pub(super) fn admit(
        &mut self,
        peer: Peer,
        settings: &Settings,
        now: Instant,
    ) -> Option<Counted> {
        let Peer::Ip(address) = peer else {
            return Some(Counted::default());
        };
        let address = address.ip().to_canonical();
        let (count, most) = if !settings.allows(address) {
            (self.not_allowed.clone(), NOT_ALLOWED)
        } else if address.is_loopback() {
            return Some(Counted::default());
        } else {
            (self.of(address), settings.max_clients_per_address)
        };
        // Each has one of it, the table too, and this one.
        if Rc::strong_count(&count) - 2 < most {
            return Some(Counted(Some(count)));
        }
        self.refuse(Rc::ptr_eq(&count, &self.not_allowed), address, most, now);
        None
    }

    fn of(&mut self, address: IpAddr) -> Rc<()> {
        if self.hosts.len() >= self.next_tidying {
            self.hosts.retain(|_, count| Rc::strong_count(count) > 1);
            self.next_tidying = (2 * self.hosts.len()).max(1024);
        }
        self.hosts.entry(Host::of(address)).or_default().clone()
    }

    fn refuse(&mut self, is_not_allowed: bool, address: IpAddr, most: usize, now: Instant) {
        let why = match is_not_allowed {
            true => {
                self.closed.not_allowed += 1;
                "it isn't among those in \"allow\", of which so many are connected already"
            }
            false => {
                self.closed.of_address += 1;
                "it has as many as max_clients_per_address allows"
            }
        };
        if self.warnings.is_due(now) {
            log::warn!("a connection from {address} was closed at once: {why}: {most}");
        }
    }

    /// The connections here that aren't allowed, which don't count against `max_clients`.
    pub(super) fn not_allowed(&self) -> usize {
        Rc::strong_count(&self.not_allowed) - 1
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::Ip((address.parse::<IpAddr>().unwrap(), 1).into())
    }

    #[test]
    fn an_address_has_its_share_and_strangers_have_theirs() {
        let settings = Settings {
            allow: ["127.0.0.1/32", "10.0.0.0/8", "2001:db8::/32"]
                .map(|it| it.parse().unwrap())
                .to_vec(),
            max_clients_per_address: 3,
            ..Settings::default()
        };
        let now = Instant::now();
        // (addresses that connect in turn, how many of 100 connections stay)
        let rows: [(&str, &[&str], usize); 9] = [
            ("one", &["10.0.0.1"], 3),
            ("one, twice named", &["10.0.0.1", "::ffff:10.0.0.1"], 3),
            ("two", &["10.0.0.1", "10.0.0.2"], 6),
            (
                "a /64",
                &["2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:0:1"],
                3,
            ),
            ("two /64", &["2001:db8::1", "2001:db8:0:1::1"], 6),
            ("loopback", &["127.0.0.1", "::ffff:127.0.0.1"], 100),
            (
                "strangers",
                &["192.0.2.1", "192.0.2.2", "2001:db9::1"],
                NOT_ALLOWED,
            ),
            (
                "loopback that isn't allowed",
                &["127.0.0.2", "::1"],
                NOT_ALLOWED,
            ),
            ("strangers and others", &["192.0.2.1", "10.0.0.1"], 53),
        ];
        for (name, addresses, expected) in rows {
            let mut limits = ConnectionLimits::default();
            let mut connect = |number: usize| {
                let peer = peer(addresses[number % addresses.len()]);
                limits.admit(peer, &settings, now)
            };
            let mut kept: Vec<Counted> = (0..100).filter_map(&mut connect).collect();
            assert_eq!(kept.len(), expected, "{name}");
            // One that leaves makes room for one.
            if expected < 100 && addresses.len() == 1 {
                kept.pop();
                assert_eq!(
                    (0..100).filter_map(&mut connect).collect::<Vec<_>>().len(),
                    1
                );
            }
        }
        let mut limits = ConnectionLimits::default();
        let all = (0..100).map(|_| limits.admit(Peer::Unix, &settings, now));
        assert!(all.collect::<Vec<_>>().iter().all(Option::is_some));
    }

    #[test]
    fn addresses_that_have_gone_are_forgotten() {
        let settings = Settings {
            allow: vec!["0.0.0.0/0".parse().unwrap()],
            ..Settings::default()
        };
        let now = Instant::now();
        let mut limits = ConnectionLimits::default();
        let mut kept = Vec::new();
        for number in 0..50_000_u32 {
            let address = IpAddr::from((0x0100_0000 + number).to_be_bytes());
            let counted = limits.admit(Peer::Ip((address, 1).into()), &settings, now);
            if number % 100 == 0 {
                kept.push(counted);
            }
        }
        assert!(
            (kept.len()..3000).contains(&limits.hosts.len()),
            "{}",
            limits.hosts.len()
        );
        assert_eq!(
            (limits.not_allowed(), limits.closed),
            (0, ClosedAtOnce::default())
        );
    }
}
