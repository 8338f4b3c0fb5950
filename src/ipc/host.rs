//! The addresses that are told apart where clients have shares: an IPv4 address, or an IPv6 network of 64 bits, which is
//! one host's.

use std::net::IpAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    V4(u32),
    /// The first 64 bits.
    V6(u64),
}

impl Host {
    pub(crate) fn of(address: IpAddr) -> Host {
        match address.to_canonical() {
            IpAddr::V4(address) => Host::V4(address.to_bits()),
            IpAddr::V6(address) => Host::V6((address.to_bits() >> 64) as u64),
        }
    }
}
