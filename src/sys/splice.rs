//! Moving bytes from one stream to another inside the kernel, through a pipe (splice(2)): what a
//! tunnel does all day. Nothing is looked at on the way.

use std::io;
use std::os::fd::OwnedFd;

use nix::fcntl::{OFlag, SpliceFFlags, splice};
use nix::unistd::pipe2;

use super::stream::Stream;

/// The most that one splice call may move: a pipe's default capacity.
const MOST: usize = 64 << 10;

/// One direction of a tunnel.
#[derive(Debug)]
pub struct Relay {
    pipe_in: OwnedFd,
    pipe_out: OwnedFd,
}

impl Relay {
    pub fn new() -> io::Result<Relay> {
        let (pipe_out, pipe_in) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        Ok(Relay { pipe_in, pipe_out })
    }

    /// Moves what is there from `from` to `to`, waiting for it; the number of bytes, 0 at the end.
    pub async fn step(&self, from: &Stream, to: &Stream) -> io::Result<usize> {
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
        let taken = loop {
            let mut guard = from.inner().readable().await?;
            let socket = from.inner().get_ref();
            match splice(socket, None, &self.pipe_in, None, MOST, flags) {
                Ok(taken) => {
                    guard.retain_ready();
                    break taken;
                }
                // The pipe is empty here, so it is the socket that has nothing.
                Err(nix::Error::EAGAIN) => guard.clear_ready(),
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        let mut left = taken;
        while left > 0 {
            let socket = to.inner().get_ref();
            match splice(&self.pipe_out, None, socket, None, left, flags) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(given) => left -= given,
                Err(nix::Error::EAGAIN) => to.until_writable().await?,
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(taken)
    }
}
