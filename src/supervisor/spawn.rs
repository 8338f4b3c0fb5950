//! Starting workers: under systemd by connecting to its socket, which starts its unit; in the
//! foreground as a child that gets the same listening socket in the same way.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use super::start::Spawn;
use crate::config::display_duration;
use crate::sys::{child, seqpacket};

#[derive(Debug)]
pub(super) struct Spawner {
    how: Spawn,
    dir: PathBuf,
    processes: BTreeMap<usize, WorkerProcess>,
    /// Children that drain or should, and have left their slot.
    leaving: Vec<Child>,
    /// The failure that was reported last of each slot.
    reported: BTreeMap<usize, io::ErrorKind>,
}

/// The listening socket of a slot, and the child that accepts there.
#[derive(Debug)]
struct WorkerProcess {
    listener: OwnedFd,
    child: Option<Child>,
}

impl Spawner {
    pub(super) fn new(how: Spawn, dir: PathBuf) -> Spawner {
        Spawner {
            how,
            dir,
            processes: BTreeMap::new(),
            leaving: Vec::new(),
            reported: BTreeMap::new(),
        }
    }

    /// True when the workers are children, which end with the supervisor.
    pub(super) fn has_children(&self) -> bool {
        matches!(self.how, Spawn::Children(_))
    }

    /// Connects to the worker of this slot, which starts it if it isn't there.
    pub(super) fn connect(&mut self, slot: usize) -> io::Result<OwnedFd> {
        let path = self.dir.join(format!("worker-{}.sock", slot + 1));
        if let Spawn::Children(program) = &self.how {
            let process = match self.processes.entry(slot) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(free) => free.insert(WorkerProcess {
                    listener: seqpacket::listen(&path)?,
                    child: None,
                }),
            };
            let is_alive = match &mut process.child {
                Some(child) => child.try_wait()?.is_none(),
                None => false,
            };
            if !is_alive {
                let mut command = Command::new(program);
                command.arg("worker").arg((slot + 1).to_string());
                // systemd hears of the service from its first process alone.
                for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
                    command.env_remove(name);
                }
                let listener = ("worker", process.listener.as_fd());
                process.child = Some(child::spawn(command, &[listener])?);
            }
        }
        seqpacket::connect(&path)
    }

    /// The worker of this slot drains: a successor doesn't wait for its end.
    pub(super) fn leaves(&mut self, slot: usize) {
        if let Some(process) = self.processes.get_mut(&slot) {
            self.leaving.extend(process.child.take());
        }
    }

    /// Reaps the children that have ended, and tells the slots that have lost theirs.
    pub(super) fn reap(&mut self) -> Vec<usize> {
        self.leaving.retain_mut(is_running);
        let mut orphaned = Vec::new();
        for (slot, process) in &mut self.processes {
            let ended = process.child.take_if(|child| !is_running(child));
            orphaned.extend(ended.map(|_| *slot));
        }
        orphaned
    }

    pub(super) fn has_running(&mut self) -> bool {
        self.reap();
        self.children().next().is_some()
    }

    fn children(&mut self) -> impl Iterator<Item = &mut Child> {
        let processes = self.processes.values_mut();
        let current = processes.filter_map(|process| process.child.as_mut());
        current.chain(&mut self.leaving)
    }

    pub(super) fn kill_all(&mut self) {
        for child in self.children() {
            if let Err(error) = child.kill().and_then(|()| child.wait()) {
                log::error!("worker with pid {}: {error}", child.id());
            }
        }
    }

    /// Says, once for each kind of failure, why a worker can't be reached and what to do about it.
    pub(super) fn report(&mut self, slot: usize, problem: &io::Error, wait: Duration) {
        if self.reported.insert(slot, problem.kind()) == Some(problem.kind()) {
            return;
        }
        let worker = slot + 1;
        let dir = self.dir.display();
        match (&self.how, problem.kind()) {
            (Spawn::Sockets, io::ErrorKind::NotFound) => log::error!(
                "worker {worker} can't be started: {dir}/worker-{worker}.sock is not there; \
                 `systemctl start cacheproxy@{worker}.socket`, or lower `workers`; \
                 going on with the other workers"
            ),
            (Spawn::Sockets, io::ErrorKind::ConnectionRefused) => log::error!(
                "worker {worker} can't be started: nothing listens at {dir}/worker-{worker}.sock; \
                 see `systemctl status cacheproxy@{worker}.socket cacheproxy@{worker}.service`; \
                 going on with the other workers"
            ),
            _ => log::error!(
                "worker {worker} can't be started: {problem}; trying again in {} and then less often",
                display_duration(wait)
            ),
        }
    }

    /// The worker of this slot answers: the next failure is news again.
    pub(super) fn greeted(&mut self, slot: usize) {
        self.reported.remove(&slot);
    }

    pub(super) fn lost(&self, slot: usize, pid: u32, wait: Duration) {
        let worker = slot + 1;
        let next = match wait {
            Duration::ZERO => "at once".to_owned(),
            wait => format!("in {}", display_duration(wait)),
        };
        match pid {
            0 => log::warn!("worker {worker} ended before it was ready; trying again {next}"),
            pid => log::warn!("worker {worker} (pid {pid}) has ended; starting it again {next}"),
        }
    }
}

fn is_running(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(None))
}
