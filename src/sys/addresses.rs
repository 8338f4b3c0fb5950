//! This machine's own addresses, found without netlink, which a worker's sandbox doesn't have.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::libc;
use socket2::{Domain, Socket, Type};

/// True when the kernel would send to this address from the same, as it does to its own: all of IPv6, and of IPv4 the
/// first of an interface. Nothing is sent for it.
pub fn is_reached_from_itself(address: IpAddr) -> io::Result<bool> {
    let peer = SocketAddr::new(address, 9);
    let socket = match Socket::new(Domain::for_address(peer), Type::DGRAM.cloexec(), None) {
        // A kernel without this family has no way to it either.
        Err(why) if why.raw_os_error() == Some(libc::EAFNOSUPPORT) => return Ok(false),
        socket => socket?,
    };
    if socket.connect(&peer.into()).is_err() {
        // There is no way to it.
        return Ok(false);
    }
    let source = socket.local_addr()?.as_socket();
    Ok(source.is_some_and(|source| source.ip() == address))
}

/// The IPv4 addresses of all interfaces. The second of an interface is reached from its first.
pub fn interface_addresses() -> io::Result<Vec<Ipv4Addr>> {
    /// Addresses that may be added between asking for their number and for themselves.
    const MORE: usize = 16;
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.cloexec(), None)?;
    let length = configured(&socket, &mut [])? + MORE * size_of::<libc::ifreq>();
    // SAFETY: an ifreq is plain data, for which zeros are valid.
    let none: libc::ifreq = unsafe { std::mem::zeroed() };
    let mut found = vec![none; length / size_of::<libc::ifreq>()];
    let length = configured(&socket, &mut found)?;
    found.truncate(length / size_of::<libc::ifreq>());
    let addresses = found.iter().map(|interface| {
        // SAFETY: SIOCGIFCONF gives an ifreq whose union has a sockaddr, and only those of AF_INET, whose
        // sockaddr_in is of the same size and needs no more alignment than the ifreq has.
        let address = unsafe {
            (&raw const interface.ifr_ifru.ifru_addr)
                .cast::<libc::sockaddr_in>()
                .read_unaligned()
        };
        Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr))
    });
    Ok(addresses.collect())
}

/// Has the kernel write what is configured, as far as there is room; the bytes of it. Without room, those there are.
fn configured(socket: &Socket, room: &mut [libc::ifreq]) -> io::Result<usize> {
    let length = size_of_val(room) as libc::c_int;
    let start = match room {
        [] => std::ptr::null_mut(),
        room => room.as_mut_ptr(),
    };
    let mut asked = libc::ifconf {
        ifc_len: length,
        ifc_ifcu: libc::__c_anonymous_ifc_ifcu { ifcu_req: start },
    };
    // SAFETY: the socket is open, and `asked` has the place and the length of memory that is valid for writes.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFCONF, &mut asked) };
    match done {
        0 => Ok(usize::try_from(asked.ifc_len).unwrap_or(0)),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_an_address_of_this_machine_and_others_are_not() {
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        assert!(is_reached_from_itself(loopback).unwrap());
        assert!(
            interface_addresses()
                .unwrap()
                .contains(&Ipv4Addr::LOCALHOST)
        );
        // Reserved, so that nobody has it.
        let nobodys = Ipv4Addr::new(240, 0, 0, 1);
        assert!(!is_reached_from_itself(nobodys.into()).unwrap());
        assert!(!interface_addresses().unwrap().contains(&nobodys));
    }
}
