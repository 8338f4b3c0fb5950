//! The destinations that a client may have us reach, by the address that is connected to: this machine's own and
//! those of special networks only for clients on loopback, or the proxy would open services that trust their machine
//! to the whole network. A response from there is marked, so that a hit is kept from others alike.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;

use super::special::{Purpose, purpose};
use crate::sys::addresses::{interface_addresses, is_reached_from_itself};

/// The time for which the list of interfaces' addresses is used: reading it takes a lock of the kernel's.
const LISTED: Duration = Duration::from_secs(2);

/// A client, as far as it decides over what it may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Requester {
    /// On this machine: on loopback or a Unix socket.
    Local,
    Remote(IpAddr),
}

impl Requester {
    pub(crate) fn is_local(self) -> bool {
        self == Requester::Local
    }
}

/// The address of an origin server, and why it isn't for everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) address: SocketAddr,
    purpose: Option<Purpose>,
}

impl Destination {
    /// The reason why only clients on this machine may reach it; none where the operator has named it.
    pub(crate) fn reserved(&self, own_destinations: &[SocketAddr]) -> Option<Purpose> {
        let ip = self.address.ip().to_canonical();
        let named = SocketAddr::new(ip, self.address.port());
        self.purpose.filter(|_| !own_destinations.contains(&named))
    }

    pub(crate) fn may_be_reached(
        &self,
        requester: Requester,
        own_destinations: &[SocketAddr],
    ) -> bool {
        requester.is_local() || self.reserved(own_destinations).is_none()
    }
}

/// The judge of addresses.
#[derive(Default)]
pub(crate) struct Guard {
    /// The addresses of interfaces, when they were read last.
    interfaces: RefCell<Option<(Instant, Vec<Ipv4Addr>)>>,
}

impl Guard {
    /// Judges an address before it is connected to. An error when the system can't be asked.
    pub(crate) fn judge(&self, address: SocketAddr) -> io::Result<Destination> {
        let purpose = special(address.ip(), &|ip| self.is_own(ip))?;
        Ok(Destination { address, purpose })
    }

    fn is_own(&self, address: IpAddr) -> io::Result<bool> {
        if is_reached_from_itself(address)? {
            return Ok(true);
        }
        let IpAddr::V4(address) = address else {
            return Ok(false);
        };
        let now = Instant::now();
        let mut interfaces = self.interfaces.borrow_mut();
        let listed = match interfaces.take() {
            Some((since, listed)) if now < since + LISTED => (since, listed),
            _ => (now, interface_addresses()?),
        };
        let (_, listed) = interfaces.insert(listed);
        Ok(listed.contains(&address))
    }
}

/// The purpose of an address, or of the IPv4 address that a translator makes of it (`64:ff9b::/96`, RFC 6052).
fn special(
    address: IpAddr,
    is_own: &dyn Fn(IpAddr) -> io::Result<bool>,
) -> io::Result<Option<Purpose>> {
    let address = match address.to_canonical() {
        IpAddr::V6(v6) => translated(v6).map_or(IpAddr::V6(v6), IpAddr::V4),
        v4 @ IpAddr::V4(_) => v4,
    };
    match purpose(address) {
        None if is_own(address)? => Ok(Some(Purpose::Machine)),
        purpose => Ok(purpose),
    }
}

fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = address.octets();
    let is_translated = matches!(address.segments(), [0x64, 0xff9b, 0, 0, 0, 0, ..]);
    is_translated.then(|| Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
