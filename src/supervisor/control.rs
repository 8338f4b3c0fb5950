//! The control socket: one line in ("status", "reload", "shared", "settings"), a text out that begins "ok" or "error: ".
//!
//! Anyone who can reach the socket may ask for the status; the rest is for root and the service's own user.
//! "shared" is answered with the shared memory's fd, "settings" with that of the texts that the settings come from, for
//! commands that look into the store or change it.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use super::callers::{Place, Room, room};
use super::token::Token;
use crate::sys::credentials;
use crate::sys::epoll::{Interest, Poll};
use crate::sys::fds;

const SOCKET: &str = "control.sock";

const LONGEST_CALL: Duration = Duration::from_secs(10);
const LONGEST_LINE: usize = 64;

#[derive(Debug)]
pub(super) struct Control {
    listener: UnixListener,
    callers: BTreeMap<u32, Caller>,
    last: u32,
}

#[derive(Debug)]
struct Caller {
    stream: UnixStream,
    uid: Option<u32>,
    line: Vec<u8>,
    until: Instant,
    awaits_reload: bool,
}

impl Control {
    /// Listens in this directory; a socket that an earlier supervisor left there is replaced at once, so that a command
    /// never takes a restart for a proxy that doesn't run.
    pub(super) fn open(dir: &Path) -> io::Result<Control> {
        let path = dir.join(SOCKET);
        let new = path.with_extension("new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&new)?;
        listener.set_nonblocking(true)?;
        fs::set_permissions(&new, Permissions::from_mode(0o666))?;
        fs::rename(&new, &path)?;
        Ok(Control {
            listener,
            callers: BTreeMap::new(),
            last: 0,
        })
    }

    pub(super) fn watch(&self, poll: &Poll) -> io::Result<()> {
        poll.add(&self.listener, Token::Control.number(), Interest::Read)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.callers.values().map(|caller| caller.until).min()
    }

    pub(super) fn accept(&mut self, poll: &Poll, now: Instant) {
        if let Err(error) = self.try_accept(poll, now) {
            log::warn!("a caller on the control socket can't be heard: {error}");
        }
    }

    fn try_accept(&mut self, poll: &Poll, now: Instant) -> io::Result<()> {
        let (stream, _) = self.listener.accept()?;
        stream.set_nonblocking(true)?;
        self.last = self.last.wrapping_add(1);
        let uid = credentials::peer_uid(&stream).ok();
        if !self.make_room(uid) {
            let busy = b"error: too many wait for an answer; try again\n";
            return (&stream).write_all(busy);
        }
        poll.add(&stream, Token::Caller(self.last).number(), Interest::Read)?;
        let caller = Caller {
            stream,
            uid,
            line: Vec::new(),
            until: now + LONGEST_CALL,
            awaits_reload: false,
        };
        self.callers.insert(self.last, caller);
        Ok(())
    }

    /// Makes room for a caller that comes; false where all others are to stay.
    fn make_room(&mut self, uid: Option<u32>) -> bool {
        let place = |(id, caller): (&u32, &Caller)| Place {
            id: *id,
            uid: caller.uid,
            waits: caller.awaits_reload,
        };
        let there: Vec<Place> = self.callers.iter().map(place).collect();
        let newcomer = Place {
            id: self.last,
            uid,
            waits: false,
        };
        match room(&there, newcomer) {
            Room::Free => {}
            Room::InPlaceOf(id) => drop(self.callers.remove(&id)),
            Room::None => return false,
        }
        true
    }

    /// Hears a caller. The request once it is whole, if the caller may make it.
    pub(super) fn hear(&mut self, id: u32) -> Option<ControlRequest> {
        let caller = self.callers.get_mut(&id)?;
        let Ok(request) = caller.read() else {
            self.callers.remove(&id);
            return None;
        };
        let request = request?;
        let what = match request {
            ControlRequest::Status | ControlRequest::Unknown => return Some(request),
            ControlRequest::Reload if caller.awaits_reload => return None,
            ControlRequest::Reload => "a reload",
            ControlRequest::Shared => "the shared memory",
            ControlRequest::Settings => "the configuration",
        };
        if !caller.uid.is_some_and(credentials::may_order) {
            let error = "is for root and the service's own user; try it with sudo";
            self.answer(id, &format!("error: {what} {error}\n"));
            return None;
        }
        caller.awaits_reload = request == ControlRequest::Reload;
        Some(request)
    }

    pub(super) fn answer_reload(&mut self, answer: &str) {
        let callers = self.callers.iter();
        let waiting = callers.filter(|(_, caller)| caller.awaits_reload);
        for id in waiting.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.answer(id, answer);
        }
    }

    pub(super) fn end_overdue(&mut self, now: Instant) {
        self.callers.retain(|_, caller| caller.until > now);
    }

    /// Ends a call with this fd.
    pub(super) fn answer_with(&mut self, id: u32, fd: BorrowedFd<'_>) {
        if let Some(caller) = self.callers.remove(&id) {
            if let Err(error) = fds::send_in_stream(&caller.stream, b"ok\n", fd) {
                log::debug!("an answer on the control socket wasn't taken: {error}");
            }
        }
    }

    /// Ends a call with an answer.
    pub(super) fn answer(&mut self, id: u32, answer: &str) {
        if let Some(mut caller) = self.callers.remove(&id) {
            // A caller that doesn't take a few hundred bytes at once has gone.
            if let Err(error) = caller.stream.write_all(answer.as_bytes()) {
                log::debug!("an answer on the control socket wasn't taken: {error}");
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ControlRequest {
    Status,
    Reload,
    Shared,
    Settings,
    Unknown,
}

/// The request in what was read so far; nothing while its line isn't whole.
fn request(line: &[u8]) -> Option<ControlRequest> {
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        return (line.len() > LONGEST_LINE).then_some(ControlRequest::Unknown);
    };
    Some(match line[..end].trim_ascii() {
        b"status" => ControlRequest::Status,
        b"reload" => ControlRequest::Reload,
        b"shared" => ControlRequest::Shared,
        b"settings" => ControlRequest::Settings,
        _ => ControlRequest::Unknown,
    })
}

impl Caller {
    fn read(&mut self) -> io::Result<Option<ControlRequest>> {
        let mut bytes = [0; LONGEST_LINE + 1];
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.line.extend_from_slice(&bytes[..count]);
                Ok(request(&self.line))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let long = [b'x'; LONGEST_LINE + 1];
        let rows: [(&[u8], Option<ControlRequest>); 9] = [
            (b"", None),
            (b"stat", None),
            (b"status\n", Some(ControlRequest::Status)),
            (b"reload\r\n", Some(ControlRequest::Reload)),
            (b"reload\nstatus\n", Some(ControlRequest::Reload)),
            (b"shared\n", Some(ControlRequest::Shared)),
            (b"settings\n", Some(ControlRequest::Settings)),
            (b"stop\n", Some(ControlRequest::Unknown)),
            (&long, Some(ControlRequest::Unknown)),
        ];
        for (line, expected) in rows {
            assert_eq!(request(line), expected, "{line:?}");
        }
    }
}
