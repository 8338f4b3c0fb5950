//! No message that is refused leaves an fd behind. Alone in its file: it counts the fds of the whole process.
#![allow(clippy::unwrap_used)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use cacheproxy::ipc::{
    ChannelError, DecodeError, Received, SupervisorChannel, ToWorker, VERSION, WorkerChannel,
};
use cacheproxy::sys::{fds, memory_file, seqpacket};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The number of fds that this process has open.
fn open_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The raw end and the worker's end of a channel.
fn pair() -> (UnixDatagram, WorkerChannel) {
    let (raw, worker) = seqpacket::pair().unwrap();
    (UnixDatagram::from(raw), worker.into())
}

/// Sends these bytes with `count` fds, receives them, and tells the error.
fn refused(bytes: &[u8], count: usize, fd: &OwnedFd) -> Option<DecodeError> {
    let (raw, worker) = pair();
    let lent: Vec<BorrowedFd<'_>> = (0..count).map(|_| fd.as_fd()).collect();
    assert_eq!(fds::send(&raw, bytes, &lent).unwrap(), fds::Sent::Done);
    match worker.try_recv() {
        Err(ChannelError::Decode(error)) => Some(error),
        Err(error) => panic!("{error}"),
        Ok(_) => None,
    }
}

#[test]
fn a_refused_message_leaves_no_fd_open() {
    let fd = memory_file::sealed("fd", b"").unwrap();
    let long = vec![5; 65 * 1024];
    let [low, high] = VERSION.0.to_le_bytes();
    let assign_of_two = {
        let client = [&[0; 8][..], &[0], &[0], &[0; 4]].concat();
        [&[3, 2, 0], client.as_slice(), client.as_slice()].concat()
    };
    // (name, bytes, fds sent, the error; none: a good message)
    let rows: [(&str, &[u8], usize, Option<DecodeError>); 10] = [
        ("good", &[2], 1, None),
        ("unknown kind", &[99], 3, Some(DecodeError::UnknownKind(99))),
        ("cut off", &[1, 1], 2, Some(DecodeError::Truncated)),
        (
            "other version",
            &[1, 9, 0],
            2,
            Some(DecodeError::Version(9)),
        ),
        ("surplus byte", &[5, 5], 1, Some(DecodeError::Surplus(1))),
        ("oversized", &long, 4, Some(DecodeError::Oversized)),
        (
            "missing fd",
            &[1, low, high],
            1,
            Some(DecodeError::MissingFd),
        ),
        (
            "missing fd in a list",
            &assign_of_two,
            1,
            Some(DecodeError::MissingFd),
        ),
        ("surplus fd", &[2], 2, Some(DecodeError::SurplusFd(1))),
        (
            "more fds than are received",
            &[2],
            40,
            Some(DecodeError::Oversized),
        ),
    ];
    for (name, bytes, count, expected) in rows {
        let before = open_fds();
        assert_eq!(refused(bytes, count, &fd), expected, "{name}");
        assert_eq!(open_fds(), before, "{name}");
    }
    no_fds_left(&fd);
    nobody_receives(&fd);
}

/// With no fds left only some of a message's fds arrive: they must not stay.
fn no_fds_left(fd: &OwnedFd) {
    let (raw, worker) = pair();
    let lent = [fd.as_fd(); 8];
    fds::send(&raw, &[3, 8, 0], &lent).unwrap();
    let before = open_fds();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // The listing itself takes one, which is closed again: room for two of the eight.
    setrlimit(Resource::RLIMIT_NOFILE, before as u64 + 1, hard).unwrap();
    let received = worker.try_recv();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert!(matches!(
        received,
        Err(ChannelError::Decode(DecodeError::Oversized))
    ));
    assert_eq!(open_fds(), before);
}

/// Fds in a channel that closes with them are closed with it.
fn nobody_receives(fd: &OwnedFd) {
    let before = open_fds();
    let (supervisor, worker) = seqpacket::pair().unwrap();
    let supervisor = SupervisorChannel::from(supervisor);
    let settings = fd.as_fd();
    supervisor
        .try_send(&ToWorker::Settings { settings })
        .unwrap();
    drop(worker);
    assert!(matches!(supervisor.try_recv(), Ok(Received::Closed)));
    drop(supervisor);
    assert_eq!(open_fds(), before);
}
