//! The channel's messages: what is decoded and encoded again is what was sent.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;
use cacheproxy::ipc::codec::{Decode, DecodeError, Encode};
use cacheproxy::ipc::{Assigned, Peer, Returned, ToSupervisor, ToWorker, VERSION};

use crate::fuzz;

fn fds(count: usize) -> Vec<OwnedFd> {
    let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    (0..count).map(|_| null()).collect()
}

fn fd() -> OwnedFd {
    fds(1).remove(0)
}

fn bytes_of(message: &dyn Encode) -> (Vec<u8>, usize) {
    let (mut bytes, mut lent): (_, Vec<BorrowedFd<'_>>) = (Vec::new(), Vec::new());
    message.encode(&mut bytes, &mut lent);
    (bytes, lent.len())
}

/// The number of fds, if it is a message of this direction.
fn hold<M: Decode + Encode>(input: &[u8]) -> bool {
    let mut count = 0;
    // As many fds as it wants, up to what a message may have.
    let message = loop {
        match M::decode(input, fds(count)) {
            Ok(message) => break message,
            Err(DecodeError::MissingFd) if count < 20 => count += 1,
            Err(_) => return false,
        }
    };
    let (again, lent) = bytes_of(&message);
    assert_eq!(
        (again.as_slice(), lent),
        (input, count),
        "decoded, then encoded"
    );
    assert!(M::decode(input, fds(count + 1)).is_err(), "an fd too many");
    true
}

fn messages() -> Vec<Vec<u8>> {
    let peers = ["192.0.2.1:80", "[2001:db8::1%7]:65535"];
    let assigned = |(id, peer): (usize, &&str)| Assigned {
        id: id as u64,
        peer: Peer::Ip(peer.parse().unwrap()),
        handed: id % 2 == 1,
        read: Bytes::from_static(b"GET http://a/ HTTP/1.1\r\n"),
        fd: fd(),
    };
    let returned = Returned {
        token: 1,
        id: u64::MAX,
        peer: Peer::Unix,
        read: Bytes::from_static(b"G"),
        fd: fd(),
    };
    let to_worker = [
        ToWorker::Hello {
            version: VERSION,
            settings: fd(),
            shared: fd(),
        },
        ToWorker::Settings { settings: fd() },
        ToWorker::Assign {
            clients: peers.iter().enumerate().map(assigned).collect(),
        },
        ToWorker::ReturnsTaken { tokens: vec![1, 2] },
        ToWorker::Stop,
    ];
    let to_supervisor = [
        ToSupervisor::Hello {
            version: VERSION,
            pid: 7,
            worker: 1,
            clients: 2,
        },
        ToSupervisor::SettingsRefused {
            reason: "no".to_owned(),
        },
        ToSupervisor::Taken { ids: vec![1, 2, 3] },
        ToSupervisor::Return {
            clients: vec![returned],
        },
        ToSupervisor::Closed { ids: vec![] },
    ];
    let to_worker = to_worker.iter().map(|message| bytes_of(message).0);
    let to_supervisor = to_supervisor.iter().map(|message| bytes_of(message).0);
    to_worker.chain(to_supervisor).collect()
}

#[test]
fn messages_between_the_processes() {
    assert!(fd().as_fd().try_clone_to_owned().is_ok());
    fuzz("channel", messages(), &[], |input| {
        let to_worker = hold::<ToWorker>(input);
        hold::<ToSupervisor>(input) || to_worker
    });
}
