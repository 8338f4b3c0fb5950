//! The built binary as a child process, with a store, a runtime directory and a configuration of
//! its own, and what a test may look at from outside: log lines, processes, descriptors, memory.

mod command;
mod processes;
mod setup;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::statvfs::statvfs;
use nix::unistd::Pid;

pub use command::{BINARY, command, may_mount, run, said};
pub use processes::{children, descriptors, is_alive, memory, state};
pub use setup::Setup;

use super::{Client, Response, TIMEOUT, wait_until};
use processes::inodes;

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
        let disk = statvfs(&self.store_as_seen()).unwrap();
        disk.blocks_available() * disk.fragment_size()
    }

    /// The inodes that are free there.
    pub fn free_inodes(&self) -> u64 {
        statvfs(&self.store_as_seen()).unwrap().files_available()
    }

    /// Where the proxy stores, on a file system that only it sees too.
    pub fn store_as_seen(&self) -> PathBuf {
        format!("/proc/{}/root{}", self.pid(), self.store().display()).into()
    }

    /// Where the proxy stores.
    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Replaces the configuration; the proxy reads it when told to.
    pub fn write_config(&self, config: &str) {
        std::fs::write(self.config_path(), config).unwrap();
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the proxy runs")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running().address
    }

    /// The lines that it wrote to the console so far.
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
        let end = Instant::now() + TIMEOUT;
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
        wait_until("workers", TIMEOUT, || self.workers().len() == count);
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
        let status = self.wait_for_exit(TIMEOUT);
        assert!(status.success(), "stopped with {status}");
        wait_until("the workers' end", TIMEOUT, || {
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

    /// The proxy's processes that hold the connection of the client with this port.
    pub fn holders(&self, client: u16) -> Vec<i32> {
        self.holders_of(&[client]).remove(0)
    }

    /// The same for many clients, seen at one time.
    pub fn holders_of(&self, clients: &[u16]) -> Vec<Vec<i32>> {
        let inodes = inodes(self.address().port());
        let mut pids = self.workers();
        pids.push(self.pid());
        let held = pids
            .iter()
            .map(|pid| (*pid, descriptors(*pid).into_iter().collect()));
        let held: Vec<(i32, HashSet<String>)> = held.collect();
        let holders = |client: &u16| {
            let socket = inodes.get(client).map(|inode| format!("socket:[{inode}]"));
            let has = |held: &HashSet<String>| {
                socket.as_ref().is_some_and(|socket| held.contains(socket))
            };
            held.iter()
                .filter(|(_, held)| has(held))
                .map(|(pid, _)| *pid)
                .collect()
        };
        clients.iter().map(holders).collect()
    }

    /// Waits until one worker alone holds all these clients' connections, and gives it.
    #[track_caller]
    pub fn wait_until_together(&self, clients: &[Client]) -> i32 {
        let ports: Vec<u16> = clients.iter().map(Client::port).collect();
        let mut holders = Vec::new();
        wait_until("all clients are with one worker", TIMEOUT, || {
            holders = self.holders_of(&ports);
            holders[0].len() == 1
                && holders[0][0] != self.pid()
                && holders.iter().all(|one| *one == holders[0])
        });
        holders[0][0]
    }

    /// Waits until the supervisor alone holds a client's connection.
    #[track_caller]
    pub fn wait_until_parked(&self, client: &Client) {
        let mut socket = None;
        wait_until("the client is parked", TIMEOUT, || {
            // The table of all connections is long: it is read only until the connection is in it.
            if socket.is_none() {
                socket = inodes(self.address().port()).remove(&client.port());
            }
            let holds = |pid: i32, socket: &str| descriptors(pid).iter().any(|one| one == socket);
            socket.as_ref().is_some_and(|inode| {
                let socket = format!("socket:[{inode}]");
                let mut workers = self.workers().into_iter();
                holds(self.pid(), &socket) && !workers.any(|worker| holds(worker, &socket))
            })
        });
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
        self.wait_for_exit(TIMEOUT);
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
