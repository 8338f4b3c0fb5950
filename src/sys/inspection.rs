//! Keeping other processes of the same user out of this one: no ptrace, no `/proc/PID/mem`, no core dump (prctl(2)).

use std::env;
use std::io;

/// Set to 1 it lets a debugger, and tests that look at descriptors, into processes of the same user.
const ALLOWED: &str = "CACHEPROXY_DUMPABLE";

/// Forbids other processes without privileges to look into this one, for good.
pub fn forbid() -> io::Result<()> {
    if env::var_os(ALLOWED).is_some_and(|value| value == "1") {
        return Ok(());
    }
    Ok(nix::sys::prctl::set_dumpable(false)?)
}
