//! The steps of a change at which tests kill a process.

use std::sync::OnceLock;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Names the step at which this process is to be killed.
pub(super) const KILLED_AT: &str = "CACHEPROXY_TEST_KILLED_AT";

static STEP: OnceLock<Option<String>> = OnceLock::new();

/// Kills this process where it is to be killed at this step.
pub(super) fn reached(step: &str) {
    let wanted = STEP.get_or_init(|| std::env::var(KILLED_AT).ok());
    if wanted.as_deref() == Some(step) {
        let _ = kill(Pid::this(), Signal::SIGKILL);
    }
}
