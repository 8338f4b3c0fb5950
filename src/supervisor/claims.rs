//! A worker's claims about clients, beside what the supervisor knows itself and what the kernel tells of a socket.
//! A worker that was taken over can't count clients that it doesn't have, name those of another worker, or have a socket
//! of its own taken for a client.

use std::collections::{HashMap, HashSet};

use super::connection_limits::Counted;
use crate::ipc::{Peer, Returned};
use crate::sys::connection::{self, LocalEnd};

/// More sockets than this are not remembered; then remembering begins anew.
const MOST_SEEN: usize = 64 << 10;

/// A client that a worker has taken from this supervisor.
#[derive(Debug)]
pub(super) struct TakenClient {
    pub(super) peer: Peer,
    pub(super) cookie: u64,
    pub(super) _counted: Counted,
}

/// The clients that a worker has.
#[derive(Debug, Default)]
pub(super) struct HeldClients {
    taken: HashMap<u64, TakenClient>,
    /// Those that it took from a supervisor before, as far as they count here.
    earlier: u32,
}

/// The verdict on a client that a worker gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Genuine,
    /// No client of ours, or one that has gone: it is closed.
    Stranger,
    /// Said of a client that the worker has, and not true.
    False,
}

impl HeldClients {
    /// The worker says at the beginning that it has `count` clients. More than its share can't keep others out.
    pub(super) fn claims(&mut self, count: u32, share: u32) {
        self.earlier = count.min(share);
    }

    /// The clients of a supervisor before that it has, as far as they count here.
    pub(super) fn earlier(&self) -> u32 {
        self.earlier
    }

    pub(super) fn takes(&mut self, clients: impl IntoIterator<Item = (u64, TakenClient)>) {
        self.taken.extend(clients);
    }

    /// These have ended. A name that isn't known is that of a supervisor before.
    pub(super) fn end(&mut self, ids: &[u64]) {
        for id in ids {
            if self.taken.remove(id).is_none() {
                self.earlier = self.earlier.saturating_sub(1);
            }
        }
    }

    pub(super) fn has(&self, id: u64) -> bool {
        self.taken.contains_key(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.taken.len() + self.earlier as usize
    }

    /// The worker no longer has this client.
    pub(super) fn gives_back(&mut self, client: &Returned, origins: &mut Origins) -> Verdict {
        if let Some(taken) = self.taken.remove(&client.id) {
            let cookie = connection::cookie(&client.fd).unwrap_or_default();
            return match (client.peer, cookie) == (taken.peer, taken.cookie) {
                true => Verdict::Genuine,
                false => Verdict::False,
            };
        }
        self.earlier = self.earlier.saturating_sub(1);
        match origins.is_ours(client) {
            true => Verdict::Genuine,
            false => Verdict::Stranger,
        }
    }
}

/// The places that clients come from, for those that only a supervisor before knew.
#[derive(Debug)]
pub(super) struct Origins {
    listeners: Vec<LocalEnd>,
    /// The sockets that have come back in this way: each is one client.
    seen: HashSet<u64>,
}

impl Origins {
    pub(super) fn new(listeners: Vec<LocalEnd>) -> Origins {
        Origins {
            listeners,
            seen: HashSet::new(),
        }
    }

    /// True for a connection that one of our listeners brought, from the peer that the worker names.
    fn is_ours(&mut self, client: &Returned) -> bool {
        let socket = &client.fd;
        let peer = connection::peer(socket).map(|address| address.map_or(Peer::Unix, Peer::tcp));
        let end = connection::local_end(socket);
        if peer.ok() != Some(client.peer) || !end.is_ok_and(|end| self.listeners.contains(&end)) {
            return false;
        }
        if self.seen.len() >= MOST_SEEN {
            self.seen.clear();
        }
        connection::cookie(socket).is_ok_and(|cookie| self.seen.insert(cookie))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::OwnedFd;

    use bytes::Bytes;

    use super::*;

    fn returned(id: u64, socket: &TcpStream, peer: Peer) -> Returned {
        Returned {
            token: 0,
            id,
            peer,
            read: Bytes::new(),
            fd: OwnedFd::from(socket.try_clone().unwrap()),
        }
    }

    #[test]
    fn only_what_a_worker_has_comes_back_from_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (client, listener.accept().unwrap().0)
        };
        let [(client, one), (_two, two)] = [connect(), connect()];
        let peer = Peer::tcp(client.local_addr().unwrap());
        let other = Peer::tcp("192.0.2.1:1".parse().unwrap());
        let taken = || TakenClient {
            peer,
            cookie: connection::cookie(&one).unwrap(),
            _counted: Counted::default(),
        };
        use Verdict::{False, Genuine, Stranger};
        // (the client's name, its socket, its peer as the worker says, the verdict)
        let rows = [
            ("as it was", 7, &one, peer, Genuine),
            ("of another address", 7, &one, other, False),
            ("as one without an address", 7, &one, Peer::Unix, False),
            ("another's socket", 7, &two, peer, False),
            ("another end", 7, &client, peer, False),
            ("of a supervisor before", 8, &one, peer, Genuine),
            ("before, of another address", 8, &one, other, Stranger),
            ("before, not by our listener", 8, &client, other, Stranger),
        ];
        for (name, id, socket, peer, expected) in rows {
            let mut held = HeldClients::default();
            let mut origins = Origins::new(vec![connection::local_end(&listener).unwrap()]);
            held.claims(5, 5);
            held.takes([(7, taken())]);
            let verdict = held.gives_back(&returned(id, socket, peer), &mut origins);
            assert_eq!((verdict, held.len()), (expected, 5), "{name}");
        }
        let mut held = HeldClients::default();
        let mut origins = Origins::new(vec![connection::local_end(&listener).unwrap()]);
        held.claims(u32::MAX, 3);
        assert_eq!(held.len(), 3, "no more than its share counts");
        let mut again = || held.gives_back(&returned(9, &one, peer), &mut origins);
        assert_eq!((again(), again()), (Genuine, Stranger), "one socket twice");
        held.end(&[7; 1000]);
        assert_eq!(held.len(), 0);
    }
}
