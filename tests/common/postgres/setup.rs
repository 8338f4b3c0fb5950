//! A server's setup: where it listens, whom it believes, its certificate, its settings.

use std::fmt::Write;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

use super::certificate::Authority;
use super::process::Process;
use super::template::{self, Owner};
use super::{ROLE, Server};

/// The way in which everyone but the superuser is known. The superuser comes through the socket and is believed.
#[derive(Debug, Clone, Default)]
pub enum Login {
    /// By the name that is given.
    #[default]
    Trust,
    /// By this password of `ROLE`, with SCRAM.
    Password(String),
    /// By the system's user, who may be each of these pairs of user and role; only by the socket.
    Peer(Vec<(String, String)>),
}

/// A server to be started.
#[derive(Default)]
pub struct Setup {
    tcp: bool,
    login: Login,
    certificate: Option<(String, String)>,
    settings: String,
}

impl Setup {
    /// Listens on 127.0.0.1 too, at a port of the kernel's choosing.
    pub fn tcp(mut self) -> Setup {
        self.tcp = true;
        self
    }

    /// TCP, and by that only TLS, with a certificate from this authority for these names or addresses.
    pub fn tls(mut self, authority: &Authority, names: &[&str]) -> Setup {
        let (certificate, key) = authority.sign(names, true);
        self.certificate = Some((certificate.pem(), key.serialize_pem()));
        self.tcp()
    }

    /// Whom it believes.
    pub fn login(mut self, login: Login) -> Setup {
        self.login = login;
        self
    }

    /// A line of postgresql.conf, as `max_connections = 20`.
    pub fn setting(mut self, line: &str) -> Setup {
        writeln!(self.settings, "{line}").unwrap();
        self
    }

    /// Starts it and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Server {
        let mut tries = 0;
        loop {
            match self.try_start() {
                Ok(server) => return server,
                // The port was free a moment ago.
                Err(why) if why.contains("Address already in use") && tries < 5 => tries += 1,
                Err(why) => panic!("{why}"),
            }
        }
    }

    fn try_start(&self) -> Result<Server, String> {
        let owner = Owner::of_this_process();
        let dir = template::directory(owner);
        let data = dir.path().join("data");
        template::copy_to(&data, owner);
        let socket = dir.path().join("socket");
        fs::create_dir(&socket).unwrap();
        template::give(&socket, owner);
        let port = match self.tcp {
            true => free_port(),
            false => 5432,
        };
        let write = |name: &str, text: &str| {
            let path = data.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            template::give(&path, owner);
        };
        if let Some((certificate, key)) = &self.certificate {
            write("server.crt", certificate);
            write("server.key", key);
        }
        write("postgresql.conf", &self.configuration(&socket, port));
        let (hba, ident) = self.access();
        write("pg_hba.conf", &hba);
        write("pg_ident.conf", &ident);
        let running = Process::start(dir.path(), owner)?;
        let server = Server {
            dir,
            port,
            tcp: self.tcp,
            running: Some(running),
            databases: AtomicUsize::new(0),
        };
        if let Login::Password(password) = &self.login {
            server.sql(
                "postgres",
                &format!("ALTER ROLE {ROLE} PASSWORD '{password}'"),
            );
        }
        Ok(server)
    }

    fn configuration(&self, socket: &Path, port: u16) -> String {
        let (socket, tls) = (socket.display(), self.certificate.is_some());
        let listen = if self.tcp { "127.0.0.1" } else { "" };
        // Nothing that a test stores has to outlive the machine.
        format!(
            "listen_addresses = '{listen}'\nport = {port}\nunix_socket_directories = '{socket}'\nssl = {tls}\n\
             password_encryption = scram-sha-256\n\
             fsync = off\nfull_page_writes = off\nshared_buffers = 32MB\nmax_wal_size = 256MB\n{}",
            self.settings
        )
    }

    fn access(&self) -> (String, String) {
        let (method, ident) = match &self.login {
            Login::Trust => ("trust", String::new()),
            Login::Password(_) => ("scram-sha-256", String::new()),
            Login::Peer(users) => {
                let line = |(user, role): &(String, String)| format!("tests {user} {role}\n");
                ("peer map=tests", users.iter().map(line).collect())
            }
        };
        let mut hba = format!("local all postgres trust\nlocal all all {method}\n");
        match (&self.login, &self.certificate) {
            (Login::Peer(_), _) => {}
            (_, Some(_)) => hba += &format!("hostssl all all all {method}\n"),
            (_, None) => hba += &format!("host all all all {method}\n"),
        }
        (hba, ident)
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
