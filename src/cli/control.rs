//! `cacheproxy status`, `cacheproxy reload`, and the shared memory for other commands: one request line to the
//! supervisor's control socket, and the text that comes back, whose first line is "ok" or begins with "error: ".

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::output;
use super::service::RUNTIME_DIR;
use crate::sys::exit::Failure;
use crate::sys::fds;
use crate::sys::shared::Shared;

const SOCKET: &str = "control.sock";
/// The time that a restart of the supervisor may take.
const RESTART: Duration = Duration::from_secs(3);
/// The time that the supervisor may take: a reload waits for every worker.
const TIMEOUT: Duration = Duration::from_secs(30);
/// More than any answer has.
const LONGEST_ANSWER: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct ControlArgs {
    /// The directory of the proxy's sockets; `cacheproxy run` says which it uses
    #[arg(long, value_name = "DIR", default_value = RUNTIME_DIR)]
    runtime_dir: PathBuf,
}

pub(super) fn status(args: &ControlArgs) -> Result<(), Failure> {
    let text = ask(&args.runtime_dir, "status")?.map_err(Failure::unavailable)?;
    output::print(&text)
}

pub(super) fn reload(args: &ControlArgs) -> Result<(), Failure> {
    match ask(&args.runtime_dir, "reload")? {
        Ok(text) if text.is_empty() => output::print("reloaded\n"),
        Ok(text) => output::print(&text),
        Err(reason) => Err(Failure::config(format!(
            "not reloaded, the old settings stay: {reason}"
        ))),
    }
}

/// The shared memory of the proxy whose sockets are there; none when no proxy runs.
pub(super) fn shared(runtime_dir: &Path) -> Result<Option<Shared>, Failure> {
    let socket = runtime_dir.join(SOCKET);
    let end = Instant::now() + RESTART;
    let (answer, fd) = loop {
        use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotFound};
        let asked = UnixStream::connect(&socket).and_then(receive_shared);
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
        (Some(Ok(_)), Some(fd)) => {
            let shared = Shared::from_fd(fd).map_err(|error| {
                Failure::unavailable(format!("the running proxy is of another version: {error}"))
            })?;
            Ok(Some(shared))
        }
        (Some(Err(reason)), _) => Err(Failure::no_permission(reason)),
        _ => Err(senseless(&socket, &answer)),
    }
}

fn receive_shared(mut supervisor: UnixStream) -> io::Result<(String, Option<OwnedFd>)> {
    supervisor.set_read_timeout(Some(TIMEOUT))?;
    supervisor.write_all(b"shared\n")?;
    let mut answer = vec![0; 1024];
    let (length, fd) = fds::receive_in_stream(&supervisor, &mut answer)?;
    Ok((String::from_utf8_lossy(&answer[..length]).into_owned(), fd))
}

/// Gives the supervisor's answer: the text after "ok", or what went wrong.
fn ask(runtime_dir: &Path, request: &str) -> Result<Result<String, String>, Failure> {
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
             a proxy started with `cacheproxy run` needs its --runtime-dir)"
        ));
    }
    if kind == io::ErrorKind::WouldBlock {
        return Failure::unavailable(format!("{socket}: no answer in {} s", TIMEOUT.as_secs()));
    }
    Failure::unavailable(format!("{socket}: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sys::exit::Exit;
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixListener;
    use std::thread;

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

    #[test]
    fn asks_one_line_and_reads_to_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("control.sock")).unwrap();
        let server = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&client).read_line(&mut line).unwrap();
            client.write_all(b"error: bad file\n").unwrap();
            line
        });
        let args = ControlArgs {
            runtime_dir: dir.path().to_path_buf(),
        };
        let failure = reload(&args).unwrap_err();
        assert_eq!(server.join().unwrap(), "reload\n");
        assert_eq!(
            failure,
            Failure::config("not reloaded, the old settings stay: bad file")
        );
    }

    #[test]
    fn nobody_there() {
        let dir = tempfile::tempdir().unwrap();
        let args = ControlArgs {
            runtime_dir: dir.path().to_path_buf(),
        };
        assert_eq!(status(&args).unwrap_err().exit, Exit::Unavailable);
    }
}
