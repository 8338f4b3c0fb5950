//! The fields of messages as bytes and fds.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;

use super::codec::{Decode, DecodeError, Encode, Reader, VERSION, Version};

/// The most already read bytes that travel with one client, and the most of a text.
pub(crate) const MAX_READ: usize = 16 * 1024;

/// The peer of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A TCP client and its address.
    Ip(SocketAddr),
    /// A client on a Unix socket.
    Unix,
}

impl Peer {
    /// The peer at this address: an IPv4 client of an IPv6 socket has its IPv4 address.
    pub fn tcp(address: SocketAddr) -> Peer {
        Peer::Ip(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

impl Encode for Peer {
    fn encode<'a>(&'a self, out: &mut Vec<u8>, _: &mut Vec<BorrowedFd<'a>>) {
        match self {
            Peer::Unix => out.push(0),
            Peer::Ip(SocketAddr::V4(address)) => {
                out.push(4);
                out.extend(address.ip().octets());
                out.extend(address.port().to_le_bytes());
            }
            Peer::Ip(SocketAddr::V6(address)) => {
                out.push(6);
                out.extend(address.ip().octets());
                out.extend(address.scope_id().to_le_bytes());
                out.extend(address.port().to_le_bytes());
            }
        }
    }
}

impl Decode for Peer {
    fn take(from: &mut Reader<'_>) -> Result<Peer, DecodeError> {
        Ok(match u8::take(from)? {
            0 => Peer::Unix,
            4 => Peer::Ip(SocketAddr::from((from.array::<4>()?, u16::take(from)?))),
            6 => {
                let (ip, scope) = (Ipv6Addr::from(from.array::<16>()?), u32::take(from)?);
                Peer::Ip(SocketAddrV6::new(ip, u16::take(from)?, 0, scope).into())
            }
            other => return Err(DecodeError::BadValue(other)),
        })
    }
}

macro_rules! numbers {
    ($($number:ty)+) => {$(
        impl Encode for $number {
            fn encode<'a>(&'a self, out: &mut Vec<u8>, _: &mut Vec<BorrowedFd<'a>>) {
                out.extend(self.to_le_bytes());
            }
        }

        impl Decode for $number {
            fn take(from: &mut Reader<'_>) -> Result<$number, DecodeError> {
                from.array().map(<$number>::from_le_bytes)
            }
        }
    )+};
}

numbers!(u8 u16 u32 u64);

impl Encode for bool {
    fn encode<'a>(&'a self, out: &mut Vec<u8>, _: &mut Vec<BorrowedFd<'a>>) {
        out.push(u8::from(*self));
    }
}

impl Decode for bool {
    fn take(from: &mut Reader<'_>) -> Result<bool, DecodeError> {
        match u8::take(from)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::BadValue(other)),
        }
    }
}

impl Encode for Version {
    fn encode<'a>(&'a self, out: &mut Vec<u8>, fds: &mut Vec<BorrowedFd<'a>>) {
        self.0.encode(out, fds);
    }
}

impl Decode for Version {
    /// Refuses another one before the fields that depend on it are looked at.
    fn take(from: &mut Reader<'_>) -> Result<Version, DecodeError> {
        match Version(u16::take(from)?) {
            VERSION => Ok(VERSION),
            Version(other) => Err(DecodeError::Version(other)),
        }
    }
}

impl<const N: usize> Encode for [u8; N] {
    fn encode<'a>(&'a self, out: &mut Vec<u8>, _: &mut Vec<BorrowedFd<'a>>) {
        out.extend(self);
    }
}

impl<const N: usize> Decode for [u8; N] {
    fn take(from: &mut Reader<'_>) -> Result<[u8; N], DecodeError> {
        from.array()
    }
}

impl Encode for Bytes {
    fn encode<'a>(&'a self, out: &mut Vec<u8>, _: &mut Vec<BorrowedFd<'a>>) {
        encode_text(self, out);
    }
}

impl Decode for Bytes {
    fn take(from: &mut Reader<'_>) -> Result<Bytes, DecodeError> {
        take_text(from).map(Bytes::copy_from_slice)
    }
}

impl Encode for String {
    fn encode<'a>(&'a self, out: &mut Vec<u8>, _: &mut Vec<BorrowedFd<'a>>) {
        encode_text(self.as_bytes(), out);
    }
}

impl Decode for String {
    fn take(from: &mut Reader<'_>) -> Result<String, DecodeError> {
        let text = std::str::from_utf8(take_text(from)?).map_err(|_| DecodeError::BadText)?;
        Ok(text.to_owned())
    }
}

/// A length above what its field can say is far above what may be sent; decoding refuses it.
fn encode_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(text);
}

fn take_text<'a>(from: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    match usize::try_from(u32::take(from)?).unwrap_or(usize::MAX) {
        length @ ..=MAX_READ => from.bytes(length),
        longer => Err(DecodeError::TooMany(longer)),
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode<'a>(&'a self, out: &mut Vec<u8>, fds: &mut Vec<BorrowedFd<'a>>) {
        out.extend(u16::try_from(self.len()).unwrap_or(u16::MAX).to_le_bytes());
        self.iter().for_each(|item| item.encode(out, fds));
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn take(from: &mut Reader<'_>) -> Result<Vec<T>, DecodeError> {
        match usize::from(u16::take(from)?) {
            count if count <= T::MOST => (0..count).map(|_| T::take(from)).collect(),
            more => Err(DecodeError::TooMany(more)),
        }
    }
}

impl Encode for OwnedFd {
    fn encode<'a>(&'a self, _: &mut Vec<u8>, fds: &mut Vec<BorrowedFd<'a>>) {
        fds.push(self.as_fd());
    }
}

impl Encode for BorrowedFd<'_> {
    fn encode<'a>(&'a self, _: &mut Vec<u8>, fds: &mut Vec<BorrowedFd<'a>>) {
        fds.push(*self);
    }
}

impl Decode for OwnedFd {
    fn take(from: &mut Reader<'_>) -> Result<OwnedFd, DecodeError> {
        from.fd()
    }
}
