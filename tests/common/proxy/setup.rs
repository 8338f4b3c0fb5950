//! The start of a proxy: with its configuration, where it is to store, and the wait until it listens.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::super::TIMEOUT;
use super::command::{command_through, mounting};
use super::{Proxy, Running};

const LISTENING: &str = "cacheproxy: listening on http://";

/// A proxy's setup, before it is started.
pub struct Setup {
    config: String,
    store: Store,
    workers: usize,
    listen: Vec<String>,
    /// The options of a file system of its own.
    disk: Option<String>,
}

/// Where a proxy stores.
enum Store {
    /// In a directory of its own.
    Directory,
    /// Where the configuration says.
    Configured,
    /// In the database of this connection string, by the configuration.
    Database(String),
    /// In the database of this URL, by the command line.
    Url(String),
}

impl Setup {
    /// Stores on a file system of its own with so many bytes. Only where [`may_mount`].
    pub fn disk(mut self, bytes: u64) -> Setup {
        self.disk = Some(format!("size={bytes}"));
        self
    }

    /// The same with so many inodes.
    pub fn disk_of(mut self, bytes: u64, inodes: u64) -> Setup {
        self.disk = Some(format!("size={bytes},nr_inodes={inodes}"));
        self
    }

    /// Stores in the database of this connection string.
    pub fn database(mut self, connection: &str) -> Setup {
        self.store = Store::Database(connection.to_owned());
        self
    }

    /// Stores in the database of this URL, given as `--store`.
    pub fn database_url(mut self, url: &str) -> Setup {
        self.store = Store::Url(url.to_owned());
        self
    }

    /// Stores where the configuration says.
    pub fn storing_as_configured(mut self) -> Setup {
        self.store = Store::Configured;
        self
    }

    /// So many workers.
    pub fn workers(mut self, workers: usize) -> Setup {
        self.workers = workers;
        self
    }

    /// Listens here instead of on a loopback port.
    pub fn listen(mut self, address: &str) -> Setup {
        self.listen = vec![address.to_owned()];
        self
    }

    /// Listens here too.
    pub fn listen_also(mut self, address: &str) -> Setup {
        self.listen.push(address.to_owned());
        self
    }

    /// Starts it and waits until it listens.
    #[track_caller]
    pub fn start(self) -> Proxy {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("run")).unwrap();
        let mut proxy = Proxy {
            setup: self,
            dir,
            running: None,
        };
        let mut config = proxy.setup.config.clone();
        if let Store::Database(connection) = &proxy.setup.store {
            let spool = proxy.store();
            config = format!(
                "store = \"postgres\"\ndatabase = \"{connection}\"\nstore_path = {spool:?}\n{config}"
            );
        }
        proxy.write_config(&config);
        proxy.spawn();
        proxy
    }
}

impl Proxy {
    /// One worker and this configuration.
    #[track_caller]
    pub fn start(config: &str) -> Proxy {
        Proxy::with(config).start()
    }

    /// This configuration, to be started.
    pub fn with(config: &str) -> Setup {
        // A short drain, so that the end of a test isn't the longest part of it; and nobody who waits for another's
        // fetch asks too, however slow the machine is.
        let mut times = "[timeouts]\ndrain = \"3s\"".to_owned();
        if !config.contains("collapsed_wait") {
            times += "\ncollapsed_wait = \"60s\"";
        }
        let config = match config.contains("[timeouts]") {
            true => config.replace("[timeouts]", &times),
            false => format!("{config}\n{times}\n"),
        };
        Setup {
            config,
            store: Store::Directory,
            workers: 1,
            listen: vec!["127.0.0.1:0".to_owned()],
            disk: None,
        }
    }

    #[track_caller]
    pub(super) fn spawn(&mut self) {
        let disk = self.setup.disk.as_ref();
        let mount = disk.map(|options| mounting(options, &self.store()));
        let through = mount.unwrap_or_default();
        let mut command = command_through(&through, &self.dir.path().join("run"));
        command.arg("run").arg("--config").arg(self.config_path());
        match &self.setup.store {
            Store::Directory => _ = command.arg("--store").arg(self.store()),
            Store::Configured | Store::Database(_) => {}
            Store::Url(url) => _ = command.args(["--store", url]),
        }
        command.arg("--workers").arg(self.setup.workers.to_string());
        for address in &self.setup.listen {
            command.arg("--listen").arg(address);
        }
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        std::thread::spawn({
            let log = log.clone();
            move || collect(stderr, &log)
        });
        let end = Instant::now() + TIMEOUT;
        let address = loop {
            if let Some(address) = listening(&log.lock().unwrap()) {
                break address;
            }
            let gone = child.try_wait().unwrap();
            if gone.is_some() || Instant::now() > end {
                let _ = child.kill();
                panic!(
                    "the proxy doesn't listen ({gone:?}): {:#?}",
                    log.lock().unwrap()
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.running = Some(Running {
            child,
            address,
            log,
        });
    }
}

fn collect(stderr: impl Read, log: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stderr).split(b'\n');
    while let Some(Ok(line)) = lines.next() {
        log.lock()
            .unwrap()
            .push(String::from_utf8_lossy(&line).into_owned());
    }
}

fn listening(log: &[String]) -> Option<SocketAddr> {
    let line = log.iter().find_map(|line| line.strip_prefix(LISTENING))?;
    line.trim_end_matches('/').parse().ok()
}
