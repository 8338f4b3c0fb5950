//! The system's own resolution of names (getaddrinfo, so that /etc/hosts and nsswitch hold), which says no TTL. It may
//! take long, and nothing ends it: it is for threads that nobody waits for.

use std::ffi::{CStr, CString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

use nix::libc;

/// A reason why a name has no addresses, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// There is no such name, or it has no address.
    #[error("{0}")]
    Absent(String),
    /// It isn't known now.
    #[error("{0}")]
    Unknown(String),
}

/// Looks the addresses of a name up, in the order of RFC 6724.
pub fn lookup(name: &str) -> Result<Vec<IpAddr>, LookupError> {
    let Ok(name) = CString::new(name) else {
        return Err(LookupError::Absent("no name has this form".to_owned()));
    };
    // SAFETY: an addrinfo is plain data, for which zeros are valid.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    // Else each address would come once for each type of socket.
    hints.ai_socktype = libc::SOCK_STREAM;
    let mut first: *mut libc::addrinfo = ptr::null_mut();
    // SAFETY: the name ends with a NUL, the hints are initialised, and `first` is valid for a write.
    let code = unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &hints, &mut first) };
    if code != 0 {
        return Err(failure(code));
    }
    let mut addresses = Vec::new();
    let mut next = first;
    while !next.is_null() {
        // SAFETY: getaddrinfo made the list, which is freed only below.
        let found = unsafe { &*next };
        // SAFETY: `found` is of the list, whose sockaddrs are of the family that they say.
        let address = unsafe { address(found) };
        // /etc/hosts and the other sources may each have it.
        addresses.extend(address.filter(|address| !addresses.contains(address)));
        next = found.ai_next;
    }
    // SAFETY: `first` is of getaddrinfo, and nothing of the list is used any more.
    unsafe { libc::freeaddrinfo(first) };
    match addresses.is_empty() {
        true => Err(LookupError::Absent("the name has no address".to_owned())),
        false => Ok(addresses),
    }
}

/// # Safety
/// `found.ai_addr` must point to a socket address of the family and of the length that it says.
unsafe fn address(found: &libc::addrinfo) -> Option<IpAddr> {
    match found.ai_family {
        libc::AF_INET => {
            // SAFETY: by the caller, it is one of IPv4.
            let four = unsafe { found.ai_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            let bits = u32::from_be(four.sin_addr.s_addr);
            Some(Ipv4Addr::from(bits).into())
        }
        libc::AF_INET6 => {
            // SAFETY: by the caller, it is one of IPv6.
            let six = unsafe { found.ai_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(six.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

fn failure(code: libc::c_int) -> LookupError {
    if code == libc::EAI_SYSTEM {
        return LookupError::Unknown(std::io::Error::last_os_error().to_string());
    }
    // SAFETY: gai_strerror gives a constant text for any code.
    let why = unsafe { CStr::from_ptr(libc::gai_strerror(code)) };
    let why = why.to_string_lossy().into_owned();
    match code {
        // Some releases of libc have no name for the last of them.
        libc::EAI_NONAME | libc::EAI_NODATA | EAI_ADDRFAMILY => LookupError::Absent(why),
        _ => LookupError::Unknown(why),
    }
}

const EAI_ADDRFAMILY: libc::c_int = -9;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_and_what_is_none() {
        let loopback = lookup("localhost").unwrap();
        assert!(loopback.iter().all(IpAddr::is_loopback), "{loopback:?}");
        let other_form = lookup("0x7f.1").unwrap();
        assert_eq!(other_form, [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        for none in ["a\0b", &"a".repeat(300)] {
            let found = lookup(none);
            assert!(matches!(found, Err(LookupError::Absent(_))), "{found:?}");
        }
    }

    #[test]
    fn failures() {
        for (code, absent) in [
            (libc::EAI_NONAME, true),
            (libc::EAI_NODATA, true),
            (EAI_ADDRFAMILY, true),
            (libc::EAI_AGAIN, false),
            (libc::EAI_FAIL, false),
            (libc::EAI_MEMORY, false),
            (libc::EAI_SYSTEM, false),
        ] {
            let failure = failure(code);
            assert_eq!(matches!(failure, LookupError::Absent(_)), absent, "{code}");
            assert!(!failure.to_string().is_empty());
        }
    }
}
