//! A PostgreSQL server of a test's own: Debian's binaries, a data directory and a Unix socket in a temporary directory, gone
//! with the test however that ends. The distribution's own cluster isn't touched and needn't exist.
//!
//! For tests/ as part of `common`, and for unit tests as `crate::postgres_server`: nothing outside this directory is used. PostgreSQL refuses to run as
//! root, so that there it runs as `postgres` or `nobody`. Commands go through psql.
#![allow(dead_code, unused_imports, clippy::unwrap_used)]

mod certificate;
mod process;
mod session;
mod setup;
mod template;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use certificate::Authority;
pub use process::{is_alive, state};
pub use session::Session;
pub use setup::{Login, Setup};

use process::Process;
use template::Owner;

/// The time in which a server must have done what it is told.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The role that a server has from the start beside its superuser: it may log in, and owns the databases made for it.
pub const ROLE: &str = "cacheproxy";

/// A running server, or one that the test has ended for now.
pub struct Server {
    dir: tempfile::TempDir,
    port: u16,
    tcp: bool,
    running: Option<Process>,
    databases: AtomicUsize,
}

impl Server {
    /// A server that is reached by its Unix socket and trusts everyone.
    #[track_caller]
    pub fn start() -> Server {
        Server::with().start()
    }

    /// A setup for a server, before it is started.
    pub fn with() -> Setup {
        Setup::default()
    }

    /// One server for all tests of this process that only need a database.
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Server::start)
    }

    /// A new database that belongs to `ROLE`, and the connection string for it.
    #[track_caller]
    pub fn database(&self) -> String {
        let name = format!("cache{}", self.databases.fetch_add(1, Ordering::SeqCst));
        self.create_database(&name, ROLE);
        self.connection(&name)
    }

    /// A database with this name and owner.
    #[track_caller]
    pub fn create_database(&self, name: &str, owner: &str) {
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER {owner}"));
    }

    /// A role without rights, which may log in.
    #[track_caller]
    pub fn create_role(&self, name: &str) {
        self.sql("postgres", &format!("CREATE ROLE {name} LOGIN"));
    }

    /// The connection string of a database for `ROLE`, through the Unix socket.
    pub fn connection(&self, database: &str) -> String {
        let (host, port) = (self.socket_dir(), self.port);
        format!(
            "host={} port={port} user={ROLE} dbname={database}",
            host.display()
        )
    }

    /// The connection string of a database for `ROLE`, through TCP to this host: its name or address.
    pub fn connection_by(&self, host: &str, database: &str) -> String {
        assert!(self.tcp, "the server was set up without TCP");
        format!(
            "host={host} port={} user={ROLE} dbname={database}",
            self.port
        )
    }

    /// Where its Unix socket is.
    pub fn socket_dir(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// Its port: the TCP port, and the number in the socket's name.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its major version.
    pub fn version() -> u32 {
        template::version()
    }

    /// Output of psql for these commands, done by the superuser; columns are split by `|`.
    #[track_caller]
    pub fn sql(&self, database: &str, commands: &str) -> String {
        session::run(self, database, commands).unwrap_or_else(|error| panic!("{commands}: {error}"))
    }

    /// The same where the server may refuse it, or not be there.
    pub fn try_sql(&self, database: &str, commands: &str) -> Result<String, String> {
        session::run(self, database, commands)
    }

    /// A superuser's session that stays open, to hold locks with.
    #[track_caller]
    pub fn session(&self, database: &str) -> Session {
        Session::open(self, database)
    }

    /// Makes every transaction read-only from the next one on, as on a standby, or undoes that.
    #[track_caller]
    pub fn read_only(&self, on: bool) {
        let value = if on { "on" } else { "off" };
        let set = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
        self.sql("postgres", &set);
        self.sql("postgres", "SELECT pg_reload_conf()");
        wait_until("the setting", || {
            session::run(self, "postgres", "SHOW default_transaction_read_only").as_deref()
                == Ok(value)
        });
    }

    /// Ends the server and all its backends with SIGKILL, at once.
    #[track_caller]
    pub fn kill(&mut self) {
        self.running.take().expect("the server runs").kill();
        // What the next start would take for a server that runs, should another process have that id by then.
        let _ = std::fs::remove_file(self.dir.path().join("data/postmaster.pid"));
    }

    /// Ends the server in its own way: sessions are told, data is written.
    #[track_caller]
    pub fn stop(&mut self) {
        self.running.take().expect("the server runs").stop();
    }

    /// Starts it after a kill or a stop, at the same place with the same data.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "the server runs");
        self.running = Some(Process::start(self.dir.path(), Owner::of_this_process()).unwrap());
    }

    /// Stops it and starts it again.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Stops all its processes with SIGSTOP: connections are still made by the kernel, and nothing answers.
    #[track_caller]
    pub fn pause(&self) {
        self.running.as_ref().expect("the server runs").pause();
    }

    /// Lets them go on.
    #[track_caller]
    pub fn resume(&self) {
        self.running.as_ref().expect("the server runs").resume();
    }

    /// The server's main process, the parent of all others.
    pub fn pid(&self) -> i32 {
        self.running.as_ref().expect("the server runs").pid()
    }

    /// All its processes now, the main one first.
    pub fn processes(&self) -> Vec<i32> {
        self.running.as_ref().expect("the server runs").all()
    }

    /// The text that it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(20)..];
            eprintln!("the end of the server's log: {last:#?}");
        }
    }
}

/// Polls until `condition` holds; panics with `what` when it doesn't in time.
#[track_caller]
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + TIMEOUT;
    while !condition() {
        assert!(
            std::time::Instant::now() < end,
            "not within {TIMEOUT:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
