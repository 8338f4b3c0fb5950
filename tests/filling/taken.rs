//! The place that a store takes on disk, looked at from outside at one moment.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::proxy::state;
use crate::common::{Proxy, TIMEOUT, wait_until};

/// A store's place on disk.
#[derive(Debug, Default, Clone, Copy)]
pub struct Taken {
    /// Blocks of files, those that have no name included.
    pub files: u64,
    /// Of those, the ones without a name.
    pub unnamed: u64,
    /// Blocks of everything with a name, directories too, as du counts them.
    pub du: u64,
}

impl Taken {
    /// The store's place while none of the proxy's processes runs, so that all is of one moment.
    pub fn by(proxy: &Proxy) -> Taken {
        let mut pids = proxy.workers();
        pids.push(proxy.pid());
        let all = |signal| {
            pids.iter().for_each(|pid| {
                let _ = kill(Pid::from_raw(*pid), signal);
            })
        };
        all(Signal::SIGSTOP);
        wait_until("all have stopped", TIMEOUT, || {
            pids.iter().all(|pid| is_stopped(*pid))
        });
        let mut taken = Taken::default();
        let mut seen = HashSet::new();
        let mut folders = vec![proxy.store()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let metadata = entry.metadata().unwrap();
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if seen.insert(metadata.ino()) {
                    taken.files += metadata.blocks() * 512;
                }
            }
        }
        for pid in &pids {
            taken.unnamed += unnamed(*pid, &proxy.store(), &mut seen);
        }
        taken.files += taken.unnamed;
        taken.du = du(&proxy.store());
        all(Signal::SIGCONT);
        taken
    }

    pub fn most(self, other: Taken) -> Taken {
        Taken {
            files: self.files.max(other.files),
            unnamed: self.unnamed.max(other.unnamed),
            du: self.du.max(other.du),
        }
    }
}

/// True when none of its threads runs: the first may have stopped while another is still within a call.
fn is_stopped(pid: i32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    threads.into_iter().flatten().flatten().all(|thread| {
        let id = thread.file_name().to_str().unwrap().parse().unwrap();
        matches!(state(id), None | Some('T' | 'Z'))
    })
}

/// The blocks of the files of this store that a process has open and nobody else can.
fn unnamed(pid: i32, store: &Path, seen: &mut HashSet<u64>) -> u64 {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return 0;
    };
    let mut bytes = 0;
    for entry in entries.flatten() {
        let (link, file) = (std::fs::read_link(entry.path()), entry.path().metadata());
        let (Ok(link), Ok(file)) = (link, file) else {
            continue;
        };
        if link.starts_with(store) && file.is_file() && file.nlink() == 0 && seen.insert(file.ino())
        {
            bytes += file.blocks() * 512;
        }
    }
    bytes
}

fn du(store: &Path) -> u64 {
    let told = Command::new("du")
        .args(["-s", "-B1"])
        .arg(store)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    told.split_whitespace().next().unwrap().parse().unwrap()
}
