//! The destinations that a client may have us reach, by the resolved address: this machine's own and
//! link-local addresses only for clients on loopback, or the proxy would open services that trust
//! their machine to the whole network. A response from there is marked, so that a hit is refused alike.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// True for an address of this machine or this link: loopback, unspecified or link-local, in IPv4, IPv6
/// and IPv4-mapped form.
pub(crate) fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_link_local()
                || v4.octets()[0] == 0
                || v4 == Ipv4Addr::BROADCAST
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || is_link_local(v6)
                || embedded(v6).is_some_and(|v4| is_local(IpAddr::V4(v4)))
        }
    }
}

fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

/// The IPv4 address inside an IPv4-compatible (`::a.b.c.d`) or NAT64 (`64:ff9b::/96`) address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = address.octets();
    let embeds = matches!(
        address.segments(),
        [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..]
    );
    embeds.then(|| Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_destinations() {
        let table = [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("0.0.0.0", true),
            ("0.1.2.3", true),
            ("169.254.169.254", true),
            ("255.255.255.255", true),
            ("::1", true),
            ("::", true),
            ("fe80::1", true),
            ("::ffff:127.0.0.1", true),
            ("::ffff:169.254.1.1", true),
            ("::127.0.0.1", true),
            ("64:ff9b::7f00:1", true),
            ("10.0.0.1", false),
            ("192.168.1.1", false),
            ("93.184.216.34", false),
            ("2001:db8::1", false),
            ("fd00::1", false),
            ("::ffff:10.0.0.1", false),
            ("64:ff9b::a00:1", false),
        ];
        for (address, expected) in table {
            let address: IpAddr = address.parse().expect("an address");
            assert_eq!(is_local(address), expected, "{address}");
        }
    }
}
