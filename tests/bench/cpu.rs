//! Processor time that processes used, to the nanosecond.

use std::time::Duration;

use crate::common::postgres::Server;

/// Processor time that something took.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Of the clients: this process, or workers.
    pub client: Duration,
    /// Of all of the server's processes.
    pub server: Duration,
}

impl Used {
    /// By this work: of these processes, and of the server's as they are at its beginning.
    pub fn by(clients: &[i32], server: &Server, work: impl FnOnce()) -> Used {
        let servers = server.processes();
        let all = |pids: &[i32]| -> Duration { pids.iter().map(|pid| of(*pid)).sum() };
        // Looking is work of the client's too: its own time is read last before, and first after.
        let before = (all(&servers), all(clients));
        work();
        let after = (all(clients), all(&servers));
        Used {
            client: after.0.saturating_sub(before.1),
            server: after.1.saturating_sub(before.0),
        }
    }
}

/// Microseconds for each of so many.
pub fn micros(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}

/// All threads of a process that live.
fn of(pid: i32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let nanos = tasks.into_iter().flatten().flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
