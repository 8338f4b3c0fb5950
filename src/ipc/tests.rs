//! The messages as bytes: each comes through unchanged, and what isn't a message is named exactly.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;

use super::codec::{Decode, Encode};
use super::message::MAX_BYTES;
use super::*;
use crate::sys::{memory_file, seqpacket};

fn fd() -> OwnedFd {
    memory_file::sealed("fd", b"content").unwrap()
}

fn fds(count: usize) -> Vec<OwnedFd> {
    (0..count).map(|_| fd()).collect()
}

fn assigned(id: u64, read: &'static [u8]) -> Assigned {
    Assigned {
        id,
        peer: Peer::Unix,
        handed: false,
        read: Bytes::from_static(read),
        fd: fd(),
    }
}

fn peer(text: &str) -> Peer {
    Peer::Ip(text.parse::<SocketAddr>().unwrap())
}

fn to_worker() -> Vec<ToWorker> {
    let mut v6 = assigned(u64::MAX, b"GET http://a/ HTTP/1.1\r\n");
    v6.peer = peer("[2001:db8::1%7]:65535");
    let mut v4 = assigned(0, b"");
    v4.peer = peer("192.0.2.1:1");
    v4.handed = true;
    vec![
        ToWorker::Hello {
            version: VERSION,
            settings: fd(),
            shared: fd(),
        },
        ToWorker::Settings { settings: fd() },
        ToWorker::Assign { clients: vec![] },
        ToWorker::Assign {
            clients: vec![v6, v4, assigned(2, b"x")],
        },
        ToWorker::ReturnsTaken {
            tokens: vec![1, u64::MAX],
        },
        ToWorker::HandOverRefused { tokens: vec![3] },
        ToWorker::Maintain { channel: fd() },
        ToWorker::Stop,
    ]
}

fn to_supervisor() -> Vec<ToSupervisor> {
    vec![
        ToSupervisor::Hello {
            version: VERSION,
            pid: 4_000_000,
            worker: 16,
            clients: 3,
        },
        ToSupervisor::SettingsApplied,
        ToSupervisor::SettingsRefused {
            reason: "größer".to_owned(),
        },
        ToSupervisor::Taken { ids: vec![7] },
        ToSupervisor::Return {
            clients: vec![Returned {
                token: 1,
                id: 2,
                peer: peer("[::1]:3"),
                read: Bytes::from_static(b"half a req"),
                fd: fd(),
            }],
        },
        ToSupervisor::HandOver {
            worker: u16::MAX,
            clients: vec![Returned {
                token: u64::MAX,
                id: 2,
                peer: Peer::Unix,
                read: Bytes::from_static(b"GET http://a/ HTTP/1.1\r\n\r\n"),
                fd: fd(),
            }],
        },
        ToSupervisor::Closed { ids: vec![] },
        ToSupervisor::Draining,
    ]
}

fn store_orders() -> Vec<StoreOrder> {
    vec![
        StoreOrder::Tidy {},
        StoreOrder::Evict {
            bytes: u64::MAX,
            files: 1,
        },
        StoreOrder::Compact { bytes: 2 },
        StoreOrder::Free {},
    ]
}

fn store_replies() -> Vec<StoreReply> {
    let reason = "größer".to_owned();
    let cleared = Cleared {
        files: 1,
        bytes: u64::MAX,
    };
    let tidied = Tidied {
        versions: cleared,
        unfinished: Cleared::default(),
        left: 3,
        is_done: true,
        failure: String::new(),
    };
    let evicted = Evicted {
        responses: 4,
        bytes: 5,
        files: 6,
    };
    let free = Free {
        bytes: 7,
        held: 8,
        inodes: 9,
        all_inodes: 10,
        directories: 11,
    };
    vec![
        StoreReply::Failed { reason },
        StoreReply::Tidied { tidied },
        StoreReply::Evicted { evicted },
        StoreReply::Compacted { bytes: 12 },
        StoreReply::Free { free },
    ]
}

fn bytes_of(message: &impl Encode) -> (Vec<u8>, Vec<OwnedFd>) {
    let (mut bytes, mut lent): (Vec<u8>, Vec<BorrowedFd<'_>>) = Default::default();
    message.encode(&mut bytes, &mut lent);
    let fds = lent.iter().map(|fd| fd.try_clone_to_owned().unwrap());
    (bytes, fds.collect())
}

/// The message as text, without the numbers that its fds happen to have.
fn said(message: &impl std::fmt::Debug) -> String {
    let text = format!("{message:?}");
    let mut parts = text.split("OwnedFd { fd: ");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        out += part.trim_start_matches(|digit: char| digit.is_ascii_digit());
    }
    out
}

fn comes_through<M: Encode + Decode + std::fmt::Debug>(message: &M) {
    let (bytes, fds) = bytes_of(message);
    let decoded = M::decode(&bytes, fds).unwrap();
    assert_eq!(said(&decoded), said(message));
}

/// Cut anywhere, without its last fd, with one fd or byte more: each is an error of its own.
fn is_refused_when_damaged<M: Encode + Decode + std::fmt::Debug>(message: &M) {
    let (bytes, passed) = bytes_of(message);
    for length in 0..bytes.len() {
        let error = M::decode(&bytes[..length], fds(passed.len())).unwrap_err();
        assert_eq!(error, DecodeError::Truncated, "{message:?} cut to {length}");
    }
    if !passed.is_empty() {
        let error = M::decode(&bytes, fds(passed.len() - 1)).unwrap_err();
        assert_eq!(error, DecodeError::MissingFd, "{message:?}");
    }
    let error = M::decode(&bytes, fds(passed.len() + 1)).unwrap_err();
    assert_eq!(error, DecodeError::SurplusFd(1), "{message:?}");
    let longer = [bytes.as_slice(), b"x"].concat();
    let error = M::decode(&longer, fds(passed.len())).unwrap_err();
    assert_eq!(error, DecodeError::Surplus(1), "{message:?}");
}

#[test]
fn every_message_comes_through_and_is_refused_when_damaged() {
    for message in to_worker() {
        comes_through(&message);
        is_refused_when_damaged(&message);
    }
    for message in to_supervisor() {
        comes_through(&message);
        is_refused_when_damaged(&message);
    }
    for message in store_orders() {
        comes_through(&message);
        is_refused_when_damaged(&message);
    }
    for message in store_replies() {
        comes_through(&message);
        is_refused_when_damaged(&message);
    }
}

#[test]
fn what_is_not_a_message_is_named() {
    use DecodeError::{BadText, BadValue, TooMany, UnknownKind, Version};
    let rows: [(&[u8], DecodeError); 11] = [
        (&[0], UnknownKind(0)),
        (&[3], UnknownKind(3)),
        (&[255], UnknownKind(255)),
        (&[1, 9, 0], Version(9)),
        (&[33, 1, 0, 0, 0, 0xff], BadText),
        (&[33, 0xff, 0xff, 0xff, 0xff], TooMany(u32::MAX as usize)),
        (&[33, 1, 0x40, 0, 0], TooMany(MAX_READ + 1)),
        (&[34, 1, 4], TooMany(MAX_ITEMS + 1)),
        (&[36, 17, 0], DecodeError::Truncated),
        (&[35, 17, 0], TooMany(17)),
        (&[40, 1, 0, 17, 0], TooMany(17)),
    ];
    for (bytes, expected) in rows {
        let error = ToSupervisor::decode(bytes, vec![]).unwrap_err();
        assert_eq!(error, expected, "{bytes:?}");
    }
    let id = [0; 8];
    let unknown_peer = [&[3, 1, 0], &id[..], &[5]].concat();
    let neither_handed_nor_not = [&[3, 1, 0], &id[..], &[0, 3]].concat();
    for (bytes, expected) in [
        (unknown_peer.as_slice(), BadValue(5)),
        (&neither_handed_nor_not, BadValue(3)),
        (&[32], UnknownKind(32)),
        (&[3, 17, 0], TooMany(17)),
    ] {
        let error = ToWorker::decode(bytes, vec![]).unwrap_err();
        assert_eq!(error, expected, "{bytes:?}");
    }
}

fn pair() -> (SupervisorChannel, WorkerChannel) {
    let (one, other) = seqpacket::pair().unwrap();
    (one.into(), other.into())
}

#[test]
fn a_lent_fd_arrives_as_an_owned_one() {
    let (supervisor, worker) = pair();
    let settings = fd();
    let message = ToWorker::Settings {
        settings: settings.as_fd(),
    };
    assert_eq!(supervisor.try_send(&message).unwrap(), Sent::Done);
    let Received::Message(ToWorker::Settings { settings }) = worker.try_recv().unwrap() else {
        panic!("not what was sent");
    };
    assert_eq!(memory_file::read(&settings).unwrap(), b"content");
    assert!(matches!(worker.try_recv().unwrap(), Received::Nothing));
}

#[test]
fn what_a_worker_said_is_heard_although_it_died_with_messages_unread() {
    let (supervisor, worker) = pair();
    let taken = ToSupervisor::<OwnedFd>::Taken { ids: vec![5] };
    assert_eq!(worker.try_send(&taken).unwrap(), Sent::Done);
    let stop = ToWorker::<OwnedFd>::Stop;
    assert_eq!(supervisor.try_send(&stop).unwrap(), Sent::Done);
    drop(worker);
    let heard = supervisor.try_recv().unwrap();
    assert!(matches!(
        heard,
        Received::Message(ToSupervisor::Taken { .. })
    ));
    assert!(matches!(supervisor.try_recv().unwrap(), Received::Closed));
    assert_eq!(supervisor.try_send(&stop).unwrap(), Sent::Closed);
}

#[test]
fn a_full_channel_says_so_and_has_room_again() {
    let (supervisor, worker) = pair();
    let stop = ToWorker::<OwnedFd>::Stop;
    let mut sent = 0;
    while supervisor.try_send(&stop).unwrap() == Sent::Done {
        sent += 1;
        assert!(sent < 100_000, "the channel has no bound");
    }
    assert_eq!(supervisor.try_send(&stop).unwrap(), Sent::Busy);
    for _ in 0..sent {
        assert!(matches!(worker.try_recv().unwrap(), Received::Message(_)));
    }
    assert_eq!(supervisor.try_send(&stop).unwrap(), Sent::Done);
}

#[test]
fn what_is_too_large_is_not_sent() {
    let (supervisor, worker) = pair();
    let many = ToWorker::Assign {
        clients: (0..17).map(|id| assigned(id, b"")).collect(),
    };
    assert!(matches!(
        supervisor.try_send(&many),
        Err(ChannelError::TooLarge(_, 17))
    ));
    let long = ToSupervisor::<OwnedFd>::SettingsRefused {
        reason: "x".repeat(MAX_BYTES),
    };
    assert!(matches!(
        worker.try_send(&long),
        Err(ChannelError::TooLarge(_, 0))
    ));
}

#[test]
fn batches_keep_the_limits_and_the_order() {
    static FULL: [u8; MAX_READ] = [b'x'; MAX_READ];
    // (clients with nothing read, then clients with all that may be read, sizes of the batches)
    let rows: [(usize, usize, &[usize]); 6] = [
        (0, 0, &[]),
        (1, 0, &[1]),
        (16, 0, &[16]),
        (33, 0, &[16, 16, 1]),
        (0, 4, &[3, 1]),
        (15, 3, &[16, 2]),
    ];
    for (empty, full, expected) in rows {
        let reads = (0..empty)
            .map(|_| &b""[..])
            .chain((0..full).map(|_| &FULL[..]));
        let clients: Vec<Assigned> = reads
            .zip(0..)
            .map(|(read, id)| assigned(id, read))
            .collect();
        let batches = batch::split(clients);
        let sizes: Vec<usize> = batches.iter().map(Vec::len).collect();
        assert_eq!(sizes, expected, "{empty} and {full}");
        let ids: Vec<u64> = batches.iter().flatten().map(|client| client.id).collect();
        assert!(ids.is_sorted());
        for clients in batches {
            let (bytes, fds) = bytes_of(&ToWorker::Assign { clients });
            assert!(bytes.len() <= MAX_BYTES && fds.len() <= 16);
        }
    }
}
