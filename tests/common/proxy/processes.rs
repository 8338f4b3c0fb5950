//! Processes seen from outside: children, descriptors, memory, and whose a connection is.

use std::collections::HashMap;

pub use super::super::postgres::{is_alive, state};

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

/// The files that a process's descriptors point at.
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

/// The sockets of a local port's connections by the other end's port, of IPv4.
pub fn inodes(local: u16) -> HashMap<u16, String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    // Of the many lines few are taken apart: those with the port somewhere.
    let hex = format!(":{local:04X} ");
    let connection = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let is_local = port(columns.get(1)?) == Some(local);
        let remote = port(columns.get(2)?).filter(|_| is_local)?;
        // One that isn't accepted yet has none.
        let inode = columns.get(9).filter(|inode| **inode != "0")?;
        Some((remote, (*inode).to_owned()))
    };
    let lines = table.lines().filter(|line| line.contains(&hex));
    lines.filter_map(connection).collect()
}
