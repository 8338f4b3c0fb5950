//! Bytes to messages. The other side is not trusted: every length is checked before it is used, every
//! list has a bound, and exactly the fds that the message names must have come with it.
//!
//! The fds are owned from the start, so that every error closes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::vec::IntoIter;

use bytes::Bytes;

use super::kind;
use super::message::{
    Assigned, MAX_ITEMS, MAX_READ, Object, Peer, Returned, ToSupervisor, ToWorker, VERSION,
};
use crate::sys::fds::MAX_FDS;

/// The reason why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The kind byte is not one of this direction.
    #[error("unknown kind {0}")]
    UnknownKind(u8),
    /// The other side speaks another version.
    #[error("it speaks version {0} and not {VERSION}")]
    Version(u16),
    /// The message ends inside a field.
    #[error("message ends too early")]
    Truncated,
    /// There are bytes after the last field.
    #[error("{0} bytes too many")]
    Surplus(usize),
    /// The message is larger than may be sent, or its fds could not all be received.
    #[error("message or its fds cut off")]
    Oversized,
    /// A list or text is longer than it may be.
    #[error("{0} items in a list that may not have so many")]
    TooMany(usize),
    /// An fd that the message names did not come.
    #[error("an fd is missing")]
    MissingFd,
    /// More fds came than the message names.
    #[error("{0} fds too many")]
    SurplusFd(usize),
    /// A byte has a value that its field doesn't have.
    #[error("a field can't be {0}")]
    BadValue(u8),
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    BadText,
}

/// A message that can be received.
pub trait Decode: Sized {
    /// Makes the message of exactly these bytes and fds.
    fn decode(bytes: &[u8], fds: Vec<OwnedFd>) -> Result<Self, DecodeError>;
}

impl Decode for ToWorker {
    fn decode(bytes: &[u8], fds: Vec<OwnedFd>) -> Result<ToWorker, DecodeError> {
        let mut from = Reader::new(bytes, fds);
        let message = match from.u8()? {
            kind::HELLO => ToWorker::Hello {
                version: from.version()?,
                settings: from.fd()?,
                shared: from.fd()?,
            },
            kind::SETTINGS => ToWorker::Settings {
                settings: from.fd()?,
            },
            kind::ASSIGN => ToWorker::Assign {
                clients: from.list(MAX_FDS, assigned)?,
            },
            kind::RETURNS_TAKEN => ToWorker::ReturnsTaken {
                tokens: from.list(MAX_ITEMS, Reader::u64)?,
            },
            kind::HAND_OVER_REFUSED => ToWorker::HandOverRefused {
                tokens: from.list(MAX_ITEMS, Reader::u64)?,
            },
            kind::STOP => ToWorker::Stop,
            other => return Err(DecodeError::UnknownKind(other)),
        };
        from.end()?;
        Ok(message)
    }
}

impl Decode for ToSupervisor {
    fn decode(bytes: &[u8], fds: Vec<OwnedFd>) -> Result<ToSupervisor, DecodeError> {
        let mut from = Reader::new(bytes, fds);
        let message = match from.u8()? {
            kind::HELLO => ToSupervisor::Hello {
                version: from.version()?,
                pid: from.u32()?,
                worker: from.u16()?,
                clients: from.u32()?,
            },
            kind::SETTINGS_APPLIED => ToSupervisor::SettingsApplied,
            kind::SETTINGS_REFUSED => ToSupervisor::SettingsRefused {
                reason: from.text()?,
            },
            kind::TAKEN => ToSupervisor::Taken {
                ids: from.list(MAX_ITEMS, Reader::u64)?,
            },
            kind::RETURN => ToSupervisor::Return {
                clients: from.list(MAX_FDS, returned)?,
            },
            kind::HAND_OVER => ToSupervisor::HandOver {
                worker: from.u16()?,
                clients: from.list(MAX_FDS, returned)?,
            },
            kind::CLOSED => ToSupervisor::Closed {
                ids: from.list(MAX_ITEMS, Reader::u64)?,
            },
            kind::DRAINING => ToSupervisor::Draining,
            kind::PUBLISHED => ToSupervisor::Published {
                objects: from.list(MAX_ITEMS, object)?,
            },
            kind::REMOVED => ToSupervisor::Removed {
                objects: from.list(MAX_ITEMS, object)?,
            },
            other => return Err(DecodeError::UnknownKind(other)),
        };
        from.end()?;
        Ok(message)
    }
}

fn assigned(from: &mut Reader<'_>) -> Result<Assigned, DecodeError> {
    Ok(Assigned {
        id: from.u64()?,
        peer: peer(from)?,
        handed: from.bool()?,
        read: from.read()?,
        fd: from.fd()?,
    })
}

fn returned(from: &mut Reader<'_>) -> Result<Returned, DecodeError> {
    Ok(Returned {
        token: from.u64()?,
        id: from.u64()?,
        peer: peer(from)?,
        read: from.read()?,
        fd: from.fd()?,
    })
}

fn object(from: &mut Reader<'_>) -> Result<Object, DecodeError> {
    Ok(Object {
        hash: from.array()?,
        variant: from.array()?,
        size: from.u64()?,
    })
}

fn peer(from: &mut Reader<'_>) -> Result<Peer, DecodeError> {
    match from.u8()? {
        kind::PEER_UNIX => Ok(Peer::Unix),
        kind::PEER_V4 => {
            let ip = IpAddr::V4(Ipv4Addr::from(from.array::<4>()?));
            Ok(Peer::Ip(SocketAddr::new(ip, from.u16()?)))
        }
        kind::PEER_V6 => {
            let ip = Ipv6Addr::from(from.array::<16>()?);
            let scope = from.u32()?;
            let address = SocketAddrV6::new(ip, from.u16()?, 0, scope);
            Ok(Peer::Ip(SocketAddr::V6(address)))
        }
        other => Err(DecodeError::BadValue(other)),
    }
}

/// Takes fields from the front of a message.
struct Reader<'a> {
    bytes: &'a [u8],
    fds: IntoIter<OwnedFd>,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], fds: Vec<OwnedFd>) -> Reader<'a> {
        let fds = fds.into_iter();
        Reader { bytes, fds }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::BadValue(other)),
        }
    }

    /// The version is looked at before the fields that depend on it.
    fn version(&mut self) -> Result<u16, DecodeError> {
        match self.u16()? {
            VERSION => Ok(VERSION),
            other => Err(DecodeError::Version(other)),
        }
    }

    fn slice(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if length > MAX_READ {
            return Err(DecodeError::TooMany(length));
        }
        self.take(length)
    }

    fn read(&mut self) -> Result<Bytes, DecodeError> {
        self.slice().map(Bytes::copy_from_slice)
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        let text = std::str::from_utf8(self.slice()?).map_err(|_| DecodeError::BadText)?;
        Ok(text.to_owned())
    }

    fn fd(&mut self) -> Result<OwnedFd, DecodeError> {
        self.fds.next().ok_or(DecodeError::MissingFd)
    }

    fn list<T>(
        &mut self,
        most: usize,
        mut item: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = usize::from(self.u16()?);
        if count > most {
            return Err(DecodeError::TooMany(count));
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn end(&self) -> Result<(), DecodeError> {
        if !self.bytes.is_empty() {
            return Err(DecodeError::Surplus(self.bytes.len()));
        }
        match self.fds.len() {
            0 => Ok(()),
            more => Err(DecodeError::SurplusFd(more)),
        }
    }
}
