//! The server's processes: started, watched until ready, signalled all together, and ended with the test's own process even
//! when that is killed, by a shell that waits for the end of a pipe.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::template::{Owner, program};
use super::{TIMEOUT, wait_until};

/// When the test's process is gone, so is its end of the pipe, and the server and its files go too.
const GUARD: &str = r#"trap '' INT TERM HUP
read -r _ && exit
pid=$(head -n1 "$0/data/postmaster.pid" 2>/dev/null) && kill -KILL "$pid"
rm -rf "$0""#;

/// The processes of a running server.
pub struct Process {
    server: Child,
    guard: Child,
}

impl Process {
    /// Starts the server whose files are in `dir`, and waits until it is ready; what it logged, when it ends before that.
    pub fn start(dir: &Path, owner: Option<Owner>) -> Result<Process, String> {
        let log = dir.join("log");
        let output = File::options()
            .append(true)
            .create(true)
            .open(&log)
            .unwrap();
        let mut server = program("postgres", owner);
        server.arg("-D").arg(dir.join("data")).stdin(Stdio::null());
        server.stdout(output.try_clone().unwrap()).stderr(output);
        // Ctrl-C is for the test; the guard does the rest.
        let server = server.process_group(0).spawn().unwrap();
        let guard = Command::new("/bin/sh")
            .args(["-c", GUARD])
            .arg(dir)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut process = Process { server, guard };
        let ready = process.wait_until_ready(&dir.join("data/postmaster.pid"));
        if let Err(why) = ready {
            process.kill();
            let log = std::fs::read_to_string(log).unwrap_or_default();
            return Err(format!("PostgreSQL doesn't start: {why}: {log}"));
        }
        Ok(process)
    }

    fn wait_until_ready(&mut self, file: &PathBuf) -> Result<(), String> {
        let end = Instant::now() + TIMEOUT;
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let own = text.lines().next() == Some(self.pid().to_string().as_str());
            if own && text.lines().any(|line| line.trim() == "ready") {
                return Ok(());
            }
            if let Some(status) = self.server.try_wait().unwrap() {
                return Err(status.to_string());
            }
            if Instant::now() > end {
                return Err(format!("not ready within {TIMEOUT:?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The main process.
    pub fn pid(&self) -> i32 {
        self.server.id() as i32
    }

    /// The main process and its children.
    pub fn all(&self) -> Vec<i32> {
        let pid = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        let children = children.split(' ').filter_map(|pid| pid.parse().ok());
        std::iter::once(pid).chain(children).collect()
    }

    /// Signals the main process first, so that it makes no new ones, and gives who was signalled.
    fn signal(&self, signal: Signal) -> Vec<i32> {
        let mut all = self.all();
        loop {
            for pid in &all {
                let _ = kill(Pid::from_raw(*pid), signal);
            }
            let now = self.all();
            // One that was made meanwhile is still to be signalled; a killed parent has no children any more.
            if now.iter().all(|pid| all.contains(pid)) {
                return all;
            }
            all.extend(now);
        }
    }

    /// SIGSTOP for all.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT for all.
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// SIGKILL for all, and their end.
    pub fn kill(mut self) {
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGSTOP);
        let all = self.signal(Signal::SIGKILL);
        let _ = self.server.wait();
        wait_until("the end of the server's processes", || {
            !all.iter().any(|pid| is_alive(*pid))
        });
        self.dismiss();
    }

    /// PostgreSQL's fast shutdown.
    pub fn stop(mut self) {
        kill(Pid::from_raw(self.pid()), Signal::SIGINT).unwrap();
        wait_until("the server's end", || {
            self.server.try_wait().unwrap().is_some()
        });
        self.dismiss();
    }

    /// The guard is told that there is nothing to guard any more.
    fn dismiss(&mut self) {
        let pipe = self.guard.stdin.take();
        let told = pipe.map(|mut pipe| std::io::Write::write_all(&mut pipe, b"over\n"));
        assert!(matches!(told, Some(Ok(()))), "the guard is gone");
        let _ = self.guard.wait();
    }
}

/// The letter that says what a process does (proc_pid_stat(5)); none when there is no such process.
pub fn state(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

/// True when a process runs and isn't a zombie.
pub fn is_alive(pid: i32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}
