//! Addresses and the clients they are for, as tables: the registries of special networks, own addresses, what is named.

use super::Purpose::{Link, Machine, Metadata, NotUnicast, Translated};
use super::*;

/// An address of each network in the registries of IANA for special purposes, and of some others.
#[rustfmt::skip]
const TABLE: [(&str, Option<Purpose>); 84] = [
    // The IPv4 registry, in its order.
    ("0.0.0.0", Some(Machine)),
    ("0.255.255.255", Some(Machine)),
    ("10.0.0.1", None),
    ("100.64.0.1", None),
    ("100.100.100.199", None),
    ("100.100.100.200", Some(Metadata)),
    ("127.0.0.1", Some(Machine)),
    ("127.255.255.254", Some(Machine)),
    ("169.254.0.1", Some(Link)),
    ("169.254.169.254", Some(Link)),
    ("169.254.170.2", Some(Link)),
    ("172.16.0.1", None),
    ("192.0.0.1", Some(NotUnicast)),
    ("192.0.0.192", Some(NotUnicast)),
    ("192.0.2.1", None),
    ("192.31.196.1", None),
    ("192.52.193.1", None),
    ("192.88.99.1", Some(NotUnicast)),
    ("192.168.1.1", None),
    ("192.175.48.1", None),
    ("198.18.0.1", None),
    ("198.51.100.1", None),
    ("203.0.113.1", None),
    ("240.0.0.1", Some(NotUnicast)),
    ("255.255.255.255", Some(NotUnicast)),
    // Others of IPv4.
    ("168.63.129.15", None),
    ("168.63.129.16", Some(Metadata)),
    ("224.0.0.1", Some(NotUnicast)),
    ("239.255.255.250", Some(NotUnicast)),
    ("93.184.216.34", None),
    ("169.253.255.255", None),
    ("169.255.0.0", None),
    ("223.255.255.255", None),
    // The IPv6 registry.
    ("::1", Some(Machine)),
    ("::", Some(Machine)),
    ("::ffff:127.0.0.1", Some(Machine)),
    ("::ffff:169.254.1.1", Some(Link)),
    ("::ffff:168.63.129.16", Some(Metadata)),
    ("::ffff:10.0.0.1", None),
    ("64:ff9b::7f00:1", Some(Machine)),
    ("64:ff9b::a9fe:a9fe", Some(Link)),
    ("64:ff9b::a83f:8110", Some(Metadata)),
    ("64:ff9b::e000:1", Some(NotUnicast)),
    ("64:ff9b::a00:1", None),
    ("64:ff9b:1::1", Some(Translated)),
    ("64:ff9b:1:ffff::7f00:1", Some(Translated)),
    ("64:ff9b:2::1", None),
    ("100::1", Some(NotUnicast)),
    ("100:0:0:1::1", Some(NotUnicast)),
    ("100:0:0:2::1", None),
    ("2001::1", Some(Translated)),
    ("2001:0:5ef5:79fb::1", Some(Translated)),
    ("2001:1::1", None),
    ("2001:2::1", None),
    ("2001:3::1", None),
    ("2001:4:112::1", None),
    ("2001:20::1", None),
    ("2001:30::1", None),
    ("2001:db8::1", None),
    ("2002:7f00:1::1", Some(Translated)),
    ("2002:a9fe:a9fe::1", Some(Translated)),
    ("2003::1", None),
    ("2620:4f:8000::1", None),
    ("3fff::1", None),
    ("5f00::1", None),
    ("fc00::1", None),
    ("fd00::1", None),
    ("fe80::1", Some(Link)),
    ("fe80::a9fe:a9fe", Some(Link)),
    ("febf::1", Some(Link)),
    // Others of IPv6.
    ("::127.0.0.1", Some(Translated)),
    ("::a00:1", Some(Translated)),
    ("::ffff:0:127.0.0.1", Some(Translated)),
    ("fd00:ec2::254", Some(Metadata)),
    ("fd00:ec2::23", Some(Metadata)),
    ("fd00:ec3::254", None),
    ("fd20:ce::254", Some(Metadata)),
    ("fd00:c1::a9fe:a9fe", Some(Metadata)),
    ("fd00:42::42", Some(Metadata)),
    ("fd00:a9fe:a9fe::1", Some(Metadata)),
    ("fec0::1", Some(Link)),
    ("ff02::1", Some(NotUnicast)),
    ("ff0e::1", Some(NotUnicast)),
    ("2606:4700::1", None),
];

#[test]
fn special_networks() {
    for (address, expected) in TABLE {
        let address: IpAddr = address.parse().unwrap();
        let found = special(address, &|_| Ok(false)).unwrap();
        assert_eq!(found, expected, "{address}");
    }
}

#[test]
fn own_addresses_in_each_form() {
    let own: [IpAddr; 2] = ["10.0.0.5".parse().unwrap(), "2001:db8::5".parse().unwrap()];
    let is_own = |address| Ok(own.contains(&address));
    for (address, expected) in [
        ("10.0.0.5", true),
        ("::ffff:10.0.0.5", true),
        ("64:ff9b::a00:5", true),
        ("2001:db8::5", true),
        ("10.0.0.6", false),
        ("2001:db8::6", false),
    ] {
        let found = special(address.parse().unwrap(), &is_own).unwrap();
        assert_eq!(found, expected.then_some(Machine), "{address}");
    }
    // Who can't be asked doesn't say that it is another's.
    let unknown = |_| Err(io::ErrorKind::Other.into());
    assert!(special(own[0], &unknown).is_err());
}

#[test]
fn what_the_operator_has_named_is_for_all() {
    let client: IpAddr = "10.0.0.9".parse().unwrap();
    let named = ["10.0.0.5:3141", "[2001:db8::5]:80"].map(|text| text.parse().unwrap());
    for (address, named_too) in [
        ("10.0.0.5:3141", true),
        ("[::ffff:10.0.0.5]:3141", true),
        ("[2001:db8::5]:80", true),
        ("10.0.0.5:3142", false),
        ("10.0.0.6:3141", false),
        ("[2001:db8::5]:81", false),
    ] {
        let address = address.parse().unwrap();
        let own = Destination {
            address,
            purpose: Some(Machine),
        };
        let remote = own.may_be_reached(Requester::Remote(client), &named);
        assert_eq!(remote, named_too, "{address}");
        assert!(own.may_be_reached(Requester::Local, &named), "{address}");
        let ordinary = Destination {
            address,
            purpose: None,
        };
        assert!(ordinary.may_be_reached(Requester::Remote(client), &[]));
    }
}
