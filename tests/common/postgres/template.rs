//! Where the server's programs are, who may run them, and the data directory that all servers begin as a copy of: initdb runs
//! once for a target directory and version.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{User, geteuid};

/// Where Debian keeps each version's programs.
const VERSIONS: &str = "/usr/lib/postgresql";

/// The user that the server runs as, where that isn't the test's own.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    /// For root, `postgres` or, where the package's user is missing, `nobody`.
    pub fn of_this_process() -> Option<Owner> {
        if !geteuid().is_root() {
            return None;
        }
        let named = |name| User::from_name(name).ok().flatten();
        let user = named("postgres").or_else(|| named("nobody"));
        let user = user.expect(
            "PostgreSQL doesn't run as root, and there is neither a user 'postgres' nor 'nobody'",
        );
        Some(Owner {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        })
    }
}

/// Gives a file or directory to whom the server runs as.
pub fn give(path: &Path, owner: Option<Owner>) {
    if let Some(owner) = owner {
        chown(path, Some(owner.uid), Some(owner.gid)).unwrap();
    }
}

/// One of the server's programs, run as whom it may run.
pub fn program(name: &str, owner: Option<Owner>) -> Command {
    let mut command = Command::new(programs().1.join(name));
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("PG") {
            command.env_remove(variable);
        }
    }
    command.env("LC_ALL", "C.UTF-8").current_dir("/");
    if let Some(owner) = owner {
        command.uid(owner.uid).gid(owner.gid);
    }
    command
}

/// The newest version that is installed, and where its programs are.
fn programs() -> (u32, PathBuf) {
    let entries = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let versions = entries.filter_map(|entry| {
        let version = entry.file_name().to_str()?.parse().ok()?;
        let programs = entry.path().join("bin");
        let whole = ["initdb", "postgres", "psql"]
            .iter()
            .all(|name| programs.join(name).exists());
        whole.then_some((version, programs))
    });
    versions.max().unwrap_or_else(|| {
        panic!("these tests run a PostgreSQL server of their own, and {VERSIONS}/*/bin has none: apt-get install postgresql")
    })
}

/// The major version that is used.
pub fn version() -> u32 {
    programs().0
}

/// A new directory that the server's user can reach: below /tmp for root, whose own may be closed to others.
pub fn directory(owner: Option<Owner>) -> tempfile::TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("cacheproxy-postgres-");
    let dir = match owner {
        Some(_) => builder.tempdir_in("/tmp"),
        None => builder.tempdir(),
    };
    let dir = dir.unwrap();
    give(dir.path(), owner);
    dir
}

/// Makes `data` a fresh cluster.
pub fn copy_to(data: &Path, owner: Option<Owner>) {
    copy(&template(owner), data, owner);
}

/// The cluster that others are copied from, beside the test programs.
fn template(owner: Option<Owner>) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let target = program.ancestors().nth(2).unwrap();
    let name = format!("postgres-{}-{}", version(), geteuid());
    let made = target.join(&name);
    let lock = File::create(target.join(format!("{name}.lock"))).unwrap();
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
    if !made.exists() {
        let dir = directory(owner);
        let fresh = dir.path().join("data");
        initialise(&fresh, owner);
        let partial = target.join(format!("{name}.partial"));
        let _ = fs::remove_dir_all(&partial);
        copy(&fresh, &partial, None);
        fs::rename(partial, &made).unwrap();
    }
    made
}

fn initialise(data: &Path, owner: Option<Owner>) {
    let mut initdb = program("initdb", owner);
    initdb.args(["--no-sync", "--no-locale", "--encoding=UTF8"]);
    initdb.args(["--auth=trust", "--username=postgres", "--wal-segsize=4"]);
    let made = initdb.arg("--pgdata").arg(data).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(made.status.success(), "initdb: {}", text(&made.stderr));
    let mut single = program("postgres", owner);
    single.args(["--single", "-F", "-D"]).arg(data);
    let mut single = single
        .arg("postgres")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let role = format!("CREATE ROLE {} LOGIN\n", super::ROLE);
    let mut commands = single.stdin.take().unwrap();
    std::io::Write::write_all(&mut commands, role.as_bytes()).unwrap();
    drop(commands);
    assert!(single.wait().unwrap().success(), "a role for the tests");
}

fn copy(from: &Path, to: &Path, owner: Option<Owner>) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    give(to, owner);
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to, owner);
        } else {
            fs::copy(from, &to).unwrap();
            give(&to, owner);
        }
    }
}
