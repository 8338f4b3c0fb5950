//! The worker process against a supervisor played by the tests: who has a client when the channel, the
//! supervisor or the worker ends.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cacheproxy::config::encoding::encode;
use cacheproxy::config::text::{ConfigText, Role};
use cacheproxy::ipc::codec::Encode;
use cacheproxy::ipc::{
    Assigned, MaintainerChannel, Peer, Received, Returned, Sent, StoreOrder, SupervisorChannel,
    ToSupervisor, ToWorker, VERSION,
};
use cacheproxy::sys::shared::Shared;
use cacheproxy::sys::{child, memory_file, seqpacket};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const TIMEOUT: Duration = Duration::from_secs(10);
const A_WHILE: Duration = Duration::from_millis(300);
/// Answered by the proxy itself.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n";

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + TIMEOUT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        sleep(Duration::from_millis(2));
    }
}

/// A worker process and its socket.
struct Worker {
    dir: tempfile::TempDir,
    child: Child,
    shared: Shared,
}

impl Worker {
    fn start() -> Worker {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("store")).unwrap();
        let listener = seqpacket::listen(&dir.path().join("worker-1.sock")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cacheproxy"));
        command.arg("worker").arg("1");
        let child = child::spawn(command, &[("worker", listener.as_fd())]).unwrap();
        let shared = Shared::create().unwrap();
        Worker { dir, child, shared }
    }

    fn settings(&self, more: &str) -> OwnedFd {
        let store = self.dir.path().join("store");
        let text = ConfigText {
            role: Role::Main,
            path: "test.toml".into(),
            toml: format!("store_path = {store:?}\n[timeouts]\nworker_idle = \"50ms\"\n{more}"),
        };
        memory_file::sealed("settings", &encode(&[text], 1)).unwrap()
    }

    /// Connects and says Hello.
    fn connect(&self) -> Supervisor {
        let channel = seqpacket::connect(&self.dir.path().join("worker-1.sock")).unwrap();
        let supervisor = Supervisor(channel.into());
        supervisor.say(&ToWorker::Hello {
            version: VERSION,
            settings: self.settings("").as_fd(),
            shared: self.shared.fd(),
        });
        supervisor
    }

    /// The same, and hears its Hello.
    fn supervisor(&self) -> Supervisor {
        let supervisor = self.connect();
        assert!(matches!(supervisor.hear(), ToSupervisor::Hello { .. }));
        supervisor
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    fn ended_well(&mut self) -> bool {
        wait_for("the worker's end", || self.child.try_wait().unwrap()).success()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The supervisor as the test plays it.
struct Supervisor(SupervisorChannel);

impl Supervisor {
    fn say<F: Encode>(&self, message: &ToWorker<F>) {
        assert_eq!(self.0.try_send(message).unwrap(), Sent::Done);
    }

    fn listen(&self, timeout: Duration) -> Option<ToSupervisor> {
        let end = Instant::now() + timeout;
        loop {
            match self.0.try_recv().unwrap() {
                Received::Message(message) => return Some(message),
                Received::Closed => panic!("the worker has closed the channel"),
                Received::Nothing if Instant::now() > end => return None,
                Received::Nothing => sleep(Duration::from_millis(1)),
            }
        }
    }

    fn hear(&self) -> ToSupervisor {
        self.listen(TIMEOUT).expect("no message came")
    }

    /// Assigns a new client and gives its other end.
    fn assign(&self, id: u64) -> UnixStream {
        let (client, served) = UnixStream::pair().unwrap();
        served.set_nonblocking(true).unwrap();
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        self.say(&ToWorker::Assign {
            clients: vec![Assigned {
                id,
                peer: Peer::Unix,
                handed: false,
                read: bytes::Bytes::new(),
                fd: served.as_fd(),
            }],
        });
        client
    }

    fn expect_taken(&self, id: u64) {
        match self.hear() {
            ToSupervisor::Taken { ids } => assert_eq!(ids, [id]),
            other => panic!("{other:?}"),
        }
    }

    /// The one client that goes back next.
    fn returned(&self) -> Returned {
        loop {
            match self.hear() {
                ToSupervisor::Return { mut clients } => return clients.remove(0),
                // What it says to the settings of a second supervisor.
                ToSupervisor::SettingsApplied => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// True when the client is answered when it asks.
fn is_answered(client: &mut UnixStream, timeout: Duration) -> bool {
    client.set_read_timeout(Some(timeout)).unwrap();
    client.write_all(REQUEST).is_ok() && client.read(&mut [0; 65536]).is_ok_and(|count| count > 0)
}

#[test]
fn a_client_is_taken_served_and_returned() {
    let worker = Worker::start();
    let supervisor = worker.supervisor();
    let mut client = supervisor.assign(5);
    supervisor.expect_taken(5);
    assert!(is_answered(&mut client, TIMEOUT));
    let returned = supervisor.returned();
    assert_eq!((returned.id, &returned.read[..]), (5, &b""[..]));
    supervisor.say(&ToWorker::<OwnedFd>::ReturnsTaken {
        tokens: vec![returned.token],
    });
    assert!(!is_answered(&mut client, A_WHILE), "it is parked here");
    drop((client, returned));
    let closed = supervisor.assign(6);
    supervisor.expect_taken(6);
    drop(closed);
    assert!(matches!(supervisor.hear(), ToSupervisor::Closed { ids } if ids == [6]));
}

#[test]
fn a_client_on_its_way_back_stays_when_the_supervisor_ends() {
    let worker = Worker::start();
    let supervisor = worker.supervisor();
    let mut client = supervisor.assign(1);
    supervisor.expect_taken(1);
    assert!(is_answered(&mut client, TIMEOUT));
    drop(supervisor.returned());
    drop(supervisor);
    assert!(is_answered(&mut client, TIMEOUT));
    let next = worker.supervisor();
    assert_eq!(next.returned().id, 1);
}

#[test]
fn a_client_that_went_back_is_not_served_here_whatever_happens_then() {
    let worker = Worker::start();
    let supervisor = worker.supervisor();
    let mut client = supervisor.assign(1);
    supervisor.expect_taken(1);
    assert!(is_answered(&mut client, TIMEOUT));
    let returned = supervisor.returned();
    let other = supervisor.assign(2);
    supervisor.expect_taken(2);
    // When it goes on it has something to say, to nobody, before it hears what it was told.
    worker.signal(Signal::SIGSTOP);
    supervisor.say(&ToWorker::<OwnedFd>::ReturnsTaken {
        tokens: vec![returned.token],
    });
    drop((supervisor, other));
    let _next = worker.connect();
    worker.signal(Signal::SIGCONT);
    assert!(!is_answered(&mut client, A_WHILE), "two would serve it");
}

#[test]
fn a_client_assigned_by_a_supervisor_that_ended_is_served() {
    let worker = Worker::start();
    let supervisor = worker.supervisor();
    worker.signal(Signal::SIGSTOP);
    let mut client = supervisor.assign(1);
    drop(supervisor);
    worker.signal(Signal::SIGCONT);
    assert!(is_answered(&mut client, TIMEOUT));
}

#[test]
fn a_worker_that_drains_leaves_the_rest_to_its_successor() {
    let mut worker = Worker::start();
    let supervisor = worker.supervisor();
    let mut client = supervisor.assign(1);
    supervisor.expect_taken(1);
    // Half a head keeps the client here; it goes back with it.
    client.write_all(&REQUEST[..9]).unwrap();
    sleep(A_WHILE);
    worker.signal(Signal::SIGTERM);
    let (one, other) = (supervisor.hear(), supervisor.hear());
    let ((ToSupervisor::Return { clients }, ToSupervisor::Draining)
    | (ToSupervisor::Draining, ToSupervisor::Return { clients })) = (one, other)
    else {
        panic!("not Return and Draining");
    };
    let returned = &clients[0];
    assert_eq!(&returned.read[..], &REQUEST[..9]);
    let _for_another = supervisor.assign(2);
    assert!(supervisor.listen(A_WHILE).is_none(), "it isn't taken");
    let successors = worker.connect();
    assert!(successors.listen(A_WHILE).is_none(), "it isn't accepted");
    supervisor.say(&ToWorker::<OwnedFd>::ReturnsTaken {
        tokens: vec![returned.token],
    });
    assert!(worker.ended_well());
}

#[test]
fn settings_are_applied_or_refused() {
    let worker = Worker::start();
    let supervisor = worker.supervisor();
    let rows = [("", true), ("nonsense = 1\n", false), ("", true)];
    for (more, applied) in rows {
        supervisor.say(&ToWorker::Settings {
            settings: worker.settings(more),
        });
        match supervisor.hear() {
            ToSupervisor::SettingsApplied => assert!(applied),
            ToSupervisor::SettingsRefused { reason } => {
                assert!(!applied && reason.contains("nonsense"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_worker_makes_room_when_the_supervisor_speaks_another_version() {
    let mut worker = Worker::start();
    drop(worker.supervisor());
    let other = seqpacket::connect(&worker.dir.path().join("worker-1.sock")).unwrap();
    let other = std::os::unix::net::UnixDatagram::from(other);
    cacheproxy::sys::fds::send(&other, &[1, 0xff, 0xff, 1, 2, 3], &[]).unwrap();
    assert!(worker.ended_well());
}

#[test]
fn a_worker_makes_room_when_the_supervisor_has_other_shared_memory() {
    let mut worker = Worker::start();
    drop(worker.supervisor());
    drop(worker.supervisor());
    worker.shared = Shared::create().unwrap();
    let next = worker.supervisor();
    assert!(matches!(next.hear(), ToSupervisor::Draining));
    assert!(worker.ended_well());
}

#[test]
fn shared_memory_that_could_be_cut_short_is_refused() {
    let mut worker = Worker::start();
    let channel = seqpacket::connect(&worker.dir.path().join("worker-1.sock")).unwrap();
    let file = tempfile::tempfile().unwrap();
    let length = std::fs::File::from(worker.shared.fd().try_clone_to_owned().unwrap());
    file.set_len(length.metadata().unwrap().len()).unwrap();
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    std::os::unix::fs::FileExt::read_exact_at(&length, &mut bytes, 0).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
    Supervisor(channel.into()).say(&ToWorker::Hello {
        version: VERSION,
        settings: worker.settings("").as_fd(),
        shared: file.as_fd(),
    });
    assert!(!worker.ended_well());
}

#[test]
fn files_are_seen_to_as_ordered_until_the_channel_is_closed() {
    let mut worker = Worker::start();
    let supervisor = worker.supervisor();
    let (ours, its) = seqpacket::pair().unwrap();
    supervisor.say(&ToWorker::Maintain { channel: its });
    let channel = MaintainerChannel::from(ours);
    let ask = |order| {
        channel.send_waiting(&order).unwrap();
        match channel.recv_within(Some(TIMEOUT)).unwrap() {
            Received::Message(reply) => format!("{reply:?}"),
            other => panic!("{other:?}"),
        }
    };
    let left = worker.dir.path().join("store/v0/file");
    std::fs::create_dir_all(left.parent().unwrap()).unwrap();
    std::fs::write(&left, "of a version before").unwrap();
    let tidied = ask(StoreOrder::Tidy {});
    assert!(tidied.contains("versions: Cleared { files: 1,"), "{tidied}");
    assert!(tidied.contains("is_done: true"), "{tidied}");
    assert!(!left.parent().unwrap().exists());
    let evicted = ask(StoreOrder::Evict { bytes: 1, files: 1 });
    assert!(evicted.contains("responses: 0"), "{evicted}");
    assert!(ask(StoreOrder::Compact { bytes: 1 }).contains("Compacted"));
    let free = ask(StoreOrder::Free {});
    assert!(
        !free.contains("{ bytes: 0,") && free.contains("Free"),
        "{free}"
    );
    drop(channel);
    worker.signal(Signal::SIGTERM);
    assert!(worker.ended_well());
    let mark = std::fs::read_to_string(worker.dir.path().join("store/v3/index/boot"));
    // The boot, the lock, and the last change before it was closed.
    assert_eq!(mark.unwrap().split_ascii_whitespace().count(), 4);
}
