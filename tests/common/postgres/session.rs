//! psql as the superuser through the Unix socket: a few commands, or a session that stays open.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::Server;
use super::template::program;

fn psql(server: &Server, database: &str) -> Command {
    let mut psql = program("psql", None);
    psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
    psql.arg("-h").arg(server.socket_dir());
    psql.args(["-p", &server.port().to_string()]);
    psql.args(["-U", "postgres", "-d", database]);
    psql
}

/// Runs commands and gives what they print.
pub fn run(server: &Server, database: &str, commands: &str) -> Result<String, String> {
    let mut psql = psql(server, database);
    let done = psql.arg("-c").arg(commands).stdin(Stdio::null()).output();
    let done = done.map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    match done.status.success() {
        true => Ok(text(&done.stdout)),
        false => Err(text(&done.stderr)),
    }
}

/// An open session; it ends, and with it its transaction, when dropped.
pub struct Session {
    psql: Child,
    commands: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    /// Connects, and waits until it is connected.
    pub fn open(server: &Server, database: &str) -> Session {
        let mut psql = psql(server, database);
        let psql = psql.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut psql = psql.spawn().unwrap();
        let mut session = Session {
            commands: psql.stdin.take().unwrap(),
            output: BufReader::new(psql.stdout.take().unwrap()),
            psql,
        };
        session.run("");
        session
    }

    /// Does these commands, each ended by a semicolon, and waits until they are done; gives what they printed.
    #[track_caller]
    pub fn run(&mut self, commands: &str) -> String {
        writeln!(self.commands, "{commands}\n\\echo the-end").unwrap();
        let mut printed = String::new();
        loop {
            let from = printed.len();
            let read = self.output.read_line(&mut printed).unwrap();
            assert!(read > 0, "psql ended at: {commands}");
            if printed[from..].trim_end() == "the-end" {
                printed.truncate(from);
                return printed;
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}
