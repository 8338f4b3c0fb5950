//! Starting a process that finds its sockets as systemd would pass them (sd_listen_fds(3)).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::{fds, signals};

/// The first inherited fd, fixed by the protocol.
const FIRST: RawFd = 3;

/// Starts `command` with these as its only inherited fds, by their names. LISTEN_PID is left
/// out, since a child's pid isn't known before it runs; listenfd takes that for itself.
/// The child is in a process group of its own: Ctrl-C reaches only the parent, which tells it to stop.
pub fn spawn(mut command: Command, passed: &[(&str, BorrowedFd<'_>)]) -> io::Result<Child> {
    let names: Vec<&str> = passed.iter().map(|(name, _)| *name).collect();
    command
        .env("LISTEN_FDS", passed.len().to_string())
        .env("LISTEN_FDNAMES", names.join(":"))
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDS_FIRST_FD")
        .process_group(0);
    // Copies beyond the numbers that are to be given out, so that none is replaced before it is passed.
    let beyond = FIRST + RawFd::try_from(passed.len()).unwrap_or(0);
    let copies = passed.iter().map(|(_, fd)| copy(*fd, beyond));
    let copies: Vec<OwnedFd> = copies.collect::<io::Result<_>>()?;
    // Command reports a failed exec over a pipe, which must not be one of the fds that are replaced below.
    let occupied = passed.iter().map(|(_, fd)| fds::duplicate(fd));
    let _occupied: Vec<OwnedFd> = occupied.collect::<io::Result<_>>()?;
    let raw: Vec<RawFd> = copies.iter().map(AsRawFd::as_raw_fd).collect();
    // SAFETY: between fork and exec only async-signal-safe calls are made: dup2, sigprocmask.
    unsafe { command.pre_exec(move || pass(&raw)) };
    command.spawn()
}

fn copy(fd: BorrowedFd<'_>, least: RawFd) -> io::Result<OwnedFd> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(least))?;
    // SAFETY: fcntl has just made this fd; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

fn pass(fds: &[RawFd]) -> io::Result<()> {
    signals::unblock_all()?;
    for (fd, number) in fds.iter().zip(FIRST..) {
        // SAFETY: a plain call on fd numbers; the copy that it makes is not close-on-exec.
        Errno::result(unsafe { libc::dup2(*fd, number) })?;
    }
    Ok(())
}
