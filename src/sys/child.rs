//! Starting a process that finds its listening socket as systemd would pass it (sd_listen_fds(3)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::errno::Errno;
use nix::libc;

use super::{fds, signals};

/// The first inherited fd, fixed by the protocol.
const FIRST: RawFd = 3;

/// Starts `command` with `listener` as its only inherited socket, called `name`. LISTEN_PID is left
/// out, since a child's pid isn't known before it runs; listenfd takes that for itself.
/// The child is in a process group of its own: Ctrl-C reaches only the parent, which tells it to stop.
pub fn spawn(mut command: Command, listener: impl AsFd, name: &str) -> io::Result<Child> {
    let raw = listener.as_fd().as_raw_fd();
    command
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", name)
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDS_FIRST_FD")
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env_remove("WATCHDOG_PID")
        .process_group(0);
    // Command reports a failed exec over a pipe, which must not be the fd that is replaced below.
    let _occupied = fds::duplicate(&listener)?;
    // SAFETY: between fork and exec only async-signal-safe calls are made: dup2, fcntl, sigprocmask.
    unsafe { command.pre_exec(move || pass(raw)) };
    command.spawn()
}

fn pass(raw: RawFd) -> io::Result<()> {
    signals::unblock_all()?;
    // SAFETY: plain calls on fd numbers; the copy that dup2 makes is not close-on-exec.
    let result = unsafe {
        if raw == FIRST {
            libc::fcntl(raw, libc::F_SETFD, 0)
        } else {
            libc::dup2(raw, FIRST)
        }
    };
    Ok(Errno::result(result).map(drop)?)
}
