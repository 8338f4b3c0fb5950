//! Processor time that processes used, to the nanosecond.

use std::ops::Sub;
use std::time::Duration;

use crate::common::postgres::Server;

/// Processor time so far, or between two points in time.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Of the clients: this process, or workers.
    pub client: Duration,
    /// Of all of the server's processes.
    pub server: Duration,
}

impl Used {
    /// Until now: by these processes and the server.
    pub fn now(clients: &[i32], server: &Server) -> Used {
        Used {
            client: clients.iter().map(|pid| of(*pid)).sum(),
            server: server.processes().iter().map(|pid| of(*pid)).sum(),
        }
    }
}

impl Sub for Used {
    type Output = Used;

    /// What was used since. A process that ended meanwhile counts for nothing.
    fn sub(self, before: Used) -> Used {
        Used {
            client: self.client.saturating_sub(before.client),
            server: self.server.saturating_sub(before.server),
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
