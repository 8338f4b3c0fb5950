//! Questions to a running proxy: one request line to the supervisor's control socket, and the text that comes back,
//! whose first line is "ok" or begins with "error: ". With some the fd of a memory file comes.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::config::{self, ConfigText, Settings, display_duration};
use crate::sys::exit::Failure;
use crate::sys::shared::Shared;
use crate::sys::{fds, memory_file};

const SOCKET: &str = "control.sock";
/// The time that a restart of the supervisor may take.
const RESTART: Duration = Duration::from_secs(3);
/// The time that the supervisor may take: a reload waits for every worker.
const TIMEOUT: Duration = Duration::from_secs(30);
/// More than any answer has.
const LONGEST_ANSWER: u64 = 1 << 20;

/// The shared memory of the proxy whose sockets are there; none when no proxy runs.
pub(super) fn shared(runtime_dir: &Path) -> Result<Option<Shared>, Failure> {
    match memory(runtime_dir, "shared")? {
        None => Ok(None),
        Some(Err(reason)) => Err(Failure::no_permission(reason)),
        Some(Ok(fd)) => Shared::from_fd(fd).map(Some).map_err(other_version),
    }
}

/// The settings of the proxy whose sockets are there; none when no proxy runs.
pub(super) fn settings(runtime_dir: &Path) -> Result<Option<Settings>, Failure> {
    let encoded = configuration(runtime_dir)?;
    let decoded = encoded.map(|encoded| config::decode(&encoded));
    decoded.transpose().map_err(other_version)
}

/// The texts that these settings come from.
pub(super) fn texts(runtime_dir: &Path) -> Result<Option<Vec<ConfigText>>, Failure> {
    let encoded = configuration(runtime_dir)?;
    let decoded = encoded.map(|encoded| config::decode_texts(&encoded));
    decoded.transpose().map_err(other_version)
}

fn configuration(runtime_dir: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match memory(runtime_dir, "settings")? {
        None => Ok(None),
        Some(Err(reason)) if reason.starts_with("expected") => Err(other_version(reason)),
        Some(Err(reason)) => Err(Failure::no_permission(reason)),
        Some(Ok(fd)) => memory_file::read(&fd).map(Some).map_err(other_version),
    }
}

fn other_version(error: impl Display) -> Failure {
    Failure::unavailable(format!("the running proxy is of another version: {error}"))
}

/// True where a proxy listens.
pub(super) fn answers(runtime_dir: &Path) -> bool {
    UnixStream::connect(runtime_dir.join(SOCKET)).is_ok()
}

/// The memory file that the supervisor answers this request with, or why it doesn't; none when no proxy runs.
fn memory(runtime_dir: &Path, request: &str) -> Result<Option<Result<OwnedFd, String>>, Failure> {
    let socket = runtime_dir.join(SOCKET);
    let end = Instant::now() + RESTART;
    let (answer, fd) = loop {
        use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotFound};
        let asked = UnixStream::connect(&socket).and_then(|stream| receive(stream, request));
        let is_over = Instant::now() > end;
        match asked {
            // A supervisor that is being restarted has left its callers; its workers live on.
            Ok((answer, _)) if answer.is_empty() && !is_over => {}
            Ok(answered) => break answered,
            Err(error) if error.kind() == NotFound => return Ok(None),
            Err(error) if error.kind() == ConnectionRefused && is_over => return Ok(None),
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionRefused | ConnectionReset | BrokenPipe
                ) && !is_over => {}
            Err(error) => return Err(unreachable(&socket, &error)),
        }
        sleep(RESTART / 100);
    };
    match (read_answer(&answer), fd) {
        (Some(Ok(_)), Some(fd)) => Ok(Some(Ok(fd))),
        (Some(Err(reason)), _) => Ok(Some(Err(reason))),
        _ => Err(senseless(&socket, &answer)),
    }
}

fn receive(mut supervisor: UnixStream, request: &str) -> io::Result<(String, Option<OwnedFd>)> {
    supervisor.set_read_timeout(Some(TIMEOUT))?;
    supervisor.write_all(format!("{request}\n").as_bytes())?;
    let mut answer = vec![0; 1024];
    let (length, fd) = fds::receive_in_stream(&supervisor, &mut answer)?;
    Ok((String::from_utf8_lossy(&answer[..length]).into_owned(), fd))
}

/// Gives the supervisor's answer: the text after "ok", or what went wrong.
pub(super) fn ask(runtime_dir: &Path, request: &str) -> Result<Result<String, String>, Failure> {
    let socket = runtime_dir.join(SOCKET);
    let answer = exchange(&socket, request).map_err(|error| unreachable(&socket, &error))?;
    read_answer(&answer).ok_or_else(|| senseless(&socket, &answer))
}

fn senseless(socket: &Path, answer: &str) -> Failure {
    let socket = socket.display();
    Failure::unavailable(format!(
        "{socket}: an answer that makes no sense: {answer:?}"
    ))
}

fn exchange(socket: &Path, request: &str) -> io::Result<String> {
    let mut supervisor = UnixStream::connect(socket)?;
    supervisor.set_read_timeout(Some(TIMEOUT))?;
    supervisor.set_write_timeout(Some(TIMEOUT))?;
    supervisor.write_all(format!("{request}\n").as_bytes())?;
    let mut answer = Vec::new();
    supervisor.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn read_answer(answer: &str) -> Option<Result<String, String>> {
    let (first, rest) = answer.split_once('\n').unwrap_or((answer, ""));
    if first == "ok" {
        return Some(Ok(rest.to_string()));
    }
    let reason = first.strip_prefix("error: ")?;
    let more = rest.trim_end();
    let separator = if more.is_empty() { "" } else { "\n" };
    Some(Err(format!("{reason}{separator}{more}")))
}

fn unreachable(socket: &Path, error: &io::Error) -> Failure {
    let kind = error.kind();
    let socket = socket.display();
    if kind == io::ErrorKind::PermissionDenied {
        return Failure::no_permission(format!("{socket}: {error}; try it with sudo"));
    }
    if kind == io::ErrorKind::NotFound || kind == io::ErrorKind::ConnectionRefused {
        return Failure::unavailable(format!(
            "no proxy answers at {socket}: {error}; is it running? (`systemctl status cacheproxy`; \
             another user's that was started with `cacheproxy run` needs its --runtime-dir)"
        ));
    }
    if kind == io::ErrorKind::WouldBlock {
        return Failure::unavailable(format!(
            "{socket}: no answer in {}",
            display_duration(TIMEOUT)
        ));
    }
    Failure::unavailable(format!("{socket}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let table = [
            ("ok", Some(Ok(""))),
            ("ok\nworkers 2\n", Some(Ok("workers 2\n"))),
            ("error: no\n", Some(Err("no"))),
            (
                "error: a.toml:3: no\nworker 2: yes\n",
                Some(Err("a.toml:3: no\nworker 2: yes")),
            ),
            ("", None),
            ("okay\n", None),
        ];
        for (answer, expected) in table {
            let expected =
                expected.map(|e: Result<&str, &str>| e.map(String::from).map_err(String::from));
            assert_eq!(read_answer(answer), expected, "{answer:?}");
        }
    }
}
