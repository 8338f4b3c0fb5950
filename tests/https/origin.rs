//! Origin servers that speak TLS, with certificates made by the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use crate::common;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// An authority that the proxy may be told to believe.
pub struct Authority(common::Authority);

impl Authority {
    pub fn new() -> Authority {
        Authority(common::Authority::new())
    }

    /// A configuration that believes this authority alone.
    pub fn config(&self) -> String {
        format!("ca_file = \"{}\"\n", self.0.file().display())
    }

    /// The configuration of a server with a certificate for these names.
    pub fn server(&self, names: &[&str], valid: bool, version: Version) -> Arc<ServerConfig> {
        let (certificate, key) = self.0.sign(names, valid);
        let versions: &[&rustls::SupportedProtocolVersion] = match version {
            Version::Both => rustls::ALL_VERSIONS,
            Version::Tls12 => &[&rustls::version::TLS12],
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let config = builder
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            );
        Arc::new(config.unwrap())
    }
}

#[derive(Clone, Copy)]
pub enum Version {
    Both,
    Tls12,
}

/// An origin's behaviour at one request.
pub enum Answer {
    Bytes(Vec<u8>),
    /// Sends these and closes: with close_notify or without.
    Closing(Vec<u8>, bool),
    /// Sends these at once, in a record of its own each.
    Records(Vec<Vec<u8>>),
    /// Sends this, and a close_notify that no end of the connection follows.
    Notifying(Vec<u8>),
}

pub struct Origin {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    pub heads: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    pub fn of(
        config: Arc<ServerConfig>,
        answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = Origin {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            heads: Arc::default(),
        };
        let (connections, heads) = (origin.connections.clone(), origin.heads.clone());
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                connections.fetch_add(1, SeqCst);
                let session = ServerConnection::new(config.clone()).unwrap();
                let (heads, answer) = (heads.clone(), answer.clone());
                std::thread::spawn(move || serve(session, stream, &heads, &*answer));
            }
        });
        origin
    }

    pub fn answering(
        config: Arc<ServerConfig>,
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Origin {
        Origin::of(config, move |path| Answer::Bytes(answer(path)))
    }

    pub fn uri(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.address.port())
    }

    pub fn count(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

fn serve(
    session: ServerConnection,
    stream: TcpStream,
    heads: &Mutex<Vec<String>>,
    answer: &dyn Fn(&str) -> Answer,
) {
    let mut reader = BufReader::new(StreamOwned::new(session, stream));
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if !matches!(reader.read_line(&mut head), Ok(1..)) {
                return;
            }
        }
        let field = |line: &&str| line.to_ascii_lowercase().starts_with("content-length:");
        let length = head.lines().find(field).map_or(0, |line| {
            let (_, value) = line.split_once(':').unwrap();
            value.trim().parse().unwrap()
        });
        let mut content = vec![0; length];
        reader.read_exact(&mut content).unwrap();
        head.push_str(&String::from_utf8_lossy(&content));
        heads.lock().unwrap().push(head.clone());
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let tls = reader.get_mut();
        match answer(&path) {
            Answer::Bytes(bytes) => {
                let _ = tls.write_all(&bytes);
                let _ = tls.flush();
            }
            Answer::Records(records) => {
                for record in records {
                    let _ = tls.conn.writer().write_all(&record);
                }
                let _ = tls.flush();
            }
            Answer::Notifying(bytes) => {
                let _ = tls.write_all(&bytes);
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
            Answer::Closing(bytes, notify) => {
                let _ = tls.write_all(&bytes);
                if notify {
                    tls.conn.send_close_notify();
                }
                let _ = tls.flush();
                return;
            }
        }
    }
}
