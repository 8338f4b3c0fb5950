//! Where the database is and how it is reached: a connection string or URL as libpq takes it, the password
//! from a file, TLS, several hosts tried one after another.
//!
//! A server that takes writes is preferred; one that doesn't is better than none, for what is stored.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::{is_crowded, reason, refuses_writes};
use super::session::{Driver, Session};
use super::tls;
use crate::config::Database;
use crate::store::StoreError;

/// The seconds that one host may take to answer, unless `connect_timeout` says otherwise.
const TIMEOUT: u64 = 3;
/// The settings of each connection: nothing may run on for long when nobody waits for it any more, and what a
/// crash of the server loses is fetched again. What others have made in the schema "public" is never called.
const SETTINGS: &str = "SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '120s'; \
    SET default_transaction_isolation = 'read committed'; SET synchronous_commit = off; SET jit = off; \
    SET client_min_messages = warning; SET search_path = pg_catalog, pg_temp";

/// The way to a database.
pub struct Connector {
    /// One for each host, in the order they are tried.
    hosts: Vec<Config>,
    tls: MakeRustlsConnect,
    pub(super) driver: Arc<Driver>,
    password_file: Option<PathBuf>,
    /// True when a server that takes no writes may do.
    any: bool,
    server: String,
}

/// A reason why there is no connection.
#[derive(Debug, Clone)]
pub struct ConnectError {
    /// The reason in words.
    pub why: String,
    /// True when the server is there, and has too many connections.
    pub crowded: bool,
    /// True when the server is there, and takes no writes.
    pub(super) read_only: bool,
    /// The breaker's era, where a pool asked for it while the circuit was closed.
    pub(super) era: u64,
}

impl ConnectError {
    /// For this reason, and no other that matters.
    pub fn of(why: String) -> ConnectError {
        ConnectError {
            why,
            crowded: false,
            read_only: false,
            era: 0,
        }
    }
}

impl Connector {
    /// The way to the database that this connection string or URL names.
    pub fn new(database: &str, password_file: Option<PathBuf>) -> Result<Connector, StoreError> {
        let refused = |reason: String| StoreError::Database {
            server: "that \"database\" names".to_owned(),
            reason,
        };
        let database = Database::parse(database).map_err(refused)?;
        let tls = tls::config(&database).map_err(refused)?;
        let driver = Driver::start().map_err(|why| refused(why.to_string()))?;
        Ok(Connector {
            driver: Arc::new(driver),
            hosts: each_host(&database),
            tls: MakeRustlsConnect::new(tls),
            password_file,
            any: database.value("target_session_attrs").is_none(),
            server: database.place(),
        })
    }

    /// The server's name in messages. Never has the password in it.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// True when there is more than one host.
    pub fn has_choice(&self) -> bool {
        self.hosts.len() > 1
    }

    /// Connects to the first host that answers, within this time.
    pub fn connect(&self, timeout: Duration) -> Result<Session, ConnectError> {
        let connecting = self.connect_until(Instant::now() + timeout);
        self.driver.block_on(connecting)
    }

    /// Connects to the first host that answers, until then.
    pub(super) async fn connect_until(&self, until: Instant) -> Result<Session, ConnectError> {
        let password = self.password()?;
        let mut failed = ConnectError::of("no host is named".to_owned());
        let mut read_only = None;
        for host in 0..self.hosts.len() {
            match self.try_host(host, false, password.as_deref(), until).await {
                Ok(session) => return Ok(session),
                Err(error) => failed = error,
            }
            if failed.read_only && self.any {
                read_only.get_or_insert(host);
            }
        }
        if let Some(host) = read_only {
            let session = self.try_host(host, true, password.as_deref(), until).await;
            return session.map_err(|_| failed);
        }
        Err(failed)
    }

    /// The failure of this server for this reason.
    pub fn failure(&self, reason: String) -> StoreError {
        StoreError::Database {
            server: self.server.clone(),
            reason,
        }
    }

    /// A session with one host, though it takes no writes where `read_only` says so.
    async fn try_host(
        &self,
        host: usize,
        read_only: bool,
        password: Option<&[u8]>,
        until: Instant,
    ) -> Result<Session, ConnectError> {
        let mut config = self.hosts[host].clone();
        if let Some(password) = password {
            config.password(password);
        }
        if read_only {
            config.target_session_attrs(TargetSessionAttrs::Any);
        }
        let own = config.get_connect_timeout().copied();
        let left = until.saturating_duration_since(Instant::now());
        let connecting = async {
            let (client, connection) = config.connect(self.tls.clone()).await?;
            let mut session = Session::new(self.driver.clone(), client, connection);
            session.client.batch_execute(SETTINGS).await?;
            (session.host, session.read_only) = (host, read_only);
            Ok(session)
        };
        let connected = time::timeout(own.map_or(left, |own| own.min(left)), connecting).await;
        let late = |_| {
            let why = "no answer in time; see whether the server is up and reachable";
            ConnectError::of(why.to_owned())
        };
        connected.map_err(late)?.map_err(|why| ConnectError {
            why: reason(&why),
            crowded: is_crowded(&why),
            read_only: refuses_writes(&why),
            era: 0,
        })
    }

    fn password(&self) -> Result<Option<Vec<u8>>, ConnectError> {
        let Some(path) = &self.password_file else {
            return Ok(None);
        };
        let refused = |why| format!("the password can't be read from {}: {why}", path.display());
        let text = std::fs::read(path).map_err(|why| ConnectError::of(refused(why)))?;
        let line = text.split(|byte| matches!(byte, b'\n' | b'\r')).next();
        Ok(line.map(<[u8]>::to_vec))
    }
}

/// A configuration for each host.
fn each_host(database: &Database) -> Vec<Config> {
    let list = |name: &str| -> Vec<String> {
        let list = database.value(name).unwrap_or_default().split(',');
        list.map(str::to_owned).collect()
    };
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = hosts.len().max(addresses.len());
    let one = |at: usize| {
        let of = |list: &[String]| list.get(at).filter(|value| !value.is_empty()).cloned();
        let mut config = Config::new();
        common(database, &mut config);
        if let Some(host) = of(&hosts) {
            if host.starts_with('/') {
                config.ssl_mode(SslMode::Disable);
            }
            config.host(host);
        }
        if let Some(address) = of(&addresses).and_then(|address| address.parse().ok()) {
            config.hostaddr(address);
        }
        // One port is for all.
        let port = of(&ports).or_else(|| ports.first().filter(|_| ports.len() == 1).cloned());
        config.port(port.and_then(|port| port.parse().ok()).unwrap_or(5432));
        config
    };
    (0..count).map(one).collect()
}

/// Everything that isn't about one host.
fn common(database: &Database, config: &mut Config) {
    let seconds = |name: &str, otherwise: u64| {
        let value = database.value(name).and_then(|value| value.parse().ok());
        Duration::from_secs(value.unwrap_or(otherwise))
    };
    if let Some(user) = database.value("user") {
        config.user(user);
    }
    if let Some(password) = database.value("password") {
        config.password(password);
    }
    if let Some(name) = database.value("dbname") {
        config.dbname(name);
    }
    if let Some(options) = database.value("options") {
        config.options(options);
    }
    // libpq's is in milliseconds; no server is waited for without end.
    let user_timeout = database.value("tcp_user_timeout");
    let user_timeout = user_timeout.and_then(|value| value.parse().ok());
    config
        .application_name(database.value("application_name").unwrap_or("cacheproxy"))
        .connect_timeout(seconds("connect_timeout", TIMEOUT).max(Duration::from_secs(1)))
        .tcp_user_timeout(Duration::from_millis(user_timeout.unwrap_or(10_000)))
        .keepalives(database.value("keepalives") != Some("0"))
        .keepalives_idle(seconds("keepalives_idle", 30))
        .keepalives_interval(seconds("keepalives_interval", 5))
        .keepalives_retries(3)
        .ssl_mode(match database.value("sslmode") {
            Some("disable") => SslMode::Disable,
            Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
            _ => SslMode::Prefer,
        })
        .channel_binding(match database.value("channel_binding") {
            Some("disable") => ChannelBinding::Disable,
            Some("require") => ChannelBinding::Require,
            _ => ChannelBinding::Prefer,
        })
        .target_session_attrs(match database.value("target_session_attrs") {
            Some("any") => TargetSessionAttrs::Any,
            Some("read-only") => TargetSessionAttrs::ReadOnly,
            _ => TargetSessionAttrs::ReadWrite,
        });
}
