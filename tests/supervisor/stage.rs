//! A real supervisor process, clients that connect to it, and workers played by the test.
#![allow(dead_code)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cacheproxy::ipc::{
    Assigned, OrderChannel, Peer, Received, Returned, Sent, ToSupervisor, ToWorker, VERSION,
    WorkerChannel,
};
use cacheproxy::sys::shared::Shared;
use cacheproxy::sys::{child, clients, seqpacket};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Nothing takes longer than this.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Long enough for a mistake to show.
pub const A_WHILE: Duration = Duration::from_millis(200);

/// Waits until `look` finds something.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + TIMEOUT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        sleep(Duration::from_millis(2));
    }
}

pub struct Stage {
    pub dir: tempfile::TempDir,
    supervisor: Option<Child>,
}

impl Stage {
    /// Prepares a directory with this configuration; nothing runs yet.
    pub fn new(config: &str) -> Stage {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("store")).unwrap();
        let stage = Stage {
            dir,
            supervisor: None,
        };
        stage.configure(config);
        stage
    }

    /// A supervisor with one worker that is ready.
    pub fn with_worker(config: &str) -> (Stage, Worker) {
        let mut stage = Stage::new(config);
        let nest = stage.nest(1);
        stage.start();
        let worker = nest.greet();
        (stage, worker)
    }

    pub fn configure(&self, config: &str) {
        let store = self.dir.path().join("store");
        let config = format!("store_path = {store:?}\n{config}");
        fs::write(self.dir.path().join("cacheproxy.toml"), config).unwrap();
    }

    /// Starts the supervisor as systemd would, with a Unix socket for clients.
    pub fn start(&mut self) {
        let path = self.client_path();
        let listener = clients::listen_unix(&path).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cacheproxy"));
        command
            .env("CACHEPROXY_DUMPABLE", "1")
            .arg("supervisor")
            .arg("--config")
            .arg(self.dir.path().join("cacheproxy.toml"))
            .arg("--dropins")
            .arg(self.dir.path().join("conf.d"))
            .arg("--runtime-dir")
            .arg(self.dir.path());
        let listener = ("client", listener.as_fd());
        self.supervisor = Some(child::spawn(command, &[listener]).unwrap());
        wait_for("the control socket", || self.ask("status").ok());
    }

    fn client_path(&self) -> PathBuf {
        self.dir.path().join("client.sock")
    }

    /// The socket of a worker, with nobody there.
    pub fn nest(&self, number: u16) -> Nest {
        let path = self.dir.path().join(format!("worker-{number}.sock"));
        let listener = seqpacket::listen(&path).unwrap();
        Nest { listener, number }
    }

    /// A client that has connected and sent this.
    pub fn client(&self, sends: &[u8]) -> UnixStream {
        let mut client = UnixStream::connect(self.client_path()).unwrap();
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        client.write_all(sends).unwrap();
        client
    }

    /// The answer of the control socket.
    pub fn ask(&self, request: &str) -> std::io::Result<String> {
        let mut caller = UnixStream::connect(self.dir.path().join("control.sock"))?;
        caller.set_read_timeout(Some(TIMEOUT))?;
        caller.write_all(format!("{request}\n").as_bytes())?;
        let mut answer = String::new();
        caller.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Waits until the first line of the status says this.
    pub fn wait_for_status(&self, part: &str) {
        wait_for(part, || {
            self.ask("status").unwrap().contains(part).then_some(())
        });
    }

    pub fn signal(&self, signal: Signal) {
        let child = self.supervisor.as_ref().unwrap();
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
    }

    /// Leaves the running supervisor only so many fds.
    pub fn limit_fds(&self, fds: u32) {
        let pid = self.supervisor.as_ref().unwrap().id();
        let mut prlimit = Command::new("prlimit");
        prlimit
            .arg(format!("--pid={pid}"))
            .arg(format!("--nofile={fds}"));
        assert!(prlimit.status().unwrap().success());
    }

    /// Waits for the end of the supervisor; whether it ended well.
    pub fn ended(&mut self) -> bool {
        let child = self.supervisor.as_mut().unwrap();
        wait_for("the supervisor's end", || child.try_wait().unwrap()).success()
    }

    /// The memory that it has in use, in bytes.
    pub fn memory(&self) -> u64 {
        let pid = self.supervisor.as_ref().unwrap().id();
        let pages = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
        let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    pub fn open_fds(&self) -> usize {
        let pid = self.supervisor.as_ref().unwrap().id();
        fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
    }

    /// The processor time it has used.
    pub fn busy(&self) -> Duration {
        let pid = self.supervisor.as_ref().unwrap().id();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
        let ticks: u64 = fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(child) = &mut self.supervisor {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Where a worker can be connected.
pub struct Nest {
    listener: OwnedFd,
    number: u16,
}

impl Nest {
    /// Lets the supervisor connect, and reads its Hello.
    pub fn accept(&self) -> Worker {
        let fd = wait_for("a connect", || seqpacket::accept(&self.listener).ok());
        let mut worker = Worker {
            channel: fd.into(),
            number: self.number,
            shared: None,
            waiting: RefCell::default(),
            orders: RefCell::default(),
        };
        let ToWorker::Hello {
            version, shared, ..
        } = worker.hear()
        else {
            panic!("the first message is not Hello");
        };
        assert_eq!(version, VERSION);
        worker.shared = Some(Shared::from_fd(shared).unwrap());
        worker
    }

    /// The same, and says Hello.
    pub fn greet(&self) -> Worker {
        let worker = self.accept();
        worker.hello(0);
        worker
    }
}

/// A worker as the test plays it.
pub struct Worker {
    pub channel: WorkerChannel,
    number: u16,
    shared: Option<Shared>,
    /// Clients that came together with one that was asked for.
    waiting: RefCell<VecDeque<Assigned>>,
    /// The channel on which it is to see to the store's files. Nobody answers there unless a test does.
    pub orders: RefCell<Option<OrderChannel>>,
}

impl Worker {
    /// The memory that it shares with the supervisor.
    pub fn shared(&self) -> &Shared {
        self.shared.as_ref().unwrap()
    }

    pub fn hello(&self, clients: u32) {
        self.say(&ToSupervisor::Hello {
            version: VERSION,
            pid: std::process::id(),
            worker: self.number,
            clients,
        });
    }

    pub fn say(&self, message: &ToSupervisor) {
        assert_eq!(self.channel.try_send(message).unwrap(), Sent::Done);
    }

    /// The next message, if one comes within a moment.
    pub fn listen(&self, timeout: Duration) -> Option<ToWorker> {
        let end = Instant::now() + timeout;
        loop {
            match self.channel.try_recv().unwrap() {
                Received::Message(ToWorker::Maintain { channel }) => {
                    self.orders.replace(Some(channel.into()));
                }
                Received::Message(message) => return Some(message),
                Received::Closed => panic!("the supervisor has closed the channel"),
                Received::Nothing if Instant::now() > end => return None,
                Received::Nothing => sleep(Duration::from_millis(1)),
            }
        }
    }

    pub fn hear(&self) -> ToWorker {
        self.listen(TIMEOUT).expect("no message came")
    }

    /// Waits until the supervisor has closed the channel.
    pub fn wait_closed(&self) {
        wait_for("the channel's end", || {
            matches!(self.channel.try_recv(), Ok(Received::Closed)).then_some(())
        });
    }

    /// True when nothing comes.
    pub fn hears_nothing(&self) -> bool {
        self.waiting.borrow().is_empty() && self.listen(A_WHILE).is_none()
    }

    /// One client, not taken yet.
    pub fn assigned(&self) -> Assigned {
        if self.waiting.borrow().is_empty() {
            let ToWorker::Assign { clients } = self.hear() else {
                panic!("not an Assign");
            };
            self.waiting.borrow_mut().extend(clients);
        }
        self.waiting.borrow_mut().pop_front().unwrap()
    }

    pub fn take(&self, client: &Assigned) {
        self.say(&ToSupervisor::Taken {
            ids: vec![client.id],
        });
    }

    /// One client, taken.
    pub fn taken(&self) -> Assigned {
        let client = self.assigned();
        self.take(&client);
        client
    }

    /// Gives a client back, and waits until the supervisor has it.
    pub fn give_back(&self, client: Assigned, read: &'static [u8]) {
        self.say(&ToSupervisor::Return {
            clients: vec![Returned {
                token: 77,
                id: client.id,
                peer: Peer::Unix,
                read: read.into(),
                fd: client.fd,
            }],
        });
        let ToWorker::ReturnsTaken { tokens } = self.hear() else {
            panic!("not ReturnsTaken");
        };
        assert_eq!(tokens, [77]);
    }
}

/// The connection of an assigned client.
pub fn stream(client: &Assigned) -> UnixStream {
    let stream = UnixStream::from(client.fd.as_fd().try_clone_to_owned().unwrap());
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// Reads exactly this from a connection.
pub fn expect(mut stream: &UnixStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(got, bytes);
}

/// True when the other end of a connection is closed.
pub fn is_at_end(mut stream: &UnixStream) -> bool {
    matches!(stream.read(&mut [0]), Ok(0))
}
