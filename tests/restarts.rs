//! Supervisor and workers restarted one by one under load, as systemd does it: the test holds the
//! listening sockets and starts the processes. No request may fail.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cacheproxy::sys::{child, clients, fds, seqpacket};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const TIMEOUT: Duration = Duration::from_secs(15);
/// Answered by the proxy itself.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n";

/// A service: its socket, and its process while it runs.
struct Unit {
    listener: OwnedFd,
    name: &'static str,
    arguments: Vec<String>,
    child: Option<Child>,
    /// The store for fds that outlive the process, and what is in it.
    store: UnixDatagram,
    notify: PathBuf,
    kept: Option<OwnedFd>,
}

impl Unit {
    fn new(listener: OwnedFd, name: &'static str, arguments: Vec<String>, notify: &str) -> Unit {
        let notify = PathBuf::from(notify);
        Unit {
            listener,
            name,
            arguments,
            child: None,
            store: notified(&notify),
            notify,
            kept: None,
        }
    }

    fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cacheproxy"));
        command.args(&self.arguments);
        command.env("NOTIFY_SOCKET", &self.notify);
        self.keep();
        let mut passed = vec![(self.name, self.listener.as_fd())];
        passed.extend(self.kept.iter().map(|fd| ("shared", fd.as_fd())));
        self.child = Some(child::spawn(command, &passed).unwrap());
    }

    /// Keeps what the process before has said is to be kept.
    fn keep(&mut self) {
        while let Ok(mut got) = fds::receive(self.store.as_fd(), &mut [0; 4096]) {
            self.kept = got.fds.pop().or(self.kept.take());
        }
    }

    fn end(&mut self, signal: Signal) {
        let pid = self.child.as_ref().unwrap().id();
        kill(Pid::from_raw(pid as i32), signal).unwrap();
        self.wait();
    }

    fn wait(&mut self) {
        let mut child = self.child.take().unwrap();
        let end = Instant::now() + TIMEOUT;
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "{:?} doesn't end", self.arguments);
            sleep(Duration::from_millis(5));
        }
    }
}

/// A socket for what a process says to systemd.
fn notified(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

impl Drop for Unit {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Systemd's part: the sockets and the services.
struct Machine {
    dir: tempfile::TempDir,
    supervisor: Unit,
    workers: Vec<Unit>,
}

impl Machine {
    fn start() -> Machine {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        std::fs::create_dir(dir.path().join("store")).unwrap();
        let config = format!(
            "workers = 2\naccess_log = false\nstore_path = {:?}\n[timeouts]\nworker_idle = \"10ms\"\n",
            path("store")
        );
        std::fs::write(path("cacheproxy.toml"), config).unwrap();
        let workers = [1, 2].map(|number| {
            let socket = path(&format!("worker-{number}.sock"));
            let listener = seqpacket::listen(Path::new(&socket)).unwrap();
            let arguments = vec!["worker".into(), number.to_string()];
            let notify = path(&format!("notify-{number}"));
            Unit::new(listener, "worker", arguments, &notify)
        });
        let options = [
            ("--config", "cacheproxy.toml"),
            ("--dropins", "conf.d"),
            ("--runtime-dir", "."),
        ];
        let options = options
            .iter()
            .flat_map(|(name, file)| [(*name).to_owned(), path(file)]);
        let listener = clients::listen_unix(Path::new(&path("client.sock"))).unwrap();
        let arguments = std::iter::once("supervisor".to_owned()).chain(options);
        let supervisor = Unit::new(listener, "client", arguments.collect(), &path("notify"));
        let mut machine = Machine {
            dir,
            supervisor,
            workers: workers.into(),
        };
        machine.workers.iter_mut().for_each(Unit::start);
        machine.supervisor.start();
        machine
    }

    /// Waits until the supervisor's status says this.
    fn wait_for_status(&self, part: &str) {
        let end = Instant::now() + TIMEOUT;
        let mut status = String::new();
        while !status.contains(part) {
            assert!(Instant::now() < end, "{part:?} not in {status:?}");
            sleep(Duration::from_millis(10));
            status.clear();
            if let Ok(mut caller) = UnixStream::connect(self.dir.path().join("control.sock")) {
                let _ = caller.write_all(b"status\n");
                let _ = caller.read_to_string(&mut status);
            }
        }
    }

    fn worker_pids(&mut self) -> Vec<u32> {
        let living = self.workers.iter_mut().filter_map(|unit| {
            let child = unit.child.as_mut()?;
            child.try_wait().unwrap().is_none().then_some(child.id())
        });
        living.collect()
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("client.sock")
    }
}

fn connect(socket: &Path) -> UnixStream {
    let client = UnixStream::connect(socket).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    client
}

/// One request on a connection that stays; an error when it wasn't answered.
fn ask(client: &mut UnixStream) -> std::io::Result<()> {
    client.write_all(REQUEST)?;
    let mut answer = Vec::new();
    let mut bytes = [0; 16 * 1024];
    while !is_whole(&answer) {
        match client.read(&mut bytes)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => answer.extend_from_slice(&bytes[..count]),
        }
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    Ok(())
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, content)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .filter_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .next();
    length.is_some_and(|length: usize| content.len() >= length)
}

/// Runs `disturb` while clients ask, at every pace between without a pause and always parked.
fn under_load(machine: &mut Machine, disturb: impl FnOnce(&mut Machine)) {
    let socket = machine.socket();
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = |pause: u64| {
        let mut client = connect(&socket);
        while !stop.load(Relaxed) {
            ask(&mut client).unwrap_or_else(|error| panic!("pause {pause} ms: {error}"));
            answered.fetch_add(1, Relaxed);
            sleep(Duration::from_millis(pause));
        }
    };
    let new_connections = || {
        while !stop.load(Relaxed) {
            ask(&mut connect(&socket)).unwrap();
            sleep(Duration::from_millis(3));
        }
    };
    std::thread::scope(|scope| {
        for pause in [1, 5, 9, 10, 11, 30, 200] {
            scope.spawn(move || load(pause));
        }
        scope.spawn(new_connections);
        // Stops the load also when disturbing fails.
        let guard = Stop(&stop);
        sleep(Duration::from_millis(300));
        disturb(machine);
        sleep(Duration::from_millis(300));
        drop(guard);
    });
    assert!(answered.load(Relaxed) > 100);
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn a_supervisor_is_restarted() {
    let mut machine = Machine::start();
    under_load(&mut machine, |machine| {
        for _ in 0..5 {
            machine.supervisor.end(Signal::SIGTERM);
            sleep(Duration::from_millis(50));
            machine.supervisor.start();
            sleep(Duration::from_millis(200));
        }
    });
}

#[test]
fn workers_are_restarted_one_after_the_other() {
    let mut machine = Machine::start();
    under_load(&mut machine, |machine| {
        for _ in 0..3 {
            for worker in &mut machine.workers {
                worker.end(Signal::SIGTERM);
                worker.start();
                sleep(Duration::from_millis(100));
            }
        }
    });
}

#[test]
fn idle_clients_survive_a_restart_of_each_process() {
    let mut machine = Machine::start();
    let mut idle: Vec<UnixStream> = (0..500).map(|_| connect(&machine.socket())).collect();
    idle.iter_mut().for_each(|client| ask(client).unwrap());
    machine.wait_for_status("(500 parked)");
    machine.supervisor.end(Signal::SIGTERM);
    machine.supervisor.start();
    machine.wait_for_status("(500 parked)");
    for worker in &mut machine.workers {
        worker.end(Signal::SIGKILL);
        worker.start();
    }
    idle.iter_mut().for_each(|client| ask(client).unwrap());
}

#[test]
fn workers_have_their_memory_in_common_whoever_is_restarted() {
    let mut machine = Machine::start();
    machine.wait_for_status("2 workers");
    let workers = machine.worker_pids();
    machine.supervisor.end(Signal::SIGKILL);
    machine.supervisor.start();
    machine.wait_for_status("2 workers");
    assert_eq!(machine.worker_pids(), workers, "they live on");
    ask(&mut connect(&machine.socket())).unwrap();
    machine.wait_for_status(" 1 requests");
    // A supervisor that has lost it makes new memory, and the workers make room for some that have that.
    machine.supervisor.end(Signal::SIGTERM);
    machine.supervisor.keep();
    machine.supervisor.kept = None;
    machine.supervisor.start();
    for worker in &mut machine.workers {
        worker.wait();
        worker.start();
    }
    machine.wait_for_status("2 workers");
    machine.wait_for_status(" 0 requests");
    ask(&mut connect(&machine.socket())).unwrap();
    machine.wait_for_status(" 1 requests");
}
