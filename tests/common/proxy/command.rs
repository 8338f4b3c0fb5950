//! The binary as a command: in an environment that is the same on every machine, and, when asked, on a file system
//! of its own.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_cacheproxy");

/// The environment's variables that would change what the binary does.
const UNWANTED: [&str; 8] = [
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "JOURNAL_STREAM",
    "WATCHDOG_USEC",
    "http_proxy",
    "all_proxy",
];

/// The binary with an environment that is the same on every machine.
pub fn command(runtime: &Path) -> Command {
    command_through(&[], runtime)
}

/// The same, run by these words before it.
pub fn command_through(through: &[String], runtime: &Path) -> Command {
    let mut words = through.iter().map(String::as_str).chain([BINARY]);
    let mut command = Command::new(words.next().unwrap_or(BINARY));
    command.args(words);
    for name in UNWANTED {
        command.env_remove(name);
    }
    command
        .env("XDG_RUNTIME_DIR", runtime)
        .env("HOME", runtime)
        // Tests look at its descriptors, whoever runs them.
        .env("CACHEPROXY_DUMPABLE", "1")
        .stdin(Stdio::null());
    command
}

/// Runs a command of the binary to its end.
pub fn run(args: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    command(dir.path())
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap()
}

/// A command's output, errors last.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// True when a process may have a file system of its own here.
pub fn may_mount() -> bool {
    let dir = tempfile::tempdir().unwrap();
    let through = mounting("size=1m", &dir.path().join("store"));
    let mut trial = Command::new(&through[0]);
    let done = trial.args(&through[1..]).arg("true").output();
    done.is_ok_and(|done| done.status.success())
}

/// The words that make a directory a file system with these options, which goes with the process.
pub fn mounting(options: &str, directory: &Path) -> Vec<String> {
    let script = "mkdir -p \"$0\" && mount -t tmpfs -o $1 none \"$0\" && shift && exec \"$@\"";
    let words = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
    ];
    let mut all: Vec<String> = words.map(str::to_owned).into();
    all.extend([
        script.to_owned(),
        directory.display().to_string(),
        options.to_owned(),
    ]);
    all
}
