//! https URIs in absolute-form, fetched over TLS by the proxy and cached as anything else
//! (RFC 9110 §4.2.2, §4.3.4): origin servers with certificates made by the test.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use common::origin::{fresh, passing};
use common::{Client, Proxy, each, pattern};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

static AUTHORITIES: AtomicUsize = AtomicUsize::new(0);

/// An authority, whose certificate is in a file as the proxy reads it.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    dir: tempfile::TempDir,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Authorities of one name would be tried, and found to have signed nothing.
        let name = format!("authority {}", AUTHORITIES.fetch_add(1, SeqCst));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Authority {
            issuer: Issuer::new(params, key),
            dir,
        }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A configuration that believes this authority alone.
    fn config(&self) -> String {
        format!("ca_file = \"{}\"\n", self.file().display())
    }

    /// What a server with a certificate for these names needs.
    fn server(&self, names: &[&str], valid: bool, version: Version) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        if !valid {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
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
enum Version {
    Both,
    Tls12,
}

/// What an origin does with one request.
enum Answer {
    Bytes(Vec<u8>),
    /// Sends these and closes: with close_notify or without.
    Closing(Vec<u8>, bool),
}

struct Origin {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    fn of(
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

    fn answering(
        config: Arc<ServerConfig>,
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Origin {
        Origin::of(config, move |path| Answer::Bytes(answer(path)))
    }

    fn uri(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.address.port())
    }

    fn count(&self) -> usize {
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

/// One GET with a Host field of the test's choice.
#[track_caller]
fn get(proxy: &Proxy, uri: &str, host: &str) -> common::Response {
    let mut client = Client::of(proxy);
    client.send(format!("GET {uri} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.response("GET")
}

#[track_caller]
fn fetch(proxy: &Proxy, uri: &str) -> common::Response {
    let authority = uri.trim_start_matches("https://");
    get(proxy, uri, authority.split('/').next().unwrap())
}

#[test]
fn https_is_cached_as_anything_else() {
    let authority = Authority::new();
    let names = ["localhost", "127.0.0.1"];
    each([Version::Both, Version::Tls12], |version| {
        let origin = Origin::answering(authority.server(&names, true, version), |path| fresh(path));
        let proxy = Proxy::start(&authority.config());
        for host in names {
            let uri = origin.uri(host, "/a?b");
            let first = fetch(&proxy, &uri);
            assert_eq!((first.status, first.text().as_str()), (200, "/a?b"));
            let second = fetch(&proxy, &uri);
            assert_eq!(second.text(), "/a?b");
            let told = second.head.first("cache-status").unwrap();
            assert!(told.contains("; hit"), "{told}");
            let port = origin.address.port();
            let sent = format!("GET /a?b HTTP/1.1\r\nHost: {host}:{port}\r\n");
            assert!(
                origin
                    .heads
                    .lock()
                    .unwrap()
                    .last()
                    .unwrap()
                    .starts_with(&sent)
            );
        }
        assert_eq!(origin.count(), 2, "one for each host");
    });
}

#[test]
fn clients_that_tunnel_https_have_a_form_that_is_cached() {
    let authority = Authority::new();
    let server = authority.server(&["localhost"], true, Version::Both);
    let origin = Origin::answering(server, |path| fresh(path));
    let proxy = Proxy::start(&authority.config());
    let port = origin.address.port();
    each(
        [
            ("HTTPS", "HTTPS"),
            ("https", "https"),
            ("HTTPS", "https:80"),
        ],
        |(written, host)| {
            let uri = format!("http://{written}///localhost:{port}/pool/a.deb");
            let response = get(&proxy, &uri, host);
            assert_eq!(
                (response.status, response.text().as_str()),
                (200, "/pool/a.deb")
            );
        },
    );
    assert_eq!(
        fetch(&proxy, &origin.uri("localhost", "/pool/a.deb")).status,
        200
    );
    assert_eq!(origin.count(), 1, "all of them are one URI");
}

#[test]
fn http_and_https_of_one_name_are_two_origins() {
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], true, Version::Both);
    let origin = Origin::answering(server, |_| passing("secret"));
    let proxy = Proxy::start(&authority.config());
    assert_eq!(
        fetch(&proxy, &origin.uri("127.0.0.1", "/")).text(),
        "secret"
    );
    let plain = format!("http://{}/", origin.address);
    // A TLS server that is spoken to in plain text: never an answer over the idle TLS connection.
    assert_eq!(proxy.get(&plain).status, 502);
}

#[test]
fn certificates_that_are_not_believed_are_told_of() {
    let authority = Authority::new();
    let unknown = Authority::new();
    let rows = [
        (
            authority.server(&["other.example"], true, Version::Both),
            "its certificate is for another name",
        ),
        (
            authority.server(&["127.0.0.1"], false, Version::Both),
            "its certificate has expired",
        ),
        (
            unknown.server(&["127.0.0.1"], true, Version::Both),
            "not from an authority that this proxy trusts",
        ),
        (
            authority.server(&["localhost"], true, Version::Tls12),
            "its certificate is for another name",
        ),
    ];
    let proxy = Proxy::start(&authority.config());
    each(rows, |(server, why)| {
        let origin = Origin::answering(server, |_| fresh("never"));
        let response = fetch(&proxy, &origin.uri("127.0.0.1", "/"));
        assert_eq!(response.status, 502);
        assert!(response.text().contains(why), "{}", response.text());
        assert_eq!(origin.count(), 0, "no request over such a connection");
    });
}

#[test]
fn what_is_no_tls_is_told_of() {
    let authority = Authority::new();
    let plain = common::Origin::scripted(|mut conn| {
        conn.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        conn.hold();
    });
    let shut = common::Origin::scripted(drop);
    let proxy = Proxy::start(&authority.config());
    for origin in [&plain, &shut] {
        let response = fetch(&proxy, &format!("https://{}/", origin.authority()));
        assert_eq!(response.status, 502);
        let text = response.text();
        assert!(text.contains("no TLS connection to 127.0.0.1"), "{text}");
    }
}

#[test]
fn without_trusted_certificates_the_file_is_named() {
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], true, Version::Both);
    let origin = Origin::answering(server, |_| fresh("x"));
    let proxy = Proxy::start("ca_file = \"/nowhere/ca.pem\"\n");
    let response = fetch(&proxy, &origin.uri("127.0.0.1", "/"));
    assert_eq!(response.status, 502);
    let text = response.text();
    assert!(
        text.contains("/nowhere/ca.pem") && text.contains("ca_file"),
        "{text}"
    );
}

#[test]
fn connections_are_used_again() {
    let authority = Authority::new();
    each([Version::Both, Version::Tls12], |version| {
        let server = authority.server(&["127.0.0.1"], true, version);
        let origin = Origin::answering(server, |path| passing(path));
        let proxy = Proxy::start(&authority.config());
        for n in 0..20 {
            let path = format!("/{n}");
            assert_eq!(fetch(&proxy, &origin.uri("127.0.0.1", &path)).text(), path);
        }
        assert_eq!(origin.connections.load(SeqCst), 1);
    });
}

#[test]
fn content_passes_whole_both_ways() {
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], true, Version::Both);
    let long = pattern(9 << 20);
    let origin = Origin::answering(server, {
        let long = long.clone();
        move |path| match path {
            "/long" => fresh(&long),
            _ => passing("taken"),
        }
    });
    let proxy = Proxy::start(&authority.config());
    for _ in 0..2 {
        let response = fetch(&proxy, &origin.uri("127.0.0.1", "/long"));
        assert!(response.content == long, "{} bytes", response.content.len());
    }
    let content = "0123456789".repeat(200_000);
    let (uri, length) = (origin.uri("127.0.0.1", "/up"), content.len());
    let mut client = Client::of(&proxy);
    let host = uri["https://".len()..].trim_end_matches("/up");
    client.send(format!(
        "POST {uri} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{content}"
    ));
    assert_eq!(client.response("POST").text(), "taken");
    let heads = origin.heads.lock().unwrap();
    assert!(heads.last().unwrap().ends_with(&content));
}

#[test]
fn an_end_that_the_server_did_not_mean_is_a_cut() {
    // RFC 9112 §9.8: without close_notify, content that ends with the connection isn't whole.
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], true, Version::Both);
    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\n";
    let origin = Origin::of(server, move |path| {
        Answer::Closing(format!("{head}{path}").into_bytes(), path == "/meant")
    });
    let proxy = Proxy::start(&authority.config());
    for _ in 0..2 {
        let response = fetch(&proxy, &origin.uri("127.0.0.1", "/meant"));
        assert_eq!(response.text(), "/meant");
    }
    assert_eq!(origin.count(), 1, "stored");
    for asked in 2..4 {
        let uri = origin.uri("127.0.0.1", "/cut");
        let mut client = Client::of(&proxy);
        let host = uri["https://".len()..].trim_end_matches("/cut");
        client.send(format!("GET {uri} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let whole = client.try_response("GET").is_ok_and(|r| r.status == 200);
        assert!(!whole, "cut content looks whole");
        assert_eq!(origin.count(), asked, "nothing stored");
    }
}

#[test]
fn upgrade_is_left_out() {
    // RFC 9110 §7.8: a server may ignore Upgrade; over TLS this proxy does so for it.
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], true, Version::Both);
    let origin = Origin::answering(server, |_| passing("no socket"));
    let proxy = Proxy::start(&authority.config());
    let uri = origin.uri("127.0.0.1", "/");
    let host = uri["https://".len()..].trim_end_matches('/');
    let mut client = Client::of(&proxy);
    client.send(format!(
        "GET {uri} HTTP/1.1\r\nHost: {host}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    ));
    assert_eq!(client.response("GET").text(), "no socket");
    let heads = origin.heads.lock().unwrap();
    assert!(
        !heads[0].to_ascii_lowercase().contains("upgrade"),
        "{}",
        heads[0]
    );
}

#[test]
fn the_network_may_not_reach_loopback_by_https() {
    // An address that isn't loopback, when this machine has one; connect() of UDP sends nothing.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    if socket.connect("192.0.2.1:9").is_err() {
        return;
    }
    let own = socket.local_addr().unwrap().ip();
    if own.is_loopback() || own.is_unspecified() {
        return;
    }
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], true, Version::Both);
    let origin = Origin::answering(server, |_| fresh("local"));
    let config = format!("{}allow = [\"0.0.0.0/0\"]\n", authority.config());
    let proxy = Proxy::with(&config)
        .listen_also(&format!("{own}:0"))
        .start();
    let uri = origin.uri("127.0.0.1", "/");
    let from_loopback = fetch(&proxy, &uri);
    assert_eq!(from_loopback.text(), "local");
    let line = proxy.wait_for_line(&["listening on", &format!("{own}:")]);
    let address = line.rsplit("http://").next().unwrap().trim_end_matches('/');
    let mut client = Client::to(address.parse().unwrap());
    let host = uri["https://".len()..].trim_end_matches('/');
    client.send(format!("GET {uri} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    assert_eq!(client.response("GET").status, 403, "stored");
    client = Client::to(address.parse().unwrap());
    client.send(format!("GET {uri}x HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    assert_eq!(client.response("GET").status, 403, "not stored");
}
