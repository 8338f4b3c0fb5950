//! Sockets handed over by systemd or by `cacheproxy run` (sd_listen_fds(3)), with their names.
//!
//! listenfd ignores LISTEN_FDNAMES and the order of fds may differ from start to start, so the
//! names are read first and each fd is taken by its index. A parent that isn't systemd leaves
//! LISTEN_PID out, which listenfd accepts.

use std::env;
use std::io;
use std::iter::repeat;
use std::os::fd::{FromRawFd, OwnedFd};

use listenfd::ListenFd;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

/// Takes every inherited socket with its name, in the order they were passed. Names that aren't
/// known (LISTEN_FDNAMES missing or too short) are empty. Must be called once, before any thread
/// is started, because it clears the environment variables.
pub fn sockets() -> io::Result<Vec<(String, OwnedFd)>> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut listen = ListenFd::from_env();
    let names = names.split(':').chain(repeat(""));
    let mut out = Vec::with_capacity(listen.len());
    for (index, name) in (0..listen.len()).zip(names) {
        let Some(raw) = listen.take_raw_fd(index)? else {
            continue;
        };
        // SAFETY: the fd was passed to this process for it alone, and listenfd gives each out once.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        // systemd passes blocking sockets on, and an event loop must not wait in accept().
        let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
        fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        out.push((name.to_owned(), fd));
    }
    Ok(out)
}
