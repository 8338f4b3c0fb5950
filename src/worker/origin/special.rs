//! The networks that are for special purposes, by the registries of IANA (RFC 6890) and the clouds' documentation, as
//! far as a proxy's clients have no business there. What isn't here is as any other: private networks among them
//! (RFC 1918, RFC 4193, RFC 6598), which a proxy is often asked for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use Purpose::{Link, Machine, Metadata, NotUnicast, Translated};

/// The reason why a destination isn't for the clients of other machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
pub(crate) enum Purpose {
    #[strum(to_string = "an address of the proxy's own machine")]
    Machine,
    #[strum(to_string = "an address of the proxy's own link")]
    Link,
    #[strum(to_string = "an address of cloud metadata services")]
    Metadata,
    #[strum(to_string = "an IPv6 address that stands for an IPv4 address")]
    Translated,
    #[strum(to_string = "a multicast or reserved address")]
    NotUnicast,
}

/// The networks; of those that have an address, the first counts.
#[rustfmt::skip]
const NETWORKS: [(IpNet, Purpose); 27] = [
    (v4([0, 0, 0, 0], 8), Machine),
    (v4([127, 0, 0, 0], 8), Machine),
    (v4([169, 254, 0, 0], 16), Link),
    // Azure, Alibaba Cloud.
    (v4([168, 63, 129, 16], 32), Metadata),
    (v4([100, 100, 100, 200], 32), Metadata),
    // Protocol assignments; Oracle Cloud's metadata had 192.0.0.192.
    (v4([192, 0, 0, 0], 24), NotUnicast),
    // The anycast address of 6to4 relays, given up (RFC 7526).
    (v4([192, 88, 99, 0], 24), NotUnicast),
    (v4([224, 0, 0, 0], 4), NotUnicast),
    (v4([240, 0, 0, 0], 4), NotUnicast),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), Machine),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), Machine),
    // IPv4-compatible (RFC 4291 §2.5.5.1), IPv4-mapped where it isn't undone, IPv4-translated (RFC 2765).
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), Translated),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), Translated),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), Translated),
    // NAT64 with a prefix of the network's own (RFC 8215), Teredo (RFC 4380), 6to4 (RFC 3056).
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), Translated),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), Translated),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), Translated),
    // AWS, Google Cloud, Oracle Cloud, Scaleway, Akamai.
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32), Metadata),
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), Metadata),
    (v6([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128), Metadata),
    (v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128), Metadata),
    (v6([0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 0], 48), Metadata),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Link),
    // Site-local, given up (RFC 3879).
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), Link),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), NotUnicast),
    // For discarding, and for a host without an address (RFC 6666, RFC 9780).
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), NotUnicast),
    (v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64), NotUnicast),
];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> IpNet {
    let address = Ipv6Addr::new(a, b, c, d, e, f, g, h);
    IpNet::V6(Ipv6Net::new_assert(address, prefix))
}

/// The purpose of the network that an address is in.
pub(crate) fn purpose(address: IpAddr) -> Option<Purpose> {
    let mut with_it = NETWORKS.iter().filter(|(net, _)| net.contains(&address));
    with_it.next().map(|(_, purpose)| *purpose)
}
