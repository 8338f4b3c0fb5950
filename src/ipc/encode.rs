//! Messages to bytes: a kind byte, then the fields in order, little-endian, every list and text with
//! its length in front. The fds are listed in the order in which decoding takes them.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use super::kind;
use super::message::{Assigned, Object, Peer, Returned, ToSupervisor, ToWorker};

/// A message that can be sent.
pub trait Encode {
    /// Appends the message's bytes and lists its fds.
    fn encode<'a>(&'a self, out: &mut Vec<u8>, fds: &mut Vec<BorrowedFd<'a>>);
}

impl<F: AsFd> Encode for ToWorker<F> {
    fn encode<'a>(&'a self, out: &mut Vec<u8>, fds: &mut Vec<BorrowedFd<'a>>) {
        match self {
            ToWorker::Hello {
                version,
                settings,
                shared,
            } => {
                out.push(kind::HELLO);
                out.extend(version.to_le_bytes());
                fds.push(settings.as_fd());
                fds.push(shared.as_fd());
            }
            ToWorker::Settings { settings } => {
                out.push(kind::SETTINGS);
                fds.push(settings.as_fd());
            }
            ToWorker::Assign { clients } => {
                out.push(kind::ASSIGN);
                count(out, clients.len());
                for client in clients {
                    assigned(out, client);
                    fds.push(client.fd.as_fd());
                }
            }
            ToWorker::ReturnsTaken { tokens } => {
                out.push(kind::RETURNS_TAKEN);
                numbers(out, tokens);
            }
            ToWorker::HandOverRefused { tokens } => {
                out.push(kind::HAND_OVER_REFUSED);
                numbers(out, tokens);
            }
            ToWorker::Stop => out.push(kind::STOP),
        }
    }
}

impl<F: AsFd> Encode for ToSupervisor<F> {
    fn encode<'a>(&'a self, out: &mut Vec<u8>, fds: &mut Vec<BorrowedFd<'a>>) {
        match self {
            ToSupervisor::Hello {
                version,
                pid,
                worker,
                clients,
            } => {
                out.push(kind::HELLO);
                out.extend(version.to_le_bytes());
                out.extend(pid.to_le_bytes());
                out.extend(worker.to_le_bytes());
                out.extend(clients.to_le_bytes());
            }
            ToSupervisor::SettingsApplied => out.push(kind::SETTINGS_APPLIED),
            ToSupervisor::SettingsRefused { reason } => {
                out.push(kind::SETTINGS_REFUSED);
                bytes(out, reason.as_bytes());
            }
            ToSupervisor::Taken { ids } => {
                out.push(kind::TAKEN);
                numbers(out, ids);
            }
            ToSupervisor::Return { clients } => {
                out.push(kind::RETURN);
                returned(out, fds, clients);
            }
            ToSupervisor::HandOver { worker, clients } => {
                out.push(kind::HAND_OVER);
                out.extend(worker.to_le_bytes());
                returned(out, fds, clients);
            }
            ToSupervisor::Closed { ids } => {
                out.push(kind::CLOSED);
                numbers(out, ids);
            }
            ToSupervisor::Draining => out.push(kind::DRAINING),
            ToSupervisor::Published { objects } => list(out, kind::PUBLISHED, objects),
            ToSupervisor::Removed { objects } => list(out, kind::REMOVED, objects),
        }
    }
}

fn assigned<F>(out: &mut Vec<u8>, client: &Assigned<F>) {
    out.extend(client.id.to_le_bytes());
    peer(out, &client.peer);
    out.push(u8::from(client.handed));
    bytes(out, &client.read);
}

fn returned<'a, F: AsFd>(
    out: &mut Vec<u8>,
    fds: &mut Vec<BorrowedFd<'a>>,
    clients: &'a [Returned<F>],
) {
    count(out, clients.len());
    for client in clients {
        out.extend(client.token.to_le_bytes());
        out.extend(client.id.to_le_bytes());
        peer(out, &client.peer);
        bytes(out, &client.read);
        fds.push(client.fd.as_fd());
    }
}

fn peer(out: &mut Vec<u8>, peer: &Peer) {
    match peer {
        Peer::Unix => out.push(kind::PEER_UNIX),
        Peer::Ip(address) => {
            match address.ip() {
                IpAddr::V4(ip) => {
                    out.push(kind::PEER_V4);
                    out.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    out.push(kind::PEER_V6);
                    out.extend(ip.octets());
                    out.extend(scope(address).to_le_bytes());
                }
            }
            out.extend(address.port().to_le_bytes());
        }
    }
}

fn scope(address: &SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(v6) => v6.scope_id(),
    }
}

fn list(out: &mut Vec<u8>, kind: u8, objects: &[Object]) {
    out.push(kind);
    count(out, objects.len());
    for object in objects {
        out.extend(object.hash);
        out.extend(object.variant);
        out.extend(object.size.to_le_bytes());
    }
}

fn numbers(out: &mut Vec<u8>, numbers: &[u64]) {
    count(out, numbers.len());
    for number in numbers {
        out.extend(number.to_le_bytes());
    }
}

/// A count above what the field can say is far above what may be sent; decoding refuses it.
fn count(out: &mut Vec<u8>, count: usize) {
    out.extend(u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}
