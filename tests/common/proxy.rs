//! The built binary as a child process, with a store, a runtime directory and a configuration of
//! its own, and what a test may look at from outside: log lines, processes, descriptors, memory.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::statvfs::statvfs;
use nix::unistd::Pid;

use super::{Client, PATIENCE, Response, wait_until};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_cacheproxy");

const LISTENING: &str = "cacheproxy: listening on http://";

/// The environment's variables that would change what the binary does.
const UNWANTED: [&str; 8] = [
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "JOURNAL_STREAM",
    "WATCHDOG_USEC",
    "http_proxy",
    "all_proxy",
];

/// The binary with an environment that is the same on every machine.
pub fn command(runtime: &Path) -> Command {
    command_through(&[], runtime)
}

/// The same, run by these words before it.
fn command_through(through: &[String], runtime: &Path) -> Command {
    let mut words = through.iter().map(String::as_str).chain([BINARY]);
    let mut command = Command::new(words.next().unwrap_or(BINARY));
    command.args(words);
    for name in UNWANTED {
        command.env_remove(name);
    }
    command
        .env("XDG_RUNTIME_DIR", runtime)
        .env("HOME", runtime)
        .stdin(Stdio::null());
    command
}

/// Runs a command of the binary to its end.
pub fn run(args: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    command(dir.path())
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap()
}

/// Whether a process may have a file system of its own here.
pub fn may_mount() -> bool {
    let dir = tempfile::tempdir().unwrap();
    let through = mounting(1 << 20, &dir.path().join("store"));
    let mut trial = Command::new(&through[0]);
    let done = trial.args(&through[1..]).arg("true").output();
    done.is_ok_and(|done| done.status.success())
}

/// The words that make a directory a file system of a size, which goes with the process.
fn mounting(bytes: u64, directory: &Path) -> Vec<String> {
    let script = "mkdir -p \"$0\" && mount -t tmpfs -o size=$1 none \"$0\" && shift && exec \"$@\"";
    let words = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
    ];
    let mut all: Vec<String> = words.map(str::to_owned).into();
    all.extend([
        script.to_owned(),
        directory.display().to_string(),
        bytes.to_string(),
    ]);
    all
}

/// How a proxy is to be started.
pub struct Setup {
    config: String,
    store: Store,
    workers: usize,
    listen: Vec<String>,
    disk: Option<u64>,
}

/// Where a proxy stores.
enum Store {
    /// In a directory of its own.
    Directory,
    /// In the database of this connection string, by the configuration.
    Database(String),
    /// In the database of this URL, by the command line.
    Url(String),
}

impl Setup {
    /// Stores on a file system of its own with so many bytes. Only where [`may_mount`].
    pub fn disk(mut self, bytes: u64) -> Setup {
        self.disk = Some(bytes);
        self
    }

    /// Stores in the database of this connection string.
    pub fn database(mut self, connection: &str) -> Setup {
        self.store = Store::Database(connection.to_owned());
        self
    }

    /// Stores in the database of this URL, given as `--store`.
    pub fn database_url(mut self, url: &str) -> Setup {
        self.store = Store::Url(url.to_owned());
        self
    }

    /// So many workers.
    pub fn workers(mut self, workers: usize) -> Setup {
        self.workers = workers;
        self
    }

    /// Listens here instead of on a loopback port.
    pub fn listen(mut self, address: &str) -> Setup {
        self.listen = vec![address.to_owned()];
        self
    }

    /// Listens here too.
    pub fn listen_also(mut self, address: &str) -> Setup {
        self.listen.push(address.to_owned());
        self
    }

    /// Starts it and waits until it listens.
    #[track_caller]
    pub fn start(self) -> Proxy {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("run")).unwrap();
        let mut proxy = Proxy {
            setup: self,
            dir,
            running: None,
        };
        let mut config = proxy.setup.config.clone();
        if let Store::Database(connection) = &proxy.setup.store {
            let spool = proxy.store();
            config = format!(
                "store = \"postgres\"\ndatabase = \"{connection}\"\nstore_path = {spool:?}\n{config}"
            );
        }
        proxy.write_config(&config);
        proxy.spawn();
        proxy
    }
}

struct Running {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

/// A running proxy; stopped, and checked to stop, when dropped.
pub struct Proxy {
    setup: Setup,
    dir: tempfile::TempDir,
    running: Option<Running>,
}

impl Proxy {
    /// One worker and this configuration.
    #[track_caller]
    pub fn start(config: &str) -> Proxy {
        Proxy::with(config).start()
    }

    /// This configuration, to be started.
    pub fn with(config: &str) -> Setup {
        // A short drain, so that the end of a test isn't the longest part of it.
        let config = match config.contains("[timeouts]") {
            true => config.replace("[timeouts]", "[timeouts]\ndrain = \"3s\""),
            false => format!("{config}\n[timeouts]\ndrain = \"3s\"\n"),
        };
        Setup {
            config,
            store: Store::Directory,
            workers: 1,
            listen: vec!["127.0.0.1:0".to_owned()],
            disk: None,
        }
    }

    /// The file that the proxy reads its configuration from.
    pub fn config_path(&self) -> PathBuf {
        self.dir.path().join("cacheproxy.toml")
    }

    /// Where its sockets are: the only directory that it makes there.
    pub fn runtime_dir(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.dir.path().join("run")).unwrap();
        let folders = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_dir());
        let mut folders: Vec<PathBuf> = folders.collect();
        folders.pop().expect("a runtime directory")
    }

    /// The bytes that are free where the proxy stores.
    pub fn free_disk(&self) -> u64 {
        let seen_by_it = format!("/proc/{}/root{}", self.pid(), self.store().display());
        let disk = statvfs(seen_by_it.as_str()).unwrap();
        disk.blocks_available() * disk.fragment_size()
    }

    /// Where the proxy stores.
    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Replaces the configuration; the proxy reads it when told to.
    pub fn write_config(&self, config: &str) {
        std::fs::write(self.config_path(), config).unwrap();
    }

    #[track_caller]
    fn spawn(&mut self) {
        let mount = self.setup.disk.map(|bytes| mounting(bytes, &self.store()));
        let through = mount.unwrap_or_default();
        let mut command = command_through(&through, &self.dir.path().join("run"));
        command.arg("run").arg("--config").arg(self.config_path());
        match &self.setup.store {
            Store::Directory => _ = command.arg("--store").arg(self.store()),
            Store::Database(_) => {}
            Store::Url(url) => _ = command.args(["--store", url]),
        }
        command.arg("--workers").arg(self.setup.workers.to_string());
        for address in &self.setup.listen {
            command.arg("--listen").arg(address);
        }
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        std::thread::spawn({
            let log = log.clone();
            move || collect(stderr, &log)
        });
        let end = Instant::now() + PATIENCE;
        let address = loop {
            if let Some(address) = listening(&log.lock().unwrap()) {
                break address;
            }
            let gone = child.try_wait().unwrap();
            if gone.is_some() || Instant::now() > end {
                let _ = child.kill();
                panic!(
                    "the proxy doesn't listen ({gone:?}): {:#?}",
                    log.lock().unwrap()
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.running = Some(Running {
            child,
            address,
            log,
        });
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the proxy runs")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running().address
    }

    /// What it wrote to the console so far.
    pub fn log(&self) -> Vec<String> {
        self.running().log.lock().unwrap().clone()
    }

    /// Waits for a console line that contains all of these.
    #[track_caller]
    pub fn wait_for_line(&self, parts: &[&str]) -> String {
        let matching = || {
            self.log()
                .into_iter()
                .find(|line| parts.iter().all(|p| line.contains(p)))
        };
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = matching() {
                return line;
            }
            assert!(
                Instant::now() < end,
                "no line with {parts:?} in {:#?}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// One GET on a connection of its own.
    #[track_caller]
    pub fn get(&self, uri: &str) -> Response {
        self.request("GET", uri, "")
    }

    /// One request without content on a connection of its own.
    #[track_caller]
    pub fn request(&self, method: &str, uri: &str, fields: &str) -> Response {
        Client::of(self).request(method, uri, fields)
    }

    /// The supervisor's process.
    pub fn pid(&self) -> i32 {
        self.running().child.id() as i32
    }

    /// The workers' processes.
    pub fn workers(&self) -> Vec<i32> {
        children(self.pid())
    }

    /// Waits until so many workers run, and gives them.
    #[track_caller]
    pub fn wait_for_workers(&self, count: usize) -> Vec<i32> {
        wait_until("workers", PATIENCE, || self.workers().len() == count);
        self.workers()
    }

    /// Sends a signal to the supervisor.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits until the supervisor has exited.
    #[track_caller]
    pub fn wait_for_exit(&mut self, within: Duration) -> ExitStatus {
        let workers = self.workers();
        let mut running = self.running.take().expect("the proxy runs");
        let end = Instant::now() + within;
        loop {
            if let Some(status) = running.child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > end {
                let _ = running.child.kill();
                let _ = running.child.wait();
                for worker in workers {
                    let _ = kill(Pid::from_raw(worker), Signal::SIGKILL);
                }
                if std::thread::panicking() {
                    return ExitStatus::default();
                }
                panic!(
                    "still there after {within:?}: {:#?}",
                    running.log.lock().unwrap()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops it, and checks that it stops well.
    #[track_caller]
    pub fn stop(&mut self) {
        let workers = self.workers();
        self.signal(Signal::SIGTERM);
        let status = self.wait_for_exit(PATIENCE);
        assert!(status.success(), "stopped with {status}");
        wait_until("the workers' end", PATIENCE, || {
            !workers.iter().any(|pid| is_alive(*pid))
        });
    }

    /// Stops it and starts it again with the same store and configuration file.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        self.spawn();
    }

    /// Starts it again after a stop.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.spawn();
    }

    /// Which of the proxy's processes hold the connection of the client with this port.
    pub fn holders(&self, client: u16) -> Vec<i32> {
        let Some(inode) = inode(self.address().port(), client) else {
            return Vec::new();
        };
        let socket = format!("socket:[{inode}]");
        let mut pids = self.workers();
        pids.push(self.pid());
        pids.retain(|pid| descriptors(*pid).contains(&socket));
        pids
    }

    /// Waits until the supervisor alone holds a client's connection.
    #[track_caller]
    pub fn wait_until_parked(&self, client: &Client) {
        let alone = || self.holders(client.port()) == [self.pid()];
        wait_until("the client is parked", PATIENCE, alone);
    }

    /// The most memory that any worker has used, in bytes.
    pub fn worker_peak(&self) -> u64 {
        self.workers()
            .iter()
            .map(|pid| memory(*pid, "VmHWM:"))
            .max()
            .unwrap_or(0)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if self.running.is_none() {
            return;
        }
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGTERM);
        let log = self.running().log.clone();
        self.wait_for_exit(PATIENCE);
        let panicked = log
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains("panicked at"));
        if std::thread::panicking() {
            eprintln!("the proxy's log: {:#?}", log.lock().unwrap());
        } else {
            assert!(!panicked, "a process panicked: {:#?}", log.lock().unwrap());
        }
    }
}

fn collect(stderr: impl Read, log: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stderr).split(b'\n');
    while let Some(Ok(line)) = lines.next() {
        log.lock()
            .unwrap()
            .push(String::from_utf8_lossy(&line).into_owned());
    }
}

fn listening(log: &[String]) -> Option<SocketAddr> {
    let line = log.iter().find_map(|line| line.strip_prefix(LISTENING))?;
    line.trim_end_matches('/').parse().ok()
}

/// The processes that this one started.
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let mut pids = Vec::new();
    for task in tasks.flatten() {
        let list = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        pids.extend(
            list.split_whitespace()
                .filter_map(|pid| pid.parse::<i32>().ok()),
        );
    }
    pids.retain(|pid| is_alive(*pid));
    pids.sort_unstable();
    pids
}

/// Whether a process runs and isn't a zombie.
pub fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// What a process's descriptors point at.
pub fn descriptors(pid: i32) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let targets = entries
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets
        .map(|target| target.to_string_lossy().into_owned())
        .collect()
}

/// A figure of a process's memory, in bytes.
pub fn memory(pid: i32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_default();
    line.trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .unwrap_or(0)
        * 1024
}

fn inode(local: u16, remote: u16) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let matches = port(columns.get(1)?) == Some(local) && port(columns.get(2)?) == Some(remote);
        matches
            .then(|| columns.get(9).map(|inode| (*inode).to_owned()))
            .flatten()
    })
}
