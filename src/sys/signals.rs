//! Signals as something to read (signalfd(2)), so that the supervisor's loop has no handlers.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalRequest {
    /// SIGTERM, or SIGINT from a terminal: end.
    Stop,
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGCHLD: a child has ended.
    Child,
}

/// The signals of this process, blocked and readable.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals in this thread and those it starts later, and makes them readable.
    /// To be called before any other thread runs, which would still be interrupted.
    pub fn take() -> io::Result<Signals> {
        let set = taken();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Signals(SignalFd::with_flags(&set, flags)?))
    }

    pub fn next(&self) -> io::Result<Option<SignalRequest>> {
        let signal = self.0.read_signal()?;
        Ok(
            signal.map(|info| match Signal::try_from(info.ssi_signo as i32) {
                Ok(Signal::SIGHUP) => SignalRequest::Reload,
                Ok(Signal::SIGCHLD) => SignalRequest::Child,
                _ => SignalRequest::Stop,
            }),
        )
    }
}

fn taken() -> SigSet {
    use Signal::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
    SigSet::from_iter([SIGTERM, SIGINT, SIGHUP, SIGCHLD])
}

/// Starts a thread, say, that has every signal blocked from its first moment, so that each goes to a thread that
/// expects it.
pub fn left_to_others<T>(start: impl FnOnce() -> T) -> io::Result<T> {
    let mut before = SigSet::empty();
    let all = SigSet::all();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&all), Some(&mut before))?;
    let started = start();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    Ok(started)
}

/// Unblocks every signal: for a child between fork and exec, which inherits the mask.
pub(super) fn unblock_all() -> io::Result<()> {
    let none = SigSet::empty();
    Ok(pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&none), None)?)
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
