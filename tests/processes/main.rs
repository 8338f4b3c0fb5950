//! Supervisor and workers as processes: parking, death, signals, reload, and the command line.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod death;
mod descriptors;
mod parking;
mod signals;
mod start;
mod store;

use common::origin::passing;
use common::{Gate, Origin, Proxy, TIMEOUT, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A short stay of idle clients with their worker, so that tests needn't wait for it.
const PARKING: &str = "[timeouts]\nworker_idle = \"50ms\"\n";

fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

fn replaced(proxy: &Proxy, old: i32, count: usize) -> Vec<i32> {
    let all = || proxy.workers();
    wait_until("a new worker", TIMEOUT, || {
        all().len() == count && !all().contains(&old)
    });
    all()
}

/// An origin whose answer to `/hold` waits for the gate.
fn holding(gate: &Gate) -> Origin {
    Origin::gated(gate, |conn, request, gate| {
        if request.target().starts_with("/hold") {
            gate.wait();
        }
        conn.send(passing("content"));
    })
}
