//! A client's connection while it is in this worker: the socket, the bytes read and not yet taken, and
//! those that wait to be written. The requests on it are the request loop's and the exchange's.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::origin::guard::Requester;
use super::origin::pinned::PinnedConnections;
use super::upload::Upload;
use crate::cache::owner::Place;
use crate::ipc::{Assigned, Peer, Returned};
use crate::sys::credentials::peer_user;
use crate::sys::stream::Stream;

pub(super) struct Client {
    /// The supervisor's name for it.
    pub(super) id: u64,
    pub(super) peer: Peer,
    pub(super) stream: Stream,
    /// Bytes that were read and not yet taken.
    pub(super) buffer: BytesMut,
    pub(super) out: BytesMut,
    /// The content of its request, while that comes.
    pub(super) upload: Option<Upload>,
    /// Another worker sent it here with the request that comes first; it isn't sent on.
    pub(super) handed: bool,
    /// The connections to origin servers that are its alone. They end when it leaves this worker.
    pub(super) pinned: Rc<PinnedConnections>,
    /// Its next request goes on with authenticating such a connection.
    pub(super) authenticating: bool,
}

impl Client {
    pub(super) fn new(assigned: Assigned) -> io::Result<Client> {
        Ok(Client {
            id: assigned.id,
            peer: assigned.peer,
            stream: Stream::new(assigned.fd)?,
            buffer: BytesMut::from(&assigned.read[..]),
            out: BytesMut::new(),
            upload: None,
            handed: assigned.handed,
            pinned: Rc::default(),
            authenticating: false,
        })
    }

    /// Its address; `None` on a Unix socket.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.peer {
            Peer::Ip(address) => Some(address.ip().to_canonical()),
            Peer::Unix => None,
        }
    }

    /// Its place, as far as that tells it from others.
    pub(super) fn place(&self) -> Option<Place> {
        match self.address() {
            Some(address) => Some(Place::Address(address)),
            None => peer_user(&self.stream).map(Place::User),
        }
    }

    /// The client as one who asks for a destination.
    pub(super) fn requester(&self) -> Requester {
        match self.address() {
            Some(address) if !address.is_loopback() => Requester::Remote(address),
            _ => Requester::Local,
        }
    }

    /// True on this machine, where it may reach what listens only there.
    pub(super) fn is_local(&self) -> bool {
        self.requester().is_local()
    }

    /// Writes what has been gathered.
    pub(super) async fn flush(&mut self, timeout: Duration) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let parts = &mut [IoSlice::new(&self.out)];
        let written = self.stream.write_all(parts, timeout).await;
        self.out.clear();
        written
    }

    /// The form in which it leaves this worker.
    pub(super) fn into_returned(self, token: u64) -> Returned {
        Returned {
            token,
            id: self.id,
            peer: self.peer,
            read: Bytes::from(self.buffer),
            fd: self.stream.into_fd(),
        }
    }
}
