//! A TCP connection that is read with a deadline, a delimiter at a time or so many bytes at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::TIMEOUT;

/// Why a message could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The peer closed before the first byte of a message.
    Closed,
    /// The peer closed within a message.
    Partial(String),
    /// The peer reset the connection.
    Reset,
    /// Nothing came within the time of a test.
    Late,
    /// Octets came that aren't HTTP.
    Malformed(String),
}

impl Ended {
    /// True when the connection is over, in whatever way.
    pub fn is_over(&self) -> bool {
        matches!(self, Ended::Closed | Ended::Partial(_) | Ended::Reset)
    }
}

/// One end of a connection with what was read from it and not yet used.
pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
    deadline: Instant,
}

impl Wire {
    /// Wraps a connected stream.
    pub fn of(stream: TcpStream) -> Wire {
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        Wire {
            stream,
            read: Vec::new(),
            deadline: Instant::now() + TIMEOUT,
        }
    }

    /// Starts the time that the next reads have together.
    pub fn allow(&mut self, time: Duration) {
        self.deadline = Instant::now() + time;
    }

    /// This end's address.
    pub fn local(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Sends all of it; an error means that the peer is gone or doesn't read.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends FIN and goes on reading.
    pub fn half_close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection with RST.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    /// Another handle of the same connection, for a thread that only writes.
    pub fn writer(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    /// True when nothing that was read is unused.
    pub fn is_drained(&self) -> bool {
        self.read.is_empty()
    }

    fn fill(&mut self) -> Result<(), Ended> {
        let mut room = [0; 64 * 1024];
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Ended::Late);
            }
            self.stream.set_read_timeout(Some(left)).unwrap();
            match self.stream.read(&mut room) {
                Ok(0) => return Err(Ended::Closed),
                Ok(len) => {
                    self.read.extend_from_slice(&room[..len]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(Ended::Late),
                Err(_) => return Err(Ended::Reset),
            }
        }
    }

    /// Everything up to and with `mark`.
    pub fn until(&mut self, mark: &[u8]) -> Result<Vec<u8>, Ended> {
        let mut looked = 0;
        loop {
            let found = self.read[looked..]
                .windows(mark.len())
                .position(|at| at == mark);
            if let Some(at) = found {
                return Ok(self.read.drain(..looked + at + mark.len()).collect());
            }
            looked = self.read.len().saturating_sub(mark.len() - 1);
            self.fill().map_err(|ended| self.within(ended))?;
        }
    }

    /// At least one byte, at most so many.
    pub fn some(&mut self, most: usize) -> Result<Vec<u8>, Ended> {
        if self.read.is_empty() {
            self.fill()?;
        }
        let len = self.read.len().min(most);
        Ok(self.read.drain(..len).collect())
    }

    /// Exactly so many bytes.
    pub fn exactly(&mut self, len: usize) -> Result<Vec<u8>, Ended> {
        while self.read.len() < len {
            self.fill().map_err(|ended| self.within(ended))?;
        }
        Ok(self.read.drain(..len).collect())
    }

    /// Everything until the peer ends the connection, and how it did.
    pub fn rest(&mut self) -> (Vec<u8>, Ended) {
        loop {
            if let Err(ended) = self.fill() {
                return (std::mem::take(&mut self.read), ended);
            }
        }
    }

    fn within(&self, ended: Ended) -> Ended {
        if ended == Ended::Closed && !self.read.is_empty() {
            return Ended::Partial(String::from_utf8_lossy(&self.read).into_owned());
        }
        ended
    }
}
