//! A worker that was taken over: whatever it says, the supervisor lives, clients are accepted, and other workers serve
//! them; nobody else's client is touched.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use cacheproxy::ipc::{
    Assigned, Peer, Returned, Sent, ToSupervisor, ToWorker, VERSION, WorkerChannel,
};
use nix::sys::socket::{MsgFlags, send};

use crate::stage::{self, Stage, Worker, expect, stream};

/// No client waits longer for what a worker of ours says.
const SOON: Duration = Duration::from_secs(2);

fn two_workers(config: &str) -> (Stage, [stage::Nest; 2], [Worker; 2]) {
    let mut stage = Stage::new(&format!("workers = 2\n{config}"));
    let nests = [stage.nest(1), stage.nest(2)];
    stage.start();
    let workers = nests.each_ref().map(stage::Nest::greet);
    stage.wait_for_status("2 workers");
    (stage, nests, workers)
}

/// One of two new clients goes to this worker soon: however much the other has, it gets no more than its share.
fn is_served(stage: &Stage, by: &Worker) {
    let before = Instant::now();
    let clients = [stage.client(b"new"), stage.client(b"new")];
    let taken = by.taken();
    expect(&stream(&taken), b"new");
    assert!(before.elapsed() < SOON);
    by.say(&closed([taken.id]));
    drop(clients);
}

fn closed(ids: impl IntoIterator<Item = u64>) -> ToSupervisor {
    ToSupervisor::Closed {
        ids: ids.into_iter().collect(),
    }
}

fn returned(id: u64, peer: Peer, fd: impl Into<OwnedFd>) -> Returned {
    Returned {
        token: 9,
        id,
        peer,
        read: b"GET".as_slice().into(),
        fd: fd.into(),
    }
}

fn hello(worker: u16, clients: u32) -> ToSupervisor {
    let (version, pid) = (VERSION, 1);
    ToSupervisor::Hello {
        version,
        pid,
        worker,
        clients,
    }
}

#[test]
fn counts_that_are_not_true_do_not_keep_clients_out() {
    for claim in [5, 1_000, u32::MAX] {
        let mut stage = Stage::new("workers = 2\nmax_clients = 10\n");
        let nests = [stage.nest(1), stage.nest(2)];
        stage.start();
        let evil = nests[0].accept();
        evil.say(&hello(1, claim));
        let good = nests[1].greet();
        stage.wait_for_status("2 workers, 5 clients");
        is_served(&stage, &good);
        stage.wait_for_status("6 clients");
        // Ends of clients that it never had make it no lighter than it is.
        evil.say(&closed(0..1024));
        stage.wait_for_status("1 clients");
    }
}

#[test]
fn what_comes_back_is_the_client_that_went() {
    type Sends = fn(&Assigned) -> Returned;
    let rows: [(&str, Sends); 5] = [
        ("another socket", |own| {
            returned(own.id, Peer::Unix, UnixStream::pair().unwrap().0)
        }),
        ("no socket", |own| {
            returned(own.id, Peer::Unix, File::open("/dev/null").unwrap())
        }),
        ("a listener", |own| {
            let path = tempfile::tempdir().unwrap().path().with_extension("sock");
            returned(own.id, Peer::Unix, UnixListener::bind(path).unwrap())
        }),
        ("another address", |own| {
            let peer = Peer::Ip("127.0.0.1:1".parse().unwrap());
            returned(own.id, peer, stream(own))
        }),
        ("a connection of its own", |own| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let own_end = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let peer = Peer::tcp(listener.local_addr().unwrap());
            returned(own.id, peer, own_end)
        }),
    ];
    for (name, sends) in rows {
        let (stage, nests, [evil, good]) = two_workers("");
        let _clients = [stage.client(b"x"), stage.client(b"x")];
        let (own, _other) = (evil.taken(), good.taken());
        let clients = vec![sends(&own)];
        evil.say(&ToSupervisor::Return { clients });
        evil.wait_closed();
        let successor = nests[0].greet();
        assert!(successor.hears_nothing() && good.hears_nothing(), "{name}");
        is_served(&stage, &good);
    }
}

#[test]
fn a_name_that_is_not_its_own_gives_nobody_a_client() {
    type Sends = fn(&Assigned, &Assigned) -> Returned;
    let rows: [(&str, Sends); 3] = [
        ("another worker's client", |_, other| {
            returned(other.id, Peer::Unix, stream(other))
        }),
        ("a name of nobody", |own, _| {
            let pair = UnixStream::pair().unwrap().0;
            returned(own.id ^ (1 << 40), Peer::Unix, pair)
        }),
        ("a name of nobody, and no socket", |own, _| {
            let file = File::open("/dev/null").unwrap();
            returned(own.id ^ (1 << 40), Peer::Unix, file)
        }),
    ];
    for (name, sends) in rows {
        let (stage, _nests, [evil, good]) = two_workers("");
        let _clients = [stage.client(b"x"), stage.client(b"x")];
        let (own, other) = (evil.taken(), good.taken());
        for to in [None, Some(2)] {
            let clients = vec![sends(&own, &other)];
            evil.say(&match to {
                None => ToSupervisor::Return { clients },
                Some(worker) => ToSupervisor::HandOver { worker, clients },
            });
            assert!(matches!(evil.hear(), ToWorker::ReturnsTaken { .. }));
            assert!(evil.hears_nothing() && good.hears_nothing(), "{name}");
        }
        is_served(&stage, &good);
        // The other worker's client is its as before, and comes back from it.
        good.give_back(other, b"x");
    }
}

#[test]
fn nothing_is_heard_before_its_hello_and_a_second_hello_ends_it() {
    let mut stage = Stage::new("workers = 1\n");
    let nest = stage.nest(1);
    stage.start();
    let evil = nest.accept();
    evil.say(&ToSupervisor::Draining);
    evil.wait_closed();
    let evil = nest.greet();
    evil.say(&hello(1, 0));
    evil.wait_closed();
    is_served(&stage, &nest.greet());
}

/// Says it as often as the supervisor listens, for a second.
fn flood(evil: &WorkerChannel, message: &ToSupervisor) {
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        match evil.try_send(message) {
            Ok(Sent::Done) => {}
            Ok(Sent::Busy | Sent::Later) => std::thread::sleep(Duration::from_millis(1)),
            Ok(Sent::Closed) | Err(_) => return,
        }
    }
}

#[test]
fn floods_hold_nobody_up() {
    let (stage, _nests, [evil, good]) = two_workers("");
    let floods = [
        ToSupervisor::SettingsApplied,
        ToSupervisor::SettingsRefused {
            reason: "\x1b[2J".repeat(4000),
        },
        closed(0..1024),
        ToSupervisor::HandOver {
            worker: 77,
            clients: vec![],
        },
        ToSupervisor::Return { clients: vec![] },
        ToSupervisor::Draining,
    ];
    for message in &floods {
        std::thread::scope(|scope| {
            let channel = &evil.channel;
            let flooding = scope.spawn(move || flood(channel, message));
            is_served(&stage, &good);
            flooding.join().unwrap();
        });
        let before = Instant::now();
        stage.wait_for_status("workers");
        assert!(before.elapsed() < SOON, "{message:?}");
    }
    let memory = stage.memory();
    assert!(memory < 200 << 20, "{} MiB", memory >> 20);
}

#[test]
fn what_is_no_message_ends_the_channel_and_leaves_nothing_open() {
    let (stage, nests, [evil, good]) = two_workers("");
    let mut evil = evil;
    let before = stage.open_fds();
    for bytes in [&b"\xff"[..], &[35, 1, 0], &[38, 255, 255], &[0; 60_000]] {
        let fd = evil.channel.as_fd().as_raw_fd();
        send(fd, bytes, MsgFlags::empty()).unwrap();
        evil.wait_closed();
        evil = nests[0].greet();
        stage.wait_for_status("2 workers");
    }
    assert_eq!(stage.open_fds(), before);
    is_served(&stage, &good);
}
